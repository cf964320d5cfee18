//! Weights channel by channel.

use maud::{Markup, html};

use crate::inspect::report::{Report, WeightChannels};

/// Columns of a picture at most: of more channels several share a column.
const COLUMNS: usize = 128;
/// Size of a picture in pixels.
const WIDTH: f64 = 512.0;
const HEIGHT: f64 = 90.0;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section #weights {
            h2 { "Weights" }
            p {
                "The range of each channel, batch norms folded in. Where all channels share one scale, narrow channels keep "
                "few of its steps."
            }
            @for weight in &report.weights { (details(weight)) }
        }
    }
}

fn details(weight: &WeightChannels) -> Markup {
    let channels = weight.ranges.len();
    let per_column = channels.div_ceil(COLUMNS).max(1);
    let largest =
        weight.ranges.iter().map(|(low, high)| low.abs().max(high.abs())).fold(f32::MIN_POSITIVE, f32::max);
    let columns = channels.div_ceil(per_column).max(1) as f64;
    let y = |value: f32| HEIGHT / 2.0 * (1.0 - f64::from(value) / f64::from(largest));
    let lines: String = weight
        .ranges
        .chunks(per_column)
        .enumerate()
        .map(|(column, ranges)| {
            let low = ranges.iter().map(|range| range.0).fold(f32::INFINITY, f32::min);
            let high = ranges.iter().map(|range| range.1).fold(f32::NEG_INFINITY, f32::max);
            let x = WIDTH * (column as f64 + 0.5) / columns;
            format!("M{x:.1} {:.1}V{:.1}", y(high) - 0.5, y(low) + 0.5)
        })
        .collect();
    html! {
        details {
            summary { code { (weight.path) } " " span { (scales(weight)) } }
            figure.wide {
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ "Channels of " (weight.path) } {
                    path.edge d={ "M0 " (HEIGHT / 2.0) "H" (WIDTH) } {}
                    path.channels stroke-width=(format!("{:.1}", 0.7 * WIDTH / columns)) d=(lines) {}
                }
                div.ends {
                    span { "channel 0" }
                    span { "± " (format!("{largest:.3}")) @if per_column > 1 { ", " (per_column) " channels a column" } }
                    span { "channel " (channels.saturating_sub(1)) }
                }
            }
        }
    }
}

fn scales(weight: &WeightChannels) -> String {
    let extremes = || {
        let smallest = weight.scales.iter().copied().fold(f32::INFINITY, f32::min);
        let largest = weight.scales.iter().copied().fold(0.0, f32::max);
        (smallest, largest)
    };
    match weight.scales.as_slice() {
        [scale] => format!("{} channels, one scale, {scale:.3e}", weight.ranges.len()),
        scales => {
            let (smallest, largest) = extremes();
            format!("{} channels, scales {smallest:.3e} to {largest:.3e}", scales.len())
        }
    }
}
