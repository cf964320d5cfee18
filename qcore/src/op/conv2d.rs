//! `Conv2d`, perhaps with a batch norm folded in and a ReLU fused.

use std::sync::Arc;

use qkernels::conv::{PackedConv2d, Residual};
use qkernels::elementwise::BinaryQParams;
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::quantize::ImageShape;
use qkernels::requantize::Requantization;
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, image_extents, refused, take_one, unusable, zeros};
use super::layout::{Image, MemoryFormat, channels_last};
use super::weights::{
    QuantizedWeights, StoredWeight, WeightsInfo, WeightsRecord, check_bias, load_bias, save_bias,
};
use super::{
    ActivationSpec, FittedWeightCache, FloatConv2d, FoldBatchNorm, FuseReLU, Kernel, KernelCost, Lowering,
    Op, OutputRule, Pair, Planned, QuantizedOp,
};
use crate::archive::{Archive, ArchiveWriter, Record};
use crate::layers::BatchNorm2d;
use crate::parameters::join;
use crate::{Error, QTensor, Result, Tensor};

/// How the filter of a 2-d convolution moves, with PyTorch's names. Padding is always with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conv2dOptions {
    /// Distance between two windows.
    pub stride: Pair,
    /// Zeros added on each side.
    pub padding: Pair,
    /// Distance between two filter taps.
    pub dilation: Pair,
    /// Blocked connections: each group maps `C / groups` input channels to `O / groups` output channels.
    pub groups: usize,
}

impl Default for Conv2dOptions {
    fn default() -> Self {
        Self { stride: Pair::from(1), padding: Pair::from(0), dilation: Pair::from(1), groups: 1 }
    }
}

const NAME: &str = "Conv2d";

impl Conv2dOptions {
    /// The sizes of a convolution with a weight of this shape.
    fn parameters(&self, weight: &[usize]) -> Result<Conv2dParameters> {
        let &[out_channels, group_channels, height, width] = weight else {
            return Err(Error::shape(
                NAME,
                "a weight [out_channels, in_channels / groups, height, width]",
                weight,
            ));
        };
        Ok(Conv2dParameters {
            batch: 1,
            in_channels: group_channels.saturating_mul(self.groups),
            height: 1,
            width: 1,
            out_channels,
            kernel: [height, width],
            stride: self.stride.into(),
            padding: self.padding.into(),
            dilation: self.dilation.into(),
            groups: self.groups,
        })
    }

    /// For the smallest image that a filter fits on: an error says what is wrong with the layer itself.
    fn smallest_geometry(&self, weight: &[usize]) -> Result<Conv2dGeometry> {
        let parameters = self.parameters(weight)?;
        let [height, width] = [0, 1].map(|axis| {
            let taps = parameters.kernel[axis].saturating_sub(1);
            taps.saturating_mul(parameters.dilation[axis]).saturating_add(1)
        });
        Conv2dGeometry::new(Conv2dParameters { height, width, ..parameters })
            .map_err(|error| Error::parameter(NAME, format!("{error} (weight shape {weight:?})")))
    }

    fn geometry(&self, weight: &[usize], image: &[usize]) -> Result<Conv2dGeometry> {
        let parameters = self.parameters(weight)?;
        let [batch, channels, height, width] = image_extents(NAME, image)?;
        if channels != parameters.in_channels {
            return Err(Error::shape(NAME, format!("[N, {}, H, W]", parameters.in_channels), image));
        }
        Conv2dGeometry::new(Conv2dParameters { batch, height, width, ..parameters })
            .map_err(refused(NAME, image))
    }
}

/// A 2-d convolution: `[N, C, H, W]` to `[N, O, OH, OW]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    weight: Tensor,
    bias: Option<Tensor>,
    options: Conv2dOptions,
    relu: bool,
    fitted_weight: FittedWeightCache,
}

