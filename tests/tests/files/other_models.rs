//! A file of another model, or of another version of the same one, is refused with the difference.

use qcore::prelude::*;
use qcore::{Converted, ModelSummary};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::{converted, converted_network, scratch};

/// The model when it was saved.
mod saved {
    use qcore::prelude::*;

    #[quantizable]
    pub struct Block {
        pub fc: Linear,
    }

    #[quantizable]
    impl Block {
        pub fn forward(&self, x: Tensor) -> Tensor {
            relu(self.fc(x))
        }
    }

    #[quantizable]
    pub struct Net {
        pub first: Linear,
        pub blocks: Vec<Block>,
    }

    #[quantizable]
    impl Net {
        pub fn forward(&self, x: Tensor) -> Tensor {
            let mut y = relu(self.first(x));
            for block in &self.blocks {
                y = block(y);
            }
            y
        }
    }
}

/// The same with other words.
mod reworded {
    use qcore::prelude::*;

    pub use super::saved::Block;

    #[quantizable]
    pub struct Net {
        blocks: Vec<Block>,
        first: Linear,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor) -> Tensor {
            let beginning = self.first(x).relu();
            self.blocks(beginning)
        }
    }
}

/// Another activation.
mod activation {
    use qcore::prelude::*;

    pub use super::saved::Block;

    #[quantizable]
    pub struct Net {
        first: Linear,
        blocks: Vec<Block>,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor) -> Tensor {
            let mut y = relu6(self.first(x));
            for block in &self.blocks {
                y = block(y);
            }
            y
        }
    }
}

/// One operation more.
mod longer {
    use qcore::prelude::*;

    pub use super::saved::Block;

    #[quantizable]
    pub struct Net {
        first: Linear,
        blocks: Vec<Block>,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor) -> Tensor {
            let mut y = relu(self.first(x));
            for block in &self.blocks {
                y = block(y);
            }
            hardswish(y)
        }
    }
}

/// A branch around a call that was unconditional.
mod branch {
    use qcore::prelude::*;

    pub use super::saved::Block;

    #[quantizable]
    pub struct Net {
        first: Linear,
        blocks: Vec<Block>,
        is_deep: bool,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor) -> Tensor {
            let mut y = relu(self.first(x));
            if self.is_deep {
                for block in &self.blocks {
                    y = block(y);
                }
            }
            y
        }
    }
}

/// A change in the model inside.
mod inside {
    use qcore::prelude::*;

    #[quantizable]
    pub struct Block {
        fc: Linear,
    }

    #[quantizable]
    impl Block {
        fn forward(&self, x: Tensor) -> Tensor {
            relu(self.fc(x)) + x
        }
    }

    #[quantizable]
    pub struct Net {
        first: Linear,
        blocks: Vec<Block>,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor) -> Tensor {
            let mut y = relu(self.first(x));
            for block in &self.blocks {
                y = block(y);
            }
            y
        }
    }
}

/// Another input, which has another name.
mod renamed_input {
    use qcore::prelude::*;

    #[quantizable]
    pub struct Net {
        first: Linear,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, pictures: Tensor) -> Tensor {
            relu(self.first(pictures))
        }
    }
}

mod two_inputs {
    use qcore::prelude::*;

    #[quantizable]
    pub struct Net {
        first: Linear,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor, y: Tensor) -> Tensor {
            relu(self.first(x)) + y
        }
    }
}

mod two_outputs {
    use qcore::prelude::*;

    #[quantizable]
    pub struct Net {
        first: Linear,
    }

    #[quantizable]
    impl Net {
        fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
            (relu(self.first(x)), x)
        }
    }
}

fn saved() -> Converted<saved::Net> {
    let blocks = vec![saved::Block { fc: Linear::new(4, 4) }, saved::Block { fc: Linear::new(4, 4) }];
    let model = saved::Net { first: Linear::new(4, 4), blocks };
    converted(&model, &QConfigMapping::for_backend(Backend::Native), noise(&[2, 4], 0))
}

/// The error when the file is loaded as `M`.
fn refusal<M: Module>() -> String {
    let (_folder, path) = scratch("model.safetensors");
    saved().save(&path).unwrap();
    let text = Converted::<M>::load(&path).expect_err(std::any::type_name::<M>()).to_string();
    assert!(text.contains("model.safetensors") && text.contains("`Net`"), "{text}");
    // The file is whole.
    assert!(qcore::Network::load(&path).is_ok() && ModelSummary::open(&path).is_ok());
    text
}

#[test]
fn another_body_of_the_same_model_is_refused_where_it_differs() {
    let differs = "is of another version of `Net`: where the file has";
    let refusals = [
        (refusal::<activation::Net>(), "Linear first + relu(%0)", "Linear first(%0)"),
        (refusal::<longer::Net>(), "return", "hardswish("),
        (refusal::<branch::Net>(), "for ", "if "),
        (refusal::<inside::Net>(), "return", "add("),
        (refusal::<renamed_input::Net>(), "Net of x", "Net of pictures"),
    ];
    for (text, in_file, in_model) in refusals {
        let (file, model) = text.split_once("the model has").unwrap();
        assert!(file.contains(differs) && file.contains(in_file) && model.contains(in_model), "{text}");
    }
    let text = refusal::<two_inputs::Net>();
    assert!(text.contains("number of inputs is 1, not 2"), "{text}");
    let text = refusal::<two_outputs::Net>();
    assert!(text.contains("number of outputs is 1, not 2"), "{text}");
}

#[test]
fn another_spelling_of_the_same_body_is_the_same_model() {
    let (_folder, path) = scratch("model.safetensors");
    let int8 = saved();
    int8.save(&path).unwrap();
    let x = noise(&[3, 4], 1);
    let loaded = Converted::<reworded::Net>::load(&path).unwrap();
    assert_eq!(loaded.forward(&x).unwrap(), int8.forward(&x).unwrap());
}

#[test]
fn another_model_is_refused_by_name() {
    let (_folder, path) = scratch("model.safetensors");
    converted_network().save(&path).unwrap();
    let text = Converted::<TwoWays>::load(&path).unwrap_err().to_string();
    assert!(text.contains("`Network`") && text.contains("`TwoWays`"), "{text}");
    assert!(Converted::<Network>::load(&path).is_ok());
}
