//! The results for programs: the figures of the page, and what they were computed from.

use std::io;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::results::{Entry, Measured, Results};
use super::heat::Score;
use super::seen::{Quantile, Seen};
use super::simulated::{deviation, pairs};
use super::standing::{Place, Standing};
use super::stats::Ratio;
use super::tables::{backends_us, cpu_us, disturbed, extra, lag_ms, per_second, shares};

/// Figures are not read back, because they follow from the results.
#[derive(Deserialize)]
struct Kept {
    results: Results,
}

pub(super) fn document(results: &Results) -> serde_json::Result<String> {
    let standings: Vec<Standing> = results.scenarios.iter().map(Standing::of).collect();
    let scenario = |(measured, standing): (&Measured, &Standing)| {
        let entries = measured.entries.iter().zip(&standing.places);
        let entries = entries.map(|(entry, place)| figures(results, measured, entry, place));
        json!({
            "name": measured.name,
            "about": measured.scenario.about,
            "compared_by": standing.quantile.name(),
            "contenders": entries.collect::<Vec<_>>(),
        })
    };
    let scores = results.contenders.iter().enumerate().map(|(index, contender)| {
        let score = Score::of(&standings, index);
        json!({
            "name": contender.name,
            "best_or_equal": score.wins,
            "worst_ratio": score.worst,
            "not_ranked": score.unranked,
        })
    });
    let figures = json!({
        "contenders": scores.collect::<Vec<_>>(),
        "scenarios":
            results.scenarios.iter().zip(&standings).map(scenario).collect::<Vec<_>>(),
    });
    // What people may look at is first, and with its lines.
    let results = serde_json::to_string(results)?;
    Ok(format!("{{\n\"figures\": {figures:#},\n\"results\": {results}\n}}\n"))
}

pub(super) fn read(text: &str) -> io::Result<Results> {
    Ok(serde_json::from_str::<Kept>(text)?.results)
}

fn figures(results: &Results, measured: &Measured, entry: &Entry, place: &Place) -> Value {
    let focus = measured.scenario.focus.iter().enumerate().map(|(index, focus)| {
        let mut figures = tally(&Seen::focus(entry, index));
        figures["name"] = json!(focus.name);
        figures
    });
    let mut figures = tally(&Seen::all(entry));
    figures["name"] = json!(results.contenders.get(entry.contender).map(|it| &it.name));
    figures["failure"] = json!(entry.failure);
    figures["verdict"] = json!(place.verdict.name());
    figures["ratio_to_best"] = ratio(place.ratio);
    figures["ratio_to_first"] = ratio(place.to_first);
    figures["requests_per_s"] = json!(per_second(entry));
    figures["shares"] = json!(shares(measured, entry));
    figures["extra_requests"] = json!(extra(entry));
    figures["cpu_us_per_request"] = json!(cpu_us(entry));
    figures["backends_us_per_request"] = json!(backends_us(entry));
    figures["client_lag_p99_ms"] = json!(lag_ms(entry));
    figures["rounds"] = json!(entry.rounds.len());
    figures["disturbed_rounds"] = json!(disturbed(entry));
    figures["focus"] = focus.collect();
    if let Some(predicted) = &entry.simulated {
        let mut deviations = json!({ "policy": predicted.policy });
        for (head, measured, predicted) in pairs(entry, predicted) {
            let key = head.replace(['.', ' ', '/'], "_");
            deviations[key] = json!(measured.and_then(|it| deviation(it, predicted)));
        }
        figures["measured_to_simulated_minus_1"] = deviations;
    }
    figures
}

fn tally(seen: &Seen) -> Value {
    let ms = |quantile| seen.quantile_ms(quantile);
    let errors: serde_json::Map<String, Value> =
        seen.kinds().into_iter().map(|(kind, count)| (kind.to_owned(), json!(count))).collect();
    json!({
        "requests": seen.requests(),
        "mean_ms": seen.mean_ms(),
        "p50_ms": ms(Quantile::P50),
        "p95_ms": ms(Quantile::P95),
        "p99_ms": ms(Quantile::P99),
        "p999_ms": ms(Quantile::P999),
        "errors": errors,
        "error_part": seen.error_part(),
    })
}

fn ratio(ratio: Option<Ratio>) -> Value {
    ratio.map_or(Value::Null, |it| json!({ "low": it.low, "median": it.median, "high": it.high }))
}
