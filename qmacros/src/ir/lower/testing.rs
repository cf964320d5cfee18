//! Source text to a graph or to what was reported, for unit tests.

use std::sync::LazyLock;

use qcatalogue::{Operation, Parameter, ParameterKind, Results};
use syn::{Item, Meta};

use crate::check;
use crate::errors::Errors;
use crate::ir::{Graph, lower};
use crate::parse::{self, Forward, Model};

/// What came of a struct and an impl.
pub struct Lowered {
    pub model: Model,
    pub forward: Forward,
    pub graph: Graph,
}

/// One error: the message, and the source text that it underlines.
#[derive(Debug)]
pub struct Reported {
    pub message: String,
    pub place: String,
}

/// Reads `#[quantizable]` source text: one struct, one impl (both attributes may be left out).
pub fn lowered(source: &str) -> Result<Lowered, Vec<Reported>> {
    let mut errors = Errors::new();
    let lowered = read(&mut errors, source);
    match (errors.propagate(), lowered) {
        (Ok(()), Some(lowered)) => Ok(lowered),
        (Ok(()), None) => panic!("nothing was reported and nothing was made of\n{source}"),
        (Err(reported), _) => {
            let reported = reported.0.iter().map(|error| Reported {
                message: error.to_string(),
                place: error.span().source_text().unwrap_or_default(),
            });
            Err(reported.collect())
        }
    }
}

/// As [`lowered`], for source without mistakes.
pub fn graph(source: &str) -> Graph {
    lowered(source).unwrap_or_else(|errors| panic!("{errors:#?}")).graph
}

/// Insists on exactly these errors: what each underlines, its first line, and the help that it gives.
pub fn refused(source: &str, expected: &[(&str, &str, &str)]) {
    let errors = lowered(source).err().unwrap_or_else(|| panic!("accepted: {source}"));
    let found: Vec<(&str, &str, &str)> = errors.iter().map(Reported::parts).collect();
    assert_eq!(found, expected);
}

impl Reported {
    fn parts(&self) -> (&str, &str, &str) {
        let what = self.message.lines().next().unwrap_or_default();
        let help = self.message.lines().find_map(|line| line.strip_prefix("help: ")).unwrap_or_default();
        (&self.place, what, help)
    }
}

/// Rows that say what no row of the catalogue does.
static ROWS: LazyLock<[Operation; 3]> = LazyLock::new(|| {
    const OPTIONAL: &[Parameter] = &[
        Parameter { name: "hidden", kind: ParameterKind::Tensor },
        Parameter { name: "steps", kind: ParameterKind::Integer },
        Parameter { name: "state", kind: ParameterKind::Tensor },
    ];
    let row = |name, type_name, function, layer| {
        let hardswish = qcatalogue::by_layer("Hardswish").unwrap_or_else(|| panic!("a row"));
        Operation { name, label: name, type_name, function, layer, ..*hardswish }
    };
    [
        Operation { results: Results::Several(2), ..row("extremes", "Extremes", Some("extremes"), None) },
        Operation {
            results: Results::Several(3),
            parameters: OPTIONAL,
            ..row("cell", "Cell", None, Some("Cell"))
        },
        Operation { parameters: OPTIONAL, required: 2, ..row("blend", "Blend", Some("blend"), None) },
    ]
});

/// As [`qcatalogue::by_function`], with the rows of the tests.
pub fn by_function(name: &str) -> Option<&'static Operation> {
    qcatalogue::by_function(name).or_else(|| ROWS.iter().find(|row| row.function == Some(name)))
}

/// As [`qcatalogue::by_layer`], with the rows of the tests.
pub fn by_layer(name: &str) -> Option<&'static Operation> {
    qcatalogue::by_layer(name).or_else(|| ROWS.iter().find(|row| row.layer == Some(name)))
}

fn read(errors: &mut Errors, source: &str) -> Option<Lowered> {
    let file = syn::parse_file(source).unwrap_or_else(|error| panic!("{error} in\n{source}"));
    let (mut model, mut forward) = (None, None);
    for item in file.items {
        match item {
            Item::Struct(mut item) => {
                item.attrs.retain(|attribute| !parse::is_ours(attribute));
                model = parse::model(errors, item);
            }
            Item::Impl(mut item) => {
                let ours: Vec<_> = item.attrs.extract_if(.., |attribute| parse::is_ours(attribute)).collect();
                let tokens = ours.first().and_then(|attribute| match &attribute.meta {
                    Meta::List(list) => Some(list.tokens.clone()),
                    _ => None,
                });
                let options = parse::options(errors, tokens.unwrap_or_default());
                forward = parse::forward(errors, item, options);
            }
            _ => {}
        }
    }
    let (model, forward) = (model?, forward?);
    let errors_before = errors.count();
    let graph = lower::lower(errors, &model, &forward);
    let is_complete = errors.count() == errors_before;
    check::all(errors, &model, &forward, &graph, is_complete);
    Some(Lowered { model, forward, graph })
}
