//! What is generated for a model: `forward`, its variants' names, the impls of `Parameters` and `Module`.

mod aliases;
mod checks;
mod forward;
mod generics;
mod graph_const;
mod module;
mod names;
mod operation;
mod parameters;
#[cfg(test)]
mod tests;
mod walk;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Generics, Token};

use crate::parse::{Forward, Model};
use crate::passes::Plan;
use names::Names;

pub use aliases::aliases;
pub use checks::{asks_for_forward, has_forward};
pub use names::index;

/// What all parts of the output need.
struct Context<'a> {
    model: &'a Model,
    forward: &'a Forward,
    plan: &'a Plan,
    names: Names,
    /// The user's type with the struct's generics.
    self_ty: TokenStream,
    /// The struct's generics with the bounds that nested models need.
    generics: Generics,
    /// The user's `self`.
    this: Token![self],
}

/// Everything that is generated for a model, beside the items that the user wrote.
pub fn generate(model: &Model, forward: &Forward, plan: &Plan) -> TokenStream {
    let context = Context {
        model,
        forward,
        plan,
        names: Names::of(&plan.graph),
        self_ty: generics::self_type(model, forward),
        generics: generics::bounded(model, &plan.graph),
        this: forward.self_token,
    };
    let inherent = context.inherent();
    let aliases = aliases(&model.item, &context.self_ty, &forward.options);
    let types = context.name_types();
    let functions = context.name_functions();
    let has_forward = has_forward(&model.generics, &context.self_ty);
    let parameters = context.implement_parameters();
    let module = context.implement_module();
    quote! {
        #inherent
        #aliases
        const _: () = {
            #types
            #functions
            #has_forward
            #parameters
            #module
        };
    }
}

impl Context<'_> {
    /// `Tensor`, `(Tensor, Tensor)`: what `forward` takes, as tensors or as values.
    fn input_type(&self, element: &impl ToTokens) -> TokenStream {
        let count = self.forward.inputs.len();
        io_type(count, count != 1, element)
    }

    fn output_type(&self, element: &impl ToTokens) -> TokenStream {
        let outputs = &self.plan.graph.outputs;
        io_type(outputs.values.len(), outputs.is_tuple, element)
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
