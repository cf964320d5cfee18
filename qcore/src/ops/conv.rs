//! `Conv`: convolutions of any number of dimensions, with what is fused behind them.

use std::sync::Arc;

use qkernels::Residual;
use qkernels::conv::PackedConv2d;
use qkernels::elements;
use qkernels::elementwise::BinaryQParams;
use qkernels::float::{Epilogue, PackedWeight, Weight};
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::requantize::Requantization;
use serde::{Deserialize, Serialize};

use super::init::{Generator, empty, fitting};
use super::inputs::{exactly, kernel_error, kernel_error_on};
use super::kernel::input;
use super::packed_weight::PackedWeightCache;
use super::plain::plain_op;
use super::weights::{WeightInfo, WeightIntegers, check_bias, float_weights, row_major_integers, save_float};
use super::{
    Activation, BatchNormParameters, Executable, Format, Kernel, KernelCost, Lowering, Op, Output, Planned,
    PlannedKernel, Post, Precision, Size, TensorSpec, per_tensor,
};
use crate::model::{Parameters, join};
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::{Error, QParams, QTensor, Result, Tensor};

/// A convolution in `D` spatial dimensions: `[N, C, ..]` to `[N, O, ..]`. Padding is with zeros.
///
/// Used with channels that the groups do not divide, or with a size of 0, it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ConvConfig<D>", into = "ConvConfig<D>")]
pub struct Conv<const D: usize> {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Size<D>,
    stride: Size<D>,
    padding: Size<D>,
    dilation: Size<D>,
    groups: usize,
    weight: Tensor,
    bias: Option<Tensor>,
    /// Of this weight.
    packed_weight: PackedWeightCache,
}

/// A convolution of images: `[N, C, H, W]` to `[N, O, OH, OW]`.
pub type Conv2d = Conv<2>;

/// What a file says of a convolution besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct ConvConfig<const D: usize> {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Size<D>,
    stride: Size<D>,
    padding: Size<D>,
    dilation: Size<D>,
    groups: usize,
    bias: bool,
}

impl<const D: usize> From<ConvConfig<D>> for Conv<D> {
    fn from(config: ConvConfig<D>) -> Self {
        let ConvConfig { in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias } =
            config;
        Self {
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            weight: empty(),
            bias: bias.then(empty),
            packed_weight: PackedWeightCache::default(),
        }
    }
}

impl<const D: usize> From<Conv<D>> for ConvConfig<D> {
    fn from(conv: Conv<D>) -> Self {
        Self {
            in_channels: conv.in_channels,
            out_channels: conv.out_channels,
            kernel_size: conv.kernel_size,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            groups: conv.groups,
            bias: conv.bias.is_some(),
        }
    }
}