impl Conv2d {
    /// A convolution with a weight `[O, C / groups, KH, KW]` and perhaps a bias `[O]`.
    ///
    /// # Errors
    /// When the shapes do not fit together, or an option is 0 that must not be.
    pub fn new(weight: Tensor, bias: Option<Tensor>, options: Conv2dOptions) -> Result<Self> {
        let fitted_weight = FittedWeightCache::default();
        let operation = Self { weight: weight.contiguous(), bias, options, relu: false, fitted_weight };
        operation.check()?;
        Ok(operation)
    }

    /// The same with what was kept of its weight before.
    pub(crate) fn with_fitted_weight(self, fitted_weight: FittedWeightCache) -> Self {
        Self { fitted_weight, ..self }
    }

    pub(super) fn fitted_weight(&self) -> &FittedWeightCache {
        &self.fitted_weight
    }

    fn check(&self) -> Result<()> {
        let geometry = self.options.smallest_geometry(self.weight.shape())?;
        check_bias(NAME, self.bias.as_ref(), geometry.out_channels)
    }

    /// `[O, C / groups, KH, KW]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[O]`.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    pub(super) fn geometry(&self, image: &[usize]) -> Result<Conv2dGeometry> {
        self.options.geometry(self.weight.shape(), image)
    }

    /// How the filter moves.
    pub fn options(&self) -> &Conv2dOptions {
        &self.options
    }
}

impl Op for Conv2d {
    type Quantized = QuantizedConv2d;

    fn name(&self) -> &'static str {
        if self.relu { "ConvReLU2d" } else { NAME }
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::Observed
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let convolution = FloatConv2d::from(self.clone());
        let convolution = if self.relu { convolution.relu() } else { convolution };
        convolution.forward(take_one(NAME, inputs)?)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedConv2d> {
        let weights = QuantizedWeights::lower(&self.weight, self.bias.as_ref(), self.relu, lowering)?;
        QuantizedConv2d::new(weights, self.options)
    }
}

impl FuseReLU for Conv2d {
    fn fuse_relu(self) -> Self {
        Self { relu: true, ..self }
    }
}

impl FoldBatchNorm<BatchNorm2d> for Conv2d {
    fn fold_batch_norm(self, batch_norm: &BatchNorm2d) -> Result<Self> {
        if self.relu {
            return Err(Error::parameter(NAME, "a batch norm behind a ReLU cannot be folded"));
        }
        let statistics = batch_norm.statistics();
        let (weight, bias) = statistics.fold_into_conv(NAME, &self.weight, self.bias.as_ref())?;
        Ok(Self { weight, bias: Some(bias), fitted_weight: FittedWeightCache::default(), ..self })
    }
}

#[derive(Serialize, Deserialize)]
struct FloatRecord {
    options: Conv2dOptions,
    relu: bool,
    bias: bool,
}

impl Record for Conv2d {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        let record = FloatRecord { options: self.options, relu: self.relu, bias: self.bias.is_some() };
        archive.put(path, &record)?;
        archive.put_tensor(&join(path, "weight"), &self.weight);
        save_bias(archive, path, self.bias.as_ref());
        Ok(())
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let FloatRecord { options, relu, bias } = archive.get(path)?;
        let weight = archive.tensor(&join(path, "weight"))?;
        let bias = load_bias(archive, path, bias)?;
        let operation = Self::new(weight, bias, options)
            .map_err(|error| archive.error(format!("record `{path}`: {error}")))?;
        Ok(Self { relu, ..operation })
    }
}

/// [`Conv2d`] on integers: `quint8` images, `qint8` weight.
#[derive(Clone, Debug)]
pub struct QuantizedConv2d {
    info: WeightsInfo,
    options: Conv2dOptions,
    packed: Arc<PackedConv2d>,
    /// The weight in PyTorch's order, if the packed one does not give it back.
    plain: Option<QTensor>,
    requantization: Arc<Requantization>,
}

