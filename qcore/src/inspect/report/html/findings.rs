//! What a reader should look at first.

use maud::{Markup, html};

use super::{decibels, percent};
use crate::inspect::report::Report;

/// Below this an operation is worth a look: the error is a tenth of the signal.
const LOUD: f64 = 20.0;
/// Above this share of clipped values, the range is worth a look.
const CLIPPED: f64 = 1e-3;
/// From here on a shared scale is: half a bit.
const SHARED: f64 = 1.4;

/// Places, and what is there.
type Finding<'a> = (Vec<&'a str>, String);

pub(super) fn section(report: &Report) -> Markup {
    let findings: Vec<Finding<'_>> = errors(report).chain(edges(report)).chain(growing(report)).collect();
    html! {
        section #findings {
            h2 { "Findings" }
            @if findings.is_empty() {
                p { "Every observer saw data, and no operation stands out." }
            } @else {
                ul {
                    @for (paths, text) in &findings {
                        li { @for path in paths { code { (path) } " " } "– " (text) }
                    }
                }
            }
        }
    }
}

fn errors(report: &Report) -> impl Iterator<Item = Finding<'_>> {
    report.worst().filter_map(|row| {
        let sqnr = row.own?.sqnr;
        let text = format!(
            "its own error is {} below its signal. Leave it in float, or give it another observer.",
            decibels(sqnr)
        );
        (sqnr < LOUD).then(|| (vec![row.path.as_str()], text))
    })
}

fn edges(report: &Report) -> impl Iterator<Item = Finding<'_>> {
    report.calibration.edges.iter().flat_map(|edge| {
        let path = edge.paths.first().map_or("", String::as_str);
        let never = edge.range.is_none().then(|| "never saw data.".to_owned());
        let constant = edge.constant.then(|| "saw a single value.".to_owned());
        let clipped = (edge.clipped > CLIPPED)
            .then(|| format!("{} of the values lie beyond the chosen range.", percent(edge.clipped)));
        let channels = (!edge.constant && edge.constant_channels > 0)
            .then(|| format!("{} of {} channels never moved.", edge.constant_channels, edge.channels));
        let shared = edge.shared.as_ref().filter(|shared| shared.times >= SHARED).map(|shared| {
            let (times, path) = (shared.times, &shared.path);
            format!("its steps are {times:.1} times as wide as {path} needs, which shares its observer.")
        });
        let texts = [never, constant, clipped, channels, shared];
        texts.into_iter().flatten().map(move |text| (vec![path], text))
    })
}

/// More data would say the same of all of them, so that they are one finding.
fn growing(report: &Report) -> Option<Finding<'_>> {
    let edges = report.calibration.edges.iter().filter(|edge| edge.still_growing);
    let paths: Vec<&str> = edges.filter_map(|edge| edge.paths.first()).map(String::as_str).collect();
    let text = "the range still grew in the last tenth of the batches: more calibration data may widen it.";
    (!paths.is_empty()).then(|| (paths, text.to_owned()))
}