impl<const D: usize> Conv<D> {
    const NAME: &'static str = match D {
        1 => "Conv1d",
        2 => "Conv2d",
        _ => "Conv3d",
    };

    /// A convolution with a bias, stride 1, no padding and one group.
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<Size<D>>) -> Self {
        let config = ConvConfig {
            in_channels,
            out_channels,
            kernel_size: kernel_size.into(),
            stride: Size::from(1),
            padding: Size::from(0),
            dilation: Size::from(1),
            groups: 1,
            bias: true,
        };
        Self::from(config).initialized()
    }

    /// The distance between two windows; 1 if not set.
    #[must_use]
    pub fn stride(self, stride: impl Into<Size<D>>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// The zeros on each side; 0 if not set.
    #[must_use]
    pub fn padding(self, padding: impl Into<Size<D>>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The distance between two taps of the filter; 1 if not set.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Size<D>>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// The number of groups into which the channels fall; 1 if not set, `in_channels` for a depthwise convolution.
    /// Starts with new weights, whose shape depends on it.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }.initialized()
    }

    /// Whether there is a bias; true if not set.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        match (bias, &self.bias) {
            (false, _) => self.bias = None,
            (true, Some(_)) => {}
            (true, None) => self.bias = Some(self.initial().1),
        }
        self
    }

    /// The same layer with this weight, `[out_channels, in_channels / groups, ..kernel_size]`.
    ///
    /// # Errors
    /// When its shape is another, or the groups do not divide the channels.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting(Self::NAME, "weight", weight.into(), &self.weight_shape()?)?;
        Ok(Self { weight, packed_weight: PackedWeightCache::default(), ..self })
    }

    /// The same layer with this bias, `[out_channels]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_bias(self, bias: impl Into<Tensor>) -> Result<Self> {
        let bias = fitting(Self::NAME, "bias", bias.into(), &[self.out_channels])?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// `[out_channels, in_channels / groups, ..kernel_size]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out_channels]`, if there is one. ([`Conv::bias`] is the builder.)
    pub fn bias_tensor(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    fn weight_shape(&self) -> Result<Vec<usize>> {
        let Self { in_channels, out_channels, groups, .. } = *self;
        if groups == 0 || !in_channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            let message = format!(
                "groups {groups} does not divide in_channels {in_channels} and out_channels {out_channels}"
            );
            return Err(Error::parameter(Self::NAME, message));
        }
        Ok([&[out_channels, in_channels / groups], self.kernel_size.0.as_slice()].concat())
    }

    /// New weight and bias. Without a shape they are empty: [`Op::lower`] says why.
    fn initial(&self) -> (Tensor, Tensor) {
        let shape = self.weight_shape().unwrap_or_else(|_| vec![0; D + 2]);
        let fan_in = shape[1..].iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
        let mut generator = Generator::for_layer(Self::NAME, &shape);
        (generator.uniform(&shape, fan_in), generator.uniform(&[self.out_channels], fan_in))
    }

    fn initialized(mut self) -> Self {
        let (weight, bias) = self.initial();
        self.weight = weight;
        self.packed_weight = PackedWeightCache::default();
        self.bias = self.bias.map(|_| bias);
        self
    }
}

/// What kernels know of a convolution: in two dimensions, of which that of one has a height of 1.
#[derive(Clone, Copy, Debug)]
struct Filter {
    name: &'static str,
    /// Spatial dimensions of the tensors.
    dimensions: usize,
    parameters: Conv2dParameters,
}

impl Filter {
    fn new<const D: usize>(conv: &Conv<D>) -> Result<Self> {
        let two = |size: Size<D>, outer: usize| match *size.0.as_slice() {
            [width] => Ok([outer, width]),
            [height, width] => Ok([height, width]),
            _ => Err(Error::Unsupported(format!("{} in any precision", Conv::<D>::NAME))),
        };
        let parameters = Conv2dParameters {
            batch: 1,
            in_channels: conv.in_channels,
            height: 1,
            width: 1,
            out_channels: conv.out_channels,
            kernel: two(conv.kernel_size, 1)?,
            stride: two(conv.stride, 1)?,
            padding: two(conv.padding, 0)?,
            dilation: two(conv.dilation, 1)?,
            groups: conv.groups,
        };
        Ok(Self { name: Conv::<D>::NAME, dimensions: D, parameters })
    }

