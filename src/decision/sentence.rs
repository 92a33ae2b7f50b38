//! What a choice says, in a sentence. It tells what was recorded and infers nothing.

use jiff::{SignedDuration, Timestamp};

use super::{Candidate, Decision};

/// So many of the other backends are told of.
const TOLD_MAX: usize = 8;

/// Tells a choice that was made at this time, if that is known: the backend, why, and what kept the
/// others from being it.
#[must_use]
pub fn tell(decision: &Decision<'_>, at: Option<Timestamp>) -> String {
    let mut clauses = vec![chosen(decision)];
    let others = decision.candidates.iter().filter(|other| other.url != decision.chosen);
    let mut others = others.filter_map(|other| told(decision, other, at));
    clauses.extend(others.by_ref().take(TOLD_MAX));
    let unlisted = others.count() + decision.more_candidates;
    if unlisted > 0 {
        clauses.push(format!("there were {unlisted} more"));
    }
    plain(&(clauses.join("; ") + "."))
}

/// Tells as much as a row of the CSV log knows: the backend, why, and how many requests it had in
/// flight, this one included.
#[must_use]
pub fn tell_reason(policy: &str, chosen: &str, reason: &str, in_flight: Option<u32>) -> String {
    let why = match reason {
        "best" if policy == "least-conn" => "it had least to do",
        "best" => "the policy expected it to answer first",
        "tie" if policy == "least-conn" => "it was its turn among those that had least to do",
        "tie" => "it was its turn among those that were expected to answer equally fast",
        "turn" => "it was its turn",
        "first" => "it had not been measured yet",
        "trial" => "it had been ejected, or not been measured for long",
        "only" => "no other backend took requests, or its client was bound to it",
        "hedge" => "the first attempt was silent, and this one answered first",
        "retry" => "another backend had failed the request",
        "cooling" => "no backend took requests",
        other => &format!("of `{other}`"),
    };
    let load = in_flight.map_or(String::new(), |in_flight| {
        format!("; it had {in_flight} in flight, this request included")
    });
    plain(&format!("{chosen}, because {why}{load}."))
}

/// The backend, and why.
fn chosen(decision: &Decision<'_>) -> String {
    let Decision { chosen, reason, candidates, .. } = decision;
    let unknown = Candidate::default();
    let own = decision.chosen_candidate().unwrap_or(&unknown);
    match &**reason {
        "best" | "tie" | "turn" => format!("{chosen}, because {}", by_policy(decision, own)),
        "hedge" => {
            let why = by_policy(decision, own);
            let chance = decision.probability.map_or(String::new(), |probability| {
                let equal = (1.0 / probability).round();
                format!(", and chance decided between {equal} that were as good")
            });
            format!(
                "{chosen}, because the first attempt was silent and this is a hedge beside it; of \
                 the backends that were not busy, {why}{chance}"
            )
        }
        "retry" => {
            let left = candidates.iter().filter(|other| other.state == "up").count();
            let why = if left > 1 {
                format!("of the others, {}", by_policy(decision, own))
            } else {
                "no other one was left".to_owned()
            };
            format!("{chosen}, because another backend had failed the request; {why}")
        }
        "first" => format!(
            "{chosen}, because it had not been measured yet, and this request measures it{}",
            instead(decision)
        ),
        "trial" if own.state == "up" => {
            let age = own
                .estimate_age_ms
                .map_or(String::new(), |ms| format!(", {} ago", seconds(ms / 1e3)));
            format!(
                "{chosen}, because its last sample was too old{age}, and this request measures it \
                 again{}",
                instead(decision)
            )
        }
        "trial" => format!(
            "{chosen}, because its ejection was over, and this request shows whether it is back"
        ),
        "cooling" if own.state == "down" || own.state == "up" => format!(
            "{chosen}, because all backends were down by their checks, so the policy chose as if \
             they were not"
        ),
        "cooling" => format!(
            "{chosen}, because no backend took requests, and its ejection was the first to end"
        ),
        "only" if candidates.len() + decision.more_candidates > 1 => {
            format!("{chosen}, because no other backend took requests")
        }
        "only" => format!("{chosen}, because it was the only backend"),
        other => format!("{chosen} (`{other}`)"),
    }
}

