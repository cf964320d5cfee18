//! The example programs as a user runs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use examples::models::mobilenet_v2::mobilenet_v2;
use examples::models::resnet::resnet18;
use qcore::prelude::*;
use safetensors::tensor::{TensorView, serialize_to_file};
use safetensors::{Dtype, SafeTensors};
use tempfile::TempDir;

/// A folder with a ResNet-18 checkpoint of random weights, and pictures of 32x32.
struct Workshop {
    folder: TempDir,
}

const PICTURES: usize = 4;
const SHAPE: [usize; 4] = [PICTURES, 3, 32, 32];

impl Workshop {
    fn new() -> Self {
        let workshop = Self { folder: tempfile::tempdir().unwrap() };
        resnet18(10).state_dict().save(workshop.path("weights")).unwrap();
        let pixels: Vec<u8> = (0..SHAPE.iter().product()).map(|i: usize| (i * 37 % 251) as u8).collect();
        workshop.write_pictures("bytes", Dtype::U8, &pixels, &[0, 9, 3, 5]);
        workshop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.safetensors"))
    }

    fn write_pictures(&self, name: &str, dtype: Dtype, pixels: &[u8], labels: &[i64]) {
        let labels: Vec<u8> = labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let x = TensorView::new(dtype, SHAPE.to_vec(), pixels).unwrap();
        let y = TensorView::new(Dtype::I64, vec![labels.len() / 8], &labels).unwrap();
        serialize_to_file([("x", x), ("y", y)], None, &self.path(name)).unwrap();
    }

    fn zoo(&self, arguments: &[&str]) -> Output {
        self.run(env!("CARGO_BIN_EXE_zoo"), arguments)
    }

