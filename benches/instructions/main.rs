//! Counts the instructions of each step of a request, so that a change to the hot path shows even
//! on a machine too busy to time it.
//!
//! `cachegrind` counts, each path in a process of its own, done `TIMES` times and twice as often;
//! the difference has nothing of starting and preparing in it. The whole proxy is counted last, by
//! `callgrind` (`whole`). Counts repeat to a fraction of a
//! percent, but they are no time, know nothing of the kernel, and change with the compiler. So they
//! are compared with a baseline only where somebody asks for it: `scripts/bench --instructions`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "it measures, or it stops")]

mod paths;
mod whole;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use paths::PATHS;

/// Times a path is done. All rows of twice as many fit into the journal's ring.
const TIMES: u64 = 2_000;

/// More than this much above the baseline, a path has become slower.
const TOLERANCE_PERCENT: f64 = 3.0;

const USAGE: &str = "\
cargo bench --bench instructions [-- --accept]
  Counts instructions per path and compares them with benches/instructions/baseline.txt.
  --accept   makes what was counted the new baseline

EXIT STATUS
  0  no path needs more than the baseline says, give or take 3 %
  1  some path does, or it could not be counted
  2  a flag is wrong";

fn main() -> ExitCode {
    // Cargo adds this one by itself.
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] => count_all().map_or(ExitCode::FAILURE, |counts| compare(&counts)),
        ["--accept"] => count_all().map_or(ExitCode::FAILURE, |counts| accept(&counts)),
        ["--do", path, times] => run(path, times.parse().expect("a number")),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What a child does under the counter.
fn run(path: &str, times: u64) -> ExitCode {
    let (_, make) = PATHS.iter().find(|(name, _)| *name == path).expect("a path of that name");
    let mut step = make();
    for _ in 0..times {
        step();
    }
    ExitCode::SUCCESS
}

type Count = (&'static str, u64);

fn count_all() -> Option<Vec<Count>> {
    let paths = PATHS.iter().map(|(name, _)| Some((*name, count(name)?)));
    let whole = whole::RUNS.iter().map(|(name, flags)| Some((*name, whole::count(flags)?)));
    paths.chain(whole).collect()
}

/// Instructions for doing a path once.
fn count(path: &str) -> Option<u64> {
    let (once, twice) = (instructions(path, TIMES)?, instructions(path, 2 * TIMES)?);
    Some((twice - once + TIMES / 2) / TIMES)
}

fn instructions(path: &str, times: u64) -> Option<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    command.arg(env::current_exe().expect("this program"));
    command.args(["--do", path, &times.to_string()]);
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("can't run valgrind: {error}; ./scripts/setup --bench installs it");
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    let total = said.lines().find_map(|line| line.split_once("I   refs:"));
    let Some((_, digits)) = total.filter(|_| output.status.success()) else {
        eprintln!("{path} can't be counted:\n{said}");
        return None;
    };
    Some(digits.trim().replace(',', "").parse().expect("valgrind's number"))
}

fn baseline_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/baseline.txt")
}

fn accept(counts: &[Count]) -> ExitCode {
    let mut text = format!("# Instructions per path, {}.\n", compiler());
    for (name, count) in counts {
        writeln!(text, "{count:>6}  {name}").unwrap();
    }
    fs::write(baseline_file(), &text).expect("the baseline can be written");
    print!("{text}");
    ExitCode::SUCCESS
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().expect("a compiler");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn compare(counts: &[Count]) -> ExitCode {
    let text = fs::read_to_string(baseline_file()).unwrap_or_default();
    println!("{}", text.lines().next().unwrap_or("There is no baseline; --accept makes one."));
    println!("{:<28}  {:>8}  {:>8}", "now", "baseline", "change");
    let mut is_slower = false;
    for (name, now) in counts {
        let change = baseline(&text, name).map(|before| percent(*now, before));
        let before = baseline(&text, name).map_or("–".to_owned(), |before| before.to_string());
        let shown = change.map_or("–".to_owned(), |change| format!("{change:+.1} %"));
        println!("{now:>6}  {name:<26}  {before:>8}  {shown:>8}");
        is_slower |= change.is_some_and(|change| change > TOLERANCE_PERCENT);
    }
    if is_slower {
        eprintln!("more than {TOLERANCE_PERCENT} % above the baseline");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn baseline(text: &str, path: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (count, name) = line.trim().split_once("  ")?;
        (name == path).then(|| count.parse().ok())?
    })
}

fn percent(now: u64, before: u64) -> f64 {
    (now as f64 / before as f64 - 1.0) * 100.0
}
