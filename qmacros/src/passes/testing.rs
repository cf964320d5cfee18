//! Graphs for tests, from the fields of a model and the body of its `forward`.

use quote::quote;
use syn::ItemStruct;

use crate::ir::Graph;
use crate::ir::lower::testing;

/// `forward` takes one tensor `x` and returns one. Fields that `body` does not speak of are left out.
pub fn graph_of(fields: &str, body: &str) -> Graph {
    graph_with(fields, "x: Tensor", "Tensor", body)
}

pub fn graph_with(fields: &str, inputs: &str, output: &str, body: &str) -> Graph {
    let item: ItemStruct =
        syn::parse_str(&format!("struct Net {{ {fields} }}")).unwrap_or_else(|error| panic!("{error}"));
    let used = item.fields.iter().filter(|field| {
        let call = field.ident.as_ref().map(|name| format!("self.{name}"));
        call.is_some_and(|call| body.contains(&call))
    });
    let used = quote!(#(#used),*);
    testing::graph(&format!(
        "struct Net {{ {used} }} impl Net {{ pub fn forward(&self, {inputs}) -> {output} {{ {body} }} }}"
    ))
}
