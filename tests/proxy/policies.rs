//! The six scenarios: three policies, each with persistent and non-persistent connections.

use std::collections::HashMap;

use support::http::{Connection, get};
use support::log::{rows, stop};
use support::origin::Origin;
use support::process::{Backend, Proxy, tidegate};

const POLICIES: [&str; 3] = ["round-robin", "adaptive_sma", "adaptive_ewma"];

/// Three backends; the first is much faster than the others.
fn backends() -> [Backend; 3] {
    [("A", "1"), ("B", "150"), ("C", "200")]
        .map(|(id, profile)| Backend::start(&["--id", id, "--profile", profile]))
}

fn proxy(backends: &[Backend], flags: &[&str]) -> Proxy {
    let urls: Vec<String> = backends.iter().map(|b| format!("http://{}", b.address)).collect();
    let mut all = vec!["--listen", "127.0.0.1:0"];
    all.extend(urls.iter().flat_map(|url| ["--upstream", url]));
    all.extend(flags);
    Proxy::spawn(&mut tidegate(&all))
}

#[test]
fn each_policy_serves_in_each_mode_and_logs_each_request() {
    const REQUESTS: usize = 30;
    let folder = tempfile::tempdir().unwrap();
    let backends = backends();
    for policy in POLICIES {
        for mode in ["persistent", "non-persistent"] {
            let log = folder.path().join(format!("{policy} {mode}.csv"));
            let flags = [policy, "--connections", mode, "--log", log.to_str().unwrap()];
            let mut proxy = proxy(&backends, &flags);
            for _ in 0..REQUESTS {
                let answer = get(proxy.address(), "/");
                assert_eq!(answer.status, 200, "{policy} {mode}");
                assert!(answer.text().starts_with("Hello from "), "{answer:?}");
            }
            let totals = stop(&mut proxy);
            let expected = format!("{REQUESTS} requests, 0 errors, {REQUESTS} rows, 0 rows lost\n");
            assert!(totals.ends_with(&expected), "{policy} {mode}: {totals}");
            let rows = rows(&log);
            assert_eq!(rows.len(), REQUESTS);
            let named = |name: &str, value: &str| rows.iter().all(|row| row[name] == value);
            assert!(named("routing_mode", policy) && named("connection", mode));
            let mut served = HashMap::new();
            for row in &rows {
                *served.entry(row["backend_url"].clone()).or_insert(0) += 1;
            }
            let of = |backend: &Backend| served[&format!("http://{}", backend.address)];
            let shares = [of(&backends[0]), of(&backends[1]), of(&backends[2])];
            if policy == "round-robin" {
                assert_eq!(shares, [10, 10, 10], "{mode}");
            } else {
                // Each backend is measured once, then the fast one gets all requests.
                assert_eq!(shares, [28, 1, 1], "{policy} {mode}");
            }
        }
    }
}

#[test]
fn one_rotation_is_shared_by_all_workers() {
    let backends = ["A", "B", "C"].map(|id| Backend::start(&["--id", id, "--profile", "0"]));
    let proxy = proxy(&backends, &["--workers", "2", "--log", "none"]);
    let mut turns = Vec::new();
    for _ in 0..12 {
        // A connection each, which the kernel distributes over the workers.
        turns.push(get(proxy.address(), "/").text().split(' ').nth(2).unwrap().to_owned());
    }
    assert_eq!(turns.concat(), "ABC".repeat(4));
}

#[test]
fn a_connection_is_kept_or_not_on_both_sides() {
    for (mode, kept) in [("persistent", true), ("non-persistent", false)] {
        let origin = Origin::echoing_targets();
        let proxy = Proxy::start(&[origin.address], &["--connections", mode, "--workers", "1"]);
        for _ in 0..5 {
            let mut connection = Connection::connect(proxy.address());
            let answer = connection.get("/");
            assert_eq!(answer.head.contains("\r\nConnection: close\r\n"), !kept, "{}", answer.head);
            if kept {
                assert_eq!(connection.get("/2").text(), "/2");
            } else {
                assert_eq!(connection.rest(), b"");
            }
        }
        assert_eq!(origin.accepted(), if kept { 1 } else { 5 });
    }
}

#[test]
fn a_line_per_decision_is_printed_on_demand() {
    let backends = backends();
    let mut proxy = proxy(&backends, &["adaptive_sma", "-v", "--log", "none"]);
    for _ in 0..4 {
        assert_eq!(get(proxy.address(), "/").status, 200);
    }
    let said = stop(&mut proxy);
    let decisions: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("adaptive_sma ") && line.contains("->"))
        .collect();
    assert_eq!(decisions.len(), 4, "{said}");
    let fast = backends[0].address.port().to_string();
    assert!(decisions[3].ends_with(&format!("-> {fast}")), "{said}");
    assert!(decisions[3].contains("ms "), "{said}");
}
