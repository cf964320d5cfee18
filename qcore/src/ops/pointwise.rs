//! Functions of each element alone. In int8 a table has the result for each of the 256 integers (NUMERICS section 7).

use std::sync::Arc;

use qkernels::EightBit;
use qkernels::elementwise::LookupTable;

use super::inputs::{check_dtype, exactly, kernel_error, with_eight_bit};
use super::{Executable, Format, Kernel, Lowering, Planned, Precision, executable, per_tensor, unary};
use crate::{Backend, DType, QParams, Result};

/// A function of each element, and how its table is made.
#[derive(Clone, Copy)]
pub(super) struct Pointwise<F, G = F> {
    operation: &'static str,
    /// What tables are made of.
    function: F,
    /// The same for tensors of floats.
    float: G,
    divides_on_qnnpack: bool,
}

impl<F: Fn(f32) -> f32 + Copy + Send + Sync + 'static> Pointwise<F> {
    pub(super) fn new(operation: &'static str, function: F) -> Self {
        Self { operation, function, float: function, divides_on_qnnpack: false }
    }

    /// The same with a faster function for tensors of floats, which may differ in the last places.
    pub(super) fn in_float<G>(self, float: G) -> Pointwise<F, G> {
        let Self { operation, function, divides_on_qnnpack, .. } = self;
        Pointwise { operation, function, float, divides_on_qnnpack }
    }
}

impl<F, G> Pointwise<F, G>
where
    F: Fn(f32) -> f32 + Copy + Send + Sync + 'static,
    G: Fn(f32) -> f32 + Copy + Send + Sync + 'static,
{
    /// qnnpack divides by the scale of the output, where the others multiply by its reciprocal.
    pub(super) fn divides_on_qnnpack(self) -> Self {
        Self { divides_on_qnnpack: true, ..self }
    }

    pub(super) fn lower(self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let operation = self.operation;
        match lowering.precision {
            Precision::Float => Ok(executable(operation, move |inputs| {
                let [x] = exactly(operation, inputs)?;
                check_dtype(operation, x, None)?;
                let kernel =
                    unary::<f32, f32>(operation, move |x, y| qkernels::float::map_into(x, y, self.float));
                Ok(Planned::kernel(kernel, x.without_gaps()))
            })),
            Precision::Static => {
                let (backend, output) = (lowering.backend, lowering.output_qparams(operation)?.clone());
                let [input] = lowering.input_qparams(operation)?;
                // A scale for which there is no table is an error now.
                self.kernel(input.dtype, per_tensor(operation, input)?, &output, backend)?;
                Ok(executable(operation, move |inputs| {
                    let [x] = exactly(operation, inputs)?;
                    check_dtype(operation, x, Some(output.dtype))?;
                    let kernel = self.kernel(output.dtype, x.qparams(operation)?, &output, backend)?;
                    Ok(Planned::kernel(kernel, x.with_format(Format::of(Some(&output)))))
                }))
            }
            _ => Err(lowering.unsupported(operation)),
        }
    }

    /// Looks integers of this type up.
    fn kernel(
        self,
        dtype: DType,
        input: qkernels::QParams,
        output: &QParams,
        backend: Backend,
    ) -> Result<Box<dyn Kernel>> {
        let output = per_tensor(self.operation, output)?;
        with_eight_bit!(self.operation, dtype, T => {
            let table = LookupTable::<T>::from_float(input, output, self.function);
            let table = table.map_err(kernel_error(self.operation))?;
            let table = match (backend, dtype) {
                (Backend::Qnnpack, DType::QUInt8) if self.divides_on_qnnpack => self.qnnpack_table(input, output),
                _ => table,
            };
            Ok(unary::<T, T>(self.operation, move |x, y| table.apply(x, y)))
        })
    }

    fn qnnpack_table<T: EightBit>(
        self,
        input: qkernels::QParams,
        output: qkernels::QParams,
    ) -> LookupTable<T> {
        let (low, high) = T::RANGE.into_inner();
        LookupTable::new(|q: T| {
            let steps = (self.function)(input.dequantize(q.to_i32())) / output.scale;
            T::from_steps(steps, output.zero_point, low, high)
        })
    }
}

