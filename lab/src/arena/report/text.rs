//! The results on a terminal, and the sentences that the page shares.

use std::fmt::Write;

use super::super::results::{Measured, Results};
use super::heat::Score;
use super::standing::{MOST_ERRORS, Standing, Verdict};
use super::stats;
use super::{simulated, tables};

/// How many contenders the first sentence names.
const NAMED: usize = 3;

pub(super) fn document(results: &Results) -> String {
    let standings: Vec<Standing> = results.scenarios.iter().map(Standing::of).collect();
    let mut text = String::new();
    for (measured, standing) in results.scenarios.iter().zip(&standings) {
        text += &scenario(results, measured, standing);
        text.push('\n');
    }
    text + &summary(results, &standings)
}

/// What is said of all scenarios together.
pub(super) fn summary(results: &Results, standings: &[Standing]) -> String {
    let mut text = String::new();
    if let Some(table) = simulated::overview(results, standings) {
        text += "Measured against simulated, at the quantile compared (! beyond 15 %):\n";
        text += &table.text();
        text.push('\n');
    }
    text += &tables::overview(results, standings).text();
    text = text + tables::OVERVIEW + "\n\n";
    // Writing to a String can't fail.
    let _ = writeln!(text, "{}", winner(results, standings));
    for rule in rules(results) {
        let _ = writeln!(text, "{rule}");
    }
    let _ = writeln!(text, "{}", machine(results));
    for absence in &results.left_out {
        let _ = writeln!(text, "left out: {absence}");
    }
    text
}

/// One scenario: its figures, each focus, and what the simulator says.
pub(super) fn scenario(results: &Results, measured: &Measured, standing: &Standing) -> String {
    let contenders = &results.contenders;
    let mut text = format!(
        "{}: {}\n{}",
        measured.name,
        measured.scenario.about,
        tables::figures(contenders, measured, standing).text()
    );
    for remark in tables::remarks(contenders, measured, standing) {
        let _ = writeln!(text, "{remark}");
    }
    let shares = tables::distribution(contenders, measured);
    let _ = write!(text, "\n{}:\n{}", shares.caption, shares.text());
    for (index, focus) in measured.scenario.focus.iter().enumerate() {
        let table = tables::focus(contenders, measured, index).text();
        let _ = write!(text, "\n{}:\n{table}", focus.name);
    }
    if let Some(table) = simulated::table(contenders, measured) {
        let _ = write!(text, "\n{}:\n{}", table.caption, table.text());
    }
    text
}

/// Who wins how often.
pub(super) fn winner(results: &Results, standings: &[Standing]) -> String {
    let score = |index: usize| (index, Score::of(standings, index));
    let mut scores: Vec<(usize, Score)> = (0..results.contenders.len()).map(score).collect();
    let worst = |score: &Score| score.worst.unwrap_or(f64::INFINITY);
    scores.sort_by(|(_, one), (_, other)| {
        other.wins.cmp(&one.wins).then(worst(one).total_cmp(&worst(other)))
    });
    let name = |index: usize| results.contenders[index].name.as_str();
    let Some(((first, best), others)) = scores.split_first() else {
        return "There are no contenders.".to_owned();
    };
    let contests = Standing::contests(standings);
    if contests == 0 {
        return "No scenario has two contenders to compare.".to_owned();
    }
    let mut text = format!(
        "{} has the best or an equal tail latency in {} of {} scenarios, and at worst {} the best",
        name(*first),
        best.wins,
        contests,
        best.worst_text(),
    );
    if best.unranked > 0 {
        let _ = write!(text, " (in {} it is not ranked)", best.unranked);
    }
    for (index, score) in others.iter().take(NAMED - 1) {
        let (name, wins, worst) = (name(*index), score.wins, score.worst_text());
        let _ = write!(text, "; {name} in {wins}, at worst {worst}");
        if score.unranked > 0 {
            let _ = write!(text, " (in {} not ranked)", score.unranked);
        }
    }
    text + "."
}

/// How the figures are to be read.
pub(super) fn rules(results: &Results) -> [String; 4] {
    let rounds = usize::try_from(results.rounds).unwrap_or(usize::MAX);
    [
        "Latency is from a request's intended start to its whole answer or its error. Latencies, \
         CPU and lag are medians of the rounds, errors and extra requests their sums. A quantile \
         that less than 100 requests of all rounds exceeded is not shown (–). A scenario with \
         too few requests for a p99 is compared by a lower quantile."
            .to_owned(),
        format!(
            "How many times the best a contender is, is the ratio of these medians. The n-th \
             rounds of two contenders have the same requests, so the ratios of these pairs are its \
             interval: {}. A contender is equal to the best (=) if its interval contains 1.00.",
            stats::method(rounds)
        ),
        format!(
            "A contender is not ranked if its part of errors is more than {:.1} percentage points \
             above the lowest of the scenario, because the latency of the other requests then says \
             too little; nor if it has failed or has too few requests.",
            100.0 * MOST_ERRORS
        ),
        "Extra requests are those that the backends received beyond the clients'. CPU is processor \
         time of all of a contender's threads and processes per request. Lag is how late the \
         client sent, at its p99. A round is disturbed if that is more than 1 ms, or if other \
         programs used more than a tenth of the contender's cores: it is repeated once, then \
         marked (!)."
            .to_owned(),
    ]
}

/// What everything was measured on, and with.
pub(super) fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let mut parts = vec![
        machine.processor.clone(),
        format!("{} cores", machine.cores),
        format!("Linux {}", machine.kernel),
        match results.rounds {
            1 => "1 round".to_owned(),
            rounds => format!("{rounds} rounds, interleaved"),
        },
    ];
    parts.extend(machine.versions.iter().cloned());
    parts.join(", ")
}

/// The contenders that are best or equal to the best, for the headline of a scenario.
pub(super) fn winners(results: &Results, measured: &Measured, standing: &Standing) -> String {
    let entries = || measured.entries.iter().zip(&standing.places);
    let best = entries().find(|(_, place)| place.verdict == Verdict::Best);
    let Some((best, place)) = best else { return "No contender is ranked.".to_owned() };
    let name = |entry| tables::name(&results.contenders, entry);
    let equals: Vec<&str> = entries()
        .filter(|(_, place)| place.verdict == Verdict::Equal)
        .map(|(entry, _)| name(entry))
        .collect();
    let ms = tables::or_nothing(place.ms, crate::render::figure);
    let (best, quantile) = (name(best), standing.quantile.name());
    match equals[..] {
        [] => format!("Best {quantile}: {best}, {ms} ms."),
        _ => format!("Best {quantile}: {best}, {ms} ms; equal to it: {}.", equals.join(", ")),
    }
}
