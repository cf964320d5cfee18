//! Topic `fake_quant`: fake quantization, its gradients, and the modules over several batches.

use anyhow::{Context, Result, bail, ensure};
use qcore::observer::{MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver, Observer};
use qcore::{FakeQuantGrid, FakeQuantize, QScheme};

use crate::comparison::Findings;
use crate::index::Case;
use crate::observers::settings;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    match case.op() {
        "fake_quantize_per_tensor" => {
            let zero_point: i32 = case.param("zero_point")?;
            let (quant_min, quant_max) = (case.param("quant_min")?, case.param("quant_max")?);
            let grid =
                FakeQuantGrid::per_tensor(case.param("scale")?, zero_point as f32, quant_min, quant_max);
            function(case, &grid, findings)
        }
        "fake_quantize_per_channel" => {
            let grid = FakeQuantGrid { is_float_zero_point: case.param("float_zero_point")?, ..grid(case)? };
            function(case, &grid, findings)
        }
        "fake_quantize_learnable_per_tensor" | "fake_quantize_learnable_per_channel" => {
            let (grid, x) = (grid(case)?, case.tensor("x")?);
            let gradients =
                grid.backward_learned(&x, &case.tensor("grad_out")?, case.param("grad_factor")?)?;
            findings.tensor("y", &grid.apply_learned(x)?.0)?;
            findings.tensor("grad_x", &gradients.input)?;
            findings.floats("grad_scale", &gradients.scale)?;
            findings.floats("grad_zero_point", &gradients.zero_point)
        }
        "fake_quantize_module" | "fused_fake_quantize_module" => module(case, findings),
        other => bail!("no operation `{other}`"),
    }
}

fn function(case: &Case<'_>, grid: &FakeQuantGrid, findings: &mut Findings<'_>) -> Result<()> {
    let (y, mask) = grid.apply(case.tensor("x")?)?;
    findings.tensor("y", &y)?;
    findings.tensor("grad_x", &mask.backward(case.tensor("grad_out")?)?)
}

/// The grid of scales and zero points that are inputs.
fn grid(case: &Case<'_>) -> Result<FakeQuantGrid> {
    let values =
        |role: &str| case.tensor(role).map(|tensor| tensor.view().iter().copied().collect::<Vec<f32>>());
    let zero_point = match values("zero_point") {
        Ok(zero_point) => zero_point,
        Err(_) => case.input_integers("zero_point")?.values.into_iter().map(|z| z as f32).collect(),
    };
    Ok(FakeQuantGrid {
        scale: values("scale")?,
        zero_point,
        axis: case.optional_param("axis")?,
        quant_min: case.param("quant_min")?,
        quant_max: case.param("quant_max")?,
        is_float_zero_point: false,
    })
}

/// Several batches, some of which the observer does not see, and some of which are not rounded.
fn module(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let mut fake_quant = fake_quantize(case)?;
    let off = |name: &str| case.param::<Vec<usize>>(name);
    let (observer_off, fake_quant_off) = (off("observer_off")?, off("fake_quant_off")?);
    for batch in 0..case.param("batches")? {
        fake_quant.enable_observer(!observer_off.contains(&batch));
        fake_quant.enable_fake_quant(!fake_quant_off.contains(&batch));
        let (y, _) = fake_quant.forward(case.tensor(&format!("x{batch}"))?)?;
        findings.tensor(&format!("y{batch}"), &y)?;
        let grid = fake_quant.grid();
        findings.floats(&format!("scale{batch}"), &grid.scale)?;
        let role = format!("zero_point{batch}");
        if grid.is_float_zero_point {
            findings.floats(&role, &grid.zero_point)?;
        } else {
            let zero_point: Vec<i32> = grid.zero_point.iter().map(|&zero_point| zero_point as i32).collect();
            findings.integers(&role, &zero_point)?;
        }
        let (min, max): (Vec<f32>, Vec<f32>) = fake_quant.ranges().into_iter().unzip();
        findings.floats(&format!("min{batch}"), &min)?;
        findings.floats(&format!("max{batch}"), &max)?;
    }
    Ok(())
}

/// The module that the parameters of a case describe.
fn fake_quantize(case: &Case<'_>) -> Result<FakeQuantize> {
    let observer: String = case.param("observer")?;
    match case.param::<String>("module")?.as_str() {
        "FakeQuantize" => with_observer(case, &observer, false),
        "FusedMovingAvgObsFakeQuantize" => with_observer(case, &observer, true),
        other => bail!("no module `{other}`"),
    }
}

/// A fake quantization with the moving average that a case describes.
pub fn with_observer(case: &Case<'_>, observer: &str, is_fused: bool) -> Result<FakeQuantize> {
    // The range of float zero points is the dtype's, which PyTorch reports as a customized one.
    let settings = settings(case)?;
    let has_float_zero_point = settings.qscheme == QScheme::PerChannelAffineFloatQParams;
    macro_rules! build {
        ($observer:expr) => {{
            let mut observer = $observer
                .dtype(settings.dtype)
                .qscheme(settings.qscheme)
                .eps(settings.eps)
                .averaging_constant(case.param("averaging_constant")?);
            if let (Some(quant_min), Some(quant_max)) = (settings.quant_min, settings.quant_max)
                && !has_float_zero_point
            {
                observer = observer.quant_min(quant_min).quant_max(quant_max);
            }
            if is_fused { FakeQuantize::fused_moving_avg_obs(observer) } else { FakeQuantize::new(observer) }
        }};
    }
    let fake_quant = match observer {
        "MovingAverageMinMaxObserver" => build!(MovingAverageMinMaxObserver::new()),
        "MovingAveragePerChannelMinMaxObserver" => {
            let axis: usize = case.param("ch_axis").context("a channel axis")?;
            build!(MovingAveragePerChannelMinMaxObserver::new().ch_axis(axis))
        }
        other => bail!("no observer `{other}` in a fake quantization"),
    };
    ensure!(!fake_quant.has_observed(), "it starts without data");
    Ok(fake_quant)
}
