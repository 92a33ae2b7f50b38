//! The backends as a table for people.

use super::backend::{Backend, Choice, Choices, List, Queue};
use crate::decision::{plain, seconds, tell};

const HEADINGS: [&str; 10] = [
    "BACKEND",
    "STATE",
    "WEIGHT",
    "IN FLIGHT",
    "SHARE",
    "REQ/S",
    "P50 MS",
    "P99 MS",
    "EXPECTED MS",
    "ERRORS",
];

/// The columns of words, which begin at their left; numbers end at their right.
const WORDS: usize = 2;

/// What stands for what is not known.
const NONE: &str = "-";

/// A line about all, then the table.
pub(super) fn lines(list: &List) -> Vec<String> {
    let rows: Vec<[String; 10]> = list.backends.iter().map(row).collect();
    let rows: Vec<_> = [HEADINGS.map(str::to_owned)].into_iter().chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..HEADINGS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 10]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < WORDS { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    [summary(list), String::new()].into_iter().chain(rows.iter().map(line)).collect()
}

/// Each choice as a sentence.
pub(super) fn choices(choices: &Choices) -> Vec<String> {
    let line = |choice: &Choice| {
        let Choice { age_seconds, decision } = choice;
        format!("{} ago: {}", seconds(*age_seconds), tell(decision, None))
    };
    choices.choices.iter().map(line).collect()
}

fn summary(list: &List) -> String {
    let count = |state: &str| list.backends.iter().filter(|it| it.state == state).count();
    let sum = |part: fn(&Backend) -> f64| list.backends.iter().map(part).sum::<f64>();
    let rate = sum(|it| it.lately.requests_per_second.unwrap_or(0.0));
    let (in_flight, errors) = (sum(|it| it.in_flight.into()), sum(|it| it.lately.errors as f64));
    let Queue { length, limit } = list.queue;
    let has_queue = length > 0 || limit > 0;
    let waiting = if has_queue { format!(", {length} of {limit} waiting") } else { String::new() };
    format!(
        "{}: {} backends, {} up; {rate:.1} requests/s, {in_flight} in flight{waiting}; {errors} \
         errors in the last {:.0} s",
        plain(&list.policy),
        list.backends.len(),
        count("up"),
        list.lately_seconds
    )
}

fn row(backend: &Backend) -> [String; 10] {
    let Backend { url, weight, limit, lately, .. } = backend;
    let number = |value: Option<f64>| value.map_or(NONE.to_owned(), |value| format!("{value:.1}"));
    let weight = if backend.backup { "backup".to_owned() } else { weight.to_string() };
    let in_flight = backend.busy_with();
    [
        plain(url),
        state(backend),
        weight,
        limit.map_or(in_flight.to_string(), |limit| format!("{in_flight}/{limit}")),
        lately.share.map_or(NONE.to_owned(), |share| format!("{:.1} %", 100.0 * share)),
        number(lately.requests_per_second),
        number(lately.p50_ms),
        number(lately.p99_ms),
        number(backend.estimate_ms),
        lately.errors.to_string(),
    ]
}