/// Why the policy preferred a backend.
fn by_policy(decision: &Decision<'_>, own: &Candidate<'_>) -> String {
    let Decision { policy, reason, .. } = decision;
    let is_tie = &**reason == "tie";
    let load = format!("{} in flight", own.in_flight);
    match (&**policy, own.score) {
        ("round-robin", _) => {
            let weights = decision.candidates.iter().any(|other| differ(other.weight, own.weight));
            let share = if weights { ", as often as its weight says" } else { "" };
            format!("it was its turn{share}")
        }
        ("least-conn", Some(_)) if is_tie => {
            format!("it was its turn among those that had least to do: it had {load}")
        }
        ("least-conn", Some(_)) => format!("it had least to do for its weight: {load}"),
        (policy, Some(score)) => {
            let score = figure(score);
            let begin = if is_tie {
                format!("it was its turn among those with the least score, {score}")
            } else {
                format!("its score {score} was the least")
            };
            let measure = own.estimate_ms.map_or(String::new(), |ms| {
                format!(": {} and it had {load}", measured(policy, ms))
            });
            begin + &measure
        }
        (_, None) if is_tie => {
            format!(
                "none was measured yet and it was its turn among those with least to do: {load}"
            )
        }
        (_, None) => format!("none was measured yet and it had least to do: {load}"),
    }
}

fn measured(policy: &str, ms: f64) -> String {
    let ms = figure(ms);
    match policy {
        "adaptive_sma" => format!("its last answers took {ms} ms on average"),
        "adaptive_ewma" => format!("its answers took {ms} ms by their moving average"),
        _ => format!("it usually answers in {ms} ms"),
    }
}

/// Where the request would have gone, if it was not sent to measure.
fn instead(decision: &Decision<'_>) -> String {
    let next = decision.runner_up.as_ref();
    next.map_or(String::new(), |next| format!("; by its score it would have been {next}"))
}

/// What kept another backend from being chosen; nothing if it only was not its turn.
fn told(decision: &Decision<'_>, other: &Candidate<'_>, at: Option<Timestamp>) -> Option<String> {
    let Candidate { url, state, in_flight, score, estimate_ms, .. } = other;
    Some(match &**state {
        "up" => match (&*decision.policy, score, estimate_ms) {
            ("least-conn", Some(_), _) => format!("{url} had {in_flight} in flight"),
            (_, Some(score), Some(ms)) => {
                format!(
                    "{url}'s was {} ({} ms, {in_flight} in flight)",
                    figure(*score),
                    figure(*ms)
                )
            }
            ("adaptive" | "adaptive_sma" | "adaptive_ewma", None, None) => {
                format!("{url} was not measured yet")
            }
            _ => return None,
        },
        "ejected" | "probing" | "down" => {
            let word = if state == "probing" { "being probed" } else { state };
            let cause = cause(other.cause.as_deref().unwrap_or_default());
            format!("{url} is {word}{}{cause}", since(other, at))
        }
        "full" => format!("{url} had as many requests as it may have, {in_flight} in flight"),
        "tried" => format!("{url} had been tried"),
        "backup" => format!("{url} is a backup"),
        other => format!("{url} is {other}"),
    })
}

/// ` since 14:03:07` in UTC, or how long.
fn since(other: &Candidate<'_>, at: Option<Timestamp>) -> String {
    let began = |seconds: f64| {
        let ago = SignedDuration::try_from_secs_f64(seconds).ok()?;
        at?.checked_sub(ago).ok()
    };
    match (other.since_seconds, other.ejected_for_seconds) {
        (Some(ago), _) => match began(ago) {
            Some(time) => format!(" since {}", time.strftime("%H:%M:%S")),
            None => format!(" since {}", seconds(ago)),
        },
        (None, Some(left)) => format!(" for {} more", seconds(left)),
        (None, None) => String::new(),
    }
}

fn cause(word: &str) -> String {
    match word {
        "refused" => ", because it could not be reached".to_owned(),
        "failures" => ", because it failed several times in a row".to_owned(),
        "check failed" => ", because its check failed".to_owned(),
        "admin" => " by the admin".to_owned(),
        "" => String::new(),
        other => format!(" ({other})"),
    }
}

fn differ(one: f64, other: f64) -> bool {
    (one - other).abs() > 1e-9
}

/// A number with as many digits as tell something.
fn figure(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 1.0 => format!("{number:.1}"),
        _ => format!("{number:.3}"),
    }
}

/// A time in its largest unit.
pub(crate) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.0} h", s / 3600.0),
    }
}

/// A text without what a terminal would obey.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
