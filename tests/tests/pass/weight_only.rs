use qcore::prelude::*;
use qcore::{Converted, Error, Network};
use tests::tensors::noise;

#[quantizable]
struct Net {
    fc: Linear,
    head: Linear,
}

#[quantizable]
impl Net {
    fn new() -> Self {
        Self { fc: Linear::new(96, 37), head: Linear::new(37, 5).bias(false) }
    }

    fn forward(&self, x: Tensor) -> Tensor {
        self.head(relu(self.fc(x)))
    }
}

/// The weights that groups of so many become: `s * clamp(rne(w / s))` with `s = max |w| / ((high - low) / 2)`.
fn rounded(weight: &Tensor, bits: u32, group_size: usize) -> Vec<f64> {
    let (low, high) = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1);
    let values: Vec<f32> = weight.view().iter().copied().collect();
    let group = |group: &[f32]| {
        let max = group.iter().fold(0.0_f32, |max, w| max.max(w.abs()));
        let scale = (max / ((high - low) as f32 / 2.0)).max(f32::EPSILON);
        let integer = |w: &f32| (w * (1.0 / scale)).round_ties_even().clamp(low as f32, high as f32);
        group.iter().map(move |w| f64::from(integer(w)) * f64::from(scale)).collect::<Vec<_>>()
    };
    values.chunks(group_size).flat_map(group).collect()
}

/// `x` `[n, inputs]` times the transposed weight, plus the bias.
fn linear(x: &[f64], weight: &[f64], inputs: usize, bias: Option<&Tensor>) -> Vec<f64> {
    let outputs = weight.len() / inputs;
    let bias: Vec<f32> = bias.map_or(vec![0.0; outputs], |bias| bias.view().iter().copied().collect());
    let dot = |x: &[f64], w: &[f64]| x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>();
    x.chunks(inputs)
        .flat_map(|x| weight.chunks(inputs).zip(&bias).map(move |(w, &bias)| dot(x, w) + f64::from(bias)))
        .collect()
}

#[test]
fn of_every_width_and_group_it_is_the_product_of_rounded_weights() -> qcore::Result<()> {
    let (model, x) = (Net::new(), noise(&[3, 96], 1));
    let values: Vec<f64> = x.view().iter().map(|&x| f64::from(x)).collect();
    for (bits, group_size) in
        [(8, None), (4, None), (4, Some(32)), (8, Some(48)), (3, Some(96)), (2, Some(16))]
    {
        let groups = QConfig::weight_only(bits);
        let groups = group_size.map_or(groups.clone(), |group_size| groups.with_group_size(group_size));
        let mapping =
            QConfigMapping::new().module_type::<Linear>(QConfig::weight_only(bits)).module("fc", groups);
        let converted = model.prepare(&mapping)?.convert()?;
        let weight = rounded(model.fc.weight(), bits, group_size.unwrap_or(96));
        let hidden = linear(&values, &weight, 96, model.fc.bias_tensor());
        let hidden: Vec<f64> = hidden.into_iter().map(|x| x.max(0.0)).collect();
        let expected = linear(&hidden, &rounded(model.head.weight(), bits, 37), 37, None);
        let y = converted.forward(&x)?;
        for (found, expected) in y.view().iter().zip(&expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 3e-5,
                "{found} in place of {expected}, {bits} bits"
            );
        }
        let path = std::env::temp_dir().join(format!("weight_only_{}_{bits}", std::process::id()));
        converted.save(&path)?;
        assert_eq!(Converted::<Net>::load(&path)?.forward(&x)?, y);
        assert_eq!(Network::load(&path)?.forward(std::slice::from_ref(&x))?, [y]);
        std::fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
    }
    Ok(())
}

#[quantizable]
struct Pictures {
    conv: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Pictures {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.conv(x).flatten(1))
    }
}

#[test]
fn what_no_kernel_runs_is_refused_by_prepare() {
    let model = Pictures { conv: Conv2d::new(1, 2, 3), fc: Linear::new(96, 4) };
    let refused = |mapping: QConfigMapping| model.prepare(&mapping).unwrap_err().to_string();
    let fc = |qconfig: QConfig| refused(QConfigMapping::new().module("fc", qconfig));
    let conv = |qconfig: QConfig| refused(QConfigMapping::new().module("conv", qconfig));
    for (message, layer, said) in [
        (fc(QConfig::weight_only(4).with_group_size(36)), "`fc`", "choose 32, or none"),
        (fc(QConfig::weight_only(4).with_group_size(0)), "`fc`", "groups of 0"),
        (fc(QConfig::weight_only(9)), "`fc`", "9 bits; choose 2 to 8"),
        (fc(QConfig::weight_only(1)), "`fc`", "1 bits; choose 2 to 8"),
        (fc(QConfig::get_default_qconfig(Backend::X86).with_group_size(32)), "`fc`", "QConfig::weight_only"),
        (fc(QConfig::dynamic().with_group_size(32)), "`fc`", "QConfig::weight_only"),
        (conv(QConfig::weight_only(4)), "`conv`", "float, static"),
        (conv(QConfig::dynamic()), "`conv`", "float, static"),
    ] {
        assert!(message.contains(layer) && message.contains(said), "{message}");
    }
}
