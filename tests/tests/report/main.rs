//! The report of a conversion: its numbers, and its page in a browser.

use std::fs;
use std::process::Command;

use qcore::prelude::*;
use qcore::{Converted, Error, Prepared, Report, compare_activations, compare_shadow};

#[quantizable]
struct Block {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
}

#[quantizable]
impl Block {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        relu(self.conv2(y) + y)
    }
}

fn batches() -> Vec<Tensor> {
    let batch = |seed: usize| {
        let values = (0..2 * 3 * 8 * 8).map(|i| ((i * 7 + seed * 13) as f32).sin()).collect();
        Tensor::from_vec(&[2, 3, 8, 8], values).unwrap()
    };
    (0..3).map(batch).collect()
}

fn converted(skip: &str) -> (Prepared<Block>, Converted<Block>) {
    let block = Block {
        conv1: Conv2d::new(3, 8, 3).padding(1),
        bn1: BatchNorm2d::new(8),
        conv2: Conv2d::new(8, 8, 1),
    };
    let mapping = QConfigMapping::for_backend(Backend::Fbgemm).module(skip, None);
    let mut prepared = block.prepare(&mapping).unwrap();
    prepared.calibrate(batches()).unwrap();
    let converted = prepared.convert().unwrap();
    (prepared, converted)
}

#[test]
fn the_numbers_are_those_of_the_numeric_suite() {
    let (prepared, converted) = converted("conv2");
    let report = Report::measure(&prepared, &converted, batches()).unwrap();
    let accumulated = compare_activations(&prepared, &converted, batches()).unwrap();
    let own = compare_shadow(&prepared, &converted, batches()).unwrap();
    assert_eq!(report.batches, 3);
    assert_eq!(report.operations.len(), accumulated.rows.len());
    for row in &report.operations {
        assert_eq!(row.accumulated, accumulated.row(&row.path).map(|row| row.error), "{}", row.path);
        assert_eq!(row.own, own.row(&row.path).map(|row| row.error), "{}", row.path);
    }
    let row = |path: &str| report.operations.iter().find(|row| row.path == path).unwrap();
    assert!(row("conv2").own.is_none() && row("conv2").weight.is_none(), "it runs in float");
    assert!(row("conv1").weight.is_some());
    // The addition reads both branches.
    let position = |path: &str| report.operations.iter().position(|row| row.path == path).unwrap();
    let sum = &report.operations[report.outputs[0]];
    assert_eq!(sum.inputs, [position("conv2"), position("conv1")]);
}

#[test]
fn histograms_and_channels_hold_every_value() {
    let (prepared, converted) = converted("conv2");
    let report = Report::measure(&prepared, &converted, batches()).unwrap();
    for (edge, histogram) in report.calibration.edges.iter().zip(&report.activations) {
        let counted: f64 = histogram.counts.iter().sum();
        assert!((counted - edge.values as f64).abs() < 1e-6 * edge.values as f64, "{:?}", edge.paths);
        assert_eq!(Some((histogram.low, histogram.high)), edge.range);
    }
    let [conv1] = report.weights.as_slice() else { panic!("one weight became integers") };
    assert_eq!((conv1.path.as_str(), conv1.axis, conv1.ranges.len(), conv1.scales.len()), ("conv1", 0, 8, 8));
    for (&(low, high), &scale) in conv1.ranges.iter().zip(&conv1.scales) {
        // fbgemm's weights are symmetric: the larger end is at 127.5 steps.
        let expected = (-low).max(high) / 127.5;
        assert!((scale - expected).abs() <= 1e-6 * expected, "{scale} {expected}");
    }
}

#[test]
fn what_was_not_measured_is_not_there() {
    let (prepared, converted) = converted("conv2");
    let report = Report::measure(&prepared, &converted, batches()).unwrap();
    assert!(report.latency.is_none() && report.file_sizes.is_none() && report.scores.is_empty());
    let page = report.to_html();
    assert!(!page.contains("id=\"latency\"") && !page.contains("times as"));
}

