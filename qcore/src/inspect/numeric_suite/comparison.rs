//! `Comparison`: the errors of a model's operations, as a table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ErrorMetrics;

/// The errors of a converted model, operation by operation in the order in which they run.
///
/// Printing it gives a table, [`Comparison::to_csv`] a file for a spreadsheet, `serde_json` one for a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What was compared.
    pub kind: ComparisonKind,
    /// How many batches there were; 0 for weights.
    pub batches: usize,
    /// One for each operation that could be compared.
    pub rows: Vec<ComparisonRow>,
}

/// What a [`Comparison`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonKind {
    /// Float weights with the integers that they became.
    Weights,
    /// The values of both models on the same inputs of the model: errors accumulate from operation to operation.
    Activations,
    /// The values of both forms of each operation on the same inputs of that operation: its own error.
    Shadow,
}

/// The error of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRow {
    /// `layers.0.conv2`; a parameter of `forward` has its own name.
    pub path: String,
    /// PyTorch's name of the operation.
    pub operation: String,
    /// How the converted model computes it: the name of a [`Precision`](crate::ops::Precision).
    pub precision: String,
    /// How far it is from float.
    pub error: ErrorMetrics,
}

impl Comparison {
    /// The row of the operation with this path.
    pub fn row(&self, path: &str) -> Option<&ComparisonRow> {
        self.rows.iter().find(|row| row.path == path)
    }

    /// The rows with the largest errors first.
    pub fn worst(&self) -> Vec<&ComparisonRow> {
        let mut rows: Vec<&ComparisonRow> = self.rows.iter().collect();
        rows.sort_by(|a, b| a.error.sqnr.total_cmp(&b.error.sqnr));
        rows
    }

    /// Comma-separated values with a line of titles. `clipped` is empty where nothing becomes integers.
    pub fn to_csv(&self) -> String {
        let mut csv = String::from(
            "path,operation,precision,sqnr_db,cosine_similarity,normalized_l2,max_error,clipped,values\n",
        );
        for ComparisonRow { path, operation, precision, error } in &self.rows {
            let clipped = error.clipped.map(|clipped| clipped.to_string()).unwrap_or_default();
            let ErrorMetrics { sqnr, cosine_similarity, normalized_l2, max_error, values, .. } = error;
            csv += &format!(
                "{path},{operation},{precision},{sqnr},{cosine_similarity},{normalized_l2},{max_error},{clipped},{values}\n"
            );
        }
        csv
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = |of: fn(&ComparisonRow) -> &str, least: usize| {
            self.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).max(least)
        };
        let (path, operation) = (longest(|row| &row.path, 4), longest(|row| &row.operation, 9));
        writeln!(
            f,
            "{:path$}  {:operation$}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>8}",
            "path", "operation", "precision", "SQNR dB", "cosine", "L2", "max", "clipped"
        )?;
        for row in &self.rows {
            let error = &row.error;
            let clipped = error.clipped.map_or(String::new(), |clipped| format!("{:.3}%", 100.0 * clipped));
            writeln!(
                f,
                "{:path$}  {:operation$}  {:>9}  {:>9.2}  {:>9.6}  {:>9.2e}  {:>9.2e}  {clipped:>8}",
                row.path,
                row.operation,
                row.precision,
                error.sqnr,
                error.cosine_similarity,
                error.normalized_l2,
                error.max_error,
            )?;
        }
        match self.kind {
            ComparisonKind::Weights => write!(f, "{} weights", self.rows.len()),
            ComparisonKind::Activations => write!(f, "accumulated errors, {} batches", self.batches),
            ComparisonKind::Shadow => write!(f, "each operation's own error, {} batches", self.batches),
        }
    }
}
