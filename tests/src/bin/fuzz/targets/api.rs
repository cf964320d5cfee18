//! Layers, functions, tensors, scales and observers with any parameters.

use qcore::observer::{
    HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver, PerChannelMinMaxObserver,
};
use qcore::prelude::*;
use qcore::{DType, Layer, Observer, QParams, QTensor, Result, Size, functional as f};

use super::{Cases, Outcome};
use crate::random::{Random, count};

pub(crate) struct ApiCases;

fn tensor(random: &mut Random, rank: usize) -> Tensor {
    let shape = random.shape(rank);
    let Some(len) = count(&shape) else { return Tensor::zeros(&[0]) };
    Tensor::from_vec(&shape, random.floats(len)).expect("as many values as the shape has")
}

fn any_tensor(random: &mut Random) -> Tensor {
    let rank = if random.once_in(2) { 4 } else { random.below(6) };
    tensor(random, rank)
}

fn pair(random: &mut Random) -> Size<2> {
    Size::from([random.size(), random.size()])
}

fn layer(random: &mut Random) -> Result<Tensor> {
    let x = any_tensor(random);
    let channels = match x.shape().get(1) {
        Some(&channels) if !random.once_in(6) => channels,
        _ => random.size(),
    };
    match random.below(8) {
        0 | 1 => {
            let (out, kernel) = (random.size(), pair(random));
            let mut conv = Conv2d::new(channels, out, kernel);
            if random.once_in(2) {
                conv = conv.stride(pair(random)).padding(pair(random));
            }
            if random.once_in(3) {
                conv = conv.dilation(pair(random));
            }
            if random.once_in(3) {
                conv = conv.groups(if random.once_in(2) { channels } else { random.size() });
            }
            conv.bias(random.once_in(2)).forward(x)
        }
        2 => {
            let features = x.shape().last().copied().filter(|_| !random.once_in(6)).unwrap_or(channels);
            Linear::new(features, random.size()).bias(random.once_in(2)).forward(x)
        }
        3 => {
            let norm = BatchNorm2d::new(channels).eps(random.float().into()).momentum(random.float().into());
            norm.affine(random.once_in(2)).forward(x)
        }
        4 => {
            let pool = MaxPool2d::new(pair(random)).padding(pair(random)).ceil_mode(random.once_in(2));
            let pool = if random.once_in(2) { pool.stride(pair(random)) } else { pool };
            let pool = if random.once_in(3) { pool.dilation(pair(random)) } else { pool };
            pool.forward(x)
        }
        5 => {
            let pool = AvgPool2d::new(pair(random)).padding(pair(random)).ceil_mode(random.once_in(2));
            let pool = if random.once_in(2) { pool.stride(pair(random)) } else { pool };
            pool.count_include_pad(random.once_in(2)).forward(x)
        }
        6 => AdaptiveAvgPool2d::new(pair(random)).forward(x),
        _ => Flatten::new().start_dim(random.axis()).end_dim(random.axis()).forward(x),
    }
}

fn function(random: &mut Random) -> Result<Tensor> {
    let x = any_tensor(random);
    let first = |pieces: Result<Vec<Tensor>>| pieces.map(|mut pieces| pieces.swap_remove(0));
    match random.below(18) {
        0 => f::add(&x, &any_tensor(random)),
        1 => f::mul(&x, &tensor(random, x.rank())),
        2 => f::sub(&x, &x),
        3 => f::add_scalar(&x, random.float()),
        4 => f::mul_scalar(&x, random.float()),
        5 => f::clamp(&x, random.float(), random.float()),
        6 => f::cat(&[&x, &any_tensor(random), &x], random.axis()),
        7 => f::cat(&[&x, &x], random.axis()),
        8 => f::flatten(&x, random.axis(), random.axis()),
        9 => {
            let shape: Vec<isize> = (0..random.below(5))
                .map(|_| if random.once_in(4) { -1 } else { random.size() as isize })
                .collect();
            f::reshape(&x, &shape)
        }
        10 => {
            let dims: Vec<isize> = (0..random.below(6)).map(|_| random.axis()).collect();
            f::permute(&x, &dims)
        }
        11 => f::transpose(&x, random.axis(), random.axis()),
        12 => first(f::chunk(&x, random.size(), random.axis())),
        13 => first(f::split(&x, random.size(), random.axis())),
        14 => {
            let dims: Vec<isize> = (0..random.below(4)).map(|_| random.axis()).collect();
            f::mean(&x, &dims, random.once_in(2))
        }
        15 => f::hardswish(&x),
        16 => x.unsqueeze(random.axis()),
        _ => {
            let (size, stride, padding) = (pair(random), pair(random), pair(random));
            f::max_pool2d(&x, size, stride, padding).and(f::avg_pool2d(&x, size, stride, padding))
        }
    }
}

fn qparams(random: &mut Random) -> Result<QParams> {
    let dtype = *random.pick(&[DType::QUInt8, DType::QInt8, DType::QInt32, DType::QUInt4x2, DType::Float32]);
    let qparams = match random.below(3) {
        0 => {
            let channels = random.small();
            let scales = (0..channels).map(|_| random.scale()).collect();
            let zero_points =
                (0..channels + usize::from(random.once_in(9))).map(|_| random.zero_point()).collect();
            QParams::per_channel(scales, zero_points, random.below(3), dtype)
        }
        _ => QParams::per_tensor(random.scale(), random.zero_point(), dtype),
    }?;
    if random.once_in(4) {
        return qparams.with_range(random.zero_point(), random.zero_point());
    }
    Ok(qparams)
}

fn quantized(random: &mut Random) -> Result<Tensor> {
    let qparams = qparams(random)?;
    let x = any_tensor(random);
    let q = QTensor::quantize(&x, &qparams)?;
    Ok(q.dequantize())
}

fn observed(random: &mut Random) -> Result<Tensor> {
    let mut observer: Box<dyn Observer> = match random.below(4) {
        0 => Box::new(MinMaxObserver::new()),
        1 => Box::new(MovingAverageMinMaxObserver::new()),
        2 => Box::new(HistogramObserver::new()),
        _ => Box::new(PerChannelMinMaxObserver::new()),
    };
    for _ in 0..random.below(4) {
        let _ = observer.observe(&any_tensor(random));
    }
    let qparams = observer.calculate_qparams()?;
    QTensor::quantize(&any_tensor(random), &qparams).map(|q| q.dequantize())
}

fn values(random: &mut Random) -> Result<Tensor> {
    let shape: Vec<usize> = (0..random.below(6)).map(|_| random.size()).collect();
    if random.once_in(2) {
        return Tensor::try_zeros(&shape);
    }
    let len = random.small();
    Tensor::from_vec(&shape, random.floats(len))
}

impl Cases for ApiCases {
    fn run(&mut self, seed: u64, case: u64) -> Outcome {
        let mut random = Random::new(seed, case);
        match random.below(10) {
            0..4 => layer(&mut random),
            4..7 => function(&mut random),
            7 => quantized(&mut random),
            8 => observed(&mut random),
            _ => values(&mut random),
        }
        .into()
    }
}
