//! What the variants share: the names of things, the shape of the structs, walking the graph in order.

mod checks;
mod converted;
mod float;
mod generics;
mod graph_const;
mod names;
mod operation;
mod parameters;
mod prepared;
mod shape;
#[cfg(test)]
mod tests;
mod trace;
mod walk;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Generics, Token};

use crate::parse::{Forward, Model};
use crate::passes::Planned;
use names::Names;
use shape::{Stage, root_shape};

/// What all parts of the output need.
struct Context<'a> {
    model: &'a Model,
    forward: &'a Forward,
    planned: &'a Planned,
    /// The variables of the float graph.
    float_names: Names,
    /// The variables of the graph of fused groups.
    fused_names: Names,
    /// The user's type with the struct's generics.
    self_ty: TokenStream,
    /// The struct's generics with the bounds that nested models need.
    generics: Generics,
    /// The user's `self`.
    this: Token![self],
}

/// Everything that is generated for a model, beside the items that the user wrote.
pub fn variants(model: &Model, forward: &Forward, planned: &Planned) -> TokenStream {
    let context = Context {
        model,
        forward,
        planned,
        float_names: Names::of(&planned.float),
        fused_names: Names::of(&planned.fused),
        self_ty: generics::self_type(model, forward),
        generics: generics::bounded(model, &planned.float),
        this: forward.self_token,
    };
    let shape = root_shape(&context);
    let inherent = context.inherent();
    let declarations = [Stage::Prepared, Stage::Converted].map(|stage| context.declare(stage, &shape));
    let types = context.name_types();
    let parameters = context.implement_parameters();
    let quantizable = context.implement_quantizable();
    let prepared = context.implement_prepared(&shape);
    let converted = context.implement_converted(&shape);
    quote! {
        #inherent
        #(#declarations)*
        const _: () = {
            #types
            #parameters
            #quantizable
            #prepared
            #converted
        };
    }
}

impl Context<'_> {
    /// `Tensor`, `(Tensor, Tensor)`: what `forward` takes, of any guise.
    fn input_type(&self, element: &impl ToTokens) -> TokenStream {
        let count = self.forward.inputs.len();
        io_type(count, count != 1, element)
    }

    fn output_type(&self, element: &impl ToTokens) -> TokenStream {
        let outputs = &self.planned.float.outputs;
        io_type(outputs.values.len(), outputs.is_tuple, element)
    }

    /// `x`, `(a, b)`: the parameters as variables.
    fn input_pattern(&self, names: &Names) -> TokenStream {
        let inputs = names.locals(self.planned.float.inputs.iter().copied());
        pattern(&inputs, inputs.len() != 1)
    }
}

/// `T`, `(T, T)`.
fn io_type(count: usize, is_tuple: bool, element: &impl ToTokens) -> TokenStream {
    pattern(&vec![element; count], is_tuple)
}

/// `a`, `(a, b)`, `(a,)`.
fn pattern(items: &[impl ToTokens], is_tuple: bool) -> TokenStream {
    match items {
        [only] if is_tuple => quote!((#only,)),
        [only] => quote!(#only),
        items => quote!((#(#items),*)),
    }
}
