//! Carries the struct's tokens to the impl's expansion.
//!
//! Two attribute calls cannot share memory, so the struct leaves a macro behind:
//!
//! ```text
//! #[quantizable] struct Net { .. }     struct Net { .. }
//!                                      macro_rules! __quantizable_struct_Net {
//!                                          ($($rest:tt)*) => { quantizable_expand! { {struct Net { .. }} $($rest)* } };
//!                                      }
//!                                      pub(crate) use __quantizable_struct_Net as add_quantizable_above_struct_Net;
//!
//! #[quantizable] impl path::Net { .. } path::add_quantizable_above_struct_Net! { {} {impl path::Net { .. }} }
//! ```
//!
//! so that `quantizable_expand!` sees both. The name is the advice that rustc gives when the struct's attribute
//! is missing: "cannot find macro `add_quantizable_above_struct_Net`".

use std::collections::BTreeSet;
use std::sync::Mutex;

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::visit::Visit;
use syn::{ItemImpl, ItemStruct, Path, PathArguments, Type, braced};

/// The macro that an item with mistakes of its own leaves behind carries this instead of the struct.
const BROKEN: &str = "broken";

/// Leaves the struct's tokens behind; `None` if its own expansion reported mistakes already.
pub fn leave_behind(name: &Ident, carried: Option<&ItemStruct>) -> TokenStream {
    let inner = format_ident!("__quantizable_struct_{}", name.unraw(), span = name.span());
    let outer = macro_name(name);
    let carried = match carried {
        Some(item) => quote!(#item),
        None => {
            let broken = Ident::new(BROKEN, name.span());
            quote!(#broken)
        }
    };
    quote! {
        #[doc(hidden)]
        #[allow(unused_macros)]
        macro_rules! #inner {
            ($($rest:tt)*) => {
                ::qcore::__private::quantizable_expand! { { #carried } $($rest)* }
            };
        }
        #[doc(hidden)]
        #[allow(unused_imports)]
        pub(crate) use #inner as #outer;
    }
}

/// Calls what the struct left behind. `None` if the impl is not for a named type.
pub fn call(options: &TokenStream, item: &ItemImpl) -> Option<TokenStream> {
    let mut path = self_path(item)?.clone();
    let last = path.segments.last_mut()?;
    last.ident = macro_name(&last.ident);
    for segment in &mut path.segments {
        segment.arguments = PathArguments::None;
    }
    Some(quote!(#path! { { #options } { #item } }))
}

/// The path of the type that the impl is for.
pub fn self_path(item: &ItemImpl) -> Option<&Path> {
    fn path_of(ty: &Type) -> Option<&Path> {
        match ty {
            Type::Path(path) if path.qself.is_none() => Some(&path.path),
            Type::Group(group) => path_of(&group.elem),
            Type::Paren(paren) => path_of(&paren.elem),
            _ => None,
        }
    }
    path_of(&item.self_ty)
}

/// The structs of this crate that have the attribute, as far as they were expanded.
static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Remembers a struct with the attribute.
pub fn remember(name: &Ident) {
    if let Ok(mut known) = KNOWN.lock() {
        known.insert(name.unraw().to_string());
    }
}

/// Whether the file of an impl has its struct without the attribute: a look at the source, for the sake of the message,
/// where the struct is not known yet.
pub fn lacks_attribute(name: &Ident) -> bool {
    let is_known = KNOWN.lock().is_ok_and(|known| known.contains(&name.unraw().to_string()));
    if is_known || !proc_macro::is_available() {
        return false;
    }
    let file = name.span().unwrap().local_file().and_then(|path| std::fs::read_to_string(path).ok());
    let Some(file) = file.and_then(|text| syn::parse_file(&text).ok()) else { return false };
    let mut structs = Structs { name: name.unraw(), with: false, without: false };
    structs.visit_file(&file);
    structs.without && !structs.with
}

struct Structs {
    name: Ident,
    with: bool,
    without: bool,
}

impl<'ast> Visit<'ast> for Structs {
    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        if item.ident.unraw() == self.name {
            let is_there = item
                .attrs
                .iter()
                .any(|attribute| attribute.to_token_stream().to_string().contains("quantizable"));
            *(if is_there { &mut self.with } else { &mut self.without }) = true;
        }
    }

    /// A struct that a macro writes is not seen.
    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.with |= call.tokens.to_string().contains(&format!("struct {}", self.name));
    }
}

fn macro_name(name: &Ident) -> Ident {
    format_ident!("add_quantizable_above_struct_{}", name.unraw(), span = name.span())
}

/// What arrives in `quantizable_expand!`.
pub struct Carried {
    pub item: Option<ItemStruct>,
    pub options: TokenStream,
    pub implementation: ItemImpl,
}

impl Parse for Carried {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let item;
        braced!(item in input);
        let item: TokenStream = item.parse()?;
        let options;
        braced!(options in input);
        let options = options.parse()?;
        let implementation;
        braced!(implementation in input);
        let implementation: ItemImpl = implementation.parse()?;
        let site = implementation.impl_token.span;
        let is_broken = item.to_string() == BROKEN;
        let item = if is_broken { None } else { Some(syn::parse2(written_at(item, site))?) };
        Ok(Self { item, options, implementation })
    }
}

/// The same tokens as if they had not come through our own `macro_rules!`: names resolve, and errors print, as
/// where the user wrote them. `$crate` keeps the meaning that it got from a macro of the user's.
fn written_at(tokens: TokenStream, site: Span) -> TokenStream {
    let respan = |span: Span| span.resolved_at(site);
    let tokens = tokens.into_iter().map(|mut token| match token {
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), written_at(group.stream(), site));
            inner.set_span(respan(group.span()));
            TokenTree::Group(inner)
        }
        TokenTree::Ident(ref ident) if ident == "$crate" => token,
        _ => {
            token.set_span(respan(token.span()));
            token
        }
    });
    tokens.collect()
}
