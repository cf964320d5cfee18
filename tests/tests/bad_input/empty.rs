//! Inputs without values: whoever sends one chooses the extents of the other axes freely, and they are to cost nothing.

use qcore::prelude::*;
use qcore::{Result, functional};
use tests::tensors::noise;

use crate::calibrate;

/// A model of one layer.
macro_rules! layers {
    ($($name:ident: $layer:ty;)*) => {$(
        #[quantizable]
        struct $name {
            layer: $layer,
        }

        #[quantizable]
        impl $name {
            fn forward(&self, x: Tensor) -> Tensor {
                self.layer(x)
            }
        }
    )*};
}
layers! {
    Convolution: Conv2d;
    Norm: BatchNorm2d;
    Fused: Sequential<(Conv2d, BatchNorm2d, ReLU)>;
    Affine: Linear;
    Layers: LayerNorm;
    Groups: GroupNorm;
    Instances: InstanceNorm2d;
    Slopes: PReLU;
}

/// A model of one expression of a ReLU's output.
macro_rules! models {
    ($($name:ident: |$x:ident| $body:expr;)*) => {$(
        #[quantizable]
        #[derive(Default)]
        struct $name {
            relu: ReLU,
        }

        #[quantizable]
        impl $name {
            fn forward(&self, x: Tensor) -> Tensor {
                let $x = self.relu(x);
                $body
            }
        }
    )*};
}
models! {
    Hard: |x| hardswish(x);
    Sigmoid: |x| sigmoid(x);
    Gelu: |x| gelu(x);
    Six: |x| relu6(x);
    Clamped: |x| x.clamp(-1.0, 1.0);
    Scaled: |x| x * 2.0 + 0.5;
    Columns: |x| softmax(x, 1);
    Rows: |x| softmax(x, -1);
    Logarithms: |x| log_softmax(x, 0);
    Sum: |x| x + relu(x);
    Difference: |x| x * 2.0 - relu6(x);
    Product: |x| x * relu(x);
    Broadcast: |x| x * adaptive_avg_pool2d(x, 1);
    Joined: |x| cat([x, relu(x)], 1);
    JoinedBatches: |x| cat([x, relu(x)], 0);
    JoinedRows: |x| cat([x, relu(x)], 3);
    Max: |x| max_pool2d(x, 3, 2, 1);
    Average: |x| avg_pool2d(x, 3, 2, 1);
    Adaptive: |x| adaptive_avg_pool2d(x, (3, 2));
    Flat: |x| relu(x).flatten(1);
    FlatAll: |x| relu(x).flatten(0);
    Reshaped: |x| relu(x).reshape((x.size(0), -1));
    Permuted: |x| relu(x.permute((0, 2, 3, 1)));
    Transposed: |x| relu(x.transpose(1, 3).reshape((x.size(3), -1)));
    MeanOfPixels: |x| relu(x).mean((2, 3));
    MeanOfBatch: |x| relu(x).mean(0);
    MeanOfMiddle: |x| relu(x).mean((1, 3));
    Converted8: |x| dequant(quant(x));
    Dropped: |x| relu(dropout(x, 0.5));
}

#[quantizable]
#[derive(Default)]
struct Chunks {
    relu: ReLU,
}

#[quantizable]
impl Chunks {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b) = self.relu(x).chunk(2, 1);
        a + b
    }
}

#[quantizable]
#[derive(Default)]
struct Splits {
    relu: ReLU,
}

#[quantizable]
impl Splits {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b) = self.relu(x).split(2, 1);
        cat([b, a], 1)
    }
}

/// Extents that are harmless, and such that no loop over them and no buffer of that size would end well.
const EXTENTS: [usize; 4] = [4, 1 << 20, 1 << 40, 1 << 62];

/// The shapes of an image batch with at least one empty axis that can be addressed.
fn empty_shapes() -> impl Iterator<Item = [usize; 4]> {
    let all = (1..16).flat_map(|zeros: usize| {
        EXTENTS.into_iter().flat_map(move |first| {
            EXTENTS.into_iter().flat_map(move |second| {
                // The axes that are not empty get the two extents in turn, or one of them and harmless ones.
                [0, 1, 2].map(move |turn| {
                    std::array::from_fn(|axis| match (zeros >> axis & 1, (axis + turn) % 3) {
                        (1, _) => 0,
                        (_, 0) => first,
                        (_, 1) => second,
                        _ => 4,
                    })
                })
            })
        })
    });
    all.filter(|shape: &[usize; 4]| {
        let mut extents = shape.iter().filter(|&&extent| extent > 0);
        let count = extents.try_fold(1_usize, |count, &extent| count.checked_mul(extent));
        count.is_some_and(|count| isize::try_from(count).is_ok())
    })
}

