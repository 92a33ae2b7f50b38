//! nginx in the arena.

use std::fmt::Write;

use super::{Job, Recipe};
use crate::bench::nginx::Nginx;

const CONFIG: &str = "nginx.conf";

/// How nginx does the job, balancing by the directive `method`, or as it does without one; with
/// `retry_503` a server that answers 503 has failed.
pub(super) fn recipe(method: &str, retry_503: bool, job: &Job<'_>) -> Recipe {
    let mut servers = String::new();
    // Workers share what they count; one has no need to.
    if job.proxies.workers > 1 {
        servers.push_str("\n    zone backends 1m;");
    }
    // Writing to a String can't fail.
    if !method.is_empty() {
        let _ = write!(servers, "\n    {method};");
    }
    for backend in job.backends {
        let _ = write!(servers, "\n    server {}", backend.address);
        if backend.weight != 1 {
            let _ = write!(servers, " weight={}", backend.weight);
        }
        if let Some(limit) = backend.max_in_flight {
            let _ = write!(servers, " max_conns={limit}");
        }
        if backend.backup && has_backups(method) {
            servers.push_str(" backup");
        }
        servers.push(';');
    }
    let nginx = Nginx {
        listen: job.listen,
        folder: job.folder,
        cores: job.cores,
        workers: job.proxies.workers,
        log: None,
        is_fresh: false,
        response_timeout: job.proxies.response_timeout,
        retry_on: if retry_503 { "error timeout http_503" } else { "error timeout" },
        tries: job.proxies.max_attempts,
        servers: &servers,
    };
    let args = Nginx::args(job.folder, &job.folder.join(CONFIG));
    Recipe {
        files: vec![(CONFIG, nginx.config())],
        variables: vec![],
        args: args.map(|word| word.to_string_lossy().into_owned()).to_vec(),
    }
}

/// `backup` can't be used with `random`.
fn has_backups(method: &str) -> bool {
    !method.starts_with("random")
}

pub(super) fn choices(method: &str, retry_503: bool) -> Vec<&'static str> {
    let mut choices = vec![
        match method {
            "" => "no method: weighted round robin, the default",
            "least_conn" => "least_conn: the fewest active connections by weight",
            "least_time header" => {
                "least_time header: the time to the head of the answer, which is that to all of a \
                 short one; last_byte would count a slow client, too; inflight, off by default, \
                 changed nothing where it was tried"
            }
            _ => "random two least_conn: of two that are drawn the one with fewer connections",
        },
        "keepalive 512 behind the method: 32 idle connections, the default, are fewer than a burst \
         needs",
        "keepalive_requests 10^9: the default, 1000, would close a connection each second or so",
        "max_fails=1 fail_timeout=10s: the defaults; a server that fails once is left out for 10 s",
        if retry_503 {
            "proxy_next_upstream error timeout http_503: a 503 is a failure, and the request is \
             sent to another server"
        } else {
            "proxy_next_upstream error timeout: the default; a 503 of a backend is passed on and \
             is no failure"
        },
        "proxy_next_upstream_tries: as many attempts as the scenario allows a proxy",
        "proxy_connect_timeout 1s: as all contenders; the default is 60s",
        "proxy_buffers 16 16k, proxy_max_temp_file_size 0: an answer is never written to a file",
        "worker_connections 16384, worker_rlimit_nofile 32768: no request waits for a connection, \
         of which those of clients and those of backends count",
        "access_log off: no contender logs requests",
        "no zone: with one worker nothing has to be shared",
    ];
    if !has_backups(method) {
        choices.push("a backup is a server like any other: `random` can't have backups");
    }
    choices
}