#[test]
fn bad_input_is_refused() {
    let (prepared, int8) = converted("conv2");
    let none: [Tensor; 0] = [];
    assert!(matches!(Report::measure(&prepared, &int8, none), Err(Error::EmptyCalibration)));
    let report = Report::measure(&prepared, &int8, batches()).unwrap();
    let error = report.clone().with_score("top-1", 0.9, f64::NAN).unwrap_err();
    assert!(error.to_string().contains("the score `top-1`"), "{error}");
    let error = report.with_file_sizes("no such file", "none").unwrap_err();
    assert!(error.to_string().contains("no such file"), "{error}");
}

/// A page that a browser opens without an error in its console, sorts, and whose text has what a path could smuggle in
/// only as text.
#[test]
fn the_page_opens_in_a_browser() {
    let (prepared, converted) = converted("conv2");
    let batches = batches();
    let report = Report::measure(&prepared, &converted, &batches)
        .and_then(|report| report.with_latency(&prepared, &converted, &batches[0]))
        .and_then(|report| report.with_score("<script>top-1</script>", 0.5, 0.25))
        .unwrap();
    let page = report.to_html();
    assert!(page.contains("&lt;script&gt;top-1&lt;/script&gt;"));
    assert!(!page.contains("http://") && !page.contains("https://"), "it asks for nothing");

    // What a user does: sorts the operations by their own error.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.html");
    let click = "<script>document.querySelectorAll('#network thead button')[4].click();</script></body>";
    fs::write(&path, page.replace("</body>", click)).unwrap();
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok());
    let Some(browser) = browser else {
        return eprintln!("SKIPPED: no Chromium is installed, so no browser has opened the report");
    };
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
        ])
        .args(["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(&path)
        .output()
        .unwrap();
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{log}");
    assert!(!log.contains("CONSOLE"), "{log}");
    let table = &dom[dom.find("id=\"network\"").unwrap()..dom.find("id=\"calibration\"").unwrap()];
    let shown: Vec<usize> =
        report.worst().filter_map(|row| table.find(&format!("<code>{}</code>", row.path))).collect();
    assert!(!shown.is_empty() && shown.is_sorted(), "{shown:?}");
}

#[quantizable]
struct Twice {
    fc: Linear,
    bn: BatchNorm1d,
}

#[quantizable]
impl Twice {
    fn forward(&self, x: Tensor) -> Tensor {
        self.bn(self.fc(self.fc(x)))
    }
}

/// Parameters as `sum(p.numel() for p in model.parameters())` of PyTorch counts them.
#[test]
fn a_layer_that_is_called_twice_is_counted_once() {
    let model = Twice { fc: Linear::new(6, 6), bn: BatchNorm1d::new(6) };
    let summary = qcore::summary(&model, Tensor::zeros(&[2, 6])).unwrap();
    assert_eq!(summary.parameters(), 6 * 6 + 6 + 2 * 6);
    assert_eq!(summary.multiply_accumulates(), 2 * (2 * 6 * 6));
    let text = summary.to_string();
    assert!(
        text.contains("[2, 6]") && text.ends_with("54 parameters, 0.000 million multiply-accumulates"),
        "{text}"
    );
}

#[test]
fn a_summary_of_a_prepared_model_has_the_precisions_of_the_mapping() {
    let (prepared, _) = converted("conv2");
    let summary = prepared.summary(&batches()[0]).unwrap();
    let row = |path: &str| summary.rows.iter().find(|row| row.path == path).unwrap();
    assert_eq!((row("conv1").precision.as_str(), row("conv2").precision.as_str()), ("static", "float"));
    assert_eq!(row("conv1").output, [2, 8, 8, 8]);
    // The addition runs in the kernel of `conv2`, which has the products.
    assert_eq!(row("conv2").multiply_accumulates, 2 * 8 * 8 * 8 * 8);
    let error = prepared.summary(Tensor::zeros(&[1, 4, 8, 8])).unwrap_err();
    assert_eq!(format!("{error:?}"), error.to_string());
    assert!(error.to_string().contains("conv1"), "{error}");
}
