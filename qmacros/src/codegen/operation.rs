//! What the variants say of an operation: its name, its constructor, the sizes that it is given.

use proc_macro2::{Span, TokenStream};
use qcatalogue::ParameterKind;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt as _;

use super::names::{Names, index};
use crate::ir::{Argument, Callee, Extent, FunctionCall, OpNode, PathSegment, Place};
use crate::runtime::{EXTENT, OP_MODULE, PAIR};

/// A `&str`: `"conv1"`, `&format!("layers.{}.conv1", index_0)`.
pub fn path_text(path: &[PathSegment]) -> TokenStream {
    let mut pattern = String::new();
    let mut indices = Vec::new();
    for (position, segment) in path.iter().enumerate() {
        if position > 0 {
            pattern.push('.');
        }
        match segment {
            PathSegment::Name(name) => pattern.push_str(name),
            PathSegment::Index(id) => {
                pattern.push_str("{}");
                indices.push(index(*id));
            }
        }
    }
    if indices.is_empty() { quote!(#pattern) } else { quote!(&::std::format!(#pattern, #(#indices),*)) }
}

pub fn place_name(place: &Place) -> TokenStream {
    path_text(&place.path)
}

/// How an operation is called within the model: its layer's path, or the field that the macro named.
pub fn site_name(op: &OpNode) -> TokenStream {
    match &op.members[0].callee {
        Callee::Layer(layer) => place_name(&layer.place),
        Callee::Function(_) => {
            let name = op.field.unraw().to_string();
            quote!(#name)
        }
    }
}

/// `op::max_pool2d(3, Some(pair(2)), None, None, None)`: a `Result`.
pub fn constructor(op: &OpNode, call: &FunctionCall) -> TokenStream {
    let span = op.members[0].span;
    let function = Ident::new(call.function.operation.name, Span::call_site());
    let mut given = call.arguments.iter().filter(|argument| !matches!(argument, Argument::Piece(_)));
    let mut arguments: Vec<TokenStream> = Vec::new();
    for (position, parameter) in call.function.operation.parameters.iter().enumerate() {
        let is_required = position < call.function.operation.required;
        let argument = match (given.next(), is_required) {
            (Some(argument), true) => value(argument),
            (Some(argument), false) => {
                let value = value(argument);
                let value = if parameter.kind == ParameterKind::IntegerOrPair {
                    quote!(#PAIR(#value))
                } else {
                    value
                };
                quote!(::core::option::Option::Some(#value))
            }
            (None, _) => quote!(::core::option::Option::None),
        };
        arguments.push(argument);
    }
    arguments.extend(call.arguments.iter().filter_map(|argument| match argument {
        Argument::Piece(piece) => Some(quote!(#piece)),
        Argument::Expr(_) | Argument::Extents(_) => None,
    }));
    quote_spanned!(span=> #OP_MODULE::#function(#(#arguments),*))
}

fn value(argument: &Argument) -> TokenStream {
    match argument {
        Argument::Expr(tokens) => tokens.clone(),
        Argument::Piece(piece) => quote!(#piece),
        Argument::Extents(extents) => {
            let mut sizes = 0_usize..;
            let extents = extents.iter().map(|extent| match extent {
                Extent::Expr(tokens) => quote!(#EXTENT::from(#tokens)),
                Extent::SizeOf { .. } => {
                    let size = sizes.next().unwrap_or_default();
                    quote!(#EXTENT::Given(#size))
                }
            });
            quote!(::std::vec![#(#extents),*])
        }
    }
}

/// `[x.size(0)?]`: the extents that are known at run time alone, if there are any.
pub fn sizes(op: &OpNode, names: &Names) -> Option<TokenStream> {
    let Callee::Function(call) = &op.members[0].callee else { return None };
    let sizes: Vec<TokenStream> = call
        .arguments
        .iter()
        .filter_map(|argument| match argument {
            Argument::Extents(extents) => Some(extents),
            Argument::Expr(_) | Argument::Piece(_) => None,
        })
        .flatten()
        .filter_map(|extent| match extent {
            Extent::SizeOf { shape_operand, dim } => {
                let tensor = names.local(*op.shape_operands.get(*shape_operand)?);
                Some(quote!(#tensor.size(#dim)?))
            }
            Extent::Expr(_) => None,
        })
        .collect();
    (!sizes.is_empty()).then(|| quote!([#(#sizes),*]))
}
