//! A prediction as text and as JSON.

use std::fmt::Write;

use serde_json::{Value, json};

use super::clients::Loop;
use super::figures::{Figures, QUANTILES};
use super::model::Backend;
use super::predict::{Predicted, Prediction, Replay};
use super::trace::{Clock, LeftOut};
use super::visits::Division;
use crate::render::{Row, Table, figure, thousands};

/// For a terminal.
#[must_use]
pub fn text(replay: &Replay, prediction: &Prediction) -> String {
    let mut text = head(replay, prediction);
    text += &backends(replay).text();
    text.push('\n');
    text += &policies(replay, prediction).text();
    text += &errors(replay, prediction);
    text += &remarks(replay, prediction);
    text
}

fn head(replay: &Replay, prediction: &Prediction) -> String {
    let trace = &replay.trace;
    let clients = match replay.clients {
        Loop::Open => "each request at its instant",
        Loop::Closed => "each request after the previous one of its client",
    };
    format!(
        "{} requests in {:.1} s under {}, replayed: {clients}\n\n",
        thousands(prediction.real.requests as f64),
        trace.length_us() as f64 / 1e6,
        trace.policy,
    )
}

/// What is known of each backend, and from what.
fn backends(replay: &Replay) -> Table {
    let heads = [
        "backend",
        "samples",
        "in flight p50",
        "p99",
        "most",
        "model",
        "mean ms",
        "stalls",
        "outages",
    ];
    let row = |(member, backend): (&super::trace::Member, &Backend)| {
        let [p50, p99, most] = backend.levels;
        let [stalls, outages] = backend.changes();
        let cells = [
            member.url.clone(),
            thousands(backend.samples as f64),
            p50.to_string(),
            p99.to_string(),
            most.to_string(),
            model(backend),
            figure(backend.mean_ms()),
            stalls.to_string(),
            outages.to_string(),
        ];
        Row { cells: cells.to_vec(), is_marked: false }
    };
    let rows = replay.trace.backends.iter().zip(&replay.model.backends).map(row).collect();
    Table { caption: String::new(), heads: heads.map(str::to_owned).to_vec(), rows }
}

fn model(backend: &Backend) -> String {
    match backend.division {
        Division::Unlimited => "no limit seen".to_owned(),
        Division::Slots(1) => "1 slot".to_owned(),
        Division::Slots(count) => format!("{count} slots"),
        Division::Cores(1) => "1 core shared".to_owned(),
        Division::Cores(count) => format!("{count} cores shared"),
    }
}

/// What was and what would have been.
fn policies(replay: &Replay, prediction: &Prediction) -> Table {
    let names = QUANTILES.map(|(name, _)| name);
    let heads = ["policy", "req/s", "mean ms"].into_iter().chain(names);
    let heads = heads.chain(["errors", "extra", "shares %"]).map(str::to_owned).collect();
    let used = replay.trace.policy.name();
    let mut rows = vec![
        row(&format!("{used}, as it was"), &prediction.real),
        row(&format!("{used}, replayed"), &prediction.used),
    ];
    for Predicted { policy, figures, refusal } in &prediction.policies {
        rows.push(match (figures, refusal) {
            (Some(figures), None) => row(policy.name(), figures),
            (Some(figures), Some(_)) => row(&format!("{policy}, not to be trusted"), figures),
            (None, _) => {
                Row { cells: vec![policy.to_string(), "refused".to_owned()], is_marked: false }
            }
        });
    }
    Table { caption: String::new(), heads, rows }
}

fn row(name: &str, figures: &Figures) -> Row {
    let mut cells = vec![name.to_owned(), thousands(figures.per_second), figure(figures.mean_ms)];
    cells.extend(figures.quantiles_ms.map(figure));
    cells.push(format!("{:.2} %", 100.0 * figures.error_part));
    cells.push(thousands(figures.extra as f64));
    let shares = figures.shares.iter().map(|share| format!("{:.1}", 100.0 * share));
    cells.push(shares.collect::<Vec<_>>().join(" / "));
    Row { cells, is_marked: false }
}

/// How wrong the prediction is where the truth is known.
fn errors(replay: &Replay, prediction: &Prediction) -> String {
    let policy = replay.trace.policy;
    let listed = |found: &Figures, truth: &Figures| {
        let [mean, p50, p95, p99] = found.errors(truth).map(|part| 100.0 * part);
        let share = 100.0 * found.share_error(truth);
        format!(
            "mean {mean:+.1} %, p50 {p50:+.1} %, p95 {p95:+.1} %, p99 {p99:+.1} %, \
             shares by up to {share:.1} percentage points"
        )
    };
    let mut text = "\nHow wrong it is where the truth is known:\n".to_owned();
    let whole = listed(&prediction.used, &prediction.real);
    // Writing to a String can't fail.
    let _ = writeln!(text, "- {policy}, replayed: {whole}");
    let _ = match &prediction.half {
        Some([found, truth]) => {
            let half = listed(found, truth);
            writeln!(text, "- the second half of the log, predicted from the first: {half}")
        }
        None => writeln!(
            text,
            "- the first half of the log says too little of a backend to predict the second"
        ),
    };
    text
}

