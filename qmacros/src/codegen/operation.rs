//! How generated code names and constructs an operation.

use proc_macro2::{Span, TokenStream};
use qcatalogue::ParameterKind;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::names::index;
use crate::ir::{Argument, Extent, FunctionCall, Member, OpNode, PathSegment, ValueId};
use crate::runtime::{EXTENT, OPS, PAIR};

/// `format_args!("layers.{}.conv1", index_0)`: nothing is formatted unless somebody reads it.
pub fn path_arguments(path: &[PathSegment]) -> TokenStream {
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
    quote!(::core::format_args!(#pattern #(, #indices)*))
}

/// `ops::max_pool2d(3, Some(pair(2)), None, None, None).map_err(..)?`.
pub fn constructor(op: &OpNode, member: &Member, call: &FunctionCall) -> TokenStream {
    let function = Ident::new(call.function.operation.name, Span::call_site());
    let mut given = call.arguments.iter().filter(|argument| !matches!(argument, Argument::Piece(_)));
    let mut arguments: Vec<TokenStream> = Vec::new();
    for (position, parameter) in call.function.operation.parameters.iter().enumerate() {
        let is_required = position < call.function.operation.required;
        let argument = match (given.next(), is_required) {
            (Some(argument @ Argument::Tensor(_)), _) | (Some(argument), true) => value(op, argument),
            (Some(argument), false) => {
                let value = value(op, argument);
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
        Argument::Expr(_) | Argument::Extents(_) | Argument::Tensor(_) => None,
    }));
    let name = &member.name;
    quote_spanned! {member.span=>
        #OPS::#function(#(#arguments),*).map_err(|error| error.in_layer(#name))?
    }
}

fn value(op: &OpNode, argument: &Argument) -> TokenStream {
    match argument {
        Argument::Expr(tokens) => tokens.clone(),
        Argument::Piece(piece) => quote!(#piece),
        Argument::Tensor(Some(operand)) => quote!(::core::option::Option::Some(#operand)),
        Argument::Tensor(None) => quote!(::core::option::Option::None),
        Argument::Extents(extents) => {
            let extents = extents.iter().map(|extent| match extent {
                Extent::Expr(tokens) => quote!(#EXTENT::from(#tokens)),
                Extent::SizeOf { shape_operand, dim } => {
                    let tensor = op.shape_operands.get(*shape_operand);
                    let input = inputs(op).position(|input| Some(&input) == tensor).unwrap_or_default();
                    quote!(#EXTENT::SizeOf { input: #input, dim: #dim })
                }
            });
            quote!(::std::vec![#(#extents),*])
        }
    }
}

/// The inputs of a call: the operands, then those tensors of which only a size is read.
pub fn inputs(op: &OpNode) -> impl Iterator<Item = ValueId> {
    let sizes_alone = op.shape_operands.iter().filter(|value| !op.operands.contains(value));
    op.operands.iter().chain(sizes_alone).copied()
}
