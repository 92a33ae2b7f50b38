//! Caddy in the arena.

use super::{Job, Recipe};

const CONFIG: &str = "Caddyfile";

/// How Caddy does the job, balancing by the policy `lb_policy`.
pub(super) fn recipe(policy: &str, job: &Job<'_>) -> Recipe {
    let upstreams: Vec<_> = job.backends.iter().map(|it| it.address.to_string()).collect();
    let limit = job
        .common_limit()
        .map_or(String::new(), |limit| format!("\n\t\tunhealthy_request_count {limit}"));
    let retry = match job.proxies.max_attempts.saturating_sub(1) {
        0 => String::new(),
        retries => format!("\n\t\tlb_retries {retries}\n\t\tlb_try_duration 5s"),
    };
    let config = format!(
        "{{
	admin off
	persist_config off
	auto_https off
	grace_period 1s
	log {{
		output stderr
		level ERROR
	}}
	servers {{
		protocols h1
	}}
}}
http://:{port} {{
	bind {address}
	reverse_proxy {upstreams} {{
		lb_policy {policy}{retry}
		fail_duration 30s
		unhealthy_status 5xx{limit}
		transport http {{
			dial_timeout 1s
			response_header_timeout {timeout}ms
			keepalive_idle_conns_per_host 512
			compression off
			versions 1.1
		}}
	}}
}}
",
        port = job.listen.port(),
        address = job.listen.ip(),
        upstreams = upstreams.join(" "),
        timeout = job.proxies.response_timeout.as_millis(),
    );
    let folder = job.folder.display();
    let words = ["run", "--adapter", "caddyfile", "--config"].map(str::to_owned);
    Recipe {
        files: vec![(CONFIG, config)],
        // It keeps an identifier and locks there, else in the user's home.
        variables: vec![format!("XDG_DATA_HOME={folder}"), format!("XDG_CONFIG_HOME={folder}")],
        args: words.into_iter().chain([format!("{folder}/{CONFIG}")]).collect(),
    }
}

pub(super) fn choices(policy: &str) -> Vec<&'static str> {
    vec![
        match policy {
            "least_conn" => "lb_policy least_conn: the fewest requests; one that is drawn of equal",
            _ => "lb_policy random_choose 2: of two that are drawn the one with fewer requests",
        },
        "lb_try_duration 5s: what its documentation has as a reasonable starting point; without it \
         nothing is retried",
        "lb_retries: as many attempts as the scenario allows a proxy, less one",
        "fail_duration 30s: what its documentation has as a reasonable starting point; the default \
         is to forget a failure",
        "max_fails 1: the default; a server that fails once is left out for fail_duration",
        "unhealthy_status 5xx: such an answer is a failure; by default no answer is. It is passed \
         on all the same",
        "keepalive_idle_conns_per_host 512: the default, 32, is fewer than a burst needs",
        "dial_timeout 1s: as all contenders; the default is 3s",
        "compression off: its own request for gzip would not be the client's",
        "protocols h1, versions 1.1: nothing else is spoken here",
        "admin off, persist_config off, auto_https off, no log of requests: nothing is listened \
         to, written or fetched besides",
        "one scheduler thread of Go for each core that it is pinned to, by its default",
        "weights are not carried over, because only weighted_round_robin has them; a backup is a \
         server like any other; a limit only where all have the same, as unhealthy_request_count",
    ]
}
