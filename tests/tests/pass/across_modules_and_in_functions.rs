use qcore::prelude::*;

mod parts {
    use qcore::prelude::*;

    #[quantizable]
    pub struct Block {
        pub fc: Linear,
    }

    pub mod deeper {
        use qcore::prelude::*;

        #[quantizable]
        pub(crate) struct Act {
            pub(crate) act: ReLU,
        }
    }
}

// The impl may stand in another module, and before other uses of the struct.
#[quantizable]
impl parts::Block {
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

#[quantizable]
impl crate::across_modules_and_in_functions::parts::deeper::Act {
    pub(crate) fn forward(&self, x: Tensor) -> Tensor {
        self.act(x)
    }
}

macro_rules! model {
    ($name:ident { $field:ident: $ty:ty }) => {
        #[quantizable]
        struct $name {
            $field: $ty,
        }

        #[quantizable]
        impl $name {
            fn forward(&self, x: Tensor) -> Tensor {
                relu(self.$field(x))
            }
        }
    };
}

model!(Made { inside: Linear });

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    #[quantizable]
    struct Local {
        block: parts::Block,
        act: parts::deeper::Act,
        made: Made,
    }

    #[quantizable]
    impl Local {
        fn forward(&self, x: Tensor) -> Tensor {
            self.made(self.act(self.block(x)))
        }
    }

    let model = Local {
        block: parts::Block { fc: Linear::new(4, 4) },
        act: parts::deeper::Act { act: ReLU },
        made: Made { inside: Linear::new(4, 4) },
    };
    assert_eq!(model.forward(Tensor::zeros(&[1, 4]))?.shape(), [1, 4]);
    Ok(())
}
