//! Channel shuffles, chunks and permuted axes: as few copies as can be, and nothing in float.

use ndarray::{Axis, IxDyn, Slice, concatenate};
use qcore::Converted;
use qcore::prelude::*;
use tests::tensors::{largest_difference, noise};

use super::{converted, paths};

/// The paths of the steps, none of which computes in float.
#[track_caller]
fn steps<M: Module<Input = Tensor>>(model: &Converted<M>, input: &Tensor) -> Vec<String> {
    let profile = model.profile(input).unwrap();
    assert!(profile.steps.iter().all(|step| step.domain != "float"), "{profile:?}");
    paths(model, input)
}

#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor) {
    let largest = expected.view().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!(largest_difference(found, expected) < 0.05 * largest);
}

/// A unit of ShuffleNetV2: half of the channels pass by, the rest are convolved, and both halves are shuffled.
#[quantizable]
struct Shuffle {
    first: Conv2d,
    branch: Conv2d,
}

#[quantizable]
impl Shuffle {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor) {
        let x = relu(self.first(x));
        let (left, right) = x.chunk(2, 1);
        let joined = cat([left, relu(self.branch(right))], 1);
        let groups = joined.reshape((joined.size(0), 2, -1, joined.size(2), joined.size(3)));
        let shuffled = groups.transpose(1, 2).flatten(1, 2);
        (shuffled, joined, x)
    }
}

#[test]
fn channels_are_cut_and_shuffled_in_one_copy_each() {
    let conv = |inputs, outputs: usize, seed| {
        Conv2d::new(inputs, outputs, 1).with_weight(noise(&[outputs, inputs, 1, 1], seed)).unwrap()
    };
    for half in [4, 29] {
        let model = Shuffle { first: conv(3, 2 * half, 1), branch: conv(half, half, 2) };
        let input = noise(&[2, 3, 5, 4], 30);
        let int8 = converted(&model, Backend::Native, &[2, 3, 5, 4]);
        let steps = steps(&int8, &input);
        assert_eq!(steps[..5], ["quantize", "first", "chunk_1", "branch", "chunk_0"]);
        // Reshape, transpose and flatten.
        assert_eq!(
            steps[5..].iter().map(|path| path.matches(" + ").count()).collect::<Vec<_>>(),
            [2],
            "{steps:?}"
        );
        let (shuffled, joined, x) = int8.forward(&input).unwrap();
        let left = |x: &Tensor| x.view().slice_axis(Axis(1), Slice::from(..half)).to_owned();
        assert_eq!(left(&joined), left(&x));
        let groups = joined.view().into_shape_with_order(IxDyn(&[2, 2, half, 5, 4])).unwrap();
        let expected = groups.permuted_axes(IxDyn(&[0, 2, 1, 3, 4])).as_standard_layout().into_owned();
        assert_eq!(
            shuffled.view(),
            expected.into_shape_with_order(IxDyn(&[2, 2 * half, 5, 4])).unwrap().view()
        );
        assert_close(&shuffled, &model.forward(&input).unwrap().0);
    }
}

/// Heads taken apart and put together, as around attention.
#[quantizable]
struct Heads {
    query: Linear,
    key: Linear,
    output: Linear,
    heads: usize,
}

#[quantizable]
impl Heads {
    fn forward(&self, x: Tensor) -> Tensor {
        let query = self.query(x).reshape((x.size(0), x.size(1), self.heads, -1)).permute((0, 2, 1, 3));
        let key = self.key(x).reshape((x.size(0), x.size(1), self.heads, -1)).permute((0, 2, 1, 3));
        let joined = (query * key).transpose(1, 2).flatten(2);
        self.output(joined)
    }
}

/// The same with heads that stay where they are.
#[quantizable]
struct Joined {
    query: Linear,
    key: Linear,
    output: Linear,
}

#[quantizable]
impl Joined {
    fn forward(&self, x: Tensor) -> Tensor {
        self.output(self.query(x) * self.key(x))
    }
}

#[test]
fn heads_are_taken_apart_and_put_together() {
    let linear = |seed| Linear::new(24, 24).with_weight(noise(&[24, 24], seed)).unwrap();
    let model = Heads { query: linear(1), key: linear(2), output: linear(3), heads: 4 };
    let input = noise(&[2, 17, 24], 30);
    let int8 = converted(&model, Backend::Native, &[2, 17, 24]);
    // Three copies: one for each product's operand, and one for the rows of the last layer.
    assert_eq!(steps(&int8, &input).len(), 8);
    // The heads make no difference to the results.
    let joined = Joined { query: linear(1), key: linear(2), output: linear(3) };
    let expected = converted(&joined, Backend::Native, &[2, 17, 24]).forward(&input).unwrap();
    assert_eq!(int8.forward(&input).unwrap(), expected);
}

/// Parts of a batch, and batches put together along any axis.
#[quantizable]
struct Batches {
    a: Conv2d,
    b: Conv2d,
    dim: isize,
}

#[quantizable]
impl Batches {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor) {
        let (first, second) = x.chunk(2, 0);
        let a = self.a(first);
        let b = self.b(second);
        (cat([a, b], self.dim), a, b)
    }
}

#[test]
fn parts_of_a_batch_are_read_where_they_are() {
    let conv = |seed| Conv2d::new(3, 6, 1).with_weight(noise(&[6, 3, 1, 1], seed)).unwrap();
    for dim in 0..4 {
        let model = Batches { a: conv(1), b: conv(2), dim };
        let input = noise(&[4, 3, 5, 7], 30);
        let int8 = converted(&model, Backend::Native, &[4, 3, 5, 7]);
        // `a` and `b` are wanted alone too.
        assert_eq!(steps(&int8, &input), ["quantize", "a", "b", "a_cat_b", "a_cat_b"]);
        let (joined, a, b) = int8.forward(&input).unwrap();
        assert_eq!(joined.view(), concatenate(Axis(dim as usize), &[a.view(), b.view()]).unwrap().view());
    }
}

/// A layer writes its part of a batch in place.
#[quantizable]
struct Stacked {
    a: Linear,
    b: Linear,
}

#[quantizable]
impl Stacked {
    fn forward(&self, x: Tensor) -> Tensor {
        cat([relu6(self.a(x).view((-1, 4, 2))), self.b(x).view((-1, 4, 2))], 2)
    }
}

#[test]
fn what_is_seen_in_another_shape_is_still_limited_and_joined() {
    let linear = |seed| Linear::new(5, 8).with_weight(noise(&[8, 5], seed)).unwrap();
    let model = Stacked { a: linear(1), b: linear(2) };
    let input = noise(&[3, 5], 30);
    let int8 = converted(&model, Backend::Native, &[3, 5]);
    let found = int8.forward(&input).unwrap();
    steps(&int8, &input);
    assert_close(&found, &model.forward(&input).unwrap());
}
