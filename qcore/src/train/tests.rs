//! Gradients of operations against finite differences.

use super::Backward;
use super::layer::set;
use crate::ops::{self, Lowering, Op};
use crate::program::evaluate_floats;
use crate::{Result, Tensor};

fn run(op: &dyn Op, inputs: &[Tensor]) -> Result<Tensor> {
    Ok(evaluate_floats(op.lower(&Lowering::float())?.as_ref(), inputs.to_vec())?.remove(0))
}

fn input(shape: &[usize], seed: usize) -> Tensor {
    let count: usize = shape.iter().product();
    // Distinct values, so that no maximum and no kink is within a step.
    let value = |i: usize| ((i * 37 + seed * 11) % 101) as f32 / 25.0 - 2.013;
    Tensor::from_vec(shape, (0..count).map(value).collect()).unwrap()
}

fn product(output: &Tensor, gradient: &Tensor) -> f64 {
    output.view().iter().zip(gradient.view().iter()).map(|(&y, &g)| f64::from(y) * f64::from(g)).sum()
}

fn check(op: &dyn Op, shapes: &[&[usize]]) {
    let name = op.name();
    let inputs: Vec<Tensor> = shapes.iter().enumerate().map(|(seed, shape)| input(shape, seed)).collect();
    let output = run(op, &inputs).unwrap();
    let gradient = input(output.shape(), 5);
    let pass = Backward { inputs: &inputs, outputs: &[output], gradients: std::slice::from_ref(&gradient) };
    let found = op.backward(&pass).unwrap_or_else(|error| panic!("{name}: {error}"));
    let value = |inputs: &[Tensor]| -> f64 { product(&run(op, inputs).unwrap(), &gradient) };
    for (which, of_input) in found.inputs.iter().enumerate() {
        let of_input = of_input.clone().unwrap();
        assert_eq!(of_input.shape(), inputs[which].shape(), "{name}");
        for index in 0..of_input.len() {
            let moved = |step: f32| {
                let mut inputs = inputs.clone();
                inputs[which].as_slice_mut().unwrap()[index] += step;
                value(&inputs)
            };
            let expected = (moved(4e-3) - moved(-4e-3)) / 8e-3;
            let found = f64::from(*of_input.view().iter().nth(index).unwrap());
            let allowed = 2e-2 * (1.0 + expected.abs());
            assert!(
                (found - expected).abs() < allowed,
                "{name} input {which} [{index}]: {found}, {expected}"
            );
        }
    }
    for (parameter, of_parameter) in found.parameters {
        for (index, &found) in of_parameter.view().iter().enumerate() {
            let moved = |step: f32| {
                let mut op = op.shared();
                set(&mut op, &mut |name, tensor| {
                    if name == parameter {
                        assert_eq!(tensor.shape(), of_parameter.shape());
                        *tensor = std::mem::replace(tensor, Tensor::zeros(&[0])).contiguous();
                        tensor.as_slice_mut().unwrap()[index] += step;
                    }
                })
                .unwrap();
                let output = run(op.as_ref(), &inputs).unwrap();
                product(&output, &gradient)
            };
            let (found, expected) = (f64::from(found), (moved(4e-3) - moved(-4e-3)) / 8e-3);
            let allowed = 2e-2 * (1.0 + expected.abs());
            assert!((found - expected).abs() < allowed, "{name} {parameter} [{index}]: {found}, {expected}");
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let image: &[usize] = &[2, 3, 5, 6];
    check(&ops::Conv2d::new(3, 4, 3).stride(2).padding(1), &[image]);
    check(&ops::Conv2d::new(3, 6, (2, 3)).dilation(2).groups(3).bias(false).padding((1, 2)), &[image]);
    check(&ops::Conv1d::new(3, 2, 3).padding(1).stride(3), &[&[2, 3, 7]]);
    let video: &[usize] = &[2, 2, 3, 3, 4];
    check(&ops::Conv3d::new(2, 3, (2, 3, 1)).stride((2, 1, 1)).padding((1, 1, 0)), &[video]);
    check(&ops::Conv3d::new(2, 2, (1, 2, 2)).groups(2).bias(false), &[video]);
    check(&ops::BatchNorm3d::new(2), &[video]);
    check(&ops::ConvTranspose1d::new(3, 2, 4).stride(3).padding(1).output_padding(2), &[&[2, 3, 5]]);
    check(
        &ops::ConvTranspose2d::new(4, 6, (2, 3)).stride(2).groups(2).dilation((1, 2)).bias(false),
        &[&[2, 4, 3, 2]],
    );
    check(&ops::ConvTranspose3d::new(2, 3, 2).stride((2, 1, 2)), &[&[1, 2, 2, 3, 2]]);
    check(&ops::Linear::new(6, 3), &[&[2, 2, 6]]);
    check(&ops::BatchNorm2d::new(3), &[image]);
    check(&ops::MaxPool2d::new(3).stride(2).padding(1), &[image]);
    check(&ops::AvgPool2d::new(3).stride(2).padding(1).ceil_mode(true), &[image]);
    check(&ops::AvgPool2d::new(3).stride(2).padding(1).count_include_pad(false), &[image]);
    check(&ops::AdaptiveAvgPool2d::new((2, 4)), &[image]);
    check(&ops::mean([2, 3], None).unwrap(), &[image]);
    check(&ops::softmax(1).unwrap(), &[image]);
    check(&ops::log_softmax(-1).unwrap(), &[image]);
    check(&ops::cat(Some(1)).unwrap(), &[image, &[2, 1, 5, 6]]);
    check(&ops::chunk(2, Some(1), 1).unwrap(), &[image]);
    check(&ops::permute([0, 2, 3, 1]).unwrap(), &[image]);
    check(&ops::Flatten::new(), &[image]);
    check(&ops::Identity, &[image]);
    for op in [&ops::Add as &dyn Op, &ops::Sub, &ops::Mul] {
        check(op, &[image, &[3, 1, 6]]);
    }
    check(&ops::add_scalar(2.0).unwrap(), &[image]);
    check(&ops::mul_scalar(-3.0).unwrap(), &[image]);
    check(&ops::clamp(-1.0, 1.5).unwrap(), &[&[40]]);
    check(&ops::leaky_relu(None).unwrap(), &[&[40]]);
    for op in [&ops::ReLU as &dyn Op, &ops::ReLU6, &ops::Sigmoid, &ops::Tanh, &ops::SiLU, &ops::Mish] {
        check(op, &[&[40]]);
    }
    check(&ops::Hardswish, &[&[40]]);
    check(&ops::Hardsigmoid, &[&[40]]);
    check(&ops::LayerNorm::new([5, 6]), &[image]);
    check(&ops::LayerNorm::new([6]).elementwise_affine(false).eps(0.1), &[image]);
    check(&ops::GroupNorm::new(2, 4), &[&[2, 4, 3, 2]]);
    check(&ops::InstanceNorm2d::new(3).affine(true), &[image]);
    check(&ops::InstanceNorm1d::new(3), &[&[2, 3, 7]]);
    check(&ops::PReLU::new(3), &[image]);
    check(&ops::PReLU::new(1), &[&[40]]);
    for op in
        [&ops::GELU::new() as &dyn Op, &ops::GELU::new().approximate_tanh(), &ops::Threshold::new(0.5, 0.5)]
    {
        check(op, &[&[40]]);
    }
    for alpha in [0.5, 1.5] {
        check(&ops::ELU::new().alpha(alpha), &[&[40]]);
        check(&ops::CELU::new().alpha(alpha), &[&[40]]);
    }
    // The output_padding is the stride, or more.
    check(&ops::ConvTranspose1d::new(2, 3, 3).dilation(3).output_padding(2), &[&[2, 2, 4]]);
    check(
        &ops::ConvTranspose2d::new(2, 2, 2).stride((1, 2)).dilation((3, 1)).output_padding((1, 0)),
        &[&[1, 2, 3, 4]],
    );
}
