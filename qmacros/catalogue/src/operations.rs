//! The rows.

use crate::ParameterKind::{Bool, Choice, Extents, Float, Integer, IntegerOrPair, Integers, Tensor};
use crate::{Activation, Operation, OutputRule, Parameter, ParameterKind, Precision, Results, Role, Tensors};

/// Every operation, in the order in which messages list them.
pub fn operations() -> &'static [Operation] {
    OPERATIONS
}

static OPERATIONS: &[Operation] = &[
    Operation {
        role: Role::Conv,
        dimensions: Some(1),
        with_relu: Some("ConvReLU1d"),
        onnx: Some("Conv"),
        ..layer("Conv1d", "conv1d", OutputRule::Observed)
    },
    Operation {
        role: Role::Conv,
        dimensions: Some(2),
        with_relu: Some("ConvReLU2d"),
        onnx: Some("Conv"),
        ..layer("Conv2d", "conv2d", OutputRule::Observed)
    },
    Operation {
        role: Role::Conv,
        dimensions: Some(3),
        with_relu: Some("ConvReLU3d"),
        onnx: Some("Conv"),
        ..layer("Conv3d", "conv3d", OutputRule::Observed)
    },
    // PyTorch has no fused form of them with a ReLU.
    Operation { dimensions: Some(1), ..transposed("ConvTranspose1d", "conv_transpose1d") },
    Operation { dimensions: Some(2), ..transposed("ConvTranspose2d", "conv_transpose2d") },
    Operation { dimensions: Some(3), ..transposed("ConvTranspose3d", "conv_transpose3d") },
    Operation {
        role: Role::Linear,
        dimensions: Some(1),
        precisions: &[
            Precision::Float,
            Precision::Static,
            Precision::Dynamic,
            Precision::Half,
            Precision::WeightOnly,
        ],
        with_relu: Some("LinearReLU"),
        onnx: Some("Gemm"),
        ..layer("Linear", "linear", OutputRule::Observed)
    },
    // PyTorch has no fused form of it with a ReLU: there is no `with_relu`.
    Operation {
        role: Role::BatchNorm,
        dimensions: Some(1),
        onnx: Some("BatchNormalization"),
        ..layer("BatchNorm1d", "batch_norm1d", OutputRule::Observed)
    },
    Operation {
        role: Role::BatchNorm,
        dimensions: Some(2),
        with_relu: Some("BNReLU2d"),
        onnx: Some("BatchNormalization"),
        ..layer("BatchNorm2d", "batch_norm2d", OutputRule::Observed)
    },
    Operation {
        role: Role::BatchNorm,
        dimensions: Some(3),
        with_relu: Some("BNReLU3d"),
        onnx: Some("BatchNormalization"),
        ..layer("BatchNorm3d", "batch_norm3d", OutputRule::Observed)
    },
    Operation { onnx: Some("LayerNormalization"), ..layer("LayerNorm", "layer_norm", OutputRule::Observed) },
    Operation { onnx: Some("GroupNormalization"), ..layer("GroupNorm", "group_norm", OutputRule::Observed) },
    Operation {
        onnx: Some("InstanceNormalization"),
        ..layer("InstanceNorm1d", "instance_norm1d", OutputRule::Observed)
    },
    Operation {
        onnx: Some("InstanceNormalization"),
        ..layer("InstanceNorm2d", "instance_norm2d", OutputRule::Observed)
    },
    Operation {
        onnx: Some("InstanceNormalization"),
        ..layer("InstanceNorm3d", "instance_norm3d", OutputRule::Observed)
    },
    Operation {
        parameters: &[parameter("h_0", Tensor), parameter("c_0", Tensor), parameter("lengths", Tensor)],
        results: Results::WithState(2),
        onnx: Some("LSTM"),
        ..recurrent("LSTM", "lstm")
    },
    Operation {
        parameters: &[parameter("h_0", Tensor), parameter("lengths", Tensor)],
        results: Results::Several(2),
        onnx: Some("GRU"),
        ..recurrent("GRU", "gru")
    },
    Operation {
        parameters: &[parameter("h", Tensor), parameter("c", Tensor)],
        results: Results::Several(2),
        ..recurrent("LSTMCell", "lstm_cell")
    },
    Operation { parameters: &[parameter("h", Tensor)], ..recurrent("GRUCell", "gru_cell") },
    Operation { parameters: &[parameter("h", Tensor)], ..recurrent("RNNCell", "rnn_cell") },
    Operation {
        precisions: &[Precision::Float, Precision::WeightOnly],
        onnx: Some("Gather"),
        ..layer("Embedding", "embedding", OutputRule::Observed)
    },
    Operation {
        parameters: &[parameter("offsets", Tensor), parameter("per_sample_weights", Tensor)],
        precisions: &[Precision::Float, Precision::WeightOnly],
        onnx: None,
        ..layer("EmbeddingBag", "embedding_bag", OutputRule::Observed)
    },
    Operation { onnx: Some("PRelu"), ..layer("PReLU", "prelu", OutputRule::Observed) },
    Operation {
        layer: Some("ReLU"),
        role: Role::Activation(Activation::Relu),
        onnx: Some("Relu"),
        ..function("relu", "ReLU", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("ReLU6"),
        role: Role::Activation(Activation::Relu6),
        onnx: Some("Clip"),
        ..function("relu6", "ReLU6", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("Hardtanh"),
        parameters: &[parameter("min_val", Float), parameter("max_val", Float)],
        onnx: Some("Clip"),
        ..function("hardtanh", "Hardtanh", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("LeakyReLU"),
        parameters: &[parameter("negative_slope", Float)],
        onnx: Some("LeakyRelu"),
        ..function("leaky_relu", "LeakyReLU", OutputRule::Observed)
    },
    Operation {
        layer: Some("ELU"),
        parameters: &[parameter("alpha", Float)],
        onnx: Some("Elu"),
        ..function("elu", "ELU", OutputRule::Observed)
    },
    Operation {
        layer: Some("CELU"),
        parameters: &[parameter("alpha", Float)],
        onnx: Some("Celu"),
        ..function("celu", "CELU", OutputRule::Observed)
    },
    Operation {
        layer: Some("Threshold"),
        parameters: &[parameter("threshold", Float), parameter("value", Float)],
        required: 2,
        onnx: None,
        ..function("threshold", "Threshold", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("Sigmoid"),
        onnx: Some("Sigmoid"),
        ..function("sigmoid", "Sigmoid", OutputRule::Observed)
    },
    Operation { layer: Some("Tanh"), onnx: Some("Tanh"), ..function("tanh", "Tanh", OutputRule::Observed) },
    Operation {
        layer: Some("Hardsigmoid"),
        onnx: Some("HardSigmoid"),
        ..function("hardsigmoid", "Hardsigmoid", OutputRule::Observed)
    },
    Operation {
        layer: Some("Hardswish"),
        onnx: Some("HardSwish"),
        ..function("hardswish", "Hardswish", OutputRule::Observed)
    },
    Operation { layer: Some("SiLU"), onnx: None, ..function("silu", "SiLU", OutputRule::Observed) },
    Operation { layer: Some("Mish"), onnx: Some("Mish"), ..function("mish", "Mish", OutputRule::Observed) },
    Operation {
        layer: Some("GELU"),
        parameters: &[parameter("approximate", Choice(&["none", "tanh"]))],
        onnx: Some("Gelu"),
        ..function("gelu", "GELU", OutputRule::Observed)
    },
    Operation {
        layer: Some("Softmax"),
        parameters: &[DIM],
        required: 1,
        onnx: Some("Softmax"),
        ..function("softmax", "Softmax", OutputRule::Observed)
    },
    // Its values have no lower limit, so that integers would spend their range on the least likely ones.
    Operation {
        layer: Some("LogSoftmax"),
        parameters: &[DIM],
        required: 1,
        precisions: &[Precision::Float],
        onnx: Some("LogSoftmax"),
        ..function("log_softmax", "LogSoftmax", OutputRule::Observed)
    },
    Operation { onnx: Some("Abs"), ..function("abs", "Abs", OutputRule::Observed) },
    Operation { onnx: Some("Neg"), ..function("neg", "Neg", OutputRule::Observed) },
    Operation { onnx: Some("Exp"), ..function("exp", "Exp", OutputRule::Observed) },
    Operation { onnx: Some("Sqrt"), ..function("sqrt", "Sqrt", OutputRule::Observed) },
    function("square", "Square", OutputRule::Observed),
    Operation { role: Role::Add, with_relu: Some("add_relu"), onnx: Some("Add"), ..binary("add", "Add") },
    Operation { onnx: Some("Sub"), ..binary("sub", "Sub") },
    Operation { role: Role::Mul, with_relu: Some("mul_relu"), onnx: Some("Mul"), ..binary("mul", "Mul") },
    Operation { onnx: Some("Max"), ..binary("maximum", "Maximum") },
    Operation { onnx: Some("Min"), ..binary("minimum", "Minimum") },
    Operation { aliases: &["bmm"], onnx: Some("MatMul"), ..binary("matmul", "Matmul") },
    Operation {
        parameters: &[parameter("scalar", Float)],
        required: 1,
        role: Role::AddScalar,
        with_relu: Some("add_scalar_relu"),
        onnx: Some("Add"),
        ..function("add_scalar", "AddScalar", OutputRule::Derived)
    },
    Operation {
        parameters: &[parameter("scalar", Float)],
        required: 1,
        role: Role::MulScalar,
        with_relu: Some("mul_scalar_relu"),
        onnx: Some("Mul"),
        ..function("mul_scalar", "MulScalar", OutputRule::Derived)
    },
    Operation {
        tensors: Tensors::List,
        parameters: &[DIM],
        onnx: Some("Concat"),
        ..function("cat", "Cat", OutputRule::Shared)
    },
    Operation {
        tensors: Tensors::List,
        parameters: &[DIM],
        ..function("stack", "Stack", OutputRule::Shared)
    },
    Operation {
        layer: Some("MaxPool1d"),
        parameters: &[
            parameter("kernel_size", Integer),
            parameter("stride", Integer),
            parameter("padding", Integer),
            parameter("dilation", Integer),
            parameter("ceil_mode", Bool),
        ],
        required: 1,
        onnx: Some("MaxPool"),
        ..function("max_pool1d", "MaxPool1d", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("MaxPool2d"),
        parameters: &[
            KERNEL_SIZE,
            STRIDE,
            PADDING,
            parameter("dilation", IntegerOrPair),
            parameter("ceil_mode", Bool),
        ],
        required: 1,
        onnx: Some("MaxPool"),
        ..function("max_pool2d", "MaxPool2d", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("AvgPool1d"),
        parameters: &[
            parameter("kernel_size", Integer),
            parameter("stride", Integer),
            parameter("padding", Integer),
            parameter("ceil_mode", Bool),
            parameter("count_include_pad", Bool),
        ],
        required: 1,
        onnx: Some("AveragePool"),
        ..function("avg_pool1d", "AvgPool1d", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("AvgPool2d"),
        parameters: &[
            KERNEL_SIZE,
            STRIDE,
            PADDING,
            parameter("ceil_mode", Bool),
            parameter("count_include_pad", Bool),
        ],
        required: 1,
        onnx: Some("AveragePool"),
        ..function("avg_pool2d", "AvgPool2d", OutputRule::SameAsInput)
    },
    // ONNX has them for one value a channel alone, as GlobalAveragePool.
    Operation {
        layer: Some("AdaptiveAvgPool1d"),
        parameters: &[parameter("output_size", Integer)],
        required: 1,
        ..function("adaptive_avg_pool1d", "AdaptiveAvgPool1d", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("AdaptiveAvgPool2d"),
        parameters: &[parameter("output_size", IntegerOrPair)],
        required: 1,
        ..function("adaptive_avg_pool2d", "AdaptiveAvgPool2d", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("Flatten"),
        parameters: &[parameter("start_dim", Integer), parameter("end_dim", Integer)],
        onnx: Some("Flatten"),
        ..function("flatten", "Flatten", OutputRule::Moved)
    },
    Operation {
        aliases: &["view"],
        parameters: &[parameter("shape", Extents)],
        required: 1,
        onnx: Some("Reshape"),
        ..function("reshape", "Reshape", OutputRule::Moved)
    },
    Operation {
        parameters: &[parameter("dims", Integers)],
        required: 1,
        onnx: Some("Transpose"),
        ..function("permute", "Permute", OutputRule::Moved)
    },
    Operation {
        parameters: &[parameter("dim0", Integer), parameter("dim1", Integer)],
        required: 2,
        onnx: Some("Transpose"),
        ..function("transpose", "Transpose", OutputRule::Moved)
    },
    Operation {
        parameters: &[DIM],
        onnx: Some("Squeeze"),
        ..function("squeeze", "Squeeze", OutputRule::Moved)
    },
    Operation {
        parameters: &[DIM],
        required: 1,
        onnx: Some("Unsqueeze"),
        ..function("unsqueeze", "Unsqueeze", OutputRule::Moved)
    },
    Operation {
        parameters: &[DIM, parameter("start", Integer), parameter("length", Integer)],
        required: 3,
        onnx: Some("Slice"),
        ..function("narrow", "Narrow", OutputRule::Moved)
    },
    Operation {
        parameters: &[DIM, parameter("index", Integer)],
        required: 2,
        onnx: Some("Gather"),
        ..function("select", "Select", OutputRule::Moved)
    },
    Operation {
        parameters: &[parameter("sizes", Integers)],
        required: 1,
        onnx: Some("Expand"),
        ..function("expand", "Expand", OutputRule::Moved)
    },
    Operation {
        layer: Some("PixelShuffle"),
        parameters: &[parameter("upscale_factor", Integer)],
        required: 1,
        onnx: Some("DepthToSpace"),
        ..function("pixel_shuffle", "PixelShuffle", OutputRule::Moved)
    },
    Operation {
        layer: Some("PixelUnshuffle"),
        parameters: &[parameter("downscale_factor", Integer)],
        required: 1,
        ..function("pixel_unshuffle", "PixelUnshuffle", OutputRule::Moved)
    },
    Operation {
        layer: Some("Upsample"),
        parameters: &[
            parameter("size", IntegerOrPair),
            parameter("scale_factor", Float),
            parameter("mode", Choice(&["nearest", "bilinear"])),
            parameter("align_corners", Bool),
        ],
        alternatives: 2,
        onnx: Some("Resize"),
        ..function("interpolate", "Upsample", OutputRule::SameAsInput)
    },
    Operation {
        parameters: &[
            parameter("pad", Integers),
            parameter("mode", Choice(&["constant", "reflect", "replicate", "circular"])),
            parameter("value", Float),
        ],
        required: 1,
        onnx: Some("Pad"),
        ..function("pad", "Pad", OutputRule::SameAsInput)
    },
    Operation { onnx: Some("Pad"), ..layer("ZeroPad2d", "zero_pad2d", OutputRule::SameAsInput) },
    Operation { onnx: Some("Pad"), ..layer("ConstantPad2d", "constant_pad2d", OutputRule::SameAsInput) },
    Operation { onnx: Some("Pad"), ..layer("ReflectionPad2d", "reflection_pad2d", OutputRule::SameAsInput) },
    Operation {
        onnx: Some("Pad"),
        ..layer("ReplicationPad2d", "replication_pad2d", OutputRule::SameAsInput)
    },
    Operation {
        parameters: &[parameter("chunks", Integer), DIM],
        required: 1,
        results: Results::Pieces,
        onnx: Some("Split"),
        ..function("chunk", "Chunk", OutputRule::Moved)
    },
    Operation {
        parameters: &[parameter("split_size", Integer), DIM],
        required: 1,
        results: Results::Pieces,
        onnx: Some("Split"),
        ..function("split", "Split", OutputRule::Moved)
    },
    Operation {
        parameters: &[parameter("dims", Integers), parameter("keepdim", Bool)],
        required: 1,
        onnx: Some("ReduceMean"),
        ..function("mean", "Mean", OutputRule::SameAsInput)
    },
    Operation {
        parameters: &[parameter("min", Float), parameter("max", Float)],
        required: 2,
        onnx: Some("Clip"),
        ..function("clamp", "Clamp", OutputRule::SameAsInput)
    },
    Operation {
        layer: Some("Dropout"),
        parameters: &[parameter("p", Float)],
        onnx: Some("Dropout"),
        ..function("dropout", "Dropout", OutputRule::Moved)
    },
    Operation { onnx: Some("Identity"), ..layer("Identity", "identity", OutputRule::Moved) },
    Operation { onnx: Some("QuantizeLinear"), ..function("quant", "Quant", OutputRule::Quantize) },
    Operation { onnx: Some("DequantizeLinear"), ..function("dequant", "Dequant", OutputRule::Dequantize) },
];

const DIM: Parameter = parameter("dim", Integer);
const KERNEL_SIZE: Parameter = parameter("kernel_size", IntegerOrPair);
const STRIDE: Parameter = parameter("stride", IntegerOrPair);
const PADDING: Parameter = parameter("padding", IntegerOrPair);

const fn parameter(name: &'static str, kind: ParameterKind) -> Parameter {
    Parameter { name, kind }
}

/// A function of one tensor.
const fn function(name: &'static str, type_name: &'static str, output: OutputRule) -> Operation {
    Operation {
        name,
        label: name,
        function: Some(name),
        aliases: &[],
        layer: None,
        type_name,
        tensors: Tensors::Exactly(1),
        parameters: &[],
        required: 0,
        alternatives: 0,
        results: Results::One,
        output,
        role: Role::None,
        dimensions: None,
        precisions: &[Precision::Float, Precision::Static],
        with_relu: None,
        onnx: None,
    }
}

/// A function of two tensors with an observer of its own.
const fn binary(name: &'static str, type_name: &'static str) -> Operation {
    Operation { tensors: Tensors::Exactly(2), ..function(name, type_name, OutputRule::Observed) }
}

/// A layer with a state, which stays in float where it is not dynamic.
const fn recurrent(name: &'static str, label: &'static str) -> Operation {
    Operation {
        precisions: &[Precision::Float, Precision::Dynamic, Precision::Half],
        ..layer(name, label, OutputRule::Observed)
    }
}

/// A transposed convolution.
const fn transposed(name: &'static str, label: &'static str) -> Operation {
    Operation {
        role: Role::ConvTranspose,
        onnx: Some("ConvTranspose"),
        ..layer(name, label, OutputRule::Observed)
    }
}

/// What is only a layer.
const fn layer(name: &'static str, label: &'static str, output: OutputRule) -> Operation {
    Operation { label, function: None, layer: Some(name), ..function(name, name, output) }
}
