//! A worker: runs case after case of one target.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::Cli;
use crate::targets::{Outcome, Target};

/// How far a worker is; what its parent reads when it has ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) case: u64,
    /// Cases that were no error.
    pub(crate) accepted: u64,
    pub(crate) peak_kilobytes: u64,
}

impl Progress {
    fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        let numbers = [self.case, self.accepted, self.peak_kilobytes];
        for (chunk, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(numbers) {
            *chunk = number.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn write(self, path: &Path) {
        fs::write(path, self.to_bytes()).expect("the progress can be written");
    }

    pub(crate) fn read(path: &Path) -> Self {
        let mut bytes = [0; 24];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut bytes));
        if read.is_err() {
            return Self::default();
        }
        let mut numbers = bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk));
        let mut next = || numbers.next().unwrap_or_default();
        Self { case: next(), accepted: next(), peak_kilobytes: next() }
    }
}

thread_local! {
    /// Where the last panic was, and its message.
    static PANIC: RefCell<String> = RefCell::default();
}

/// Runs a case, and says what it panicked with.
fn attempt(target: &mut dyn crate::targets::Cases, seed: u64, case: u64) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| target.run(seed, case))).map_err(|_| PANIC.take())
}

fn prepare(cli: &Cli) {
    qcore::set_memory_limit(Some(cli.megabytes << 20));
    qcore::set_num_threads(1);
    std::panic::set_hook(Box::new(|info| PANIC.set(info.to_string().replace('\n', " "))));
}

pub(crate) fn one(cli: &Cli, target: Target, case: u64) -> ExitCode {
    prepare(cli);
    if let Some(bytes) = target.input(cli.seed, case) {
        println!("{}", String::from_utf8_lossy(&bytes));
    }
    match attempt(target.cases().as_mut(), cli.seed, case) {
        Ok(outcome) => {
            println!("{outcome:?}");
            ExitCode::SUCCESS
        }
        Err(panic) => {
            println!("{panic}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) fn many(cli: &Cli, target: Target, path: &Path) -> ExitCode {
    prepare(cli);
    let mut cases = target.cases();
    let mut progress = Progress::read(path);
    let mut file = OpenOptions::new().write(true).open(path).expect("the parent has made the file");
    let mut write = |progress: Progress| {
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.write_all(&progress.to_bytes()))
            .expect("a short file");
    };
    let begin = Instant::now();
    let mut panics = 0;
    while progress.case < cli.cases && begin.elapsed().as_secs_f64() < cli.seconds && panics < 3 {
        write(progress);
        match attempt(cases.as_mut(), cli.seed, progress.case) {
            Ok(Outcome::Accepted) => progress.accepted += 1,
            Ok(Outcome::Refused(_)) => {}
            Err(panic) => {
                panics += 1;
                println!("case {} panics: {panic}", progress.case);
                if let Some(bytes) = target.input(cli.seed, progress.case) {
                    let name = format!("{}-{}-{}", target.name(), cli.seed, progress.case);
                    let _ = fs::create_dir_all(&cli.findings);
                    let _ = fs::write(cli.findings.join(name), bytes);
                }
            }
        }
        progress.case += 1;
    }
    progress.peak_kilobytes = peak_kilobytes();
    write(progress);
    ExitCode::SUCCESS
}

/// The most memory that this process has had, where Linux tells.
fn peak_kilobytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
