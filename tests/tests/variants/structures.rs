//! Fields: optional ones, flags, nested models, `Sequential`, generics.

use qcore::prelude::*;

use crate::by_hand::{apply, array, rectify};
use crate::{assert_variants, eighths, linear, paths};

#[quantizable]
struct Optional {
    fc: Linear,
    first: Option<Linear>,
    second: Option<ReLU>,
    tail: Option<Sequential<(Linear, ReLU)>>,
}

#[quantizable]
impl Optional {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = match &self.first {
            Some(first) => {
                let y = first(x);
                self.fc(y)
            }
            None => self.fc(x),
        };
        let mut z = y;
        if let Some(second) = &self.second {
            z = second(z);
        }
        let w = if let Some(tail) = &self.tail { tail(z) } else { z };
        w + x
    }
}

#[test]
fn optional_layers_run_if_they_are_there() {
    let x = eighths(&[3, 4], 5);
    for bits in 0..8 {
        let model = Optional {
            fc: linear(4, 4, 0),
            first: (bits & 1 > 0).then(|| linear(4, 4, 9)),
            second: (bits & 2 > 0).then_some(ReLU),
            tail: (bits & 4 > 0).then(|| Sequential((linear(4, 4, 20), ReLU))),
        };
        let mut y = array(&x);
        if let Some(first) = &model.first {
            y = apply(first, &y);
        }
        y = apply(&model.fc, &y);
        if model.second.is_some() {
            y = rectify(&y);
        }
        if let Some(tail) = &model.tail {
            y = rectify(&apply(&tail.0.0, &y));
        }
        assert_variants(&model, &x, &[y + array(&x)]);
    }
}

#[quantizable]
struct Flags {
    fc: Linear,
    residual: bool,
    active: bool,
}

#[quantizable]
impl Flags {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = self.fc(x);
        if self.residual {
            y = y + x;
        }
        if !self.active { y * 0.5 } else { relu(y) }
    }
}

#[test]
fn flags_choose_what_runs() {
    let x = eighths(&[3, 4], 5);
    for (residual, active) in [(false, false), (false, true), (true, false), (true, true)] {
        let model = Flags { fc: linear(4, 4, 0), residual, active };
        let mut y = apply(&model.fc, &array(&x));
        if residual {
            y += &array(&x);
        }
        let expected = if active { rectify(&y) } else { y * 0.5 };
        assert_variants(&model, &x, &[expected]);
    }
}

#[quantizable]
#[allow(clippy::type_complexity)]
struct Deep {
    net: Sequential<(Linear, Sequential<(ReLU, Linear, Identity)>, ReLU6)>,
}

#[quantizable]
impl Deep {
    fn forward(&self, x: Tensor) -> Tensor {
        self.net(x)
    }
}

#[test]
fn sequentials_nest_and_have_pytorchs_names() {
    let (first, second) = (linear(4, 6, 0), linear(6, 4, 9));
    let inner = Sequential((ReLU, second.clone(), Identity));
    let model = Deep { net: Sequential((first.clone(), inner, ReLU6)) };
    let x = eighths(&[3, 4], 5);
    let y = apply(&second, &rectify(&apply(&first, &array(&x))));
    let int8 = assert_variants(&model, &x, &[rectify(&y).mapv(|value| value.min(6.0))]);
    assert!(paths(&int8).starts_with(&["net.0", "net.1.1"]), "{:?}", paths(&int8));
    let keys: Vec<String> = model.state_dict().shapes().into_keys().collect();
    assert_eq!(keys, ["net.0.bias", "net.0.weight", "net.1.1.bias", "net.1.1.weight"]);
}

#[quantizable]
struct Head<const ROWS: usize> {
    fc: Linear,
}

#[quantizable]
impl<const ROWS: usize> Head<ROWS> {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x).reshape((ROWS, -1))
    }
}

#[quantizable]
struct Body<A, B> {
    fc: Linear,
    a: A,
    b: Vec<B>,
}

#[quantizable]
impl<A, B> Body<A, B> {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = relu(self.fc(x));
        for b in &self.b {
            y = b(y);
        }
        self.a(y)
    }
}

#[test]
fn models_are_generic_over_models_and_numbers() {
    let flags = |seed| Flags { fc: linear(4, 4, seed), residual: false, active: true };
    let model =
        Body { fc: linear(4, 4, 0), a: Head::<2> { fc: linear(4, 2, 3) }, b: vec![flags(6), flags(8)] };
    let x = eighths(&[3, 4], 5);
    let mut y = rectify(&apply(&model.fc, &array(&x)));
    for b in &model.b {
        y = rectify(&apply(&b.fc, &y));
    }
    let y = crate::by_hand::reshaped(&apply(&model.a.fc, &y), &[2, 3]);
    let int8 = assert_variants(&model, &x, &[y]);
    assert_eq!(paths(&int8)[..3], ["fc", "b.0.fc", "b.1.fc"]);
    assert!(paths(&int8).contains(&"a.fc"), "{:?}", paths(&int8));

    let model = Body { fc: linear(4, 4, 0), a: Head::<1> { fc: linear(4, 1, 3) }, b: Vec::<Flags>::new() };
    let y = apply(&model.a.fc, &rectify(&apply(&model.fc, &array(&x))));
    assert_variants(&model, &x, &[crate::by_hand::reshaped(&y, &[1, 3])]);
}
