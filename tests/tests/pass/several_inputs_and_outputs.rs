use qcore::prelude::*;

#[quantizable]
struct Pair {
    left: Linear,
    right: Linear,
}

#[quantizable]
impl Pair {
    fn forward(&self, a: Tensor, b: Tensor) -> (Tensor, Tensor) {
        let (a, b) = (self.left(a), self.right(b));
        (a + b, b)
    }
}

#[quantizable]
struct Net {
    pair: Pair,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let (sum, right) = self.pair(x, x);
        let (_, again) = self.pair((sum, right));
        relu(again)
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let x = tests::tensors::noise(&[2, 4], 0);
    let pair = Pair { left: Linear::new(4, 4), right: Linear::new(4, 4) };
    let (sum, right) = pair.forward(&x, &x)?;
    assert_eq!(sum.shape(), right.shape());

    let model = Net { pair };
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