impl QuantizedConv2d {
    /// Packs the weight for the kernels. Its shape is `[O, C / groups, KH, KW]`.
    ///
    /// # Errors
    /// When shapes and options do not fit together, a type is not one that the kernels take, the bias is not
    /// finite, or the quotients of the scales are not.
    pub fn new(weights: QuantizedWeights, options: Conv2dOptions) -> Result<Self> {
        let geometry = options.smallest_geometry(weights.weight.shape())?;
        let zero_points = &weights.weight.qparams().zero_point;
        let packed =
            PackedConv2d::new(&weights.integers(NAME)?, zero_points, &geometry).map_err(unusable(NAME))?;
        let plain = packed.packed().is_none().then(|| weights.weight.clone());
        Self::of_packed(weights.info(), options, packed, plain)
    }

    fn of_packed(
        info: WeightsInfo,
        options: Conv2dOptions,
        packed: PackedConv2d,
        plain: Option<QTensor>,
    ) -> Result<Self> {
        let channels = info.shape.first().copied().unwrap_or_default();
        let requantization = Arc::new(info.requantization(NAME, channels)?);
        Ok(Self { info, options, packed: Arc::new(packed), plain, requantization })
    }
}

impl QuantizedOp for QuantizedConv2d {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(NAME, inputs)?;
        let geometry = self.options.geometry(&self.info.shape, x.shape())?;
        let image = Image::new(NAME, self.info.input(NAME, x)?)?;
        let mut output = zeros(NAME, geometry.output_len())?;
        let zero_point = self.info.input_zero_point();
        self.packed
            .run(&geometry, &image.pixels, zero_point, &self.requantization, &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let shape = ImageShape {
            batch: geometry.batch,
            channels: geometry.out_channels,
            height: geometry.output_height(),
            width: geometry.output_width(),
        };
        self.info.output(channels_last(NAME, shape, output)?)
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(NAME, inputs)?;
        self.info.check_input(NAME, x.qparams())?;
        let geometry = self.options.geometry(&self.info.shape, x.shape())?;
        let output = ImageShape {
            batch: geometry.batch,
            channels: geometry.out_channels,
            height: geometry.output_height(),
            width: geometry.output_width(),
        };
        let output = x.with_image(output, MemoryFormat::ChannelsLast).with_qparams(&self.info.output);
        let kernel = Conv2dKernel {
            geometry,
            packed: Arc::clone(&self.packed),
            zero_point: self.info.input_zero_point(),
            requantization: Arc::clone(&self.requantization),
            addition: None,
        };
        Ok(Some(Planned::Kernel(Box::new(kernel), output)))
    }

    fn weight(&self) -> Option<QTensor> {
        self.plain.clone().or_else(|| self.info.weight(self.packed.unpack()?))
    }
}

/// A convolution of images of one size, perhaps followed by an addition.
#[derive(Clone, Debug)]
struct Conv2dKernel {
    geometry: Conv2dGeometry,
    packed: Arc<PackedConv2d>,
    zero_point: i32,
    requantization: Arc<Requantization>,
    addition: Option<BinaryQParams>,
}

