//! Says in a sentence why the last request went where it went.
//!
//! The sentence is about the log: a row is written when its request has ended, while the proxy had
//! to choose when it began. So it tells what the averages were one row earlier, and admits where
//! they do not account for the choice.

use crate::balance::Policy;

use super::estimate::Averages;
use super::model::{Choice, Model};

/// With how many others the chosen backend is compared by name.
const OTHERS_NAMED: usize = 3;

/// The sentence; `None` before the first choice.
pub(super) fn explain(model: &Model) -> Option<String> {
    let choice = model.last_choice?;
    Some(match model.routing_mode.parse() {
        Ok(Policy::RoundRobin) => in_turn(model, choice),
        Ok(Policy::AdaptiveSma { .. }) => lowest(model, choice, "SMA", |it| it.sma_ms),
        Ok(Policy::AdaptiveEwma { .. }) => lowest(model, choice, "EWMA", |it| it.ewma_ms),
        Err(_) => format!("The last request went to {}.", name(model, choice.backend)),
    })
}

/// A backend's name without what all of them have in common.
fn name(model: &Model, backend: usize) -> &str {
    short_name(&model.backends[backend].name)
}

/// The name of a backend without its scheme.
pub(super) fn short_name(url: &str) -> &str {
    url.strip_prefix("http://").unwrap_or(url)
}

fn in_turn(model: &Model, choice: Choice) -> String {
    let chosen = name(model, choice.backend);
    let turn = "round-robin takes the backends in turn, whatever their latency";
    match choice.after {
        Some(before) => format!(
            "The last request went to {chosen}, the one before it to {}: {turn}.",
            name(model, before)
        ),
        None => format!("The first request went to {chosen}: {turn}."),
    }
}

fn lowest(
    model: &Model,
    choice: Choice,
    average: &str,
    of: impl Fn(Averages) -> Option<f64>,
) -> String {
    let chosen = name(model, choice.backend);
    let Some(chosen_ms) = of(choice.averages_before) else {
        return format!(
            "The last request went to {chosen}, which had no {average} yet: a backend is measured \
             before it is compared."
        );
    };
    let others = (0..model.backends.len()).filter(|other| *other != choice.backend);
    let measured = others.filter_map(|at| Some((at, of(model.backends[at].averages())?)));
    let mut measured: Vec<_> = measured.collect();
    measured.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    let Some(&(best, best_ms)) = measured.first() else {
        return format!(
            "The last request went to {chosen}, the only backend with an {average} \
             ({chosen_ms:.1} ms)."
        );
    };
    if best_ms < chosen_ms {
        return format!(
            "The last request went to {chosen} ({average} {chosen_ms:.1} ms) although {} had the \
             lowest {average} in the log ({best_ms:.1} ms). The choice was made when it began, \
             before later rows; or it was a probe, or a retry.",
            name(model, best)
        );
    }
    let listed = measured.iter().take(OTHERS_NAMED);
    let listed: Vec<String> =
        listed.map(|(at, ms)| format!("{} {ms:.1} ms", name(model, *at))).collect();
    let end = if measured.len() > listed.len() { ", …" } else { "." };
    format!(
        "The last request went to {chosen}, for its {average} was the lowest: {chosen_ms:.1} ms \
         against {}{end}",
        listed.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::journal::Row;

    use super::super::tests::row;
    use super::*;

    fn explained(mode: &'static str, samples: &[(&'static str, u64)]) -> String {
        let mut model = Model::new();
        for (backend, ms) in samples {
            let row = row(0, backend, Duration::from_millis(*ms));
            model.feed(Ok(Row { routing_mode: mode, ..row }));
        }
        explain(&model).unwrap()
    }

    #[test]
    fn nothing_chosen_is_nothing_explained() {
        assert_eq!(explain(&Model::new()), None);
    }

    #[test]
    fn an_adaptive_choice_is_explained_by_the_averages_before_it() {
        let samples = [("http://a:1", 10), ("http://b:2", 20), ("http://a:1", 400)];
        let text = explained("adaptive_sma", &samples);
        assert_eq!(
            text,
            "The last request went to a:1, for its SMA was the lowest: 10.0 ms against b:2 20.0 ms."
        );
        assert!(explained("adaptive_ewma", &samples).contains("EWMA was the lowest: 10.0 ms"));
    }

    #[test]
    fn a_choice_that_the_log_does_not_account_for_is_not_explained_away() {
        let text = explained("adaptive_sma", &[("a", 10), ("b", 20), ("b", 5)]);
        assert!(text.starts_with("The last request went to b (SMA 20.0 ms) although a had"));
    }

    #[test]
    fn a_first_measurement_is_called_one() {
        let text = explained("adaptive_ewma", &[("a", 10), ("b", 20)]);
        assert!(text.starts_with("The last request went to b, which had no EWMA yet"));
        let text = explained("adaptive_ewma", &[("a", 10), ("a", 20)]);
        assert_eq!(text, "The last request went to a, the only backend with an EWMA (10.0 ms).");
    }

    #[test]
    fn round_robin_takes_turns_and_a_foreign_policy_is_not_guessed_at() {
        let samples = [("a", 10), ("b", 20)];
        let text = explained("round_robin", &samples);
        assert!(text.starts_with("The last request went to b, the one before it to a: round"));
        assert!(explained("round-robin", &samples[..1]).starts_with("The first request went to a"));
        assert_eq!(explained("magic", &samples), "The last request went to b.");
    }

    #[test]
    fn of_many_backends_the_fastest_are_named() {
        let names = ["a", "b", "c", "d", "e", "a"];
        let samples: Vec<_> = names.into_iter().zip([1, 2, 3, 4, 5, 1]).collect();
        let text = explained("adaptive_sma", &samples);
        assert!(text.ends_with("against b 2.0 ms, c 3.0 ms, d 4.0 ms, …"), "{text}");
    }
}
