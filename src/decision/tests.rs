//! Sentence by sentence.

use super::*;

fn candidate(url: &str, estimate_ms: f64, in_flight: u32, score: f64) -> Candidate<'_> {
    Candidate {
        url: url.into(),
        state: "up".into(),
        cause: Some("answered".into()),
        since_seconds: Some(60.0),
        estimate_ms: Some(estimate_ms),
        estimate_age_ms: Some(5.0),
        in_flight,
        usual_in_flight: Some(2.0),
        weight: 1.0,
        score: Some(score),
        ..Candidate::default()
    }
}

fn out<'a>(url: &'a str, state: &'a str, cause: &'a str, since: f64) -> Candidate<'a> {
    Candidate {
        state: state.into(),
        cause: Some(cause.into()),
        since_seconds: Some(since),
        score: None,
        ..candidate(url, 7.0, 8, 0.0)
    }
}

fn unscored(url: &str, in_flight: u32) -> Candidate<'_> {
    Candidate { score: None, estimate_ms: None, ..candidate(url, 0.0, in_flight, 0.0) }
}

fn decision<'a>(policy: &'a str, reason: &'a str, candidates: Vec<Candidate<'a>>) -> Decision<'a> {
    let (policy, reason) = (policy.into(), reason.into());
    Decision { policy, reason, chosen: "B".into(), candidates, ..Decision::default() }
}

fn two() -> Vec<Candidate<'static>> {
    vec![candidate("A", 10.3, 3, 15.9), candidate("B", 8.2, 2, 12.1)]
}

/// At 14:03:17.
fn told(decision: &Decision<'_>) -> String {
    tell(decision, Some("2026-11-28T14:03:17Z".parse().unwrap()))
}

#[test]
fn the_best_by_adaptive_is_told_with_the_others() {
    let mut candidates = two();
    candidates.push(out("C", "ejected", "failures", 10.0));
    let decision = decision("adaptive", "best", candidates);
    assert_eq!(
        told(&decision),
        "B, because its score 12.1 was the least: it usually answers in 8.2 ms and it had 2 in \
         flight; A's was 15.9 (10.3 ms, 3 in flight); C is ejected since 14:03:07, because it \
         failed several times in a row."
    );
    assert!(tell(&decision, None).contains("C is ejected since 10 s, because"));
}

#[test]
fn each_policy_tells_what_it_goes_by() {
    for (policy, says) in [
        (
            "adaptive_sma",
            "B, because its score 12.1 was the least: its last answers took 8.2 ms on average and \
             it had 2 in flight; A's was 15.9 (10.3 ms, 3 in flight).",
        ),
        (
            "adaptive_ewma",
            "B, because its score 12.1 was the least: its answers took 8.2 ms by their moving \
             average and it had 2 in flight; A's was 15.9 (10.3 ms, 3 in flight).",
        ),
        (
            "least-conn",
            "B, because it had least to do for its weight: 2 in flight; A had 3 in flight.",
        ),
    ] {
        assert_eq!(told(&decision(policy, "best", two())), says);
    }
    let turn = |candidates| told(&decision("round-robin", "turn", candidates));
    assert_eq!(turn(vec![unscored("A", 3), unscored("B", 2)]), "B, because it was its turn.");
    let heavy = Candidate { weight: 3.0, ..unscored("A", 3) };
    let says = "B, because it was its turn, as often as its weight says.";
    assert_eq!(turn(vec![heavy, unscored("B", 2)]), says);
}

#[test]
fn equal_ones_take_turns() {
    for (policy, says) in [
        (
            "adaptive",
            "B, because it was its turn among those with the least score, 12.1: it usually answers \
             in 8.2 ms and it had 2 in flight; A's was 15.9 (10.3 ms, 3 in flight).",
        ),
        (
            "least-conn",
            "B, because it was its turn among those that had least to do: it had 2 in flight; A \
             had 3 in flight.",
        ),
    ] {
        assert_eq!(told(&decision(policy, "tie", two())), says);
    }
    let unmeasured = vec![unscored("A", 1), unscored("B", 0)];
    assert_eq!(
        told(&decision("adaptive", "best", unmeasured.clone())),
        "B, because none was measured yet and it had least to do: 0 in flight; A was not measured \
         yet."
    );
    assert_eq!(
        told(&decision("adaptive", "tie", unmeasured)),
        "B, because none was measured yet and it was its turn among those with least to do: 0 in \
         flight; A was not measured yet."
    );
}

