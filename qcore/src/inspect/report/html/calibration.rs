//! What the observers saw, and the ranges that were chosen for it.

use maud::{Markup, html};

use super::{count, number, percent, sortable};
use crate::QParams;
use crate::inspect::report::{Histogram, Report};
use crate::quantize::EdgeReport;

/// How many histograms there are at most.
const HISTOGRAMS: usize = 12;
/// Size of a histogram in pixels.
const WIDTH: f64 = 320.0;
const HEIGHT: f64 = 90.0;

pub(super) fn section(report: &Report) -> Markup {
    let edges = &report.calibration.edges;
    html! {
        section #calibration {
            h2 { "Calibration" }
            p { (count(report.calibration.batches, "batch", "batches")) ", " (count(edges.len(), "observer", "observers")) "." }
            h3 { "The activations of the operations with the largest errors" }
            p { "Each picture has the values that were seen, on a logarithmic scale, and the range that integers stand for, between the lines." }
            div.figures {
                @for (edge, histogram) in worst(report) { (figure(edge, histogram)) }
            }
            h3 { "All observers" }
            div.scroll tabindex="0" role="region" aria-label="Observers" {
                table {
                    thead { tr {
                        (sortable("Edge")) (sortable("Observer")) (sortable("Values")) (sortable("Smallest"))
                        (sortable("Largest")) (sortable("Scale")) (sortable("Zero point")) (sortable("Clipped"))
                        (sortable("Range"))
                    } }
                    tbody { @for edge in edges { (row(edge)) } }
                }
            }
        }
    }
}

fn row(edge: &EdgeReport) -> Markup {
    html! {
        tr {
            th scope="row" { @for path in &edge.paths { code { (path) } " " } }
            td { (edge.observer) }
            (number(&edge.values.to_string(), edge.values as f64))
            @if let Some((low, high)) = edge.range {
                (number(&format!("{low:.4}"), f64::from(low)))
                (number(&format!("{high:.4}"), f64::from(high)))
            } @else { td {} td {} }
            @if let Some(qparams) = &edge.qparams {
                (number(&format!("{:.3e}", qparams.tensor_scale()), f64::from(qparams.tensor_scale())))
                (number(&qparams.tensor_zero_point().to_string(), f64::from(qparams.tensor_zero_point())))
                (number(&percent(edge.clipped), edge.clipped))
            } @else { td {} td {} td {} }
            td { (state(edge)) }
        }
    }
}

fn state(edge: &EdgeReport) -> &'static str {
    match edge.range {
        None => "never saw data",
        Some(_) if edge.constant => "a single value",
        Some(_) if edge.still_growing => "still growing",
        Some(_) => "settled",
    }
}

/// The observers of what the worst operations make, the worst first.
fn worst(report: &Report) -> impl Iterator<Item = (&EdgeReport, &Histogram)> {
    let edges = || report.calibration.edges.iter().zip(&report.activations);
    let mut shown: Vec<(&EdgeReport, &Histogram)> = Vec::new();
    for operation in report.worst() {
        let edge = edges().find(|(edge, _)| edge.paths.contains(&operation.path));
        let is_new = |edge: &EdgeReport| shown.iter().all(|(other, _)| !std::ptr::eq(*other, edge));
        if let Some(found) = edge.filter(|(edge, histogram)| !histogram.counts.is_empty() && is_new(edge)) {
            shown.push(found);
        }
        if shown.len() == HISTOGRAMS {
            break;
        }
    }
    shown.into_iter()
}

fn figure(edge: &EdgeReport, histogram: &Histogram) -> Markup {
    let path = edge.paths.first().map_or("", String::as_str);
    let chosen = edge.qparams.as_ref().map(represented);
    let (low, high) = chosen.map_or((histogram.low, histogram.high), |(low, high)| {
        (histogram.low.min(low), histogram.high.max(high))
    });
    let width = f64::from(high) - f64::from(low);
    let x = |value: f64| if width > 0.0 { WIDTH * (value - f64::from(low)) / width } else { WIDTH / 2.0 };

    let largest = histogram.counts.iter().copied().fold(1.0, f64::max);
    let step = (f64::from(histogram.high) - f64::from(histogram.low)) / histogram.counts.len().max(1) as f64;
    let bars = histogram.counts.iter().enumerate().filter(|(_, count)| **count > 0.0).map(|(i, &count)| {
        let begin = x(f64::from(histogram.low) + step * i as f64);
        let end = x(f64::from(histogram.low) + step * (i + 1) as f64);
        let height = HEIGHT * (1.0 + count).ln() / (1.0 + largest).ln();
        format!("M{begin:.1} {HEIGHT}V{:.1}H{:.1}V{HEIGHT}", HEIGHT - height, end.max(begin + 0.5))
    });
    let bars: String = bars.collect();
    html! {
        figure {
            figcaption { code { (path) } " " (edge.observer) ", " (percent(edge.clipped)) " clipped" }
            svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ "Histogram of " (path) } {
                path.counts d=(bars) {}
                @if let Some((low, high)) = chosen {
                    @for end in [low, high] {
                        line.chosen x1=(format!("{:.1}", x(f64::from(end)))) x2=(format!("{:.1}", x(f64::from(end)))) y1="0" y2=(HEIGHT) {}
                    }
                }
            }
            div.ends { span { (format!("{low:.3}")) } span { (format!("{high:.3}")) } }
        }
    }
}

/// The smallest and the largest value that integers stand for.
fn represented(qparams: &QParams) -> (f32, f32) {
    let value = |integer: i32| (integer - qparams.tensor_zero_point()) as f32 * qparams.tensor_scale();
    (value(qparams.quant_min), value(qparams.quant_max))
}
