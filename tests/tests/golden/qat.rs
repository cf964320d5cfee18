//! Topic `qat`: one training step of a layer with a fake-quantized weight, its gradients included.

use anyhow::{Context, Result, bail};
use qcore::observer::MovingAverageMinMaxObserver;
use qcore::prelude::*;
use qcore::train::Trainable;
use qcore::{FakeQuantize, QConfigMapping};

use crate::comparison::Findings;
use crate::index::Case;
use crate::weighted::set_parameters;

/// The operation of a case with the dimensions of its convolution.
pub fn operation(case: &Case<'_>) -> Result<String> {
    match case.op() {
        "qat_conv_bn" => Ok(format!("qat_conv_bn of conv{}d", case.param::<usize>("dim")?)),
        other => Ok(other.to_owned()),
    }
}

macro_rules! network {
    ($name:ident, $layer:ident, $batch_norm:ident) => {
        #[quantizable]
        struct $name {
            layer: $layer,
            bn: $batch_norm,
            relu: bool,
        }

        #[quantizable]
        impl $name {
            fn forward(&self, x: Tensor) -> Tensor {
                let mut y = self.bn(self.layer(x));
                if self.relu {
                    y = relu(y);
                }
                y
            }
        }
    };
}
network!(ConvBn1d, Conv1d, BatchNorm1d);
network!(ConvBn2d, Conv2d, BatchNorm2d);
network!(ConvBn3d, Conv3d, BatchNorm3d);
network!(LinearBn, Linear, BatchNorm1d);

#[quantizable]
struct Alone {
    layer: Linear,
}

#[quantizable]
impl Alone {
    fn forward(&self, x: Tensor) -> Tensor {
        self.layer(x)
    }
}

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let shape = case.tensor("weight")?.shape().to_vec();
    let has_bias = case.has_input("bias");
    macro_rules! of {
        ($network:ident, $layer:expr, $batch_norm:ident) => {{
            let bn =
                $batch_norm::new(shape[0]).eps(case.param("bn_eps")?).momentum(case.param("bn_momentum")?);
            let mut model = $network { layer: $layer.bias(has_bias), bn, relu: case.param("relu")? };
            set_parameters(&mut model, &parameters(case)?)?;
            step(case, &model, findings)
        }};
    }
    match operation(case)?.as_str() {
        "qat_conv_bn of conv1d" => {
            let groups: usize = case.param("groups")?;
            let layer = Conv1d::new(shape[1] * groups, shape[0], shape[2]).padding(1).groups(groups);
            of!(ConvBn1d, layer, BatchNorm1d)
        }
        "qat_conv_bn of conv2d" => {
            let groups: usize = case.param("groups")?;
            let layer = Conv2d::new(shape[1] * groups, shape[0], shape[2]).padding(1).groups(groups);
            of!(ConvBn2d, layer, BatchNorm2d)
        }
        "qat_conv_bn of conv3d" => {
            let groups: usize = case.param("groups")?;
            let layer = Conv3d::new(shape[1] * groups, shape[0], shape[2]).padding(1).groups(groups);
            of!(ConvBn3d, layer, BatchNorm3d)
        }
        "qat_linear_bn" => of!(LinearBn, Linear::new(shape[1], shape[0]), BatchNorm1d),
        "qat_linear" => {
            let mut model = Alone { layer: Linear::new(shape[1], shape[0]).bias(has_bias) };
            set_parameters(&mut model, &parameters(case)?)?;
            step(case, &model, findings)
        }
        other => bail!("no operation `{other}`"),
    }
}

const KEYS: [(&str, &str); 6] = [
    ("weight", "layer.weight"),
    ("bias", "layer.bias"),
    ("gamma", "bn.weight"),
    ("beta", "bn.bias"),
    ("running_mean", "bn.running_mean"),
    ("running_var", "bn.running_var"),
];

fn parameters(case: &Case<'_>) -> Result<Vec<(&'static str, Option<Tensor>)>> {
    let there = KEYS.into_iter().filter(|(role, _)| case.has_input(role));
    there.map(|(role, key)| Ok((key, Some(case.tensor(role)?)))).collect()
}

fn step<M>(case: &Case<'_>, model: &M, findings: &mut Findings<'_>) -> Result<()>
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    let per_channel = QConfig::get_default_qat_qconfig(Backend::Fbgemm);
    let per_tensor = QConfig::get_default_qat_qconfig(Backend::Qnnpack);
    let weight: serde_json::Value = case.optional_param("weight_fake_quant")?.context("a weight")?;
    let qconfig = if weight["ch_axis"].is_null() { per_tensor } else { per_channel };
    // Activations are looked at, not rounded.
    let weight_observer = qconfig.weight_observer();
    let fake_quant: &FakeQuantize = weight_observer.as_any().downcast_ref().context("a fake quantization")?;
    let qconfig = QConfig::new(MovingAverageMinMaxObserver::new(), fake_quant.clone());
    let mut trained: Trainable<M> = model.prepare_qat(&QConfigMapping::new().global(qconfig))?;
    if case.optional_param("freeze_bn")?.unwrap_or(false) {
        trained.freeze_bn_stats();
    }
    findings.tensor("y", &trained.forward(&case.tensor("x")?)?)?;
    trained.backward(&case.tensor("grad_out")?)?;
    let of_input = trained.input_gradients().first().cloned().flatten().context("a gradient")?;
    findings.tensor("grad_x", &of_input)?;
    for (role, key) in KEYS.into_iter().filter(|(role, _)| case.has_input(role)) {
        match trained.gradients().get(key) {
            Some(gradient) => findings.tensor(&format!("grad_{role}"), gradient)?,
            None => {
                let statistics = trained.state_dict().get(key)?.context("running statistics")?;
                findings.tensor(&format!("{role}_after"), &statistics)?;
            }
        }
    }
    let observer = trained.weight_observer("layer").context("a weight that is rounded")?;
    let fake_quant: &FakeQuantize = observer.as_any().downcast_ref().context("a fake quantization")?;
    findings.floats("fq_scale", &fake_quant.grid().scale)?;
    let zero_point: Vec<i32> = fake_quant.grid().zero_point.iter().map(|&z| z as i32).collect();
    findings.integers("fq_zero_point", &zero_point)
}
