//! Topic `pooling`: pools and means, in both memory formats and with each backend's way to break ties.

use anyhow::{Result, bail};
use qcore::ops::{Upsample, UpsampleMode};
use qcore::{Size, ops};

use crate::comparison::Findings;
use crate::index::Case;
use crate::lowering::{in_layout, run_following};

pub fn run(case: &Case<'_>, findings: &mut Findings<'_>) -> Result<()> {
    let x = || in_layout(case, case.quantized("x")?);
    let pair = |name: &str| Ok::<_, anyhow::Error>(Size::from(case.param::<[usize; 2]>(name)?));
    let one = |name: &str| Ok::<_, anyhow::Error>(case.param::<[usize; 1]>(name)?[0]);
    let y = match case.op() {
        "max_pool1d" => {
            let pool = ops::max_pool1d(
                one("kernel")?,
                Some(one("stride")?),
                Some(one("padding")?),
                Some(one("dilation")?),
                Some(case.param("ceil_mode")?),
            )?;
            run_following(case, &pool, None, x()?)?
        }
        "avg_pool1d" => {
            let pool = ops::avg_pool1d(
                one("kernel")?,
                Some(one("stride")?),
                Some(one("padding")?),
                Some(case.param("ceil_mode")?),
                Some(case.param("count_include_pad")?),
            )?;
            run_following(case, &pool, None, x()?)?
        }
        "max_pool2d" => {
            let pool = ops::max_pool2d(
                pair("kernel")?,
                Some(pair("stride")?),
                Some(pair("padding")?),
                Some(pair("dilation")?),
                Some(case.param("ceil_mode")?),
            )?;
            run_following(case, &pool, None, x()?)?
        }
        "avg_pool2d" => {
            let pool = ops::avg_pool2d(
                pair("kernel")?,
                Some(pair("stride")?),
                Some(pair("padding")?),
                Some(case.param("ceil_mode")?),
                Some(case.param("count_include_pad")?),
            )?;
            run_following(case, &pool, None, x()?)?
        }
        "adaptive_avg_pool2d" => {
            run_following(case, &ops::adaptive_avg_pool2d(pair("output_size")?)?, None, x()?)?
        }
        "interpolate_nearest" => run_following(case, &resized(case)?, None, x()?)?,
        "interpolate_bilinear" => {
            let resized = resized(case)?.mode(UpsampleMode::Bilinear);
            run_following(case, &resized.align_corners(case.param("align_corners")?), None, x()?)?
        }
        "mean" => {
            let dims: Vec<isize> = case.param("dim")?;
            run_following(case, &ops::mean(dims, Some(case.param("keepdim")?))?, None, x()?)?
        }
        other => bail!("no operation `{other}`"),
    };
    findings.quantized("y", &y)
}

/// By the factors of a case, or to its size.
fn resized(case: &Case<'_>) -> Result<Upsample> {
    Ok(match case.optional_param("scale_factor")? {
        Some(factors) => Upsample::scale_factors(factors),
        None => Upsample::size(case.param::<[usize; 2]>("size")?),
    })
}
