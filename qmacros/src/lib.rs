//! The `#[quantizable]` attribute.
//!
//! Use it through `qcore`, which re-exports it.

// Graphs are small and live for the length of one expansion; boxes would only obscure the matches.
#![allow(clippy::large_enum_variant)]

mod check;
mod choice;
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
/// On an enum whose variants each hold a layer or a model it makes a model of it, which runs as the one that it holds and has
/// its keys:
///
/// ```
/// # use qcore::prelude::*;
/// #[quantizable]
/// enum Act {
///     ReLU(ReLU),
///     Hardswish(Hardswish),
///     None(Identity),
/// }
/// ```
///
/// On a field of the struct:
///
/// | argument | meaning |
/// |---|---|
/// | `skip` | the layer or model stays in float |
/// | `qconfig = path` | quantized as the `QConfig` says that `path()` returns |
/// | `first = 1` | of a `Vec` or an array: the index that its first element has in the state dict |
/// | `rename = "features.0"` | its keys in the state dict begin with this instead of the field's name; `""`: with nothing |
/// | `unused` | `forward` does not use it, and that is meant |
/// | `model` | the type is a `#[quantizable]` model or an alias, although its name looks like that of a layer |
///
/// On the `impl` block:
///
/// | argument | meaning |
/// |---|---|
/// | `stubs = "manual"` | int8 begins and ends only where the body says `quant(x)` and `dequant(x)` |
/// | `deny(float_ops)` | an operation that must run in float is a compile error |
/// | `dump` | the graph after each pass is kept as the constant `DUMP` |
/// | `prepared = Name`, `converted = Name` | the names of the variants, in place of `NetPrepared` and `NetConverted` |
/// | `crate = path` | where qcore is, if the crate knows it by another name; on the struct, too |
///
/// # The language of `forward`
///
/// `fn forward(&self, a: Tensor, ..) -> Tensor` or `-> (Tensor, ..)`, and in its body:
///
/// - calls of fields, `self.conv1(x)` or `self.conv1.forward(x)`: layers, `Sequential`, `Vec`, arrays, `Box`, `Arc`, nested
///   models, aliases of all of them, type parameters; of an element, `self.convs[0](x)`, `self.convs[i](x)`, `self.pair.0(x)`;
///   of a field of a nested model, `self.backbone.stem(x)`;
/// - functions of the same `impl` block that take or return tensors, `self.features(x)`: their bodies are read where they
///   are called, in the same language;
/// - the operations of `qcore::functional`, as function or method: `relu(x)`, `x.flatten(1)`;
/// - `+ - *` between tensors and with numbers, `x / 2.0`, `-x`;
/// - numbers: literals, constants, config fields (`self.scale`), their methods, arithmetic over them;
/// - sizes in `reshape`: `x.size(0)`, `let (n, c, h, w) = x.shape();`, arithmetic over them, `c / 2`;
/// - `let`, tuples and tuple patterns, shadowing, assignment to `let mut` variables, blocks;
/// - lists of tensors, `vec![x]`, `skips.push(x)`, `skips.pop().unwrap()`, `features[1]`, `cat(features, 1)`: as long as the
///   source shows how many there are;
/// - `match` and `if let` on an `Option` field; `if`, `if let` and `match` on anything that an instance knows:
///   `self.layers.len() > 2`, `match self.act { Act::Relu => relu(x), Act::Scaled(factor) => x * factor }`;
/// - `for` over a `Vec` or an array field and over numbers, with `enumerate`, `rev`, `zip`, `skip`, `take` and `step_by`;
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
