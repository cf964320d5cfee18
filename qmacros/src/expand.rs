//! The pipeline on one screen: parse, lower, check, passes, generate.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::{Item, ItemImpl, ItemStruct};

use crate::codegen::asks_for_forward;
use crate::errors::{Errors, Message, Reported};
use crate::handoff::{self, Carried};
use crate::ir::lower::lower;
use crate::parse::ForwardOptions;
use crate::runtime::at_path;
use crate::{check, choice, codegen, fallback, parse, passes};

/// `#[quantizable]` on an item.
pub fn attribute(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let qcore = parse::crate_path(&arguments);
    at_path(on_item(arguments, item), qcore.as_ref())
}

fn on_item(arguments: TokenStream, item: TokenStream) -> TokenStream {
    match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Struct(item)) => on_struct(arguments, item),
        Ok(Item::Impl(item)) => on_impl(&arguments, item),
        Ok(Item::Enum(item)) => choice::expand(arguments, &item),
        Ok(other) => misplaced(&other),
        Err(error) => unreadable(&error, item),
    }
}

/// Wrong syntax, which rustc reports as well; with bodies that are Rust nothing follows from it.
fn unreadable(error: &syn::Error, item: TokenStream) -> TokenStream {
    let what = Message::new(format!("the model cannot be read: {error}"));
    let mut errors = Errors::new();
    errors.error_at(error.span(), what);
    let reported = errors.propagate().err();
    match syn::parse2::<Item>(without_bodies(item.clone(), 0)) {
        Ok(Item::Impl(item)) => {
            let fallback = fallback::implementation(None, &item, &ForwardOptions::default());
            quote!(#fallback #reported)
        }
        _ => quote!(#item #reported),
    }
}

/// The functions of an `impl` block without what they do. None ever runs: the error that goes with them ends the
/// compilation, and this body fits any return type.
fn without_bodies(tokens: TokenStream, depth: usize) -> TokenStream {
    let tokens = tokens.into_iter().map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            let inner =
                if depth == 0 { without_bodies(group.stream(), 1) } else { quote!(::core::unreachable!()) };
            TokenTree::Group(Group::new(Delimiter::Brace, inner))
        }
        token => token,
    });
    tokens.collect()
}

/// Reports what is wrong with the struct alone, and hands it on to the impl.
fn on_struct(arguments: TokenStream, item: ItemStruct) -> TokenStream {
    if let Some(alternatives) = parse::configure::of_struct(&arguments, &item) {
        return alternatives;
    }
    handoff::remember(&item.ident);
    let mut errors = Errors::new();
    parse::of_struct(&mut errors, arguments);
    let model = parse::model(&mut errors, item.clone());
    let outcome = errors.propagate();
    let carried = (outcome.is_ok() && model.is_some()).then_some(&item);
    let left_behind = handoff::leave_behind(&item.ident, carried);
    let cleaned = model.map_or_else(|| fallback::without_our_attributes(&item), |model| model.item);
    let reported = outcome.err();
    let asks = carried.and_then(asks_for_forward);
    quote!(#[allow(clippy::type_complexity)] #cleaned #left_behind #asks #reported)
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
    if let Some(last) = handoff::self_path(&item).and_then(|path| path.segments.last())
        && handoff::lacks_attribute(&last.ident)
    {
        let name = &last.ident;
        let message = Message::new(format!("`#[quantizable]` is missing on the struct `{name}`"))
            .help(format!("write `#[quantizable]` above `struct {name}`, too"))
            .note("the attribute on the `impl` block learns from it which layers the fields are");
        errors.error(name, message);
        let reported = errors.propagate().err();
        let fallback = fallback::implementation(None, &item, &ForwardOptions::default());
        return quote!(#fallback #reported);
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
    let qcore = parse::crate_path(&options);
    let mut errors = Errors::new();
    let options = parse::options(&mut errors, options);
    let Some(item) = item else {
        let reported = errors.propagate().err();
        let fallback = fallback::implementation(None, &implementation, &options);
        return at_path(quote!(#fallback #reported), qcore.as_ref());
    };
    let tokens = match generated(errors, item.clone(), options.clone(), implementation.clone()) {
        Ok(tokens) => tokens,
        Err(reported) => {
            let fallback = fallback::implementation(Some(&item), &implementation, &options);
            quote!(#fallback #reported)
        }
    };
    at_path(tokens, qcore.as_ref())
}

fn generated(
    mut errors: Errors,
    item: ItemStruct,
    options: ForwardOptions,
    implementation: ItemImpl,
) -> Result<TokenStream, Reported> {
    let model = parse::model(&mut errors, item);
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

    let plan = passes::run(graph, &forward.options);
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
        Item::Union(found) => (&found.union_token, "a union"),
        Item::Fn(found) => (&found.sig.fn_token, "a function"),
        Item::Trait(found) => (&found.trait_token, "a trait"),
        Item::Mod(found) => (&found.mod_token, "a module"),
        Item::Type(found) => (&found.type_token, "a type alias"),
        other => (other, "this item"),
    };
    let message = Message::new(format!("`#[quantizable]` on {what}"));
    let message = match item {
        Item::Type(_) => message.help("remove it: another name for layers needs no attribute"),
        _ => message.help("put it on a struct of layers, and on the `impl` block with its `forward`"),
    };
    let mut errors = Errors::new();
    errors.error(place, message);
    let reported = errors.propagate().err();
    quote!(#item #reported)
}
