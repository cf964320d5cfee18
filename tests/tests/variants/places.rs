//! Where a model is written, and where a converted one runs.

use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted};
use tests::networks::Network;
use tests::tensors::noise;

use crate::by_hand::{apply, array, rectify};
use crate::{assert_variants, eighths, linear};

mod parts {
    use qcore::prelude::*;

    /// Its impl is in the module around.
    #[quantizable]
    pub struct Part {
        pub fc: Linear,
    }

    pub mod deeper {
        use qcore::prelude::*;

        #[quantizable]
        pub(crate) struct Act {
            pub(crate) act: ReLU,
        }

        #[quantizable]
        impl Act {
            pub(crate) fn forward(&self, x: Tensor) -> Tensor {
                self.act(x)
            }
        }
    }
}

#[quantizable]
impl parts::Part {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

#[test]
fn a_model_may_stand_in_a_function_and_use_those_of_other_modules() {
    #[quantizable]
    struct Local {
        part: parts::Part,
        act: parts::deeper::Act,
    }

    #[quantizable]
    impl Local {
        fn forward(&self, x: Tensor) -> Tensor {
            self.act(self.part(x))
        }
    }

    let model = Local { part: parts::Part { fc: linear(4, 4, 0) }, act: parts::deeper::Act { act: ReLU } };
    let x = eighths(&[3, 4], 5);
    assert_variants(&model, &x, &[rectify(&apply(&model.part.fc, &array(&x)))]);
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
model!(MadeToo { inside: Made });

#[test]
fn models_may_be_written_by_macros() {
    let model = MadeToo { inside: Made { inside: linear(4, 4, 0) } };
    let x = eighths(&[3, 4], 5);
    assert_variants(&model, &x, &[rectify(&apply(&model.inside.inside, &array(&x)))]);
}

fn assert_shared_between_threads<T: Send + Sync>() {}

#[test]
fn one_converted_model_serves_many_threads_with_the_same_bytes() {
    assert_shared_between_threads::<Converted<Network>>();
    assert_shared_between_threads::<qcore::Prepared<Network>>();
    let model = Network::small();
    let inputs: Vec<Tensor> = (0..8).map(|seed| noise(&[1, 3, 9, 9], seed)).collect();
    for backend in Backend::ALL {
        let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
        prepared.calibrate_with(&inputs, CalibrationOptions { progress: false }).unwrap();
        let int8 = prepared.convert().unwrap();
        let all = || inputs.iter().map(|x| int8.forward(x).unwrap()).collect::<Vec<_>>();
        let expected = all();
        let found: Vec<Vec<Tensor>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(all)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(found.iter().all(|found| *found == expected), "{backend}");
        // A batch gives what its pictures give one by one.
        let views: Vec<_> = inputs.iter().map(Tensor::view).collect();
        let batch = Tensor::from(ndarray::concatenate(ndarray::Axis(0), &views).unwrap());
        let rows: Vec<_> = expected.iter().map(Tensor::view).collect();
        let rows = Tensor::from(ndarray::concatenate(ndarray::Axis(0), &rows).unwrap());
        assert_eq!(int8.forward(batch).unwrap(), rows, "{backend}");
    }
}
