//! The pipeline on one screen: parse, lower, check, passes, generate.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Item, ItemImpl, ItemStruct};

use crate::errors::{Errors, Message, Reported};
use crate::handoff::{self, Carried};
use crate::ir::lower::lower;
use crate::{check, codegen, fallback, parse, passes};

/// `#[quantizable]` on an item.
pub fn attribute(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Struct(item)) => on_struct(arguments, item),
        Ok(Item::Impl(item)) => on_impl(&arguments, item),
        Ok(other) => misplaced(&other),
        Err(error) => {
            let error = error.to_compile_error();
            quote!(#error #item)
        }
    }
}

/// Reports what is wrong with the struct alone, and hands it on to the impl.
fn on_struct(arguments: TokenStream, item: ItemStruct) -> TokenStream {
    if let Some(alternatives) = parse::configure::of_struct(&arguments, &item) {
        return alternatives;
    }
    let mut errors = Errors::new();
    parse::of_struct(&mut errors, arguments);
    let model = parse::model(&mut errors, item.clone());
    let outcome = errors.propagate();
    let carried = (outcome.is_ok() && model.is_some()).then_some(&item);
    let left_behind = handoff::leave_behind(&item.ident, carried);
    let cleaned = model.map_or_else(|| fallback::without_our_attributes(&item), |model| model.item);
    let reported = outcome.err();
    quote!(#cleaned #left_behind #reported)
}

fn on_impl(arguments: &TokenStream, item: ItemImpl) -> TokenStream {
    if let Some(alternatives) = parse::configure::of_impl(arguments, &item) {
        return alternatives;
    }
    let mut errors = Errors::new();
    if let Some((path, _)) = &item.trait_ {
        let message = Message::new("`#[quantizable]` on the impl of a trait")
            .help("put it on the inherent `impl` block that has `forward`")
            .note("the attribute writes the trait impls itself");
        errors.error(path, message);
    } else if handoff::self_path(&item).is_none() {
        let message = Message::new("`#[quantizable]` needs the impl of a named struct")
            .help("write `impl Net { pub fn forward(&self, x: Tensor) -> Tensor { .. } }`");
        errors.error(&item.self_ty, message);
    }
    match (errors.propagate(), handoff::call(arguments, &item)) {
        (Ok(()), Some(call)) => call,
        (outcome, _) => {
            let reported = outcome.err();
            quote!(#item #reported)
        }
    }
}

/// `quantizable_expand!`: what the impl's call of the struct's macro arrives at.
pub fn carried(input: TokenStream) -> TokenStream {
    let Carried { item, options, implementation } = match syn::parse2(input) {
        Ok(carried) => carried,
        Err(error) => return error.to_compile_error(),
    };
    let Some(item) = item else {
        return fallback::implementation(None, &implementation);
    };
    match generated(item.clone(), options, implementation.clone()) {
        Ok(tokens) => tokens,
        Err(reported) => {
            let fallback = fallback::implementation(Some(&item), &implementation);
            quote!(#fallback #reported)
        }
    }
}

fn generated(
    item: ItemStruct,
    options: TokenStream,
    implementation: ItemImpl,
) -> Result<TokenStream, Reported> {
    let mut errors = Errors::new();
    let model = parse::model(&mut errors, item);
    let options = parse::options(&mut errors, options);
    let forward = parse::forward(&mut errors, implementation, options);
    let (Some(model), Some(forward)) = (model, forward) else {
        errors.propagate()?;
        return Ok(TokenStream::new());
    };
    let parsed = errors.count();
    let graph = lower(&mut errors, &model, &forward);
    let is_complete = errors.count() == parsed;
    check::all(&mut errors, &model, &forward, &graph, is_complete);
    errors.propagate()?;

    let plan = passes::run(graph, forward.options);
    for (span, message) in &plan.diagnostics {
        errors.error_at(*span, message);
    }
    errors.propagate()?;

    let rest = &forward.item;
    let generated = codegen::generate(&model, &forward, &plan);
    Ok(quote!(#rest #generated))
}

fn misplaced(item: &Item) -> TokenStream {
    let (place, what): (&dyn ToTokens, _) = match item {
        Item::Enum(found) => (&found.enum_token, "an enum"),
        Item::Union(found) => (&found.union_token, "a union"),
        Item::Fn(found) => (&found.sig.fn_token, "a function"),
        Item::Trait(found) => (&found.trait_token, "a trait"),
        Item::Mod(found) => (&found.mod_token, "a module"),
        Item::Type(found) => (&found.type_token, "a type alias"),
        other => (other, "this item"),
    };
    let message = Message::new(format!("`#[quantizable]` on {what}"))
        .help("put it on a struct of layers, and on the `impl` block with its `forward`");
    let mut errors = Errors::new();
    errors.error(place, message);
    let reported = errors.propagate().err();
    quote!(#item #reported)
}