#[test]
fn a_measurement_tells_where_the_request_would_have_gone() {
    let first = Decision {
        runner_up: Some("A".into()),
        ..decision("adaptive", "first", vec![candidate("A", 10.3, 3, 15.9), unscored("B", 0)])
    };
    assert_eq!(
        told(&first),
        "B, because it had not been measured yet, and this request measures it; by its score it \
         would have been A; A's was 15.9 (10.3 ms, 3 in flight)."
    );
    let old = Candidate { estimate_age_ms: Some(61_000.0), ..candidate("B", 30.0, 0, 40.0) };
    assert_eq!(
        told(&decision("adaptive", "trial", vec![old])),
        "B, because its last sample was too old, 61 s ago, and this request measures it again."
    );
    let back = vec![out("B", "probing", "refused", 1.0)];
    assert_eq!(
        told(&decision("adaptive", "trial", back)),
        "B, because its ejection was over, and this request shows whether it is back."
    );
}

#[test]
fn where_there_is_no_choice_that_is_told() {
    let alone = vec![candidate("B", 8.2, 2, 12.1)];
    let says = "B, because it was the only backend.";
    assert_eq!(told(&decision("adaptive", "only", alone.clone())), says);
    let left = [alone, vec![out("C", "down", "check failed", 17.0)]].concat();
    assert_eq!(
        told(&decision("adaptive", "only", left)),
        "B, because no other backend took requests; C is down since 14:03:00, because its check \
         failed."
    );
    let ejected = vec![out("B", "ejected", "refused", 1.0), out("C", "probing", "refused", 2.0)];
    assert_eq!(
        told(&decision("adaptive", "cooling", ejected)),
        "B, because no backend took requests, and its ejection was the first to end; C is being \
         probed since 14:03:15, because it could not be reached."
    );
    assert_eq!(
        told(&decision("adaptive", "cooling", two())),
        "B, because all backends were down by their checks, so the policy chose as if they were \
         not; A's was 15.9 (10.3 ms, 3 in flight)."
    );
}

#[test]
fn a_second_attempt_tells_what_was_before_it() {
    let tried = Candidate { state: "tried".into(), score: None, ..candidate("T", 1.0, 0, 0.0) };
    assert_eq!(
        told(&decision("adaptive", "retry", [two(), vec![tried.clone()]].concat())),
        "B, because another backend had failed the request; of the others, its score 12.1 was the \
         least: it usually answers in 8.2 ms and it had 2 in flight; A's was 15.9 (10.3 ms, 3 in \
         flight); T had been tried."
    );
    let last = vec![candidate("B", 8.2, 2, 12.1), tried];
    assert_eq!(
        told(&decision("adaptive", "retry", last)),
        "B, because another backend had failed the request; no other one was left; T had been \
         tried."
    );
    let hedge = Decision { probability: Some(0.5), ..decision("adaptive", "hedge", two()) };
    assert_eq!(
        told(&hedge),
        "B, because the first attempt was silent and this is a hedge beside it; of the backends \
         that were not busy, its score 12.1 was the least: it usually answers in 8.2 ms and it had \
         2 in flight, and chance decided between 2 that were as good; A's was 15.9 (10.3 ms, 3 in \
         flight)."
    );
}