    /// For the smallest image that a filter fits on: an error says what is wrong with the layer itself.
    fn smallest_geometry(&self) -> Result<Conv2dGeometry> {
        let Conv2dParameters { kernel, dilation, .. } = self.parameters;
        let [height, width] = [0, 1]
            .map(|axis| kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]).saturating_add(1));
        Conv2dGeometry::new(Conv2dParameters { height, width, ..self.parameters })
            .map_err(|error| Error::parameter(self.name, error.to_string()))
    }

    fn geometry(&self, shape: &[usize]) -> Result<Conv2dGeometry> {
        let (batch, channels, height, width) = match *shape {
            [batch, channels, width] if self.dimensions == 1 => (batch, channels, 1, width),
            [batch, channels, height, width] if self.dimensions == 2 => (batch, channels, height, width),
            _ => return Err(self.misfit(shape)),
        };
        if channels != self.parameters.in_channels {
            return Err(self.misfit(shape));
        }
        if height == 0 || width == 0 {
            return Err(Error::shape(self.name, "an image with pixels", shape));
        }
        Conv2dGeometry::new(Conv2dParameters { batch, height, width, ..self.parameters })
            .map_err(kernel_error_on(self.name, shape))
    }

    fn misfit(&self, shape: &[usize]) -> Error {
        let spatial = if self.dimensions == 1 { "L" } else { "H, W" };
        Error::shape(self.name, format!("[N, {}, {spatial}]", self.parameters.in_channels), shape)
    }

    fn output_shape(&self, geometry: &Conv2dGeometry) -> Vec<usize> {
        let shape =
            [geometry.batch, geometry.out_channels, geometry.output_height(), geometry.output_width()];
        match self.dimensions {
            1 => vec![shape[0], shape[1], shape[3]],
            _ => shape.to_vec(),
        }
    }
}

impl<const D: usize> Op for Conv<D> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let filter = Filter::new(self)?;
        let geometry = filter.smallest_geometry()?;
        match lowering.precision {
            Precision::Float => {
                let (weight, bias) = float_weights(&self.weight, self.bias.as_ref(), lowering)?;
                let weight = fitting(Self::NAME, "weight", weight, &self.weight_shape()?)?;
                check_bias(Self::NAME, bias.as_ref(), geometry.out_channels)?;
                let packed_weight = match lowering.stored() {
                    None => self.packed_weight.clone(),
                    Some(_) => PackedWeightCache::default(),
                };
                let epilogue = epilogue(&geometry, bias.as_ref(), lowering)?;
                let weight = weight.contiguous();
                Ok(Arc::new(FloatConv { filter, weight, bias, packed_weight, epilogue: Arc::new(epilogue) }))
            }
            Precision::Static => {
                let (info, integers) =
                    WeightInfo::quantized(Self::NAME, &self.weight, self.bias.as_ref(), lowering)?;
                if info.shape != self.weight_shape()? {
                    let expected = format!("a weight of shape {:?}", self.weight_shape()?);
                    return Err(Error::shape(Self::NAME, expected, &info.shape));
                }
                let lowered = QuantizedConv::new(filter, &geometry, info, integers, lowering)?;
                Ok(Arc::new(lowered))
            }
            _ => Err(lowering.unsupported(Self::NAME)),
        }
    }

    fn fold_batch_norm(&self, batch_norm: &BatchNormParameters) -> Option<Result<Arc<dyn Op>>> {
        let folded = batch_norm.fold_into_conv(Self::NAME, &self.weight, self.bias.as_ref());
        Some(folded.map(|(weight, bias)| {
            let packed_weight = PackedWeightCache::default();
            Arc::new(Self { weight, bias: Some(bias), packed_weight, ..self.clone() }) as Arc<dyn Op>
        }))
    }

    fn takes_batch_norm(&self) -> bool {
        true
    }
}

impl<const D: usize> crate::ObjectType for Conv<D> {
    const NAME: &'static str = Conv::<D>::NAME;
}

impl<const D: usize> Parameters for Conv<D> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
        if let Some(bias) = &self.bias {
            visit(join(path, "bias"), bias);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.packed_weight = PackedWeightCache::default();
        visit(join(path, "weight"), &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visit(join(path, "bias"), bias);
        }
    }
}

