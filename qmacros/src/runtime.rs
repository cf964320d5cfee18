//! Every `::qcore::__private` path that generated code may name.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Ident;

/// `::qcore::__private::name`.
#[derive(Clone, Copy)]
pub struct Private(&'static str);

impl ToTokens for Private {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let segments = self.0.split("::").map(|segment| Ident::new(segment, proc_macro2::Span::call_site()));
        quote!(::qcore::__private #(:: #segments)*).to_tokens(tokens);
    }
}

macro_rules! paths {
    ($($constant:ident = $path:literal;)*) => {
        $(pub const $constant: Private = Private($path);)*
    };
}

paths! {
    TENSOR = "Tensor";
    VALUE = "Value";
    EDGE = "Edge";
    PAIR = "pair";
    QTENSOR = "QTensor";

    RESULT = "Result";
    JOIN = "join";
    SAME_KIND = "same_kind";

    PARAMETERS = "Parameters";
    QUANTIZABLE = "Quantizable";
    PREPARED_NETWORK = "PreparedNetwork";
    CONVERTED_NETWORK = "ConvertedNetwork";
    RECORD = "Record";
    ARCHIVE = "Archive";
    ARCHIVE_WRITER = "ArchiveWriter";

    LAYER = "Layer";
    OP = "Op";
    OP_MODULE = "op";
    FOLD_BATCH_NORM = "FoldBatchNorm";
    FUSE_RELU = "FuseReLU";
    EXTENT = "Extent";

    TRACER = "Tracer";
    OP_SITE = "OpSite";
    MEMBER = "Member";
    OBSERVATION = "Observation";
    CONVERSION = "Conversion";
    PREPARED_OP = "PreparedOp";
    CONVERTED_OP = "ConvertedOp";

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
