//! The parent process: starts a worker for each target, restarts it behind a case that ended it, and reports.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::Cli;
use crate::targets::Target;
use crate::worker::Progress;

/// More findings of a target than these are not looked for.
const MAX_FINDINGS: usize = 10;

pub(crate) fn run(cli: &Cli) -> ExitCode {
    let targets = if cli.targets.is_empty() { Target::value_variants() } else { &cli.targets };
    let next = AtomicUsize::new(0);
    let found = AtomicBool::new(false);
    let total = Mutex::new((0, 0));
    thread::scope(|scope| {
        for _ in 0..cli.jobs.max(1) {
            scope.spawn(|| {
                while let Some(&target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let summary = run_target(cli, target);
                    println!("{summary}");
                    found.fetch_or(!summary.findings.is_empty(), Ordering::Relaxed);
                    let mut total = total.lock().expect("no thread panics");
                    *total = (total.0 + summary.cases, total.1.max(summary.peak_kilobytes));
                }
            });
        }
    });
    let (cases, kilobytes) = *total.lock().expect("no thread panics");
    println!("{cases} cases, at most {} MB in a process", kilobytes / 1024);
    if found.load(Ordering::Relaxed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What came of a target.
struct Summary {
    target: Target,
    cases: u64,
    accepted: u64,
    seconds: f64,
    peak_kilobytes: u64,
    findings: Vec<String>,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, cases, accepted, seconds, peak_kilobytes, findings } = self;
        write!(
            f,
            "{:12} {cases:>9} cases in {seconds:>6.1} s ({accepted} without an error), {} MB at most, {} findings",
            target.name(),
            peak_kilobytes / 1024,
            findings.len()
        )?;
        findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

fn run_target(cli: &Cli, target: Target) -> Summary {
    let folder = tempfile::tempdir().expect("a folder for the progress");
    let path = folder.path().join("progress");
    Progress::default().write(&path);
    let begin = Instant::now();
    let mut summary =
        Summary { target, cases: 0, accepted: 0, seconds: 0.0, peak_kilobytes: 0, findings: Vec::new() };
    loop {
        let left = cli.seconds - begin.elapsed().as_secs_f64();
        let ended = Progress::read(&path).case >= cli.cases;
        if left <= 0.0 || ended || summary.findings.len() >= MAX_FINDINGS {
            break;
        }
        let mut child = start(cli, target, &path, left);
        let hangs = wait(cli, &mut child, &path);
        let status = child.wait().expect("the child has ended");
        let mut output = String::new();
        if let Some(mut pipe) = child.stdout.take() {
            let _ = pipe.read_to_string(&mut output);
        }
        summary.findings.extend(output.lines().map(|panic| format!("{panic}{}", again(cli, target, None))));
        let mut progress = Progress::read(&path);
        summary.peak_kilobytes = summary.peak_kilobytes.max(progress.peak_kilobytes);
        if !status.success() {
            let case = progress.case;
            let reason = if hangs { "hangs".to_owned() } else { format!("ends the process, {status}") };
            summary.findings.push(format!("case {case} {reason}{}", again(cli, target, Some(case))));
            save_input(cli, target, case);
            progress.case += 1;
            progress.write(&path);
        }
    }
    let progress = Progress::read(&path);
    (summary.cases, summary.accepted) = (progress.case, progress.accepted);
    summary.seconds = begin.elapsed().as_secs_f64();
    summary
}

/// How to run a case again.
fn again(cli: &Cli, target: Target, case: Option<u64>) -> String {
    let case = case.map(|case| format!(" --case {case}")).unwrap_or_default();
    format!(" (fuzz --target {} --seed {}{case})", target.name(), cli.seed)
}

fn start(cli: &Cli, target: Target, progress: &Path, seconds: f64) -> Child {
    let program = std::env::current_exe().expect("this program has a path");
    Command::new(program)
        .args(["--target", target.name(), "--progress"])
        .arg(progress)
        .args(["--seconds", &seconds.to_string(), "--seed", &cli.seed.to_string()])
        .args(["--cases", &cli.cases.to_string(), "--megabytes", &cli.megabytes.to_string()])
        .arg("--findings")
        .arg(&cli.findings)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the worker starts")
}

/// Waits for a worker; one that stays at a case for too long is ended.
fn wait(cli: &Cli, child: &mut Child, path: &Path) -> bool {
    let patience = Duration::from_secs_f64(cli.patience);
    let (mut case, mut since) = (Progress::read(path).case, Instant::now());
    while child.try_wait().expect("the child can be waited for").is_none() {
        thread::sleep(Duration::from_millis(5));
        let now = Progress::read(path).case;
        if now != case {
            (case, since) = (now, Instant::now());
        } else if since.elapsed() > patience {
            let _ = child.kill();
            return true;
        }
    }
    false
}

/// Writes the input of a case that ended its process, as far as it is bytes.
fn save_input(cli: &Cli, target: Target, case: u64) {
    let Some(bytes) = target.input(cli.seed, case) else { return };
    let path = cli.findings.join(format!("{}-{}-{case}", target.name(), cli.seed));
    if fs::create_dir_all(&cli.findings).and_then(|()| fs::write(&path, bytes)).is_ok() {
        println!("  written to {}", path.display());
    }
}
