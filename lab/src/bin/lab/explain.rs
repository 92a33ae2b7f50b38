//! `explain` on the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tidegate_lab::explain::{ExplainError, Logs, explain};

use crate::{MISUSE, fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab explain /checkout --log logs/adaptive_persistent.csv
      the requests for a path, and why each went where it went
  tidegate-lab explain 12345 --log x.csv --decisions x.jsonl
      the request in row 12,345 of the log, the first being 1
  tidegate-lab explain 2026-11-28T14:03:17.123456Z/0/127.0.0.1:50412 --decisions x.jsonl
      a request by its name, as the decision log has it: started/worker/client; its beginning
      is enough, so 2026-11-28T14:03:17 stands for all requests of that second

EXIT STATUS
  0    the request is told of
  1    a log can't be read, or has no such request
  2    a flag is wrong, or the log that is needed is not named";

#[derive(Args, Debug)]
pub(crate) struct ExplainFlags {
    /// Its name or the beginning of that, its row in the CSV log, or its path
    #[arg(value_name = "REQUEST")]
    request: String,

    /// The log of --decisions [default: the one that the description beside the CSV log names]
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,

    /// The log of --log; without it nothing is known of what became of the request
    #[arg(long, value_name = "CSV")]
    log: Option<PathBuf>,
}

impl ExplainFlags {
    pub(crate) fn run(self) -> ExitCode {
        let Self { request, decisions, log } = self;
        match explain(&request, &Logs { rows: log, decisions }) {
            Ok(text) => {
                say(&text);
                ExitCode::SUCCESS
            }
            Err(error @ (ExplainError::NoLog | ExplainError::NeedsRows)) => fail(MISUSE, &error),
            Err(error) => fail(1, &error),
        }
    }
}
