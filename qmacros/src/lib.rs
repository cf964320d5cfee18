//! The `#[quantizable]` attribute.
//!
//! Use it through `qcore`, which re-exports it.

// Graphs are small and live for the length of one expansion; boxes would only obscure the matches.
#![allow(clippy::large_enum_variant)]

mod check;
mod codegen;
mod errors;
mod expand;
mod fallback;
mod handoff;
mod ir;
mod parse;
mod passes;
mod runtime;

use proc_macro::TokenStream;

/// Reads a model at compile time and writes its int8 variants.
///
/// It stands on the struct and on the `impl` block with its `forward`:
///
/// ```
/// use qcore::prelude::*;
///
/// #[quantizable]
/// struct Net {
///     conv1: Conv2d,
///     bn1: BatchNorm2d,
///     #[quantizable(skip)]
///     fc: Linear,
/// }
///
/// #[quantizable]
/// impl Net {
///     pub fn forward(&self, x: Tensor) -> Tensor {
///         let x = relu(self.bn1(self.conv1(x)));
///         let x = adaptive_avg_pool2d(x, 1).flatten(1);
///         self.fc(x)
///     }
/// }
/// ```
///
/// # Arguments
///
/// On a field of the struct:
///
/// | argument | meaning |
/// |---|---|
/// | `skip` | the layer or model stays in float |
/// | `qconfig = path` | quantized as the `QConfig` says that `path()` returns |
/// | `rename = "features.0"` | its keys in the state dict begin with this instead of the field's name |
/// | `unused` | `forward` does not use it, and that is meant |
/// | `model` | the type is a `#[quantizable]` model, although its name looks like that of a layer |
///
/// On the `impl` block:
///
/// | argument | meaning |
/// |---|---|
/// | `stubs = "manual"` | int8 begins and ends only where the body says `quant(x)` and `dequant(x)` |
/// | `deny(float_ops)` | an operation that must run in float is a compile error |
/// | `dump` | the graph after each pass is kept as the constant `DUMP` |
///
/// # The language of `forward`
///
/// `fn forward(&self, a: Tensor, ..) -> Tensor` or `-> (Tensor, ..)`, and in its body:
///
/// - calls of fields, `self.conv1(x)` or `self.conv1.forward(x)`: layers, `Sequential`, `Vec`, nested models;
/// - the operations of `qcore::functional`, as function or method: `relu(x)`, `x.flatten(1)`;
/// - `+ - *` between tensors and with numbers, `x / 2.0`, `-x`;
/// - numbers: literals, constants, config fields (`self.scale`), arithmetic over them; `x.size(0)` in `reshape`;
/// - `let`, tuples and tuple patterns, shadowing, assignment to `let mut` variables, blocks;
/// - `if` on a `bool` field, `match` and `if let` on an `Option` field;
/// - `for layer in &self.layers { x = layer(x); }` over a `Vec` field;
/// - `#[cfg(..)]` where Rust allows it, also on the fields of the struct, and `cfg!(..)` as a condition.
///
/// Values are used as often as needed: the macro works out who needs them last. The generated `forward` returns
/// a `Result` and takes anything that is `Into<Tensor>`.
#[proc_macro_attribute]
pub fn quantizable(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::attribute(arguments.into(), item.into()).into()
}

/// The expansion proper: struct and impl in one call.
#[doc(hidden)]
#[proc_macro]
pub fn quantizable_expand(input: TokenStream) -> TokenStream {
    expand::carried(input.into()).into()
}