/// `ejected (failures), 3 s left`, `drained (admin), 12 s`.
fn state(backend: &Backend) -> String {
    let Backend { state, reason, since_seconds, ejected_for_seconds, .. } = backend;
    if state == "up" {
        return plain(state);
    }
    let reason = if reason == state { String::new() } else { format!(" ({})", plain(reason)) };
    let time = match (ejected_for_seconds, since_seconds) {
        (Some(left), _) => format!(", {} left", seconds(*left)),
        (None, Some(since)) => format!(", {}", seconds(*since)),
        (None, None) => String::new(),
    };
    plain(state) + &reason + &time
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ctl::backend::Lately;
    use crate::decision::{Candidate, Decision};

    pub(in crate::ctl) fn backend(id: &str, url: &str) -> Backend {
        Backend {
            id: Some(id.to_owned()),
            url: url.to_owned(),
            weight: 1,
            limit: None,
            backup: false,
            state: "up".to_owned(),
            reason: "added".to_owned(),
            since_seconds: Some(5.0),
            ejected_for_seconds: None,
            in_flight: 2,
            parked: 0,
            tunnels: 1,
            estimate_ms: None,
            lately: Lately {
                share: Some(0.25),
                requests_per_second: Some(100.0),
                errors: 3,
                p50_ms: Some(1.25),
                p99_ms: None,
            },
        }
    }

    #[test]
    fn a_table_has_a_line_for_each_backend_below_one_about_all() {
        let ejected = Backend {
            state: "ejected".to_owned(),
            reason: "failures".to_owned(),
            ejected_for_seconds: Some(3.0),
            limit: Some(8),
            backup: true,
            estimate_ms: Some(12.0),
            ..backend("1.0", "http://b:1")
        };
        let list = List {
            policy: "adaptive".to_owned(),
            queue: Queue::default(),
            lately_seconds: 5.2,
            backends: vec![backend("0.0", "http://a:1"), ejected],
        };
        let expected = [
            "adaptive: 2 backends, 1 up; 200.0 requests/s, 4 in flight; 6 errors in the last 5 s",
            "",
            "BACKEND STATE WEIGHT IN FLIGHT SHARE REQ/S P50 MS P99 MS EXPECTED MS ERRORS",
            "http://a:1 up 1 3 25.0 % 100.0 1.2 - - 3",
            "http://b:1 ejected (failures), 3.0 s left backup 3/8 25.0 % 100.0 1.2 - 12.0 3",
        ];
        let lines = lines(&list);
        let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(lines.iter().map(words).collect::<Vec<_>>(), expected);
        let queue = Queue { length: 7, limit: 100 };
        let head = super::lines(&List { queue, ..list.clone() }).remove(0);
        assert!(head.contains("4 in flight, 7 of 100 waiting; 6 errors"), "{head}");
        let ends = |line: &str| line.chars().count();
        assert_eq!(ends(&lines[2]), ends(&lines[3]), "{lines:?}");
        assert_eq!(ends(&lines[2]), ends(&lines[4]), "{lines:?}");
    }

    #[test]
    fn a_choice_is_told_with_its_age() {
        let one = |url: &str, score, estimate_ms| Candidate {
            url: url.to_owned().into(),
            state: "up".into(),
            score,
            in_flight: 2,
            estimate_ms,
            ..Candidate::default()
        };
        let decision = Decision {
            policy: "adaptive".into(),
            chosen: "http://a".into(),
            reason: "best".into(),
            candidates: vec![one("http://a", Some(21.0), Some(7.0)), one("b", None, None)],
            more_candidates: 3,
            ..Decision::default()
        };
        let choice = Choice { age_seconds: 0.25, decision };
        let expected = "0.2 s ago: http://a, because its score 21.0 was the least: it usually \
                        answers in 7.0 ms and it had 2 in flight; b was not measured yet; there \
                        were 3 more.";
        assert_eq!(choices(&Choices { choices: vec![choice] }), [expected]);
    }

    #[test]
    fn a_state_tells_its_reason_and_its_time() {
        let told = |state: &str, reason: &str, since: Option<f64>, left: Option<f64>| {
            let (state, reason) = (state.to_owned(), reason.to_owned());
            let one = backend("0.0", "http://a");
            let (since_seconds, ejected_for_seconds) = (since, left);
            super::state(&Backend { state, reason, since_seconds, ejected_for_seconds, ..one })
        };
        assert_eq!(told("up", "answered", Some(1.0), None), "up");
        assert_eq!(told("drained", "admin", Some(600.0), None), "drained (admin), 10 min");
        assert_eq!(told("ejected", "admin", None, Some(90.0)), "ejected (admin), 90 s left");
        assert_eq!(told("down", "check failed", Some(9000.0), None), "down (check failed), 2 h");
        assert_eq!(told("removed", "removed", None, None), "removed");
        assert_eq!(told("a\u{1b}[2J", "x\n", None, None), "a?[2J (x?)");
    }
}