/// Bias, batch norm and activation, in the registers of the kernel.
fn epilogue(geometry: &Conv2dGeometry, bias: Option<&Tensor>, lowering: &Lowering<'_>) -> Result<Epilogue> {
    let channels = geometry.out_channels;
    let mut affine: Vec<[f32; 2]> = match bias {
        Some(bias) => bias.view().iter().map(|&bias| [1.0, bias]).collect(),
        None => vec![[1.0, 0.0]; channels],
    };
    if let Some(batch_norm) = lowering.batch_norm {
        batch_norm.apply_to(&mut affine)?;
    }
    let [low, high] = Activation::limits_of(lowering.activation);
    Ok(Epilogue::affine(affine).clamped(low, high))
}

/// A convolution in float.
#[derive(Debug)]
struct FloatConv {
    filter: Filter,
    weight: Tensor,
    bias: Option<Tensor>,
    packed_weight: PackedWeightCache,
    epilogue: Arc<Epilogue>,
}

impl Executable for FloatConv {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(self.filter.name, inputs)?;
        let geometry = self.filter.geometry(x.shape())?;
        let weight = self.weight.as_slice().unwrap_or_default();
        let packed = self
            .packed_weight
            .get(&geometry, weight)
            .map_err(kernel_error_on(self.filter.name, x.shape()))?;
        let output = TensorSpec::new(&self.filter.output_shape(&geometry), Format::F32);
        let epilogue = Arc::clone(&self.epilogue);
        let kernel = FloatConvKernel { geometry, weight: self.weight.clone(), packed, epilogue };
        let planned = PlannedKernel::new(Box::new(kernel), vec![output]);
        Ok(Planned::Kernel(planned.inputs([MemoryFormat::Contiguous])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        save_float(tensors, &self.weight, self.bias.as_ref())
    }
}

#[derive(Clone, Debug)]
struct FloatConvKernel {
    geometry: Conv2dGeometry,
    weight: Tensor,
    packed: Option<Arc<PackedWeight>>,
    epilogue: Arc<Epilogue>,
}

impl Kernel for FloatConvKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let weight = match &self.packed {
            Some(packed) => Weight::Packed(packed),
            None => Weight::Whole(self.weight.as_slice().unwrap_or_default()),
        };
        let (x, output) = (elements::view(input(inputs, 0))?, elements::view_mut(bytes)?);
        qkernels::float::conv2d_into(&self.geometry, x, weight, &self.epilogue, output)
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.multiply_accumulates(),
            weight_bytes: (size_of::<f32>() * self.weight.len()) as u64,
            kernel: String::new(),
        }
    }

    fn with_post(&self, post: &Post) -> Option<Box<dyn Kernel>> {
        let Post::ClampFloat([low, high]) = *post else { return None };
        // A ReLU before would be lost.
        let is_unlimited = self.epilogue.limits() == [f32::NEG_INFINITY, f32::INFINITY];
        let epilogue = Arc::new(is_unlimited.then(|| (*self.epilogue).clone())?.clamped(low, high));
        Some(Box::new(Self { epilogue, ..self.clone() }))
    }
}

/// A convolution on integers: `quint8` images, `qint8` weight.
#[derive(Debug)]
struct QuantizedConv {
    filter: Filter,
    info: WeightInfo,
    packed: Arc<PackedConv2d>,
    /// The weight in PyTorch's order, if the packed one does not give it back.
    plain: Option<QTensor>,
    input: QParams,
    output: Format,
    requantization: Arc<Requantization>,
}

impl QuantizedConv {
    fn new(
        filter: Filter,
        geometry: &Conv2dGeometry,
        info: WeightInfo,
        integers: WeightIntegers,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        let (name, zero_points) = (filter.name, &info.qparams.zero_point);
        let (packed, plain) = match integers {
            WeightIntegers::Packed(packed) => {
                (PackedConv2d::from_packed(packed, zero_points, geometry), None)
            }
            WeightIntegers::Plain(weight) => {
                let packed = PackedConv2d::new(&row_major_integers(name, &weight)?, zero_points, geometry);
                (packed, Some(weight))
            }
        };
        let packed = packed.map_err(kernel_error(name))?;
        let plain = plain.filter(|_| packed.packed().is_none());
        let requantization = Arc::new(info.requantization(name, geometry.out_channels, lowering)?);
        let [input] = lowering.input_qparams(name)?;
        let output = Format::of(Some(lowering.output_qparams(name)?));
        let packed = Arc::new(packed);
        Ok(Self { filter, info, packed, plain, input: input.clone(), output, requantization })
    }
}

