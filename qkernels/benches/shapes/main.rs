//! Times int8 against float of this crate, for geometries that are drawn at random.
//!
//! `cargo bench -p qkernels --bench shapes -- --help` lists the options. Each geometry runs in int8 and in float in
//! turns; its ratio is that of the medians, and above 1 int8 is faster. Those below 1 are listed, the worst first.

mod cases;
mod geometries;
mod timing;

use std::path::PathBuf;

use clap::Parser;
use qkernels::isa::{self, Isa};
use qkernels::threads;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use cases::Case;
use geometries::Kind;
use timing::Timing;

#[derive(Parser)]
struct Arguments {
    /// Where the random numbers start.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Geometries of each kind.
    #[arg(long, default_value_t = 24)]
    count: usize,
    /// One kind of operation instead of all.
    #[arg(long)]
    kind: Option<Kind>,
    /// Another instruction set than the best one, as in `QKERNELS_ISA`.
    #[arg(long, value_parser = parse_isa)]
    isa: Option<Isa>,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Products below which a call stays on one thread.
    #[arg(long)]
    work_threshold: Option<usize>,
    /// Only the geometries whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Lists all geometries.
    #[arg(long)]
    all: bool,
    /// Where to write all times as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn parse_isa(name: &str) -> Result<Isa, String> {
    Isa::from_name(name).ok_or_else(|| {
        let names: Vec<_> = Isa::available().map(Isa::name).collect();
        format!("this processor has {}", names.join(", "))
    })
}

fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    if arguments.isa.is_some() {
        isa::set_isa(arguments.isa);
    }
    threads::set_num_threads(arguments.threads);
    if let Some(products) = arguments.work_threshold {
        threads::set_work_threshold(products);
    }
    let mut timings = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|&kind| arguments.kind.is_none_or(|wanted| kind == wanted)) {
        // Each kind has numbers of its own, so that it draws the same alone and among others.
        let mut random = StdRng::seed_from_u64(arguments.seed ^ (kind as u64) << 32);
        for _ in 0..arguments.count {
            let geometry = kind.draw(&mut random);
            let name = geometry.to_string();
            if arguments.only.as_ref().is_none_or(|only| name.contains(only)) {
                let Case { mut integer, mut float } = Case::new(&geometry);
                timings.push(Timing::measure(kind, name, &mut integer, &mut float));
            }
        }
    }
    timings.sort_by(|a, b| a.ratio().total_cmp(&b.ratio()));
    for timing in timings.iter().filter(|timing| arguments.all || timing.ratio() < 1.0) {
        println!("{timing}");
    }
    println!();
    for kind in Kind::ALL {
        summarize(&kind.name(), timings.iter().filter(|timing| timing.kind == kind));
    }
    summarize("all", timings.iter());
    if let Some(path) = arguments.json {
        let report = json!({
            "isa": isa::isa().name(),
            "threads": arguments.threads,
            "seed": arguments.seed,
            "geometries": timings.iter().map(Timing::to_json).collect::<Vec<_>>(),
        });
        std::fs::write(path, format!("{report:#}\n"))?;
    }
    Ok(())
}

fn summarize<'a>(name: &str, timings: impl Iterator<Item = &'a Timing>) {
    // In order of their ratios.
    let ratios: Vec<f64> = timings.map(Timing::ratio).collect();
    if let Some(least) = ratios.first() {
        let slower = ratios.iter().filter(|&&ratio| ratio < 1.0).count();
        let median = ratios[ratios.len() / 2];
        println!("{name}: {slower} of {} below 1, worst {least:.2}, median {median:.2}", ratios.len());
    }
}
