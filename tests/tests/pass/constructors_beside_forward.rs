use qcore::prelude::*;

/// A perceptron.
#[derive(Clone, Debug)]
#[quantizable]
pub struct Mlp {
    /// From pixels.
    fc1: Linear,
    fc2: Linear,
}

#[quantizable(dump)]
impl Mlp {
    const HIDDEN: usize = 8;

    /// Fresh weights.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { fc1: Linear::new(inputs, Self::HIDDEN), fc2: Linear::new(Self::HIDDEN, outputs) }
    }

    /// The logits of a batch.
    #[must_use = "a forward pass changes nothing"]
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc2(relu(self.fc1(x)))
    }

    /// The class of each row.
    pub fn classes(&self, x: &Tensor) -> qcore::Result<usize> {
        Ok(self.forward(x)?.shape()[1])
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = Mlp::new(4, 3);
    assert_eq!(model.clone().classes(&Tensor::zeros(&[2, 4]))?, 3);
    assert_eq!(Mlp::FUSIONS, [["fc1", "relu"]]);
    Ok(())
}
