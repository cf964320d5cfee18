//! How generated code names and constructs an operation.

use proc_macro2::{Span, TokenStream, TokenTree};
use qcatalogue::ParameterKind;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::names::index;
use crate::ir::{Argument, Extent, FunctionCall, Member, OpNode, PathSegment, SizeOperator, ValueId};
use crate::runtime::{EXTENT, INTEGER, OPS, PAIR, at};

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
            PathSegment::Index { id, first } => {
                pattern.push_str("{}");
                let index = index(*id);
                indices.push(if *first == 0 { quote!(#index) } else { quote!(#index + #first) });
            }
            PathSegment::Number(number) => {
                pattern.push_str("{}");
                indices.push(number.clone());
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
            (Some(argument @ Argument::Tensor(_)), _) => value(op, argument),
            (Some(argument), true) => typed_value(op, argument, parameter.kind),
            (Some(argument), false) => {
                let value = typed_value(op, argument, parameter.kind);
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

/// Integers other than literals may be of any type.
fn typed_value(op: &OpNode, argument: &Argument, kind: ParameterKind) -> TokenStream {
    let value = value(op, argument);
    let is_literal =
        value.clone().into_iter().all(|token| matches!(token, TokenTree::Literal(_) | TokenTree::Punct(_)));
    match argument {
        Argument::Expr(tokens) if kind == ParameterKind::Integer && !is_literal => {
            let span = tokens.clone().into_iter().next().map_or_else(Span::call_site, |token| token.span());
            let integer = at(span, quote!(#INTEGER));
            quote_spanned!(span=> #integer(#value)?)
        }
        _ => value,
    }
}

fn value(op: &OpNode, argument: &Argument) -> TokenStream {
    match argument {
        Argument::Expr(tokens) => tokens.clone(),
        Argument::Piece(piece) => quote!(#piece),
        Argument::Tensor(Some(operand)) => quote!(::core::option::Option::Some(#operand)),
        Argument::Tensor(None) => quote!(::core::option::Option::None),
        Argument::Extents(extents) => {
            let extents = extents.iter().map(|each| extent(op, each));
            quote!(::std::vec![#(#extents),*])
        }
    }
}

fn extent(op: &OpNode, written: &Extent) -> TokenStream {
    match written {
        Extent::Expr(tokens) => quote!(#EXTENT::from(#tokens)),
        Extent::SizeOf { shape_operand, dim } => {
            let tensor = op.shape_operands.get(*shape_operand);
            let input = inputs(op).position(|input| Some(&input) == tensor).unwrap_or_default();
            quote!(#EXTENT::SizeOf { input: #input, dim: #dim })
        }
        Extent::Arithmetic { operator, operands } => {
            let [left, right] = operands.each_ref().map(|operand| extent(op, operand));
            let form = match operator {
                SizeOperator::Add => quote!(Sum),
                SizeOperator::Sub => quote!(Difference),
                SizeOperator::Mul => quote!(Product),
                SizeOperator::Div => quote!(Quotient),
            };
            quote!(#EXTENT::#form(::std::boxed::Box::new([#left, #right])))
        }
    }
}

/// The inputs of a call: the operands, then those tensors of which only a size is read.
pub fn inputs(op: &OpNode) -> impl Iterator<Item = ValueId> {
    let sizes_alone = op.shape_operands.iter().filter(|value| !op.operands.contains(value));
    op.operands.iter().chain(sizes_alone).copied()
}
