//! Layers, lists and pointers as modules: what a body calls without knowing more of it than that it is a `Module`, behind
//! an alias, an enum or a type parameter.

use std::rc::Rc;
use std::sync::Arc;

use super::{Module, Parameters};
use crate::network::{Loaders, Member, Site, Tracer, Value};
use crate::{Result, Tensor, ops};

/// Of the names of layers, the impls; of several outputs their number and as many types.
macro_rules! layers {
    ($($layer:ident)* $(; $count:literal $output:ty: $($several:ident)*)*) => {
        $(
            #[diagnostic::do_not_recommend]
            impl Module for ops::$layer {
                const NAME: &'static str = stringify!($layer);
                type Input = Tensor;
                type Output = Tensor;

                fn trace(&self, tracer: &mut Tracer<'_>, x: Value) -> Result<Value> {
                    let member = Member::layer(format_args!(""), self);
                    tracer.call(Site::new(format_args!("")), &[member], &mut [x])
                }
            }
        )*
        $($(
            #[diagnostic::do_not_recommend]
            impl Module for ops::$several {
                const NAME: &'static str = stringify!($several);
                type Input = Tensor;
                type Output = $output;

                fn trace(
                    &self,
                    tracer: &mut Tracer<'_>,
                    x: Value,
                ) -> Result<<$output as super::Values>::Of<Value>> {
                    let member = Member::layer(format_args!(""), self);
                    let outputs = tracer.call_several::<$count>(Site::new(format_args!("")), member, &mut [x])?;
                    Ok(outputs.into())
                }
            }
        )*)*

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($layer),)* $($(stringify!($several),)*)*];
    };
}

layers! {
    Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Linear Embedding EmbeddingBag
    BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d
    GRUCell RNNCell PReLU Identity
    ReLU ReLU6 Hardtanh LeakyReLU ELU CELU Threshold Sigmoid Tanh Hardsigmoid Hardswish SiLU Mish GELU
    Softmax LogSoftmax MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool1d AdaptiveAvgPool2d
    Flatten PixelShuffle PixelUnshuffle Upsample ZeroPad2d ConstantPad2d ReflectionPad2d ReplicationPad2d Dropout;
    2 (Tensor, Tensor): GRU LSTMCell;
    3 (Tensor, Tensor, Tensor): LSTM
}

/// One after the other, with the index as name.
fn trace_each<'m, M: Module<Input = Tensor, Output = Tensor>>(
    modules: impl IntoIterator<Item = &'m M>,
    tracer: &mut Tracer<'_>,
    x: Value,
) -> Result<Value> {
    modules.into_iter().enumerate().try_fold(x, |x, (index, module)| {
        tracer.scope(Site::new(format_args!("{index}")), |tracer| module.trace(tracer, x))
    })
}

#[diagnostic::do_not_recommend]
impl<M: Module<Input = Tensor, Output = Tensor>> Module for Vec<M> {
    const NAME: &'static str = "Vec";
    type Input = Tensor;
    type Output = Tensor;

    fn trace(&self, tracer: &mut Tracer<'_>, x: Value) -> Result<Value> {
        trace_each(self, tracer, x)
    }

    fn loaders(loaders: &mut Loaders) {
        M::loaders(loaders);
    }
}

#[diagnostic::do_not_recommend]
impl<M: Module<Input = Tensor, Output = Tensor>, const N: usize> Module for [M; N] {
    const NAME: &'static str = "Array";
    type Input = Tensor;
    type Output = Tensor;

    fn trace(&self, tracer: &mut Tracer<'_>, x: Value) -> Result<Value> {
        trace_each(self, tracer, x)
    }

    fn loaders(loaders: &mut Loaders) {
        M::loaders(loaders);
    }
}

macro_rules! pointer {
    ($pointer:ident) => {
        #[diagnostic::do_not_recommend]
        impl<M: Module> Module for $pointer<M>
        where
            Self: Parameters,
        {
            const NAME: &'static str = M::NAME;
            type Input = M::Input;
            type Output = M::Output;

            fn trace(
                &self,
                tracer: &mut Tracer<'_>,
                input: <M::Input as super::Values>::Of<Value>,
            ) -> Result<<M::Output as super::Values>::Of<Value>> {
                (**self).trace(tracer, input)
            }

            fn loaders(loaders: &mut Loaders) {
                M::loaders(loaders);
            }

            fn field(&self, name: &'static str) -> super::Field {
                (**self).field(name)
            }
        }
    };
}
pointer!(Box);
pointer!(Arc);
pointer!(Rc);

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn every_layer_of_the_catalogue_is_a_module() {
        let missing: Vec<&str> = qcatalogue::layers().filter(|layer| !NAMES.contains(layer)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
