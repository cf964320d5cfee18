//! Every `::qcore::__private` path that generated code may name.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use qcatalogue::Operation;
use quote::{ToTokens, quote};
use syn::{Generics, Ident, Path, Type};

/// `::qcore::__private::name`.
#[derive(Clone, Copy)]
pub struct Private(&'static str);

impl ToTokens for Private {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let segments = self.0.split("::").map(|segment| Ident::new(segment, Span::call_site()));
        quote!(::qcore::__private #(:: #segments)*).to_tokens(tokens);
    }
}

/// `::qcore::ops::Conv2d`: the layer that a field type of this name must be.
pub fn layer(operation: &Operation) -> TokenStream {
    let name = Ident::new(operation.type_name, Span::call_site());
    quote!(::qcore::ops::#name)
}

/// The same tokens, all at one place: what rustc says of them twice is then said once.
pub fn at(span: Span, tokens: TokenStream) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut token| {
            if let TokenTree::Group(group) = &token {
                token = TokenTree::Group(Group::new(group.delimiter(), at(span, group.stream())));
            }
            token.set_span(span);
            token
        })
        .collect()
}

/// The same tokens for a crate that knows qcore by another path: `#[quantizable(crate = path)]`.
pub fn at_path(tokens: TokenStream, qcore: Option<&Path>) -> TokenStream {
    let Some(path) = qcore else { return tokens };
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is_colon =
        |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
    let mut replaced = TokenStream::new();
    let mut rest = tokens.as_slice();
    let mut is_after_a_name = false;
    while let Some((token, after)) = rest.split_first() {
        let is_qcore = matches!(after.get(1), Some(TokenTree::Ident(name)) if name == "qcore");
        if is_colon(Some(token)) && is_colon(after.first()) && is_qcore && !is_after_a_name {
            path.to_tokens(&mut replaced);
            rest = &after[2..];
            continue;
        }
        is_after_a_name = matches!(token, TokenTree::Ident(_));
        match token {
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), at_path(group.stream(), qcore));
                inner.set_span(group.span());
                replaced.extend([TokenTree::Group(inner)]);
            }
            token => replaced.extend([token.clone()]),
        }
        rest = after;
    }
    replaced
}

/// Lints that have nothing to say about generated items.
pub fn allow() -> TokenStream {
    quote!(#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)])
}

/// Whether a type depends on a type parameter.
pub fn mentions_parameter(ty: &Type, generics: &Generics) -> bool {
    fn mentions(tokens: TokenStream, generics: &Generics) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => generics.type_params().any(|parameter| parameter.ident == ident),
            TokenTree::Group(group) => mentions(group.stream(), generics),
            TokenTree::Punct(_) | TokenTree::Literal(_) => false,
        })
    }
    mentions(ty.to_token_stream(), generics)
}

macro_rules! paths {
    ($($constant:ident = $path:literal;)*) => {
        $(pub const $constant: Private = Private($path);)*
    };
}

paths! {
    TENSOR = "Tensor";
    VALUE = "Value";
    VALUES = "Values";
    RESULT = "Result";
    PAIR = "pair";
    EXTENT = "Extent";
    OPS = "ops";

    IS_LAYER = "IsLayer";
    NAMED = "named";
    OPERATION = "Operation";
    PARAMETERS = "Parameters";
    ELEMENT = "element";
    INTEGER = "integer";
    HAS_FORWARD = "HasForward";
    JOIN = "join";
    ADD_OWNER = "add_owner";

    MODULE = "Module";
    TRACER = "Tracer";
    SITE = "Site";
    FIELD = "Field";
    MEMBER = "Member";
    LOADERS = "Loaders";
    PREPARED = "Prepared";
    CONVERTED = "Converted";

    GRAPH = "Graph";
    GRAPH_VALUE = "GraphValue";
    GRAPH_NODE = "GraphNode";
    GRAPH_NODE_KIND = "GraphNodeKind";
    GRAPH_MEMBER = "GraphMember";
    GRAPH_CARRIED = "GraphCarried";
    GRAPH_MERGED = "GraphMerged";
    DOMAIN = "Domain";
    STUB_ACTION = "StubAction";
}