/// What is to be known beside the figures.
fn remarks(replay: &Replay, prediction: &Prediction) -> String {
    let trace = &replay.trace;
    let mut remarks = Vec::new();
    remarks.extend(refusals(&prediction.policies));
    remarks.extend(of_clock(trace.clock));
    if !replay.has_clients {
        remarks.push(
            "The log does not say which client sent a request, so each comes at its instant. If \
             clients waited for answers, a faster policy would have got more requests."
                .to_owned(),
        );
    }
    if !trace.has_settings {
        remarks.push(
            "There is no .meta.json beside the log: parameters, limits, weights and timeouts are \
             taken to be the defaults, and a backend without a request is not known."
                .to_owned(),
        );
    }
    remarks.extend(of_pauses(replay));
    remarks.extend(of_left_out(&trace.left_out));
    if remarks.is_empty() {
        return String::new();
    }
    let lines = remarks.iter().map(|remark| format!("- {remark}\n"));
    format!("\nTo be known:\n{}", lines.collect::<String>())
}

/// Why policies are refused, those for the same reason together.
fn refusals(policies: &[Predicted]) -> Vec<String> {
    let mut reasons: Vec<(String, Vec<&str>)> = Vec::new();
    for Predicted { policy, refusal, .. } in policies {
        let Some(refusal) = refusal.as_ref().map(ToString::to_string) else { continue };
        match reasons.iter_mut().find(|(known, _)| *known == refusal) {
            Some((_, names)) => names.push(policy.name()),
            None => reasons.push((refusal, vec![policy.name()])),
        }
    }
    let sentence = |(refusal, names): &(String, Vec<&str>)| {
        let are = if names.len() == 1 { "is" } else { "are" };
        format!("{} {are} refused: {refusal}.", names.join(", "))
    };
    reasons.iter().map(sentence).collect()
}

fn of_clock(clock: Clock) -> Option<String> {
    let text = match clock {
        Clock::Started => return None,
        Clock::Ended => {
            "The log has no column `started`: a request is taken to have begun at its end minus \
             its latency, which is late by what it waited in the proxy before."
        }
        Clock::WholeSeconds => {
            "The log has no column `started` and its times are in whole seconds: the requests of a \
             second are spread evenly over it, so bursts are lost, and queues with them."
        }
    };
    Some(text.to_owned())
}

/// When the proxies stood still, if that was long enough to matter.
fn of_pauses(replay: &Replay) -> Option<String> {
    let (count, us) = replay.model.pauses.total();
    let all_us = replay.trace.length_us() * replay.trace.proxies.count as u64;
    let part = us / all_us.max(1) as f64;
    (part > 0.01).then(|| {
        format!(
            "The proxy stood still {count} times, for {:.0} % of the time: its machine was busy. \
             It does so in each replay, too.",
            100.0 * part
        )
    })
}

fn of_left_out(left_out: &LeftOut) -> Option<String> {
    let LeftOut { broken, first_broken, undispatched, probes, outliers, last, tunnels } = left_out;
    let counts = [
        (*broken, "lines that are no rows"),
        (*undispatched, "requests that were sent to no backend"),
        (*probes, "health checks"),
        (*outliers, "rows with implausible times"),
        (*last, "requests at the end, where those that had not ended are missing"),
        (*tunnels, "tunnels"),
    ];
    let named = counts.iter().filter(|(count, _)| *count > 0);
    let named: Vec<_> = named.map(|(count, what)| format!("{count} {what}")).collect();
    let first = first_broken.as_ref().map(|what| format!("; the first such line: {what}"));
    (!named.is_empty())
        .then(|| format!("Left out: {}{}.", named.join(", "), first.unwrap_or_default()))
}

/// For programs.
#[must_use]
pub fn json(replay: &Replay, prediction: &Prediction) -> Value {
    let trace = &replay.trace;
    let backends = trace.backends.iter().zip(&replay.model.backends).map(|(member, backend)| {
        let [p50, p99, most] = backend.levels;
        let [stalls, outages] = backend.changes();
        json!({
            "url": member.url, "samples": backend.samples, "model": model(backend),
            "in_flight": { "p50": p50, "p99": p99, "most": most },
            "mean_ms": backend.mean_ms(),
            "stalls": stalls, "outages": outages,
        })
    });
    let policies = prediction.policies.iter().map(|Predicted { policy, figures, refusal }| {
        let mut it = figures.as_ref().map_or_else(|| json!({}), of_figures);
        it["policy"] = json!(policy.name());
        it["refused"] = json!(refusal.as_ref().map(ToString::to_string));
        it
    });
    json!({
        "policy": trace.policy.name(),
        "clients": match replay.clients { Loop::Open => "open", Loop::Closed => "closed" },
        "backends": backends.collect::<Vec<_>>(),
        "real": of_figures(&prediction.real),
        "replayed": of_figures(&prediction.used),
        "second_half": prediction.half.as_ref().map(|[found, truth]| {
            json!({ "predicted": of_figures(found), "real": of_figures(truth) })
        }),
        "policies": policies.collect::<Vec<_>>(),
    })
}

fn of_figures(figures: &Figures) -> Value {
    let [p50, p95, p99] = figures.quantiles_ms;
    json!({
        "requests": figures.requests,
        "requests_per_second": figures.per_second,
        "mean_ms": figures.mean_ms,
        "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
        "error_part": figures.error_part,
        "shares": figures.shares,
        "extra": figures.extra,
    })
}
