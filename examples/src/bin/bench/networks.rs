//! Networks for text: an encoder, a recurrent network, and one large linear layer, each in float and quantized in every way
//! that it can be.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use examples::models::encoder::Encoder;
use examples::models::wide_linear::WideLinear;
use examples::models::word_model::WordModel;
use examples::synthetic;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, DType, StateDict};
use qkernels::isa::isa;
use serde_json::json;

use super::layers::Layers;
use super::{Cli, median, milliseconds, times};

#[derive(Clone, Copy, ValueEnum)]
pub enum Network {
    /// Four layers of width 256 with 4 heads and 1024 hidden features, on `[batch, 128, 256]`.
    Encoder,
    /// 10,000 words, two recurrent layers of width 512, on 35 words of each text.
    Lstm,
    /// 4096 features to 4096, on `[batch, 4096]`, where the time is that of reading the weights.
    Linear,
}

const WORDS: usize = 10_000;

impl Network {
    pub fn name(self) -> &'static str {
        match self {
            Self::Encoder => "encoder",
            Self::Lstm => "lstm",
            Self::Linear => "linear",
        }
    }

    /// What goes in.
    fn input(self, batch: usize) -> Result<Tensor> {
        let noise = |shape: &[usize]| synthetic::uniform("x", shape, (-2.0, 2.0));
        Ok(match self {
            Self::Encoder => noise(&[batch, 128, 256])?,
            Self::Lstm => synthetic::uniform("x", &[batch, 35], (0.0, WORDS as f32))?.map(f32::floor),
            Self::Linear => noise(&[batch, 4096])?,
        })
    }
}

/// Times a network and prints the result.
pub fn run(network: Network, weights: Option<&StateDict>, cli: &Cli) -> Result<()> {
    let ways = ways(network, cli)?;
    let turns = match network {
        Network::Encoder => measure(Encoder::new(4, 256, 4, 1024), &ways, network, weights, cli)?,
        Network::Lstm => measure(WordModel::new(WORDS, 512, 2), &ways, network, weights, cli)?,
        Network::Linear => measure(WideLinear::new(4096, 4096), &ways, network, weights, cli)?,
    };
    if cli.json {
        print_json(network, &turns, cli)
    } else {
        print_table(network, &turns, cli)
    }
    Ok(())
}

/// The ways to quantize a network, with what each is called.
fn ways(network: Network, cli: &Cli) -> Result<Vec<(&'static str, QConfigMapping)>> {
    let dynamic = ("dynamic", QConfigMapping::for_dynamic(DType::QInt8)?);
    let calibrated = ("int8", QConfigMapping::for_backend(cli.backend));
    Ok(match network {
        Network::Encoder => vec![dynamic, calibrated],
        Network::Lstm => vec![dynamic],
        Network::Linear => {
            let weights = |qconfig| QConfigMapping::new().module_type::<Linear>(qconfig);
            let weight8 = ("weight8", weights(QConfig::weight_only(8)));
            let weight4 = ("weight4", weights(QConfig::weight_only(4).with_group_size(32)));
            vec![dynamic, calibrated, weight8, weight4]
        }
    })
}

/// A way to run a network and the median time of a run.
struct Timed {
    name: &'static str,
    time: Duration,
    /// Where the time goes, of a quantized network.
    layers: Option<Layers>,
}

fn measure<M>(
    mut model: M,
    ways: &[(&'static str, QConfigMapping)],
    network: Network,
    weights: Option<&StateDict>,
    cli: &Cli,
) -> Result<Vec<Timed>>
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    match weights {
        Some(weights) => model.load_state_dict(weights)?,
        None => synthetic::fill(&mut model)?,
    }
    let x = network.input(cli.batch)?;
    let convert = |mapping: &QConfigMapping| -> qcore::Result<Converted<M>> {
        let mut prepared = model.prepare(mapping)?;
        prepared.calibrate_with([&x], CalibrationOptions { progress: false })?;
        prepared.convert()
    };
    let converted: Vec<_> =
        ways.iter().map(|(name, mapping)| Ok((*name, convert(mapping)?))).collect::<qcore::Result<_>>()?;

    let mut float_times = Vec::new();
    let mut quantized_times = vec![Vec::new(); converted.len()];
    for _ in 0..cli.rounds {
        float_times.extend(times(|| model.run(x.clone()))?);
        for ((_, model), seen) in converted.iter().zip(&mut quantized_times) {
            seen.extend(times(|| model.forward(&x))?);
        }
    }
    let mut turns = vec![Timed { name: "fp32", time: median(float_times), layers: None }];
    for ((name, model), times) in converted.iter().zip(quantized_times) {
        let layers = cli.layers.then(|| Layers::measure(cli.threads, || model.profile(&x))).transpose()?;
        turns.push(Timed { name, time: median(times), layers });
    }
    Ok(turns)
}

fn print_json(network: Network, turns: &[Timed], cli: &Cli) {
    let mut report = json!({
        "network": network.name(),
        "batch": cli.batch,
        "threads": cli.threads,
        "isa": isa().name(),
        "backend": cli.backend.to_string(),
        "rounds": cli.rounds,
    });
    for Timed { name, time, layers } in turns {
        report[format!("{name}_ms")] = milliseconds(*time).into();
        if let Some(layers) = layers {
            report["layers"][name] = layers.json();
        }
    }
    println!("{report}");
}

fn print_table(network: Network, turns: &[Timed], cli: &Cli) {
    println!("{}, batch {}, threads: {}, {}, {}", network.name(), cli.batch, cli.threads, isa(), cli.backend);
    let fp32 = turns.first().map(|turn| turn.time).unwrap_or_default();
    for Timed { name, time, .. } in turns {
        println!(
            "{name:<7} {:9.3} ms, {:.2} times as fast",
            milliseconds(*time),
            fp32.div_duration_f64(*time)
        );
    }
    for Timed { name, layers, .. } in turns {
        if let Some(layers) = layers {
            println!("\n{name}");
            layers.print();
        }
    }
}
