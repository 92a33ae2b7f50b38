//! `replay` on the command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use tidegate::balance::Policy;
use tidegate_lab::replay::{Loop, Predicted, Replay, json, judge, text};
use tidegate_lab::simulate::Contender;

use crate::{MISUSE, fail, say};

pub(crate) const EXAMPLES: &str = "\
EXAMPLES
  tidegate-lab replay logs/round-robin_persistent.csv
  tidegate-lab replay logs/adaptive_persistent.csv least-conn least-time
  tidegate-lab replay first-proxy.csv --beside second-proxy.csv round-robin --json

EXIT STATUS
  0  the prediction is printed; all targets of --judge are met
  1  all policies are refused, or a target of --judge is missed
  2  a flag is wrong, or the file can't be read or is no log of one policy";

#[derive(Args, Debug)]
pub(crate) struct ReplayFlags {
    /// A log of tidegate, or any with its first five columns; also packed as .gz
    #[arg(value_name = "LOG", required_unless_present = "judge")]
    log: Option<PathBuf>,

    /// Policies to predict, and baselines that are not the proxy's [default: those of the proxy]
    #[arg(value_name = "POLICY", value_parser = str::parse::<Contender>)]
    policies: Vec<Contender>,

    /// The log of another proxy that was before the same backends at the same time; may be repeated
    #[arg(long, value_name = "LOG")]
    beside: Vec<PathBuf>,

    /// The policy of the log, whatever its rows say
    #[arg(long, value_name = "POLICY")]
    used: Option<Policy>,

    /// Whether clients send requests at their instants, or after the answer to the previous one
    /// [default: told from the log]
    #[arg(long, value_name = "LOOP")]
    clients: Option<Clients>,

    /// Judge predictions by what really happened: FOLDER has a folder for each scenario, with logs
    /// of the same requests that are called `<policy>.csv`, as `arena --logs` and `simulate --logs`
    /// write them
    #[arg(long, value_name = "FOLDER", exclusive = true)]
    judge: Option<PathBuf>,

    /// Print refused predictions, too, marked as not to be trusted
    #[arg(long)]
    force: bool,

    /// Print JSON in place of tables
    #[arg(long)]
    json: bool,
}

#[derive(Copy, Clone, Debug, ValueEnum)]
enum Clients {
    Open,
    Closed,
}

impl ReplayFlags {
    pub(crate) fn run(self) -> ExitCode {
        if let Some(folder) = &self.judge {
            return match judge(folder) {
                Ok((table, is_right)) => {
                    say(&table);
                    ExitCode::from(u8::from(!is_right))
                }
                Err(error) => fail(MISUSE, &format!("{}: {error}", folder.display())),
            };
        }
        let clients = self.clients.map(|clients| match clients {
            Clients::Open => Loop::Open,
            Clients::Closed => Loop::Closed,
        });
        let logs: Vec<PathBuf> = self.log.into_iter().chain(self.beside).collect();
        let replay = match Replay::read(&logs, self.used, clients) {
            Ok(replay) => replay,
            Err(error) => return fail(MISUSE, &error),
        };
        let used = Contender::Policy(replay.used());
        let own = Policy::ALL.into_iter().map(Contender::Policy);
        let others = own.filter(|it| it.name() != used.name());
        let contenders: Vec<Contender> =
            if self.policies.is_empty() { others.collect() } else { self.policies };
        let prediction = match replay.predict(&contenders, self.force) {
            Ok(prediction) => prediction,
            Err(error) => return fail(1, &error),
        };
        if self.json {
            say(&format!("{:#}\n", json(&replay, &prediction)));
        } else {
            say(&text(&replay, &prediction));
        }
        let is_refused = |it: &Predicted| it.refusal.is_some();
        ExitCode::from(u8::from(prediction.policies.iter().all(is_refused)))
    }
}
