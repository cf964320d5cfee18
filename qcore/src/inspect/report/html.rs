//! The report as a page: one file, without a network, light and dark, with or without scripts.

mod calibration;
mod findings;
mod latency;
mod network;
mod weights;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Compared, Report, Score};

/// In the page as they are: both are files of this crate.
const STYLE: PreEscaped<&str> = PreEscaped(include_str!("html/style.css"));
const SCRIPT: PreEscaped<&str> = PreEscaped(include_str!("html/script.js"));

impl Report {
    /// A page of HTML that opens from disk, needs no network, and holds all that the report knows.
    /// [`write_file`](crate::write_file) writes it.
    pub fn to_html(&self) -> String {
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    // No request for an icon.
                    link rel="icon" href="data:,";
                    title { (self.model) " in int8" }
                    style { (STYLE) }
                }
                body {
                    header {
                        h1 { (self.model) }
                        p { "Backend " (self.backend) ", errors over " (count(self.batches, "batch", "batches")) "." }
                        nav aria-label="Sections" {
                            @for (id, title) in self.sections() { a href={ "#" (id) } { (title) } " " }
                        }
                    }
                    main {
                        (self.summary())
                        (findings::section(self))
                        (network::section(self))
                        (calibration::section(self))
                        (weights::section(self))
                        @if let Some(latency) = &self.latency { (latency::section(latency)) }
                    }
                    script { (SCRIPT) }
                }
            }
        };
        page.into_string()
    }

    fn sections(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = [
            ("summary", "Summary"),
            ("findings", "Findings"),
            ("network", "Network"),
            ("calibration", "Calibration"),
            ("weights", "Weights"),
            ("latency", "Latency"),
        ];
        let has_latency = self.latency.is_some();
        all.into_iter().filter(move |(id, _)| *id != "latency" || has_latency)
    }

    /// What changed from float to the converted model, where it was measured.
    fn summary(&self) -> Markup {
        let integers = self.operations.iter().filter(|row| row.own.is_some()).count();
        let calls = self.operations.iter().filter(|row| row.operation != "input").count();
        html! {
            section #summary {
                h2 { "Summary" }
                dl.tiles {
                    @for Score { name, value } in &self.scores {
                        (tile(name, &format!("{:.4}", value.converted), &format!("{:.4} in float", value.float)))
                    }
                    @for &output in &self.outputs {
                        @if let Some(error) = self.operations[output].accumulated {
                            (tile("SQNR at the output", &decibels(error.sqnr), &self.operations[output].path))
                        }
                    }
                    @if let Some(latency) = &self.latency {
                        @let Compared { float, converted } = latency.nanoseconds;
                        (tile(
                            "Latency",
                            &time(converted),
                            &format!("{} in float, {:.2} times as fast", time(float), ratio(float, converted)),
                        ))
                    }
                    @if let Some(Compared { float, converted }) = self.file_sizes {
                        (tile(
                            "File",
                            &bytes(converted),
                            &format!("{} in float, {:.2} times as small", bytes(float), ratio(float, converted)),
                        ))
                    }
                    (tile("Operations on integers", &integers.to_string(), &format!("of {calls}")))
                }
            }
        }
    }
}

fn tile(name: &str, value: &str, note: &str) -> Markup {
    html! { div { dt { (name) } dd { strong { (value) } " " span { (note) } } } }
}

/// A heading of a column by which its table can be sorted.
fn sortable(title: &str) -> Markup {
    html! { th scope="col" { button type="button" { (title) } } }
}

/// A number with a bar as long as its share of the largest.
fn bar(text: &str, share: f64, key: f64, class: &str) -> Markup {
    let width = format!("--share:{:.1}%", 100.0 * share.clamp(0.0, 1.0));
    html! { td.bar.(class) data-key=(key) style=(width) { (text) } }
}

fn number(text: &str, key: f64) -> Markup {
    html! { td.number data-key=(key) { (text) } }
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn ratio(float: u64, converted: u64) -> f64 {
    float as f64 / converted.max(1) as f64
}

fn decibels(sqnr: f64) -> String {
    if sqnr.is_finite() { format!("{sqnr:.1} dB") } else { "equal".to_owned() }
}

fn time(nanoseconds: u64) -> String {
    match nanoseconds {
        ..1_000_000 => format!("{:.1} µs", nanoseconds as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.2} s", nanoseconds as f64 / 1e9),
    }
}

fn bytes(number: u64) -> String {
    match number {
        ..1_000_000 => format!("{:.1} kB", number as f64 / 1e3),
        _ => format!("{:.1} MB", number as f64 / 1e6),
    }
}

fn percent(share: f64) -> String {
    format!("{:.3} %", 100.0 * share)
}

fn shape(shape: &[usize]) -> String {
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
}
