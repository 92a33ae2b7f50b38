//! `HAProxy` in the arena.

use std::fmt::Write;

use super::{Job, Recipe};
use crate::bench::haproxy::Haproxy;

const CONFIG: &str = "haproxy.cfg";

/// It has no larger weight.
const MAX_WEIGHT: u32 = 256;

/// How `HAProxy` does the job, balancing by the algorithm `balance`.
pub(super) fn recipe(balance: &str, observe: bool, job: &Job<'_>) -> Recipe {
    let observed = if observe { " observe layer7 on-error mark-down" } else { "" };
    let retries = job.proxies.max_attempts.saturating_sub(1);
    let mut backend = format!(
        "balance {balance}
  retries {retries}
  option redispatch 1
  option allbackups
  default-server check{observed}"
    );
    let heaviest = job.backends.iter().map(|backend| backend.weight).max().unwrap_or(1);
    for (index, server) in job.backends.iter().enumerate() {
        // Writing to a String can't fail.
        let _ = write!(backend, "\n  server s{index} {}", server.address);
        if server.weight != 1 {
            let scaled = server.weight * MAX_WEIGHT / heaviest.max(MAX_WEIGHT);
            let _ = write!(backend, " weight {}", scaled.max(1));
        }
        if let Some(limit) = server.max_in_flight {
            let _ = write!(backend, " maxconn {limit}");
        }
        if server.backup {
            backend.push_str(" backup");
        }
    }
    let haproxy = Haproxy {
        listen: job.listen,
        cores: job.cores,
        workers: job.proxies.workers,
        logs: false,
        connections: "option http-keep-alive\n  http-reuse safe",
        response_timeout: job.proxies.response_timeout,
        backend: &backend,
    };
    Recipe {
        files: vec![(CONFIG, haproxy.config())],
        variables: vec![],
        args: vec!["-db".into(), "-f".into(), job.folder.join(CONFIG).display().to_string()],
    }
}

pub(super) fn choices(balance: &str, observe: bool) -> Vec<&'static str> {
    let mut choices = vec![
        match balance {
            "leastconn" => "balance leastconn: the fewest connections, those in a queue included",
            _ => "balance random: two draws, the default; of them the less loaded one",
        },
        "http-reuse safe: the default and the recommended strategy",
        "option http-keep-alive: the default, on both sides",
        "check: a connection every 2 s, the default interval, without a request; the documentation \
         has it on every server that may fail",
        "retries: as many attempts as the scenario allows a proxy, less one; the default is 3",
        "option redispatch 1: each retry goes to another server; without it to the same one, \
         after a second",
        "retry-on conn-failure: the default; its documentation warns of others",
        "timeout connect 1s: as all contenders; there is no default",
        "maxconn 8192: no request waits for a connection",
        "no log, no stats socket",
        "the version of the system's packages, because there is no wheel of it",
    ];
    if observe {
        choices.push(
            "observe layer7: answers of 5xx but 501 and 505, and none at all, are errors; \
             error-limit 10 is the default",
        );
        choices.push(
            "on-error mark-down: after ten errors in a row a server is down at once, until two \
             checks succeed; the default would only count as one failed check of three",
        );
    } else {
        choices.push("no observe: the default; only a failed check takes a server out");
    }
    choices
}
