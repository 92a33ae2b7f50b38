//! Who is best, who is equal, and who is not ranked.

use super::super::heat::Score;
use super::super::seen::Quantile;
use super::super::standing::{Place, Verdict};
use super::*;

fn verdicts(measured: &Measured) -> Vec<Verdict> {
    standing(measured).places.iter().map(|place| place.verdict).collect()
}

#[test]
fn the_best_has_the_lowest_median_and_the_others_are_its_multiples() {
    let one = measured(vec![
        entry(0, &[30.0, 20.0, 25.0], &[]),
        entry(1, &[60.0, 40.0, 50.0], &[]),
        entry(2, &[9.0, 90.0, 90.0], &[]),
    ]);
    let standing = standing(&one);
    let ms: Vec<f64> = standing.places.iter().map(|it| it.ms.unwrap().round()).collect();
    assert_eq!(ms, [25.0, 50.0, 90.0]);
    assert_eq!(verdicts(&one)[..2], [Verdict::Best, Verdict::Behind]);
    let texts: Vec<String> = standing.places.iter().map(Place::times_text).collect();
    assert_eq!(texts, ["1.00", "2.00", "= 3.60"], "in a round the last was better than the best");
}

#[test]
fn who_the_rounds_do_not_tell_from_the_best_is_equal_however_the_rounds_differ() {
    let one = measured(vec![
        entry(0, &[10.0, 100.0, 40.0], &[]),
        // In each round slower, by little.
        entry(1, &[10.5, 105.0, 42.0], &[]),
        // Sometimes slower, sometimes faster.
        entry(2, &[11.0, 95.0, 41.0], &[]),
    ]);
    assert_eq!(verdicts(&one), [Verdict::Best, Verdict::Behind, Verdict::Equal]);
}

#[test]
fn errors_bring_no_win_however_short_the_latency_of_the_rest_is() {
    // Of 30,000 requests each.
    let with = |errors| entry(1, &[1.0, 1.0, 1.0], &[("503", errors)]);
    let of = |errors| measured(vec![entry(0, &[10.0, 10.0, 10.0], &[]), with(errors)]);
    assert_eq!(verdicts(&of(50)), [Verdict::Behind, Verdict::Best], "five of a thousand");
    assert_eq!(verdicts(&of(51)), [Verdict::Best, Verdict::Errors], "more than that");
    let place = standing(&of(100)).places[1];
    assert_eq!(place.errors, 300);
    assert_eq!(place.wrong().as_deref(), Some("1.0 % errors"));
    assert_eq!(place.times_text(), "0.10", "it is shown, but does not count");
}

#[test]
fn errors_that_everyone_has_do_not_count() {
    let with = |contender, ms, errors| entry(contender, &[ms; 3], &[("503", errors)]);
    let one = measured(vec![with(0, 10.0, 500), with(1, 5.0, 505), with(2, 4.0, 600)]);
    assert_eq!(verdicts(&one), [Verdict::Behind, Verdict::Best, Verdict::Errors]);
    assert_eq!(standing(&one).places[1].wrong().as_deref(), Some("1515 errors"));
}

#[test]
fn who_has_failed_is_not_ranked_and_its_errors_are_no_measure() {
    let mut one = measured(vec![
        entry(0, &[10.0, 10.0, 10.0], &[("503", 900)]),
        entry(1, &[1.0], &[]),
        entry(2, &[], &[]),
    ]);
    one.entries[1].failure = Some("it ended with status 1".to_owned());
    assert_eq!(verdicts(&one), [Verdict::Best, Verdict::Failed, Verdict::Failed]);
    let failed = standing(&one).places[1];
    assert_eq!((failed.times_text().as_str(), failed.wrong().as_deref()), ("–", Some("failed")));
    assert_eq!(failed.ms.map(f64::round), Some(1.0), "what it did is shown nevertheless");
}

