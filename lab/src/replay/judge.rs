//! Judges predictions by what really happened: logs of the same requests under several policies,
//! each of which predicts all others.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tidegate::balance::Policy;

use super::figures::Figures;
use super::predict::{Predicted, Replay};
use super::support::NEAR;
use crate::render::{Row, Table, figure};
use crate::simulate::Contender;

/// Policies whose figures differ by less are not put in order.
const LEAST_DIFFERENCE: f64 = 0.1;

/// What a log says of a policy, and what that really did.
#[derive(Debug)]
struct Pair {
    scenario: String,
    log_of: Policy,
    predicted: Predicted,
    policy: Policy,
    real: Figures,
}

impl Pair {
    fn is_of_used(&self) -> bool {
        self.log_of.name() == self.policy.name()
    }

    /// What is said, if it is not refused.
    fn answer(&self) -> Option<&Figures> {
        self.predicted.figures.as_ref().filter(|_| self.predicted.refusal.is_none())
    }

    /// Whether the figures are right, refused or not.
    fn is_near(&self) -> bool {
        self.predicted.figures.as_ref().is_some_and(|figures| {
            let [_, quantiles @ ..] = figures.errors(&self.real);
            quantiles.iter().zip(NEAR).all(|(error, near)| error.abs() <= near)
        })
    }
}

/// Judges the logs in the folders of `folder`, each of which is a scenario with the logs
/// `<policy>.csv`, and `<policy>.2.csv` of a second proxy. What is said of it, and whether the
/// targets are met.
///
/// # Errors
/// A folder can't be read.
pub fn judge(folder: &Path) -> io::Result<(String, bool)> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|it| Ok(it?.path())).collect::<io::Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    let pairs: Vec<Pair> = folders.iter().flat_map(|it| scenario(it)).collect();
    let (near_text, is_near) = nearness(&pairs);
    let (order_text, has_order) = orders(&pairs);
    let text = format!("{}\n{near_text}{}{order_text}", table(&pairs).text(), answers(&pairs));
    Ok((text, has_order && is_near))
}

fn scenario(folder: &Path) -> Vec<Pair> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let replays: Vec<Replay> = Policy::ALL
        .into_iter()
        .filter_map(|policy| {
            let paths = (1..).map(|number| log_of(folder, policy, number));
            let paths: Vec<PathBuf> = paths.take_while(|path| path.exists()).collect();
            Replay::read(&paths, None, None).ok()
        })
        .collect();
    let policies: Vec<Contender> =
        replays.iter().map(|replay| Contender::Policy(replay.used())).collect();
    let mut pairs = Vec::new();
    for replay in &replays {
        let Ok(prediction) = replay.predict(&policies, true) else { continue };
        for (predicted, truth) in prediction.policies.into_iter().zip(&replays) {
            // Logs may be cut at other instants.
            let Ok(real) = truth.real_until(replay.trace.length_us()) else { continue };
            let (scenario, log_of) = (name.clone().into_owned(), replay.used());
            let policy = truth.used();
            pairs.push(Pair { scenario, log_of, predicted, policy, real });
        }
    }
    pairs
}

fn log_of(folder: &Path, policy: Policy, number: usize) -> PathBuf {
    let name = policy.name();
    folder.join(if number == 1 { format!("{name}.csv") } else { format!("{name}.{number}.csv") })
}

/// Side by side: what was predicted, and what was.
fn table(pairs: &[Pair]) -> Table {
    let heads = ["scenario", "log of", "predicted", "p50", "p95", "p99", "mean ms", "refused"];
    let row = |pair: &Pair| {
        let mut cells = vec![pair.scenario.clone(), pair.log_of.to_string()];
        cells.push(pair.policy.to_string());
        let cell = |found: f64, real: f64| {
            let part = 100.0 * (found / real - 1.0);
            format!("{} / {} {part:+.0} %", figure(found), figure(real))
        };
        if let Some(figures) = &pair.predicted.figures {
            let quantiles = figures.quantiles_ms.iter().zip(pair.real.quantiles_ms);
            cells.extend(quantiles.map(|(found, real)| cell(*found, real)));
            cells.push(cell(figures.mean_ms, pair.real.mean_ms));
        }
        let refusal = pair.predicted.refusal.as_ref().map(super::Refusal::word);
        cells.push(refusal.unwrap_or_default().to_owned());
        Row { cells, is_marked: false }
    };
    let rows = pairs.iter().map(row).collect();
    Table { caption: String::new(), heads: heads.map(str::to_owned).to_vec(), rows }
}

/// Whether what was used is predicted well enough.
fn nearness(pairs: &[Pair]) -> (String, bool) {
    let used: Vec<&Pair> = pairs.iter().filter(|pair| pair.is_of_used()).collect();
    let far: Vec<String> = used
        .iter()
        .filter(|pair| !pair.is_near())
        .map(|pair| format!("{} {}", pair.scenario, pair.policy))
        .collect();
    let mut text = format!(
        "the policy that was used, within 10 % at p50 and p95 and 20 % at p99: {} of {}\n",
        used.len() - far.len(),
        used.len()
    );
    if !far.is_empty() {
        let _ = writeln!(text, "not: {}", far.join(", "));
    }
    (text, far.is_empty())
}

/// How often something is said of another policy, and whether refusals are right.
fn answers(pairs: &[Pair]) -> String {
    let others = || pairs.iter().filter(|pair| !pair.is_of_used());
    let near = |is_answer: bool| {
        let of = || others().filter(move |pair| pair.answer().is_some() == is_answer);
        (of().filter(|pair| pair.is_near()).count(), of().count())
    };
    let ((right, answered), (wasted, refused)) = (near(true), near(false));
    format!(
        "other policies: {answered} of {} answered, {right} of these as near; {wasted} of the \
         {refused} that were refused would have been\n",
        answered + refused
    )
}

/// Whether policies are put into the right order, where something is said of both.
fn orders(pairs: &[Pair]) -> (String, bool) {
    type Pick = fn(&Figures) -> f64;
    let picks: [(&str, Pick); 4] = [
        ("mean", |it| it.mean_ms),
        ("p50", |it| it.quantiles_ms[0]),
        ("p95", |it| it.quantiles_ms[1]),
        ("p99", |it| it.quantiles_ms[2]),
    ];
    let (mut text, mut is_right) = (String::new(), true);
    for (name, pick) in picks {
        let (mut right, mut all) = (0, 0);
        let is_one_log =
            |a: &Pair, b: &Pair| a.scenario == b.scenario && a.log_of.name() == b.log_of.name();
        for of_log in pairs.chunk_by(is_one_log) {
            let said: Vec<(f64, f64)> = of_log
                .iter()
                .filter_map(|pair| Some((pick(pair.answer()?), pick(&pair.real))))
                .collect();
            for (place, a) in said.iter().enumerate() {
                for b in &said[place + 1..] {
                    if (a.1 / b.1).ln().abs() > (1.0 + LEAST_DIFFERENCE).ln() {
                        all += 1;
                        right += u32::from((a.0 < b.0) == (a.1 < b.1));
                    }
                }
            }
        }
        is_right &= right * 10 >= all * 8;
        // Writing to a String can't fail.
        let _ = writeln!(text, "pairs of policies in the right order by {name}: {right} of {all}");
    }
    (text, is_right)
}