impl Executable for QuantizedConv {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let name = self.filter.name;
        let [x] = exactly(name, inputs)?;
        check_input(name, &self.input, x)?;
        let geometry = self.filter.geometry(x.shape())?;
        let shape = self.filter.output_shape(&geometry);
        let output = TensorSpec::in_format(&shape, MemoryFormat::ChannelsLast, self.output.clone());
        let kernel = QuantizedConvKernel {
            geometry,
            packed: Arc::clone(&self.packed),
            zero_point: self.input.tensor_zero_point(),
            requantization: Arc::clone(&self.requantization),
            addition: None,
        };
        let output = output.in_buffer(MemoryFormat::ChannelsLast);
        let planned = PlannedKernel::new(Box::new(kernel), vec![output]);
        Ok(Planned::Kernel(planned.inputs([MemoryFormat::ChannelsLast])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        match (&self.plain, self.packed.packed()) {
            (None, Some(parts)) => self.info.save_packed(tensors, parts),
            (Some(plain), _) => self.info.save_plain(tensors, plain),
            (None, None) => {
                Err(Error::Unsupported(format!("a weight of {} that is not there", self.filter.name)))
            }
        }
    }

    fn weight(&self) -> Option<QTensor> {
        self.plain.clone().or_else(|| self.info.weight(self.packed.unpack()?))
    }
}

/// An error unless an input has the scale that an operation was lowered for.
pub(super) fn check_input(operation: &'static str, expected: &QParams, x: &TensorSpec) -> Result<()> {
    let (found, expected) = (x.qparams(operation)?, per_tensor(operation, expected)?);
    if found == expected {
        return Ok(());
    }
    Err(Error::parameter(
        operation,
        format!(
            "was made for inputs of scale {} and zero point {}, got scale {} and zero point {}",
            expected.scale, expected.zero_point, found.scale, found.zero_point
        ),
    ))
}

/// A convolution of images of one size, perhaps followed by an addition.
#[derive(Clone, Debug)]
struct QuantizedConvKernel {
    geometry: Conv2dGeometry,
    packed: Arc<PackedConv2d>,
    zero_point: i32,
    requantization: Arc<Requantization>,
    addition: Option<BinaryQParams>,
}

impl Kernel for QuantizedConvKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, pixel_stride }] = outputs else { return Ok(()) };
        let residual = self.addition.map(|qparams| Residual { values: input(inputs, 1), qparams });
        let (zero_point, requantization) = (self.zero_point, &self.requantization);
        let x = input(inputs, 0);
        self.packed.run_into(&self.geometry, x, zero_point, requantization, residual, bytes, *pixel_stride)
    }

    fn takes_pixel_stride(&self) -> bool {
        true
    }

    fn cost(&self) -> KernelCost {
        KernelCost {
            multiply_accumulates: self.geometry.multiply_accumulates(),
            weight_bytes: self.packed.byte_len() as u64,
            kernel: self.packed.kernel(&self.geometry),
        }
    }

    fn with_post(&self, post: &Post) -> Option<Box<dyn Kernel>> {
        if self.addition.is_some() {
            return None;
        }
        match *post {
            Post::Clamp([low, high]) => {
                let requantization = Arc::new(self.requantization.clamped(low, high).ok()?);
                Some(Box::new(Self { requantization, ..self.clone() }))
            }
            Post::Add(qparams) => Some(Box::new(Self { addition: Some(qparams), ..self.clone() })),
            Post::ClampFloat(_) => None,
        }
    }
}
