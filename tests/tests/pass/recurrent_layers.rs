use qcore::prelude::*;
use qcore::{DType, Error, Network, quantize_dynamic};
use tests::tensors::{largest_difference, noise};

#[quantizable]
struct Tagger {
    lstm: LSTM,
    again: LSTM,
    gru: GRU,
    cell: LSTMCell,
    step: GRUCell,
    elman: RNNCell,
    fc: Linear,
}

#[quantizable]
impl Tagger {
    fn new() -> Self {
        Self {
            lstm: LSTM::new(6, 5).batch_first(true),
            again: LSTM::new(5, 5).batch_first(true),
            gru: GRU::new(5, 4).num_layers(2).bidirectional(true),
            cell: LSTMCell::new(4, 4),
            step: GRUCell::new(4, 4),
            elman: RNNCell::new(4, 4),
            fc: Linear::new(4, 3),
        }
    }

    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let (y, state) = self.lstm(x);
        let (y, (h, _)) = self.again(y, state);
        let (z, _) = self.gru(y.transpose(0, 1));
        let (first, second) = z.mean((0,)).chunk(2, 1);
        let (a, c) = self.cell(first);
        let (a, _) = self.cell(second, (a, c));
        let b = self.elman(self.step(a, c));
        (self.fc(b), h)
    }
}

#[test]
fn in_float_and_dynamic_and_from_a_file() -> qcore::Result<()> {
    let (model, x) = (Tagger::new(), noise(&[2, 7, 6], 0));
    let (float, h) = model.forward(&x)?;
    assert_eq!((float.shape(), h.shape()), (&[2, 3][..], &[1, 2, 5][..]));
    let int8 = quantize_dynamic(&model)?;
    let (y, state) = int8.forward(&x)?;
    assert!(largest_difference(&y, &float) < 0.05 && largest_difference(&state, &h) < 0.05);
    assert_ne!(y, float);

    let path = std::env::temp_dir().join(format!("recurrent_layers_{}.safetensors", std::process::id()));
    int8.save(&path)?;
    let loaded = Network::load(&path)?;
    let outputs = loaded.forward(std::slice::from_ref(&x))?;
    assert_eq!(outputs, [y.clone(), state.clone()]);
    assert_eq!(qcore::Converted::<Tagger>::load(&path)?.forward(&x)?, (y, state));
    std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;

    let half = model.prepare(&QConfigMapping::for_dynamic(DType::Float16)?)?.convert()?;
    assert!(largest_difference(&half.forward(&x)?.0, &float) < 1e-3);
    Ok(())
}

#[test]
fn keys_are_pytorchs() {
    let keys = Tagger::new().state_dict();
    for key in ["lstm.weight_ih_l0", "gru.bias_hh_l1_reverse", "cell.weight_hh", "elman.bias_ih"] {
        assert!(matches!(keys.get(key), Ok(Some(_))), "{key}");
    }
}

#[quantizable]
struct Encoder {
    lstm: LSTM,
}

#[quantizable]
impl Encoder {
    fn forward(&self, x: Tensor, h: Tensor, c: Tensor, lengths: Tensor) -> (Tensor, Tensor, Tensor) {
        let (y, (h, c)) = self.lstm(x, (h, c), lengths);
        (y, h, c)
    }
}

#[test]
fn states_and_lengths_that_do_not_fit_are_refused() -> qcore::Result<()> {
    let model = Encoder { lstm: LSTM::new(3, 2).packed(true) };
    let run = |x: &[usize], h: &[usize], c: &[usize], lengths: &[f32]| {
        let lengths = Tensor::from_vec(&[lengths.len()], lengths.to_vec())?;
        model.forward(noise(x, 1), noise(h, 2), noise(c, 3), lengths)
    };
    let (y, ..) = run(&[4, 2, 3], &[1, 2, 2], &[1, 2, 2], &[4.0, 2.0])?;
    let y = y.view();
    assert!(
        [2, 3].iter().all(|&step| [0, 1].iter().all(|&k| y[[step, 1, k]] == 0.0 && y[[step, 0, k]] != 0.0))
    );
    for (refused, said) in [
        (run(&[4, 2, 5], &[1, 2, 2], &[1, 2, 2], &[4.0, 2.0]), "[steps, batch, 3]"),
        (run(&[0, 2, 3], &[1, 2, 2], &[1, 2, 2], &[1.0, 1.0]), "at least one step"),
        (run(&[4, 2, 3], &[2, 2], &[1, 2, 2], &[4.0, 2.0]), "a state h of shape [1, 2, 2]"),
        (run(&[4, 2, 3], &[1, 2, 2], &[1, 3, 2], &[4.0, 2.0]), "a state c of shape [1, 2, 2]"),
        (run(&[4, 2, 3], &[1, 2, 2], &[1, 2, 2], &[4.0]), "lengths of shape [2]"),
        (run(&[4, 2, 3], &[1, 2, 2], &[1, 2, 2], &[4.0, 5.0]), "sequence 1 has length 5"),
        (run(&[4, 2, 3], &[1, 2, 2], &[1, 2, 2], &[4.0, 0.5]), "sequence 1 has length 0.5"),
    ] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains(said) && message.contains("lstm"), "{message}");
    }
    Ok(())
}