/// Runs every variant of `model` on every shape: the three agree, in the shape of the result or in that it is an error.
#[track_caller]
fn check<M: Module<Input = Tensor, Output = Tensor>>(model: &M) {
    for backend in [Backend::Native, Backend::Qnnpack] {
        let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
        calibrate(&mut prepared, [noise(&[2, 4, 8, 4], 3)]).unwrap();
        let int8 = prepared.convert().unwrap();
        int8.set_remembered_shapes(1);
        let mut ran = 0;
        for shape in empty_shapes() {
            let x = Tensor::zeros(&shape);
            let shape_of = |y: Result<Tensor>| y.map(|y| y.shape().to_vec()).ok();
            let float = shape_of(model.run(x.clone()));
            assert_eq!(shape_of(prepared.forward(&x)), float, "prepared {} of {shape:?}", M::NAME);
            assert_eq!(shape_of(int8.forward(&x)), float, "converted {} of {shape:?}", M::NAME);
            let _ = int8.memory(&x);
            ran += usize::from(float.is_some());
        }
        assert!(ran > 0, "{} takes no batch of nothing", M::NAME);
    }
}

#[test]
fn layers_with_weights_run_on_nothing() {
    check(&Convolution { layer: Conv2d::new(4, 8, 3).padding(1) });
    check(&Convolution { layer: Conv2d::new(4, 4, 3).groups(4) });
    check(&Convolution { layer: Conv2d::new(4, 8, 3).groups(2).stride(2) });
    check(&Convolution { layer: Conv2d::new(4, 8, 1) });
    check(&Convolution { layer: Conv2d::new(4, 4, (5, 1)).dilation(2).padding((9, 0)) });
    check(&Norm { layer: BatchNorm2d::new(4) });
    check(&Fused { layer: Sequential((Conv2d::new(4, 4, 3), BatchNorm2d::new(4), ReLU)) });
    check(&Affine { layer: Linear::new(4, 3) });
    check(&Layers { layer: LayerNorm::new([4]) });
    check(&Groups { layer: GroupNorm::new(2, 4) });
    check(&Instances { layer: InstanceNorm2d::new(4).affine(true) });
    check(&Slopes { layer: PReLU::new(4) });
    check(&Slopes { layer: PReLU::new(1) });
}

#[test]
fn a_dynamic_linear_layer_runs_on_nothing() {
    let model = Affine { layer: Linear::new(8, 3) };
    let prepared = model.prepare(&QConfigMapping::new().global(Some(QConfig::dynamic()))).unwrap();
    let int8 = prepared.convert().unwrap();
    for rows in EXTENTS.into_iter().take(3) {
        assert_eq!(int8.forward(Tensor::zeros(&[rows, 0, 8])).unwrap().shape(), [rows, 0, 3]);
        assert!(int8.forward(Tensor::zeros(&[0, rows])).is_err() || rows == 8);
    }
}

#[test]
fn elementwise_operations_run_on_nothing() {
    check(&Hard::default());
    check(&Sigmoid::default());
    check(&Gelu::default());
    check(&Six::default());
    check(&Clamped::default());
    check(&Scaled::default());
    check(&Columns::default());
    check(&Rows::default());
    check(&Logarithms::default());
    check(&Sum::default());
    check(&Difference::default());
    check(&Product::default());
    check(&Broadcast::default());
    check(&Converted8::default());
    check(&Dropped::default());
}

#[test]
fn pools_and_means_run_on_nothing() {
    check(&Max::default());
    check(&Average::default());
    check(&Adaptive::default());
    check(&MeanOfPixels::default());
    check(&MeanOfBatch::default());
    check(&MeanOfMiddle::default());
}

#[test]
fn values_that_are_not_there_are_moved() {
    check(&Joined::default());
    check(&JoinedBatches::default());
    check(&JoinedRows::default());
    check(&Flat::default());
    check(&FlatAll::default());
    check(&Reshaped::default());
    check(&Permuted::default());
    check(&Transposed::default());
    check(&Chunks::default());
    check(&Splits::default());
}

#[test]
fn functions_run_on_nothing() {
    for shape in empty_shapes() {
        let x = Tensor::zeros(&shape);
        let _ = functional::max_pool2d(&x, 2, 2, 0);
        let _ = functional::avg_pool2d(&x, 2, 2, 0);
        let _ = functional::adaptive_avg_pool2d(&x, 1);
        let _ = functional::mean(&x, &[1, 2], false);
        let _ = functional::cat(&[&x, &x], 2);
        let _ = functional::add(&x, &x);
        let _ = functional::flatten(&x, 0, -1);
        let _ = functional::permute(&x, &[3, 1, 0, 2]);
        assert!(functional::chunk(&x, 3, 0).is_ok());
    }
}

#[test]
fn more_pieces_than_there_is_memory_for_are_an_error() {
    for extent in [1 << 40, 1 << 62] {
        let x = Tensor::zeros(&[extent, 0]);
        for result in [functional::split(&x, 1, 0), functional::chunk(&x, extent, 0)] {
            assert!(matches!(result, Err(qcore::Error::Memory { .. })));
        }
        assert_eq!(functional::split(&x, extent / 2, 0).unwrap().len(), 2);
    }
}
