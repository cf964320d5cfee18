//! The list of passes, in order, with the reason for the order.
//!
//! 1. `fusion` first, so that a fused group counts as one operation;
//! 2. `domains` and `stubs` next, because the borders of int8 regions depend on the groups;
//! 3. `residual` then, because only additions of int8 values run in a convolution;
//! 4. `float_fusion` and `liveness` last, because they describe the final graph.

mod domains;
mod float_fusion;
mod float_ops;
mod fusion;
mod liveness;
mod manual;
mod readers;
mod residual;
mod stubs;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

pub use domains::{Domain, Domains};
pub use float_fusion::FloatFusions;
pub use fusion::Declined;
pub use liveness::{Liveness, Use};
pub use manual::Diagnostic;
pub use residual::Residuals;
pub use stubs::{Action, BlockNumber, Stub, StubPlan};

use crate::ir::print::{graph_text, number_values};
use crate::ir::verify::verify;
use crate::ir::{Graph, ValueId};
use crate::parse::ForwardOptions;

/// Everything that code generation needs.
#[derive(Debug)]
pub struct Plan {
    /// The graph of fused groups.
    pub graph: Graph,
    pub liveness: Liveness,
    pub float_fusions: FloatFusions,
    pub declined: Vec<Declined>,
    pub domains: Domains,
    pub stubs: StubPlan,
    pub residuals: Residuals,
    /// The text after each pass, if `dump` asks for it.
    pub dump: Option<String>,
    /// What the user has to change; nothing is generated if there is any.
    pub diagnostics: Vec<Diagnostic>,
}

impl Plan {
    /// Why the chain that begins with the operation that makes `first` is not fused further.
    pub fn why_not_fused(&self, first: ValueId) -> Option<&Declined> {
        self.declined.iter().find(|declined| declined.first == first)
    }
}

pub fn run(graph: Graph, options: &ForwardOptions) -> Plan {
    let mut diagnostics = Vec::new();
    check("lowering", &graph, &mut diagnostics);
    let mut dump = String::new();
    let _ = write!(dump, "# after lowering\n{}", graph_text(&graph));

    let fusion::Fusion { graph: fused, declined } = fusion::fuse(&graph);
    check("fusion", &fused, &mut diagnostics);
    let _ = write!(dump, "\n# after fusion\n{}", graph_text(&fused));
    for each in &declined {
        let _ = writeln!(
            dump,
            "not fused: {} at `{}`: {}",
            each.fusion, graph.values[each.first.0].name, each.reason
        );
    }

    let (domains, stubs) = if options.manual_stubs {
        let (domains, found) = manual::infer(&fused);
        diagnostics.extend(found);
        (domains, StubPlan::default())
    } else {
        let domains = domains::infer(&fused);
        let stubs = stubs::place(&fused, &domains);
        (domains, stubs)
    };
    if options.deny_float_ops {
        diagnostics.extend(float_ops::deny(&fused, &domains));
    }
    let _ = write!(dump, "\n# after stubs\n{}", stubs_text(&fused, &domains, &stubs));
    let residuals = residual::find(&fused, &domains);
    dump.push_str(&residuals_text(&fused, &residuals));

    Plan {
        liveness: liveness::analyze(&fused),
        float_fusions: float_fusion::find(&fused),
        graph: fused,
        declined,
        domains,
        stubs,
        residuals,
        dump: options.dump.then_some(dump),
        diagnostics,
    }
}

fn check(after: &str, graph: &Graph, diagnostics: &mut Vec<Diagnostic>) {
    let Err(problem) = verify(graph) else { return };
    if cfg!(test) {
        panic!("after {after}: {problem}\n{}", graph_text(graph));
    }
    let text = format!(
        "this is a bug in qmacros: after {after}, {problem}\n\nhelp: please report it with this `forward`"
    );
    diagnostics.push((graph.name.span(), text));
}

/// The stubs in the order in which they run, and the operations that stay in float.
fn stubs_text(graph: &Graph, domains: &Domains, stubs: &StubPlan) -> String {
    let numbers = number_values(graph);
    let number = |value: ValueId| numbers.get(&value).map_or_else(String::new, |number| format!("%{number}"));
    let mut text = String::new();
    for stub in stubs.in_order() {
        let action = match stub.action {
            Action::Quantize => "quantize",
            Action::Dequantize => "dequantize",
        };
        let _ = writeln!(text, "{action} {} for {}", number(stub.value), stub.readers.join(", "));
    }
    let mut floats: Vec<(usize, &str)> = numbers
        .iter()
        .filter_map(|(value, number)| Some((*number, domains.float_reason(*value)?.text())))
        .collect();
    floats.sort_unstable();
    for (number, reason) in floats {
        let _ = writeln!(text, "%{number} is float: {reason}");
    }
    text
}

/// The additions that run in a convolution.
fn residuals_text(graph: &Graph, residuals: &Residuals) -> String {
    let mut order: Vec<(ValueId, usize)> = number_values(graph).into_iter().collect();
    order.sort_unstable_by_key(|(_, number)| *number);
    let computed_with = |(value, number)| match residuals.computed_with(value) {
        [] => String::new(),
        convolutions => format!("%{number} is computed with {}\n", convolutions.join(" or ")),
    };
    order.into_iter().map(computed_with).collect()
}
