//! Every `::qcore::__private` path that generated code may name.

use proc_macro2::{Group, Span, TokenStream, TokenTree};
use qcatalogue::Operation;
use quote::{ToTokens, quote};
use syn::Ident;

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

/// Lints that have nothing to say about generated items.
pub fn allow() -> TokenStream {
    quote!(#[allow(unused, trivial_bounds, private_bounds, clippy::all, clippy::pedantic)])
}

macro_rules! paths {
    ($($constant:ident = $path:literal;)*) => {
        $(pub const $constant: Private = Private($path);)*
    };
}

paths! {
    TENSOR = "Tensor";
    VALUE = "Value";
    RESULT = "Result";
    PAIR = "pair";
    EXTENT = "Extent";
    OPS = "ops";

    IS_LAYER = "IsLayer";
    NAMED = "named";
    OPERATION = "Operation";
    PARAMETERS = "Parameters";
    JOIN = "join";
    ADD_OWNER = "add_owner";

    MODULE = "Module";
    TRACER = "Tracer";
    SITE = "Site";
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
