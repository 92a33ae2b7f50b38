//! Envoy in the arena.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use super::{BackendSpec, Job, Recipe};

const CONFIG: &str = "envoy.yaml";

/// What Envoy looks at besides the requests in flight.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// Nothing.
    Unobserved,
    /// Answers: a backend that fails is ejected for a time.
    Outliers,
    /// Answers, and connections that it makes itself: a backend that comes back gets few requests
    /// at first.
    SlowStart,
}

/// How Envoy does the job, comparing all backends or two that are drawn.
pub(super) fn recipe(is_full_scan: bool, health: Health, job: &Job<'_>) -> Recipe {
    let balancing = if is_full_scan { FULL_SCAN.to_owned() } else { two_draws(health) };
    let config = format!("{}{}", listener(job), cluster(&balancing, health, job));
    let file = job.folder.join(CONFIG).display().to_string();
    let workers = job.proxies.workers.to_string();
    let words = ["--disable-hot-restart", "--log-level", "error", "--concurrency", &workers];
    Recipe {
        files: vec![(CONFIG, config)],
        variables: vec![],
        args: words.into_iter().chain(["--config-path", &file]).map(str::to_owned).collect(),
    }
}

fn listener(job: &Job<'_>) -> String {
    let retries = job.proxies.max_attempts.saturating_sub(1);
    let retry = if retries == 0 {
        String::new()
    } else {
        format!(
            "
                  retry_policy:
                    retry_on: connect-failure,refused-stream,reset
                    num_retries: {retries}
                    retry_host_predicate:
                    - name: envoy.retry_host_predicates.previous_hosts
                      typed_config:
                        \"@type\": type.googleapis.com/envoy.extensions.retry.host.\
             previous_hosts.v3.PreviousHostsPredicate
                    host_selection_retry_max_attempts: 3"
        )
    };
    format!(
        "static_resources:
  listeners:
  - name: clients
    address: {address}
    tcp_backlog_size: 4096
    per_connection_buffer_limit_bytes: 32768
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          \"@type\": type.googleapis.com/envoy.extensions.filters.network.\
         http_connection_manager.v3.HttpConnectionManager
          stat_prefix: clients
          codec_type: HTTP1
          use_remote_address: true
          generate_request_id: false
          stream_idle_timeout: 0s
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
          route_config:
            virtual_hosts:
            - name: all
              domains: [\"*\"]
              routes:
              - match: {{ prefix: / }}
                route:
                  cluster: backends
                  timeout: {timeout}{retry}
",
        address = address(&job.listen),
        timeout = seconds(job.proxies.response_timeout),
    )
}

/// Only this form of `LEAST_REQUEST` has the choice.
const FULL_SCAN: &str = "load_balancing_policy:
      policies:
      - typed_extension_config:
          name: envoy.load_balancing_policies.least_request
          typed_config:
            \"@type\": type.googleapis.com/envoy.extensions.load_balancing_policies.\
                         least_request.v3.LeastRequest
            selection_method: FULL_SCAN";

fn two_draws(health: Health) -> String {
    let slow_start = match health {
        Health::Unobserved | Health::Outliers => "",
        Health::SlowStart => {
            "
      slow_start_config: { slow_start_window: 10s }
    health_checks:
    - { timeout: 1s, interval: 2s, unhealthy_threshold: 3, healthy_threshold: 2, \
             tcp_health_check: {} }"
        }
    };
    format!(
        "lb_policy: LEAST_REQUEST
    least_request_lb_config:
      choice_count: 2{slow_start}"
    )
}

fn cluster(balancing: &str, health: Health, job: &Job<'_>) -> String {
    let outliers = match health {
        Health::Unobserved => "",
        Health::Outliers | Health::SlowStart => {
            "\n    outlier_detection: { always_eject_one_host: true }"
        }
    };
    let limits = "max_connections: 8192, max_pending_requests: 8192, max_requests: 8192, \
                  max_retries: 8192";
    let per_host = job.common_limit().map_or(String::new(), |limit| {
        format!("\n      per_host_thresholds: [ {{ max_connections: {limit} }} ]")
    });
    let endpoints = endpoints(job.backends);
    format!(
        "  clusters:
  - name: backends
    connect_timeout: 1s
    per_connection_buffer_limit_bytes: 32768
    {balancing}{outliers}
    circuit_breakers:
      thresholds: [ {{ {limits} }} ]{per_host}
    load_assignment:
      cluster_name: backends
      endpoints:{endpoints}
"
    )
}

/// The backends, and the backups with the next priority.
fn endpoints(backends: &[BackendSpec]) -> String {
    let groups = [false, true].map(|backup| {
        backends.iter().filter(|backend| backend.backup == backup).collect::<Vec<_>>()
    });
    let mut text = String::new();
    for (priority, group) in groups.iter().filter(|group| !group.is_empty()).enumerate() {
        // Writing to a String can't fail.
        let _ = write!(text, "\n      - priority: {priority}\n        lb_endpoints:");
        for backend in group {
            let address = address(&backend.address);
            let _ = write!(text, "\n        - endpoint: {{ address: {address} }}");
            if backend.weight != 1 {
                let _ = write!(text, "\n          load_balancing_weight: {}", backend.weight);
            }
        }
    }
    text
}

fn address(address: &SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("{{ socket_address: {{ address: \"{ip}\", port_value: {port} }} }}")
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}s", duration.as_secs_f64())
}

pub(super) fn choices(is_full_scan: bool, health: Health) -> Vec<&'static str> {
    let mut choices = vec![
        if is_full_scan {
            "selection_method FULL_SCAN: of all backends the one with the fewest requests in \
             flight, for which its documentation names small sets of backends"
        } else {
            "lb_policy LEAST_REQUEST, choice_count 2, the default: of two draws, which may be the \
             same backend, the one with fewer requests in flight"
        },
        "circuit_breakers of 8192: the default, 1024 connections, requests and waiting requests \
         and 3 retries at a time, would refuse requests in a burst",
        "retry_on connect-failure,refused-stream,reset: what was not answered is tried again at \
         another backend (previous_hosts), as by nginx; without it nothing is retried",
        "num_retries: as many attempts as the scenario allows a proxy, less one",
        "per_connection_buffer_limit_bytes 32768, use_remote_address: what its documentation \
         recommends at the edge of a network",
        "timeout: that of the scenario; the default, 15s, ends the longest of long polls",
        "stream_idle_timeout 0s: off, as its documentation demands for requests that wait for long",
        "connect_timeout 1s: as all contenders; the default is 5s",
        "generate_request_id false, suppress_envoy_headers: no other contender adds such fields",
        "no admin listener, no hot restart, no access log, no statistics sink",
    ];
    choices.extend(match health {
        Health::Unobserved => ["no outlier_detection: the default"].as_slice(),
        Health::Outliers => &OUTLIERS,
        Health::SlowStart => &SLOW_START,
    });
    choices
}

const OUTLIERS: [&str; 2] = [
    "outlier_detection with its defaults: 5 answers of 5xx or broken connections in a row eject a \
     backend for 30 s, and so does a success rate far from the mean's",
    "always_eject_one_host: max_ejection_percent is 10 by default, which of fewer than ten \
     backends is none",
];

const SLOW_START: [&str; 4] = [
    OUTLIERS[0],
    OUTLIERS[1],
    "health_checks of TCP, each 2 s: slow start applies to backends that a check has found to be \
     back, and at the start to none or all",
    "slow_start_window 10s: its documentation's example is 60s, which is longer than a run",
];