impl Kernel for Conv2dKernel {
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], pitch: usize) -> qkernels::Result<()> {
        let input = |index: usize| inputs.get(index).copied().unwrap_or_default();
        let residual = self.addition.map(|qparams| Residual { values: input(1), qparams });
        let (zero_point, requantization) = (self.zero_point, &self.requantization);
        self.packed.run_into(&self.geometry, input(0), zero_point, requantization, residual, output, pitch)
    }

    fn takes_pitch(&self) -> bool {
        true
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.multiply_accumulates(),
            weight_bytes: self.packed.byte_len() as u64,
            kernel: self.packed.kernel(&self.geometry),
        }
    }

    fn with_clamp(&self, [low, high]: [u8; 2]) -> Option<Box<dyn Kernel>> {
        if self.addition.is_some() {
            return None;
        }
        let requantization = Arc::new(self.requantization.clamped(low, high).ok()?);
        Some(Box::new(Self { requantization, ..self.clone() }))
    }

    fn with_residual(&self, addition: BinaryQParams) -> Option<Box<dyn Kernel>> {
        match self.addition {
            None => Some(Box::new(Self { addition: Some(addition), ..self.clone() })),
            Some(_) => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct QuantizedRecord {
    options: Conv2dOptions,
    weights: WeightsRecord,
}

impl Record for QuantizedConv2d {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        let weights = match (&self.plain, self.packed.packed()) {
            (None, Some(pieces)) => self.info.save_packed(archive, path, pieces)?,
            (plain, _) => {
                let missing = || Error::Unsupported("a weight that is not there".into());
                let weight = plain.clone().or_else(|| self.weight()).ok_or_else(missing)?;
                self.info.save_plain(archive, path, &weight)?
            }
        };
        archive.put(path, &QuantizedRecord { options: self.options, weights })
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let QuantizedRecord { options, weights } = archive.get(path)?;
        let (info, weight) = WeightsInfo::load(archive, path, weights)?;
        let operation = match weight {
            StoredWeight::Plain(weight) => Self::new(info.with_weight(weight), options),
            StoredWeight::Packed(packed) => options.smallest_geometry(&info.shape).and_then(|geometry| {
                let packed = PackedConv2d::from_packed(packed, &info.qparams.zero_point, &geometry);
                Self::of_packed(info, options, packed.map_err(unusable(NAME))?, None)
            }),
        };
        operation.map_err(|error| archive.error(format!("record `{path}`: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, lowering, tensor, u8_qparams};
    use crate::{Backend, DType, QParams};

    fn sum_of_four(options: Conv2dOptions) -> Conv2d {
        Conv2d::new(tensor(&[1, 1, 2, 2], &[1.0; 4]), Some(tensor(&[1], &[0.5])), options).unwrap()
    }

    fn image() -> Tensor {
        tensor(&[1, 1, 3, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, -9.0])
    }

    #[test]
    fn strides_padding_and_relu_are_pytorchs() {
        let y = Op::forward(&sum_of_four(Conv2dOptions::default()), &mut [image()]).unwrap();
        assert_eq!(y.shape(), [1, 1, 2, 2]);
        assert_values(&y, &[12.5, 16.5, 24.5, 10.5]);
        let options =
            Conv2dOptions { stride: Pair::from(2), padding: Pair::from(1), ..Conv2dOptions::default() };
        let conv = sum_of_four(options).fuse_relu();
        assert_values(&Op::forward(&conv, &mut [image()]).unwrap(), &[1.5, 5.5, 11.5, 10.5]);
        assert_eq!(conv.name(), "ConvReLU2d");
    }

    #[test]
    fn groups_keep_channels_apart() {
        let weight = tensor(&[2, 1, 1, 1], &[2.0, 3.0]);
        let options = Conv2dOptions { groups: 2, ..Conv2dOptions::default() };
        let conv = Conv2d::new(weight, None, options).unwrap();
        let y = Op::forward(&conv, &mut [tensor(&[1, 2, 1, 1], &[5.0, 7.0])]).unwrap();
        assert_values(&y, &[10.0, 21.0]);
    }

    #[test]
    fn integers_are_those_of_the_float_convolution() {
        let (input, output) = (u8_qparams(1.0, 20), u8_qparams(0.5, 30));
        let conv = sum_of_four(Conv2dOptions { padding: Pair::from(1), ..Conv2dOptions::default() });
        let float = Op::forward(&conv, &mut [image()]).unwrap();
        for backend in Backend::ALL {
            let inputs = [input.clone()];
            let quantized = conv.lower(&lowering(backend, &inputs, &output)).unwrap();
            let x = QTensor::quantize(&image(), &input).unwrap();
            let y = quantized.forward(&mut [x.clone()]).unwrap();
            assert_values(&y.dequantize().contiguous(), float.as_slice().unwrap());
            assert!(quantized.weight().is_some());
            assert_eq!(crate::op::tests::reloaded(&quantized).forward(&mut [x]).unwrap(), y);
        }
    }

    #[test]
    fn an_empty_batch_gives_an_empty_batch() {
        let conv = sum_of_four(Conv2dOptions::default());
        assert_eq!(Op::forward(&conv, &mut [Tensor::zeros(&[0, 1, 3, 3])]).unwrap().shape(), [0, 1, 2, 2]);
        let (inputs, output) = ([u8_qparams(1.0, 0)], u8_qparams(1.0, 0));
        let quantized = conv.lower(&lowering(Backend::Native, &inputs, &output)).unwrap();
        let x = QTensor::quantize(&Tensor::zeros(&[0, 1, 3, 3]), &inputs[0]).unwrap();
        assert_eq!(quantized.forward(&mut [x]).unwrap().shape(), [0, 1, 2, 2]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let weight = || Tensor::zeros(&[4, 3, 3, 3]);
        let with = |options| Conv2d::new(weight(), None, options);
        assert!(with(Conv2dOptions { groups: 0, ..Conv2dOptions::default() }).is_err());
        assert!(with(Conv2dOptions { groups: 3, ..Conv2dOptions::default() }).is_err());
        assert!(with(Conv2dOptions { groups: usize::MAX, ..Conv2dOptions::default() }).is_err());
        assert!(with(Conv2dOptions { stride: Pair::from(0), ..Conv2dOptions::default() }).is_err());
        assert!(
            with(Conv2dOptions { dilation: Pair::from(usize::MAX), ..Conv2dOptions::default() }).is_err()
        );
        assert!(Conv2d::new(Tensor::zeros(&[4, 3, 3]), None, Conv2dOptions::default()).is_err());
        let conv = with(Conv2dOptions::default()).unwrap();
        for shape in [&[1, 2, 5, 5][..], &[1, 3, 2, 5], &[3, 5, 5], &[1, 3, 0, 5]] {
            assert!(Op::forward(&conv, &mut [Tensor::zeros(shape)]).is_err(), "{shape:?}");
        }
        assert!(Op::forward(&conv, &mut []).is_err());
    }

    #[test]
    fn a_bias_or_weight_that_is_not_finite_is_refused() {
        let (inputs, output) = ([u8_qparams(1.0, 0)], u8_qparams(1.0, 0));
        let nan = tensor(&[1], &[f32::NAN]);
        let conv = |weight: f32, bias: &Tensor| {
            Conv2d::new(tensor(&[1, 1, 1, 1], &[weight]), Some(bias.clone()), Conv2dOptions::default())
                .unwrap()
        };
        let lower = |conv: Conv2d| conv.lower(&lowering(Backend::Native, &inputs, &output));
        assert!(matches!(lower(conv(1.0, &nan)), Err(Error::NotFinite { .. })));
        assert!(matches!(lower(conv(f32::INFINITY, &tensor(&[1], &[0.0]))), Err(Error::NotFinite { .. })));
    }

    #[test]
    fn weights_of_other_types_are_refused() {
        let qparams = QParams::per_channel(vec![1.0; 3], vec![0; 3], 1, DType::QInt8).unwrap();
        let weights = |weight| QuantizedWeights {
            weight,
            bias: None,
            input: u8_qparams(1.0, 0),
            output: u8_qparams(1.0, 0),
            backend: Backend::Native,
            relu: false,
        };
        let along_another_axis = QTensor::quantize(&Tensor::zeros(&[2, 3, 1, 1]), &qparams).unwrap();
        assert!(QuantizedConv2d::new(weights(along_another_axis), Conv2dOptions::default()).is_err());
        let unsigned = QTensor::quantize(&Tensor::zeros(&[2, 3, 1, 1]), &u8_qparams(1.0, 0)).unwrap();
        assert!(QuantizedConv2d::new(weights(unsigned), Conv2dOptions::default()).is_err());
    }
}
