//! A log of one minute in which much happens, of which every row is known.
//!
//! Each second, `a` gets ten requests of 10 ms and `b` five of 20 ms. At 20 s `b` begins to time
//! out; from 22 s on it is ejected, and each second one request has to be sent again to `a`; at
//! 30 s one is sent to `b` to see whether it is back. At 40 s the policy changes. At 45 s two
//! requests get a second attempt, at 50 s three wait, and at 55 s one takes 10 s.
//!
//! If a decision log lies beside it, that has a choice of each second, for the last request of it.
//! `a` is expected to take 9 ms, and `b` 19. While `b` is out, it is known to be ejected, because
//! it failed several times in a row. `c`, which never has a request, is drained until 40 s, and
//! then down.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tidegate::journal::header;

/// When the minute begins, in milliseconds since 1970: 2026-11-23 at 10:00:00.
pub(crate) const BEGIN_MS: i64 = 1_795_428_000_000;

const A: &str = "http://a:8080";
const B: &str = "http://b:8080";
const C: &str = "http://c:8080";

/// What differs from row to row.
#[derive(Clone, Copy)]
struct Row {
    backend: &'static str,
    latency_ms: u32,
    reason: &'static str,
    status: u16,
    fault: &'static str,
    attempts: u8,
    queue: &'static str,
    /// Its two last cells.
    hedge: &'static str,
}

const GOOD: Row = Row {
    backend: A,
    latency_ms: 10,
    reason: "best",
    status: 200,
    fault: "",
    attempts: 1,
    queue: "",
    hedge: ",",
};

const TIMEOUT: Row =
    Row { backend: B, latency_ms: 1_000, status: 504, fault: "response_timeout", ..GOOD };

const SLOW: Row = Row { latency_ms: 10_000, ..GOOD };

pub(crate) fn minute() -> String {
    let mut text = header();
    for second in 0..60 {
        let mode = if second < 40 { "adaptive" } else { "round-robin" };
        for (at, row) in rows_of(second).into_iter().enumerate() {
            let Row { backend, latency_ms, reason, status, fault, attempts, queue, hedge } = row;
            let first_byte =
                if status == 200 { (latency_ms - 1).to_string() } else { String::new() };
            let time = format!("2026-11-23T10:00:{second:02}.{at:03}000Z");
            writeln!(
                text,
                "{time},{backend},{latency_ms},{status},{mode},persistent,0,127.0.0.1:4000,GET,/,\
                 78,203,,{first_byte},{attempts},{fault},,{time},{},{reason},{queue},{hedge}",
                at % 3 + 1,
            )
            .unwrap();
        }
    }
    text
}

/// The decision log of the minute.
pub(crate) fn choices() -> String {
    let mut text = String::new();
    for second in 0..60 {
        writeln!(text, "{}", choice(second)).unwrap();
    }
    text
}

fn choice(second: u32) -> Value {
    let rows = rows_of(second);
    let last = rows.len() - 1;
    let Row { backend, reason, .. } = rows[last];
    let candidate = |url: &str, [state, cause]: [&str; 2], estimate_ms: Option<f64>| {
        json!({ "url": url, "state": state, "cause": Some(cause).filter(|cause| !cause.is_empty()),
            "since_seconds": 9.0, "ejected_for_seconds": null, "estimate_ms": estimate_ms,
            "estimate_age_ms": 3.0, "in_flight": 1, "usual_in_flight": 2.0, "weight": 1.0,
            "score": estimate_ms.map(|ms| ms + 3.1) })
    };
    let b = match second {
        22..30 => ["ejected", "failures"],
        30 => ["probing", "failures"],
        _ => ["up", ""],
    };
    let c = if second < 40 { ["drained", ""] } else { ["down", "check failed"] };
    let time = format!("2026-11-23T10:00:{second:02}.{last:03}000Z");
    json!({ "time": time, "worker": 0, "request": format!("{time}/0/127.0.0.1:4000"),
        "policy": "adaptive", "chosen": backend, "reason": reason, "recorded": "sample",
        "runner_up": Value::Null, "probability": Value::Null, "more_candidates": 0,
        "candidates": [candidate(A, ["up", ""], Some(9.0)), candidate(B, b, Some(19.0)),
            candidate(C, c, None)] })
}

fn rows_of(second: u32) -> Vec<Row> {
    let of_b = Row { backend: B, latency_ms: 20, ..GOOD };
    let mut rows = vec![GOOD; 10];
    match second {
        20 | 21 => rows.extend([TIMEOUT; 5]),
        22..30 => rows.push(Row { reason: "retry", attempts: 2, ..GOOD }),
        30 => rows.push(Row { reason: "trial", ..of_b }),
        _ => rows.extend([of_b; 5]),
    }
    if second >= 40 {
        for row in &mut rows {
            row.reason = "turn";
        }
    }
    match second {
        45 => {
            rows[0] = Row { reason: "hedge", hedge: "won,http://a:8080", attempts: 2, ..GOOD };
            rows[1] = Row { hedge: "lost,http://b:8080", attempts: 2, ..rows[1] };
        }
        50 => rows[..3].iter_mut().for_each(|row| row.queue = "25.000"),
        55 => rows[0] = Row { reason: "turn", ..SLOW },
        _ => {}
    }
    rows
}
