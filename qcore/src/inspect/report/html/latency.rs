//! Where the time of a call goes.

use maud::{Markup, html};

use super::{bar, shape, sortable, time};
use crate::inspect::report::{Latency, StepLatency};

pub(super) fn section(latency: &Latency) -> Markup {
    let inputs: Vec<String> = latency.inputs.iter().map(|input| shape(input)).collect();
    html! {
        section #latency {
            h2 { "Latency" }
            p {
                "A call with " (inputs.join(" and ")) ", threads: " (latency.threads) ", " (latency.isa) ". Medians of "
                (latency.rounds) " rounds in which both models took turns."
            }
            (steps("The converted model", latency.nanoseconds.converted, &latency.converted))
            (steps("The float model", latency.nanoseconds.float, &latency.float))
        }
    }
}

fn steps(title: &str, call: u64, steps: &[StepLatency]) -> Markup {
    let slowest = steps.iter().map(|step| step.nanoseconds).max().unwrap_or(1).max(1);
    html! {
        h3 { (title) ", " (time(call)) }
        div.scroll tabindex="0" role="region" aria-label=(title) {
            table {
                thead { tr { (sortable("Step")) (sortable("Domain")) (sortable("Output")) (sortable("Time")) } }
                tbody {
                    @for step in steps {
                        @let nanoseconds = step.nanoseconds as f64;
                        tr {
                            th scope="row" { code { (step.path) } }
                            td { (step.domain) }
                            td { (shape(&step.output)) }
                            (bar(&time(step.nanoseconds), nanoseconds / slowest as f64, nanoseconds, "time"))
                        }
                    }
                }
            }
        }
    }
}