/// Defines a pointwise operation without parameters, as a layer and as a function.
macro_rules! pointwise {
    // With the derivative as a function of the input and the output.
    ($layer:ident, $name:ident, $meaning:literal, $pointwise:expr $(, derivative: $derivative:expr)? $(,)?) => {
        #[doc = concat!("`", $meaning, "`, for tensors of any shape.")]
        ///
        /// In int8 a table has the result for each of the 256 integers (NUMERICS section 7).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $layer;

        impl $layer {
            #[doc = concat!("The same as `", stringify!($layer), "`.")]
            pub fn new() -> Self {
                Self
            }
        }

        #[doc = concat!("The operation `", stringify!($name), "(x)`.")]
        pub fn $name() -> $crate::Result<$layer> {
            Ok($layer)
        }

        $crate::ops::plain::no_parameters!($layer, stringify!($layer));

        impl $crate::ops::Op for $layer {
            fn name(&self) -> &'static str {
                stringify!($name)
            }

            $crate::ops::plain::plain_op!();

            fn lower(
                &self,
                lowering: &$crate::ops::Lowering<'_>,
            ) -> $crate::Result<std::sync::Arc<dyn $crate::ops::Executable>> {
                $pointwise.lower(lowering)
            }

            $(fn backward(
                &self,
                pass: &$crate::train::Backward<'_>,
            ) -> $crate::Result<$crate::train::Gradients> {
                pass.elementwise($derivative)
            })?
        }
    };
}
pub(super) use pointwise;

#[cfg(test)]
mod tests {
    use crate::ops::tests::{float, tensor};
    use crate::ops::{Hardsigmoid, Hardswish, Mish, Op, SiLU, Sigmoid, Tanh, gelu};

    /// PyTorch's values in double precision.
    #[test]
    fn floats_are_those_of_pytorch() {
        let x = tensor(&[9], &[-20.0, -3.5, -1.0, -0.25, 0.0, 0.5, 2.0, 5.0, 20.0]);
        let check = |op: &dyn Op, expected: [f64; 9]| {
            let y = float(op, &[&x]).unwrap();
            for (found, expected) in y.view().iter().zip(expected) {
                let difference = (f64::from(*found) - expected).abs();
                assert!(difference <= 1e-7 * expected.abs(), "{op:?}: {found} in place of {expected}");
            }
        };
        check(
            &Sigmoid,
            [
                2.061_153_618_190_203_7e-9,
                0.029_312_230_751_356_32,
                0.268_941_421_369_995_1,
                0.437_823_499_114_202,
                0.5,
                0.622_459_331_201_854_6,
                0.880_797_077_977_882_3,
                0.993_307_149_075_715_3,
                0.999_999_997_938_846_3,
            ],
        );
        check(
            &Tanh,
            [
                -1.0,
                -0.998_177_897_611_198_7,
                -0.761_594_155_955_764_9,
                -0.244_918_662_403_709_1,
                0.0,
                0.462_117_157_260_009_8,
                0.964_027_580_075_816_9,
                0.999_909_204_262_595_1,
                1.0,
            ],
        );
        let [third, sixth] = [1.0 / 3.0, 1.0 / 6.0];
        check(&Hardsigmoid, [0.0, 0.0, third, 2.75 / 6.0, 0.5, 3.5 / 6.0, 5.0 * sixth, 1.0, 1.0]);
        check(
            &Hardswish,
            [0.0, 0.0, -third, -0.25 * 2.75 / 6.0, 0.0, 0.5 * 3.5 / 6.0, 10.0 * sixth, 5.0, 20.0],
        );
        check(
            &SiLU,
            [
                -4.122_307_236_380_407e-8,
                -0.102_592_807_629_747_12,
                -0.268_941_421_369_995_1,
                -0.109_455_874_778_550_48,
                0.0,
                0.311_229_665_600_927_3,
                1.761_594_155_955_764_6,
                4.966_535_745_378_576,
                19.999_999_958_776_925,
            ],
        );
        check(
            &Mish,
            [
                -4.122_307_240_628_762e-8,
                -0.104_095_754_486_371_22,
                -0.303_401_461_374_108_95,
                -0.129_926_963_679_141,
                0.0,
                0.375_245_211_304_895_1,
                1.943_958_959_533_994_6,
                4.999_552_077_529_406,
                20.0,
            ],
        );
        check(
            &gelu(None).unwrap(),
            [
                0.0,
                -0.000_814_201_776_624_390_3,
                -0.158_655_253_931_457_02,
                -0.100_323_418_579_269_07,
                0.0,
                0.345_731_230_637_006_56,
                1.954_499_736_103_641_6,
                4.999_998_566_742_141,
                20.0,
            ],
        );
    }
}
