//! Hostile input for everything that reads some: files, shapes, parameters, slices. Whatever happens is to be an error or
//! a result; a panic, an abort or a hang is a finding, and is reported with what reproduces it.
//!
//! ```text
//! fuzz                                          # every target, a second each
//! fuzz --seconds 600 --jobs 2 int8_file api     # longer, two processes at a time
//! fuzz --target api --seed 7 --case 1234        # one case again, in this process
//! ```
//!
//! A case is a function of the target, the seed and its number. Cases run in child processes, which write down the
//! number of the case they are at, so that one that ends the process is known too.

mod parent;
mod random;
mod targets;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use targets::Target;

#[derive(Clone, Debug, Parser)]
#[command(version, about)]
struct Cli {
    /// The targets; all if there are none.
    targets: Vec<Target>,
    /// How long each target runs.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// At most so many cases of each target.
    #[arg(long, default_value_t = u64::MAX)]
    cases: u64,
    /// Processes at a time.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Other cases for another number.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// After so many seconds in one case it hangs.
    #[arg(long, default_value_t = 60.0)]
    patience: f64,
    /// What a call may take, in megabytes.
    #[arg(long, default_value_t = 256)]
    megabytes: usize,
    /// Where the inputs that are findings go.
    #[arg(long, default_value = "fuzz-findings")]
    findings: PathBuf,
    /// The target of a single case.
    #[arg(long, requires = "case")]
    target: Option<Target>,
    /// Runs only this case, in this process.
    #[arg(long, requires = "target")]
    case: Option<u64>,
    /// A child process, which counts its cases in this file, from the number that is in it.
    #[arg(long, hide = true, requires = "target", conflicts_with = "case")]
    progress: Option<PathBuf>,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match (cli.target, cli.case, &cli.progress) {
        (Some(target), Some(case), _) => worker::one(&cli, target, case),
        (Some(target), None, Some(progress)) => worker::many(&cli, target, progress),
        _ => parent::run(&cli),
    }
}