#[test]
fn a_quantile_that_fewer_than_a_hundred_requests_exceed_is_not_known() {
    let of = |requests: u64| {
        let mut entry = entry(0, &[10.0; 3], &[]);
        entry.rounds.iter_mut().for_each(|round| round.all = tally(requests, 10.0, &[]));
        standing(&measured(vec![entry]))
    };
    assert_eq!(of(3334).quantile, Quantile::P99, "10,002 in all");
    assert_eq!(of(3333).quantile, Quantile::P95, "9,999 in all: compared by what is known");
    assert_eq!(of(667).places[0].verdict, Verdict::Best, "2,001 in all");
    assert_eq!(of(666).places[0].verdict, Verdict::Few, "no lower quantile stands for a tail");
    assert_eq!(of(666).quantile, Quantile::P99);
}

#[test]
fn one_with_few_requests_does_not_take_the_p99_from_the_others() {
    let mut one = measured((0..3).map(|it| entry(it, &[10.0; 3], &[])).collect());
    one.entries[0].rounds.iter_mut().for_each(|round| round.all = tally(100, 1.0, &[]));
    assert_eq!(verdicts(&one), [Verdict::Few, Verdict::Best, Verdict::Equal]);
    assert_eq!(standing(&one).places[0].wrong().as_deref(), Some("few requests"));
}

#[test]
fn a_score_counts_where_a_contender_wins_how_bad_it_gets_and_where_it_is_not_ranked() {
    let one = |first: f64, second: f64, errors: u64| {
        let second = entry(1, &[second; 3], &[("reset", errors)]);
        standing(&measured(vec![entry(0, &[first; 3], &[]), second]))
    };
    let all = [one(10.0, 10.0, 0), one(10.0, 25.0, 0), one(10.0, 5.0, 0), one(10.0, 5.0, 700)];
    let scores = [0, 1].map(|contender| Score::of(&all, contender));
    assert_eq!((scores[0].wins, scores[0].unranked), (3, 0));
    assert_eq!((scores[1].wins, scores[1].unranked), (2, 1));
    assert_eq!(scores.map(|it| it.worst_text()), ["2.00 ×", "2.50 ×"]);
}

#[test]
fn without_rounds_nobody_is_best() {
    let one = measured(vec![entry(0, &[], &[]), entry(1, &[], &[])]);
    assert_eq!(verdicts(&one), [Verdict::Failed, Verdict::Failed]);
    let all = results(vec![one, measured(Vec::new())]);
    assert!(text(&all).contains("at worst"), "{}", text(&all));
    assert_well_formed(&page(&all));
    assert_well_formed(&heat_map(&all));
    assert_well_formed(&page(&results(Vec::new())));
}

#[test]
fn a_contender_that_runs_alone_wins_nothing_and_its_figures_are_not_those_of_another() {
    let both = measured(vec![entry(0, &[10.0; 3], &[]), entry(1, &[20.0; 3], &[])]);
    // Of several proxies only the second one has a configuration.
    let alone = measured(vec![entry(1, &[5.0; 3], &[])]);
    let all = [standing(&both), standing(&alone)];
    let scores = [0, 1].map(|contender| Score::of(&all, contender));
    assert_eq!(scores.map(|it| (it.wins, it.unranked)), [(1, 0), (0, 0)]);
    assert_eq!(scores.map(|it| it.worst_text()), ["1.00 ×", "2.00 ×"]);
    let all = results(vec![both, Measured { name: "alone".to_owned(), ..alone }]);
    let text = text(&all);
    assert!(text.contains("best or an equal tail latency in 1 of 1 scenarios"), "{text}");
    let (_, overview) = text.split_once("× the best p99").expect("one");
    let row = overview.lines().find(|line| line.starts_with("alone")).expect("a row");
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row, ["alone", "–", "(1.00)"]);
    for document in [page(&all), heat_map(&all)] {
        assert_well_formed(&document);
        assert!(document.contains("best or equal, of 1"), "{document}");
    }
}
