//! The operations in the order in which they run, with the graph drawn beside them, row by row.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::{bar, decibels, number, percent, sortable};
use crate::inspect::report::{OperationReport, Report};

/// Height of a row, as in the style sheet.
const ROW: usize = 24;
/// Distance of the lines of edges that pass others.
const LANE: usize = 9;
/// Half of the width of an operation's box.
const HALF_BOX: usize = 5;
/// A bar of this many decibels is full.
const FULL: f64 = 60.0;

pub(super) fn section(report: &Report) -> Markup {
    let graph = Graph::of(&report.operations);
    html! {
        section #network {
            h2 { "Network" }
            p {
                "An operation's own error is that of its int8 form on the float model's values; the accumulated one is "
                "that of its output in the int8 model. A click on a title sorts."
            }
            p.legend {
                @for (class, text) in
                    [("q4", "40 dB and more"), ("q3", "30"), ("q2", "20"), ("q1", "10"), ("q0", "less"), ("float", "float")]
                { span { svg width="12" height="12" aria-hidden="true" { rect.(class) width="12" height="12" {} } " " (text) } }
            }
            div.scroll tabindex="0" role="region" aria-label="Operations" {
                table.rows {
                    thead { tr {
                        (sortable("Graph")) (sortable("Path")) (sortable("Operation")) (sortable("Precision"))
                        (sortable("Own SQNR")) (sortable("Accumulated SQNR")) (sortable("Weight SQNR"))
                        (sortable("Cosine")) (sortable("Largest error")) (sortable("Clipped"))
                    } }
                    tbody {
                        @for (index, row) in report.operations.iter().enumerate() { (self::row(row, index, &graph)) }
                    }
                }
            }
        }
    }
}

fn row(row: &OperationReport, index: usize, graph: &Graph) -> Markup {
    let sqnr = |error: Option<f64>| match error {
        Some(sqnr) => bar(&decibels(sqnr), sqnr / FULL, sqnr.min(f64::MAX), level(Some(sqnr))),
        None => html! { td {} },
    };
    let accumulated = row.accumulated.filter(|_| row.operation != "input" || row.precision != "float");
    html! {
        tr {
            td.graph data-key=(index) { (graph.draw(index, level(row.own.map(|own| own.sqnr)))) }
            th scope="row" { code { (row.path) } }
            td { (row.operation) }
            td { (row.precision) }
            (sqnr(row.own.map(|own| own.sqnr)))
            (sqnr(accumulated.map(|error| error.sqnr)))
            (sqnr(row.weight.map(|error| error.sqnr)))
            @if let Some(error) = accumulated {
                (number(&format!("{:.5}", error.cosine_similarity), error.cosine_similarity))
                (number(&format!("{:.2e}", error.max_error), f64::from(error.max_error)))
            } @else { td {} td {} }
            @if let Some(clipped) = accumulated.and_then(|error| error.clipped) {
                (number(&percent(clipped), clipped))
            } @else { td {} }
        }
    }
}

/// The class of a colour.
fn level(sqnr: Option<f64>) -> &'static str {
    match sqnr {
        None => "float",
        Some(40.0..) => "q4",
        Some(30.0..) => "q3",
        Some(20.0..) => "q2",
        Some(10.0..) => "q1",
        Some(_) => "q0",
    }
}

/// The edges between the rows.
struct Graph {
    /// Whether a row reads the one above it.
    reads_previous: Vec<bool>,
    passing: Vec<Passing>,
    lanes: usize,
}

/// An edge that passes other rows, in a lane of its own.
struct Passing {
    from: usize,
    to: usize,
    lane: usize,
}

impl Graph {
    fn of(operations: &[OperationReport]) -> Self {
        let mut passing: Vec<Passing> = Vec::new();
        let mut reads_previous = vec![false; operations.len()];
        // Of each lane the row where it becomes free.
        let mut free: Vec<usize> = Vec::new();
        let mut edges: Vec<(usize, usize)> = Vec::new();
        for (to, row) in operations.iter().enumerate() {
            for &from in &row.inputs {
                match from + 1 == to {
                    true => reads_previous[to] = true,
                    false => edges.push((from, to)),
                }
            }
        }
        edges.sort_unstable();
        edges.dedup();
        for (from, to) in edges {
            let lane = free.iter().position(|&row| row <= from).unwrap_or(free.len());
            match free.get_mut(lane) {
                Some(row) => *row = to,
                None => free.push(to),
            }
            passing.push(Passing { from, to, lane });
        }
        Self { reads_previous, passing, lanes: free.len() }
    }

    /// The part of the drawing that is in a row.
    fn draw(&self, row: usize, class: &str) -> Markup {
        let width = LANE * self.lanes + 3 * HALF_BOX;
        let (x, middle) = (width - HALF_BOX - 2, ROW / 2);
        let mut lines = String::new();
        if self.reads_previous[row] {
            line(&mut lines, format_args!("M{x} 0V{middle}"));
        }
        if self.reads_previous.get(row + 1) == Some(&true) {
            line(&mut lines, format_args!("M{x} {middle}V{ROW}"));
        }
        for edge in &self.passing {
            // The first lane is the nearest.
            let lane = x - HALF_BOX - LANE * edge.lane - 4;
            if edge.from == row {
                line(&mut lines, format_args!("M{x} {middle}H{lane}V{ROW}"));
            } else if edge.to == row {
                line(&mut lines, format_args!("M{lane} 0V{middle}H{x}"));
            } else if (edge.from..edge.to).contains(&row) {
                line(&mut lines, format_args!("M{lane} 0V{ROW}"));
            }
        }
        html! {
            svg width=(width) height=(ROW) aria-hidden="true" {
                @if !lines.is_empty() { path.edge d=(lines) {} }
                rect.(class) x=(x - HALF_BOX) y=(middle - HALF_BOX) width=(2 * HALF_BOX) height=(2 * HALF_BOX) rx="2" {}
            }
        }
    }
}

fn line(lines: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = lines.write_fmt(part);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(inputs: &[usize]) -> OperationReport {
        OperationReport {
            path: String::new(),
            operation: String::new(),
            precision: String::new(),
            inputs: inputs.to_vec(),
            accumulated: None,
            own: None,
            weight: None,
        }
    }

    #[test]
    fn edges_that_pass_the_same_row_have_lanes_of_their_own() {
        let rows =
            [operation(&[]), operation(&[0]), operation(&[1, 0]), operation(&[2, 1, 0]), operation(&[3, 1])];
        let graph = Graph::of(&rows);
        let lanes: Vec<_> = graph.passing.iter().map(|edge| (edge.from, edge.to, edge.lane)).collect();
        assert_eq!(lanes, [(0, 2, 0), (0, 3, 1), (1, 3, 2), (1, 4, 3)]);
        assert_eq!(graph.reads_previous, [false, true, true, true, true]);
    }

    #[test]
    fn a_lane_is_used_again_from_the_row_where_it_ended() {
        let rows = [operation(&[]), operation(&[0]), operation(&[1, 0]), operation(&[2]), operation(&[3, 2])];
        let graph = Graph::of(&rows);
        assert_eq!(graph.lanes, 1);
    }
}
