//! A crate that knows qcore by another name, and its own names for the variants.

use qcore as renamed;

mod inside {
    use super::renamed::prelude::*;

    /// Sizes of any integer type where an operation takes one.
    const START: usize = 1;

    #[quantizable(crate = super::renamed)]
    #[derive(Debug)]
    pub struct Net {
        fc: Linear,
        end: i32,
    }

    #[quantizable(crate = "super::renamed", prepared = Observed, converted = Int8Net)]
    impl Net {
        pub fn new() -> Self {
            Self { fc: Linear::new(4, 4), end: -1 }
        }

        pub fn forward(&self, x: Tensor) -> Tensor {
            let y = flatten(x, START, self.end);
            self.fc(y.flatten(START))
        }
    }
}

use inside::{Int8Net, Net, Observed};
use renamed::prelude::*;

#[test]
fn compiles_and_runs() -> renamed::Result<()> {
    let model = Net::new();
    let x = tests::tensors::noise(&[2, 2, 2], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 4]);
    let mut prepared: Observed = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    let int8: Int8Net = prepared.convert()?;
    assert_eq!(int8.forward(&x)?.shape(), [2, 4]);
    Ok(())
}
