//! Topics `observers` and `histogram`: an observer's state and qparams after each batch.

use anyhow::{Result, bail, ensure};
use qcore::observer::{
    HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver,
    Observer, ObserverSettings, PerChannelMinMaxObserver,
};
use qcore::{DType, QScheme};

use crate::comparison::Findings;
use crate::index::Case;

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    ensure!(case.op() == "observer", "no operation `{}`", case.op());
    let mut observer = observer(case)?;
    for batch in 0..case.param("batches")? {
        observer.observe(&case.tensor(&format!("x{batch}"))?)?;
        after_batch(observer.as_ref(), batch, findings)?;
    }
    if let Some(observer) = observer.as_any().downcast_ref::<HistogramObserver>() {
        findings.floats("histogram", observer.histogram())?;
    }
    Ok(())
}

fn after_batch(observer: &dyn Observer, batch: usize, findings: &mut Findings<'_>) -> Result<()> {
    let (min, max) = extremes(observer)?;
    findings.floats(&format!("min{batch}"), &min)?;
    findings.floats(&format!("max{batch}"), &max)?;
    let (scale, zero_point) = (format!("scale{batch}"), format!("zero_point{batch}"));
    if observer.qscheme() == QScheme::PerChannelAffineFloatQParams {
        let qparams = observer.calculate_float_qparams()?;
        findings.floats(&scale, &qparams.scale)?;
        findings.floats(&zero_point, &qparams.zero_point)?;
    } else {
        let qparams = observer.calculate_qparams()?;
        findings.floats(&scale, &qparams.scale)?;
        findings.integers(&zero_point, &qparams.zero_point)?;
    }
    if let Some(observer) = observer.as_any().downcast_ref::<HistogramObserver>() {
        let (min, max) = observer.best_range()?;
        findings.floats(&format!("new_min{batch}"), &[min])?;
        findings.floats(&format!("new_max{batch}"), &[max])?;
    }
    Ok(())
}

/// Smallest and largest value, of each channel if the observer keeps them so.
fn extremes(observer: &dyn Observer) -> Result<(Vec<f32>, Vec<f32>)> {
    let any = observer.as_any();
    if let Some(observer) = any.downcast_ref::<PerChannelMinMaxObserver>() {
        return Ok((observer.min().to_vec(), observer.max().to_vec()));
    }
    if let Some(observer) = any.downcast_ref::<MovingAveragePerChannelMinMaxObserver>() {
        return Ok((observer.min().to_vec(), observer.max().to_vec()));
    }
    match observer.range() {
        Some((min, max)) => Ok((vec![min], vec![max])),
        None => bail!("{} has no range after a batch", observer.name()),
    }
}

/// The observer that the parameters of a case describe.
fn observer(case: &Case<'_>) -> Result<Box<dyn Observer>> {
    let settings = settings(case)?;
    let averaging_constant = || case.param::<f32>("averaging_constant");
    let ch_axis = || case.param::<usize>("ch_axis");
    macro_rules! with_settings {
        ($observer:expr) => {{
            let mut observer = $observer
                .dtype(settings.dtype)
                .qscheme(settings.qscheme)
                .reduce_range(settings.reduce_range)
                .eps(settings.eps);
            if let (Some(quant_min), Some(quant_max)) = (settings.quant_min, settings.quant_max) {
                observer = observer.quant_min(quant_min).quant_max(quant_max);
            }
            ensure!(observer.settings() == &settings, "the builder gives other settings");
            Box::new(observer)
        }};
    }
    Ok(match case.param::<String>("observer")?.as_str() {
        "MinMaxObserver" => with_settings!(MinMaxObserver::new()),
        "MovingAverageMinMaxObserver" => {
            with_settings!(MovingAverageMinMaxObserver::new().averaging_constant(averaging_constant()?))
        }
        "PerChannelMinMaxObserver" => with_settings!(PerChannelMinMaxObserver::new().ch_axis(ch_axis()?)),
        "MovingAveragePerChannelMinMaxObserver" => with_settings!(
            MovingAveragePerChannelMinMaxObserver::new()
                .ch_axis(ch_axis()?)
                .averaging_constant(averaging_constant()?)
        ),
        // PyTorch leaves infinite values out; ours does so when asked.
        "HistogramObserver" => {
            with_settings!(HistogramObserver::new().bins(case.param("bins")?).ignore_infinity(true))
        }
        other => bail!("no observer `{other}`"),
    })
}

/// The settings that all observers have, as PyTorch's observer of the case reports them.
pub fn settings(case: &Case<'_>) -> Result<ObserverSettings> {
    let (quant_min, quant_max) = (case.param("quant_min")?, case.param("quant_max")?);
    let is_customized: bool = case.param("has_customized_qrange")?;
    let settings = ObserverSettings {
        dtype: case.param::<DType>("dtype")?,
        qscheme: case.param::<QScheme>("qscheme")?,
        // A customized range is reported after `reduce_range` has halved it.
        reduce_range: !is_customized && case.param("reduce_range")?,
        quant_min: is_customized.then_some(quant_min),
        quant_max: is_customized.then_some(quant_max),
        eps: case.param("eps")?,
    };
    let range = settings.quant_range("the observer of a case")?;
    let reported = (quant_min, quant_max);
    ensure!(range == reported, "the quantized range is {range:?}, expected {reported:?}");
    Ok(settings)
}