    fn bench(&self, arguments: &[&str]) -> Output {
        self.run(env!("CARGO_BIN_EXE_bench"), arguments)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        Command::new(program).args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn quantize(&self, more: &[&str]) -> Output {
        let mut arguments = vec![
            "quantize",
            "--arch",
            "resnet18",
            "--num-classes",
            "10",
            "--weights",
            "weights.safetensors",
            "--calibration",
            "bytes.safetensors",
            "--batch-size",
            "2",
            "--out",
            "int8.safetensors",
        ];
        arguments.extend(more);
        self.zoo(&arguments)
    }
}

fn assert_succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The message of a run that has to fail with an error, not with a panic.
fn assert_fails(output: &Output) -> String {
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(!message.contains("panicked"), "{message}");
    message
}

fn logits(path: &Path) -> (Vec<usize>, Vec<f32>) {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let y = file.tensor("y").unwrap();
    let values = y.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    (y.shape().to_vec(), values)
}

#[test]
fn quickstart_tells_the_whole_story() {
    let output = Command::new(env!("CARGO_BIN_EXE_quickstart")).output().unwrap();
    let text = assert_succeeds(&output);
    assert!(text.contains("conv_bn_relu"), "{text}");
    assert!(text.contains("the same function"), "{text}");
    assert!(text.contains("the reloaded model gives the same bytes on 360 digits"), "{text}");
}

#[test]
fn zoo_without_a_subcommand_shows_that_all_is_well() {
    let text = assert_succeeds(&Workshop::new().zoo(&[]));
    assert!(text.contains("reloaded bit for bit"), "{text}");
}

#[test]
fn a_checkpoint_is_quantized_run_and_evaluated_from_the_int8_file_alone() {
    let workshop = Workshop::new();
    let text = assert_succeeds(&workshop.quantize(&["--skip", "layer1.0.conv1", "--qparams", "scales.json"]));
    assert!(text.contains("layer1.0.conv2"), "{text}");

    let scales = std::fs::read(workshop.folder.path().join("scales.json")).unwrap();
    let scales: serde_json::Value = serde_json::from_slice(&scales).unwrap();
    assert_eq!(scales["edges"]["conv1"]["dtype"], "quint8");
    assert!(scales["edges"]["conv1"]["scale"][0].as_f64().unwrap() > 0.0);
    assert_eq!(scales["weights"]["conv1"]["scale"].as_array().unwrap().len(), 64);
    assert_eq!(scales["weights"]["conv1"]["dtype"], "qint8");
    assert!(scales["weights"]["layer1.0.conv1"].is_null(), "a skipped layer has no quantized weight");

    std::fs::remove_file(workshop.path("weights")).unwrap();
    let run =
        ["run", "--model", "int8.safetensors", "--input", "bytes.safetensors", "--out", "y.safetensors"];
    assert_succeeds(&workshop.zoo(&run));
    let (shape, int8) = logits(&workshop.path("y"));
    assert_eq!(shape, [PICTURES, 10]);
    assert!(int8.iter().all(|value| value.is_finite()));
    let evaluate = ["evaluate", "--model", "int8.safetensors", "--test", "bytes.safetensors"];
    assert!(assert_succeeds(&workshop.zoo(&evaluate)).contains("of 4"));
}

#[test]
fn an_int8_file_runs_whatever_architecture_it_holds() {
    let workshop = Workshop::new();
    mobilenet_v2(7).state_dict().save(workshop.path("weights")).unwrap();
    let quantize = [
        "quantize",
        "--arch",
        "mobilenet_v2",
        "--num-classes",
        "7",
        "--weights",
        "weights.safetensors",
        "--calibration",
        "bytes.safetensors",
        "--skip",
        "features.1.conv.0",
        "--out",
        "int8.safetensors",
    ];
    assert_succeeds(&workshop.zoo(&quantize));
    let run =
        ["run", "--model", "int8.safetensors", "--input", "bytes.safetensors", "--out", "y.safetensors"];
    assert_succeeds(&workshop.zoo(&run));
    assert_eq!(logits(&workshop.path("y")).0, [PICTURES, 7]);
}

#[test]
fn bytes_and_their_normalised_floats_give_the_same_logits() {
    let workshop = Workshop::new();
    let (mean, std) = ([0.485, 0.456, 0.406f32], [0.229, 0.224, 0.225f32]);
    let floats: Vec<u8> = (0..SHAPE.iter().product())
        .flat_map(|i: usize| {
            let channel = i / (32 * 32) % 3;
            let pixel = (i * 37 % 251) as f32;
            ((pixel / 255.0 - mean[channel]) / std[channel]).to_le_bytes()
        })
        .collect();
    workshop.write_pictures("floats", Dtype::F32, &floats, &[0, 9, 3, 5]);
    for name in ["bytes", "floats"] {
        let (input, out) = (format!("{name}.safetensors"), format!("{name}_y.safetensors"));
        let run = [
            "run",
            "--arch",
            "resnet18",
            "--num-classes",
            "10",
            "--weights",
            "weights.safetensors",
            "--input",
            &input,
            "--out",
            &out,
        ];
        assert_succeeds(&workshop.zoo(&run));
    }
    assert_eq!(logits(&workshop.path("bytes_y")), logits(&workshop.path("floats_y")));
}

#[test]
fn mistakes_get_an_answer_and_leave_no_file() {
    let workshop = Workshop::new();
    let message = assert_fails(&workshop.quantize(&["--skip", "layer1.0.conv9"]));
    assert!(message.contains("did you mean `layer1.0.conv"), "{message}");
    assert!(!workshop.path("int8").exists());

    let message = assert_fails(&workshop.quantize(&["--mean", "0.5"]));
    assert!(message.contains("3 entries"), "{message}");

    let other_classes = [
        "evaluate",
        "--arch",
        "resnet18",
        "--num-classes",
        "7",
        "--weights",
        "weights.safetensors",
        "--test",
        "bytes.safetensors",
    ];
    let message = assert_fails(&workshop.zoo(&other_classes));
    assert!(message.contains("fc.weight") && message.contains("[7, 512]"), "{message}");

    workshop.write_pictures("bytes", Dtype::U8, &[0; 4 * 3 * 32 * 32], &[0, 1, 2, 10]);
    let evaluate = [
        "evaluate",
        "--arch",
        "resnet18",
        "--num-classes",
        "10",
        "--weights",
        "weights.safetensors",
        "--test",
        "bytes.safetensors",
    ];
    let message = assert_fails(&workshop.zoo(&evaluate));
    assert!(message.contains("label 10 at index 3 is out of range"), "{message}");

    let message = assert_fails(&workshop.zoo(&[
        "run",
        "--model",
        "weights.safetensors",
        "--input",
        "bytes.safetensors",
        "--out",
        "y",
    ]));
    assert!(message.contains("holds no converted model"), "{message}");
}

#[test]
fn bench_prints_one_json_object_and_keeps_a_model_that_zoo_runs() {
    let workshop = Workshop::new();
    let bench = ["--arch", "resnet18", "--size", "32", "--rounds", "1"];
    let more = ["--weights", "weights.safetensors", "--save", "int8.safetensors", "--layers", "--json"];
    let output = workshop.bench(&[&bench[..], &more].concat());
    let report: serde_json::Value = serde_json::from_str(&assert_succeeds(&output)).unwrap();
    assert_eq!((&report["arch"], &report["size"]), (&"resnet18".into(), &32.into()));
    assert_eq!((&report["threads"], &report["batch"]), (&1.into(), &1.into()));
    assert_eq!(report["num_classes"], 10, "the checkpoint has ten");
    for time in ["fp32_ms", "int8_ms", "load_ms", "load_mapped_ms"] {
        let milliseconds = report[time].as_f64().unwrap();
        assert!(milliseconds > 0.0 && milliseconds < 60e3, "{time}: {milliseconds}");
    }
    let [peak, lower_bound] = ["peak_bytes", "lower_bound_bytes"].map(|key| report[key].as_u64().unwrap());
    assert!(lower_bound >= 64 * 16 * 16 && peak >= lower_bound, "{peak}, {lower_bound}");
    let steps = report["layers"]["steps"].as_array().unwrap();
    let conv1 = steps.iter().find(|step| step["path"] == "conv1").unwrap();
    assert_eq!(conv1["output"], serde_json::json!([1, 64, 16, 16]));
    assert_eq!(conv1["multiply_accumulates"], 64 * 16 * 16 * 3 * 7 * 7);
    assert!(conv1["nanoseconds"].as_u64().unwrap() > 0);
    let file = std::fs::metadata(workshop.path("int8")).unwrap();
    assert_eq!(report["file_bytes"], file.len());
    let evaluate = ["evaluate", "--model", "int8.safetensors", "--test", "bytes.safetensors"];
    assert!(assert_succeeds(&workshop.zoo(&evaluate)).contains("of 4"));

    let more = ["--num-classes", "3", "--threads", "2", "--batch", "2", "--layers"];
    let other = ["--isa", "scalar", "--backend", "fbgemm"];
    let text = assert_succeeds(&workshop.bench(&[&bench[..], &more, &other].concat()));
    assert!(text.contains("resnet18, 3 classes, 2 x 3 x 32 x 32, threads: 2, scalar, fbgemm"), "{text}");
    assert!(text.contains("times as fast") && text.contains("layer4.1.conv2"), "{text}");
    assert!(!text.contains("the peak of"), "plain Rust has no multiply instruction: {text}");
}

#[test]
fn bench_times_a_network_in_every_way_that_it_can_be_quantized() {
    let workshop = Workshop::new();
    let output = workshop.bench(&["--network", "encoder", "--rounds", "1", "--layers", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&assert_succeeds(&output)).unwrap();
    assert_eq!((&report["network"], &report["threads"]), (&"encoder".into(), &1.into()));
    for way in ["fp32", "dynamic", "int8"] {
        assert!(report[format!("{way}_ms")].as_f64().unwrap() > 0.0, "{report}");
    }
    for way in ["dynamic", "int8"] {
        let steps = report["layers"][way]["steps"].as_array().unwrap();
        let up = steps.iter().find(|step| step["path"] == "layers.0.up").unwrap();
        assert_eq!(up["multiply_accumulates"], 128 * 256 * 1024);
    }
    let text = assert_succeeds(&workshop.bench(&["--network", "linear", "--rounds", "1", "--batch", "2"]));
    assert!(text.contains("linear, batch 2") && text.contains("times as fast"), "{text}");
}

#[test]
fn bench_says_what_it_cannot_run() {
    let workshop = Workshop::new();
    let mistakes: [(&[&str], &str); 9] = [
        (&[], "<--arch <ARCH>|--network <NETWORK>>"),
        (&["--network", "linear", "--size", "32"], "cannot be used with"),
        (&["--network", "linear", "--weights", "weights.safetensors"], "linear with the weights"),
        (&["--arch", "resnet19"], "possible values: resnet18"),
        (&["--arch", "resnet18", "--isa", "mmx"], "this processor has scalar"),
        (&["--arch", "resnet18", "--threads", "0"], "at least 1"),
        (&["--arch", "vgg16", "--weights", "weights.safetensors"], "no `classifier.6.weight`"),
        (
            &["--arch", "resnet50", "--weights", "weights.safetensors"],
            "resnet50 with the weights weights.safetensors",
        ),
        (&["--arch", "resnet18", "--weights", "missing.safetensors"], "missing.safetensors"),
    ];
    for (arguments, answer) in mistakes {
        let message = assert_fails(&workshop.bench(arguments));
        assert!(message.contains(answer), "{message}");
    }
}
