//! Models that are good, with inputs that need not be.

use qcore::prelude::*;
use qcore::{Converted, Prepared};
use tests::networks::{Network, TwoWays};

use super::models::{self, Everything};
use super::{Cases, Outcome};
use crate::random::{Random, count};

pub(crate) struct ForwardCases {
    float: Everything,
    prepared: Prepared<Everything>,
    int8: Vec<Converted<Everything>>,
    residual: Converted<Network>,
    two: (TwoWays, Converted<TwoWays>),
}

impl ForwardCases {
    pub(crate) fn new() -> Self {
        let two = TwoWays::new(true);
        let int8 = models::converted_as_is(&two).expect("the model can be converted");
        Self {
            float: Everything::new(),
            prepared: models::prepared(Backend::Native),
            int8: [Backend::Native, Backend::Qnnpack].map(models::converted).into(),
            residual: models::converted_as_is(&Network::small()).expect("the model can be converted"),
            two: (two, int8),
        }
    }
}

/// A tensor of a shape that fits but for some extents, in any layout.
fn input(random: &mut Random, fitting: &[usize]) -> Tensor {
    let mut shape: Vec<usize> =
        fitting.iter().map(|&extent| if extent == 0 { 1 + random.below(12) } else { extent }).collect();
    if random.once_in(3) {
        let rank = if random.once_in(3) { random.below(6) } else { fitting.len() };
        let other = random.shape(rank);
        for (axis, extent) in other.into_iter().enumerate() {
            match shape.get_mut(axis) {
                Some(own) if random.once_in(2) => *own = extent,
                None => shape.push(extent),
                _ => {}
            }
        }
        shape.truncate(rank.max(1));
    }
    let Some(len) = count(&shape) else { return Tensor::zeros(&[0]) };
    let x = Tensor::from_vec(&shape, random.floats(len)).expect("as many values as the shape has");
    // Perhaps in another order in memory.
    match x.rank() {
        4 if random.once_in(3) => {
            let moved = x.view().permuted_axes(vec![0, 2, 3, 1]).as_standard_layout().into_owned();
            Tensor::from(moved.permuted_axes(vec![0, 3, 1, 2]))
        }
        rank if rank > 1 && random.once_in(5) => {
            let view = x.view();
            let reversed = view.as_standard_layout().into_owned().reversed_axes();
            Tensor::from(reversed.reversed_axes())
        }
        _ => x,
    }
}

impl Cases for ForwardCases {
    fn run(&mut self, seed: u64, case: u64) -> Outcome {
        let mut random = Random::new(seed, case);
        match random.below(5) {
            0 => self.float.forward(input(&mut random, &[0, 2, 0, 0])).into(),
            1 => {
                let x = input(&mut random, &[0, 2, 0, 0]);
                if random.once_in(2) {
                    return self.prepared.forward(&x).into();
                }
                self.prepared.clone().observe(&x).into()
            }
            2 => {
                let model = random.pick(&self.int8);
                let x = input(&mut random, &[0, 2, 0, 0]);
                let mut y =
                    Tensor::zeros(&random.shape(2).iter().map(|extent| extent % 10).collect::<Vec<_>>());
                let _ = model.forward_into(&x, &mut y);
                model.forward(&x).into()
            }
            3 => self.residual.forward(input(&mut random, &[0, 3, 0, 0])).into(),
            _ => {
                let inputs = (input(&mut random, &[0, 8]), input(&mut random, &[0, 8]));
                let _ = self.two.0.run(inputs.clone());
                self.two.1.forward(inputs).into()
            }
        }
    }
}