#[test]
fn each_state_tells_why_a_backend_was_not_chosen() {
    let others = |other: Candidate<'static>| {
        let sentence = told(&decision("adaptive", "only", vec![unscored("B", 0), other]));
        sentence.split_once("; ").unwrap().1.to_owned()
    };
    let plain = |state| Candidate { state, ..out("C", "", "", 1.0) };
    assert_eq!(others(plain("drained".into())), "C is drained.");
    assert_eq!(others(plain("backup".into())), "C is a backup.");
    let full = "C had as many requests as it may have, 8 in flight.";
    assert_eq!(others(plain("full".into())), full);
    let admin = Candidate {
        since_seconds: None,
        ejected_for_seconds: Some(29.6),
        ..out("C", "ejected", "admin", 0.0)
    };
    assert_eq!(others(admin), "C is ejected for 30 s more by the admin.");
    assert_eq!(others(out("C", "odd", "", 1.0)), "C is odd.");
}

#[test]
fn many_are_counted_and_unknown_words_are_passed_on() {
    let urls: Vec<String> = (0..20).map(|n| format!("A{n}")).collect();
    let mut candidates = vec![candidate("B", 8.2, 2, 12.1)];
    candidates.extend(urls.iter().map(|url| candidate(url, 10.3, 3, 15.9)));
    let many = Decision { more_candidates: 5, ..decision("adaptive", "best", candidates) };
    let sentence = told(&many);
    assert!(sentence.ends_with("A7's was 15.9 (10.3 ms, 3 in flight); there were 17 more."));
    assert_eq!(told(&decision("adaptive", "later\n", vec![])), "B (`later?`).");
}

#[test]
fn what_a_row_knows_is_told_of_each_reason() {
    let told = |policy, reason| tell_reason(policy, "B", reason, Some(3));
    for (policy, reason, why) in [
        ("adaptive", "best", "the policy expected it to answer first"),
        ("least-conn", "best", "it had least to do"),
        (
            "adaptive",
            "tie",
            "it was its turn among those that were expected to answer equally fast",
        ),
        ("least-conn", "tie", "it was its turn among those that had least to do"),
        ("round-robin", "turn", "it was its turn"),
        ("adaptive", "first", "it had not been measured yet"),
        ("adaptive", "trial", "it had been ejected, or not been measured for long"),
        ("adaptive", "only", "no other backend took requests, or its client was bound to it"),
        ("adaptive", "hedge", "the first attempt was silent, and this one answered first"),
        ("adaptive", "retry", "another backend had failed the request"),
        ("adaptive", "cooling", "no backend took requests"),
        ("adaptive", "later", "of `later`"),
    ] {
        let sentence = format!("B, because {why}; it had 3 in flight, this request included.");
        assert_eq!(told(policy, reason), sentence);
    }
    assert_eq!(tell_reason("", "B", "turn", None), "B, because it was its turn.");
}

#[test]
fn numbers_have_as_many_digits_as_tell_something() {
    let fast = vec![candidate("B", 0.0823, 0, 0.0823)];
    assert!(told(&decision("adaptive", "best", fast)).contains("its score 0.082 was"));
    let slow = vec![candidate("B", 8200.4, 0, 8200.4)];
    assert!(told(&decision("adaptive", "best", slow)).contains("answers in 8200 ms"));
}

#[test]
fn what_is_written_is_read() {
    let written = Decision {
        recorded: "sample".into(),
        runner_up: Some("A".into()),
        probability: Some(0.5),
        ..decision("adaptive", "best", two())
    };
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Decision<'_>>(&text).unwrap(), written);
    assert!(text.starts_with(r#"{"policy":"adaptive","chosen":"B","reason":"best","recorded":"#));
    let logged = Logged {
        time: "2026-11-28T14:03:17.000001Z".into(),
        worker: 1,
        request: "2026-11-28T14:03:17.000001Z/1/127.0.0.1:5".into(),
        decision: written.clone(),
    };
    let line = serde_json::to_string(&logged).unwrap();
    assert_eq!(serde_json::from_str::<Logged<'_>>(&line).unwrap(), logged);
    let newer = text.replacen('{', r#"{"new":[1],"#, 1);
    assert_eq!(serde_json::from_str::<Decision<'_>>(&newer).unwrap(), written);
}
