//! Cases at the level of bytes: what a client sends, what a scripted backend answers, and what
//! either of them may receive, through the real program and over real sockets.
//!
//! In addition to what a case expects, every byte that the proxy sends is checked by a strict
//! parser of RFC 9112, and messages are counted: a 200 that is followed by bytes that belong to no
//! message fails.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![expect(unreachable_pub, reason = "a test program exports nothing")]

mod another;
mod backend;
mod case;
mod client;
mod conversation;
mod judge;
mod lanes;
mod patience;
mod relay;
mod sans_io;
mod script;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use case::{Case, cases};
use judge::{Evidence, judge};
use lanes::{Mode, play_all};
use sans_io::{Cut, Played};
use wire::Pace;

/// Those that other proxies are scored by as well.
fn common_cases() -> Vec<Case> {
    let cases = cases(include_str!("cases.jsonl"));
    assert_eq!(cases.len(), 199);
    cases
}

/// All cases, those that take longest first.
fn all_cases() -> Vec<Case> {
    let mut all = common_cases();
    all.extend(cases(include_str!("more_cases.jsonl")));
    all.sort_by_key(|case| std::cmp::Reverse(case.wait));
    for (index, case) in all.iter().enumerate() {
        assert!(all[..index].iter().all(|other| other.id != case.id), "{} twice", case.id);
    }
    all
}

/// All cases except those in which a response without a request arrives together with the one
/// before it: once another request was sent, it looks like the answer to that (RFC 9112 §9.2).
fn cases_in_pieces() -> Vec<Case> {
    all_cases().into_iter().filter(|case| !case.at_once).collect()
}

fn check(cases: &[Case], mode: Mode) {
    let failures = play_all(cases, mode);
    let list: Vec<String> = failures.iter().map(ToString::to_string).collect();
    assert!(list.is_empty(), "{} of {} fail\n{}", list.len(), cases.len(), list.join("\n"));
}

/// At most how many bytes of one side are played for the cuts of one case: a side with more than
/// 1,000 bytes is cut at every nth place.
const MOST_BYTES: usize = 1_000_000;

/// Plays the case without sockets: whole, byte by byte and cut at every place. Equal outcomes are
/// judged once.
fn check_sans_io(case: &Case) -> Vec<String> {
    let mut seen: Vec<Evidence> = Vec::new();
    let mut why = Vec::new();
    let mut play = |client: Cut, backend: Cut| {
        let Played { evidence, client_bytes, backend_bytes } = sans_io::play(case, client, backend);
        if !seen.contains(&evidence) {
            let faults = judge(case, &evidence, true);
            if !faults.is_empty() {
                why.push(format!("{client:?} {backend:?}: {faults:#?} {evidence:?}"));
            }
            seen.push(evidence);
        }
        (client_bytes, backend_bytes)
    };
    let (client_bytes, backend_bytes) = play(Cut::Whole, Cut::Whole);
    let cuts = |bytes: usize| {
        let every = (bytes * bytes).div_ceil(MOST_BYTES).max(1);
        (1..bytes).step_by(every).map(Cut::At)
    };
    for cut in cuts(client_bytes).chain([Cut::Pieces(1)]) {
        play(cut, Cut::Whole);
    }
    if !case.at_once {
        for cut in cuts(backend_bytes).chain([Cut::Pieces(1)]) {
            play(Cut::Whole, cut);
        }
        play(Cut::Pieces(1), Cut::Pieces(1));
    }
    why.iter().map(|why| format!("{} ({}): {why}", case.id, case.reference)).collect()
}

#[test]
fn without_sockets_and_cut_at_every_place() {
    let cases = all_cases();
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    failures.lock().unwrap().extend(check_sans_io(case));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} fail\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn whole() {
    check(&all_cases(), Mode::default());
}

#[test]
fn the_clients_bytes_one_by_one() {
    check(&all_cases(), Mode { client: Pace::Pieces(1), ..Mode::default() });
}

#[test]
fn the_backends_bytes_one_by_one() {
    check(&cases_in_pieces(), Mode { backend: Pace::Pieces(1), ..Mode::default() });
}

#[test]
fn on_a_connection_from_the_pool() {
    check(&all_cases(), Mode { is_warm: true, ..Mode::default() });
}

#[test]
fn with_a_connection_for_each_request() {
    let mut cases = all_cases();
    cases.retain(|case| case.methods.len() == 1);
    assert!(cases.len() > 600);
    for case in &mut cases {
        case.expect.closes = case.expect.closes.filter(|closes| *closes);
    }
    check(&cases, Mode { flags: &["--connections", "non-persistent"], ..Mode::default() });
}

/// Takes a minute or two: `cargo test --test wire -- --ignored`.
#[test]
#[ignore = "long"]
fn in_pieces_of_many_sizes() {
    for size in [2, 3, 5, 7, 16, 61] {
        let pieces = Pace::Pieces(size);
        check(&cases_in_pieces(), Mode { client: pieces, backend: pieces, ..Mode::default() });
    }
}
