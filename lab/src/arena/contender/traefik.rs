//! Traefik in the arena.

use std::fmt::Write;

use super::{Job, Recipe};

const CONFIG: &str = "traefik.yaml";
const ROUTES: &str = "routes.yaml";

/// How Traefik does the job, balancing by the `strategy` of its service.
pub(super) fn recipe(strategy: &str, job: &Job<'_>) -> Recipe {
    let folder = job.folder.display();
    let config = format!(
        "global:
  checkNewVersion: false
  sendAnonymousUsage: false
log:
  level: ERROR
entryPoints:
  clients:
    address: {listen}
    transport:
      lifeCycle:
        graceTimeOut: 1s
providers:
  file:
    filename: {folder}/{ROUTES}
    watch: false
",
        listen = job.listen,
    );
    let mut servers = String::new();
    for backend in job.backends {
        // Writing to a String can't fail.
        let _ = write!(servers, "\n          - url: http://{}", backend.address);
        if backend.weight != 1 {
            let _ = write!(servers, "\n            weight: {}", backend.weight);
        }
    }
    let routes = format!(
        "http:
  routers:
    all:
      rule: PathPrefix(`/`)
      service: backends
      middlewares: [again]
  middlewares:
    again:
      retry:
        attempts: {attempts}
  services:
    backends:
      loadBalancer:
        strategy: {strategy}
        serversTransport: kept
        passiveHealthCheck:
          failureWindow: 3s
          maxFailedAttempts: 3
        servers:{servers}
  serversTransports:
    kept:
      maxIdleConnsPerHost: 512
      disableHTTP2: true
      forwardingTimeouts:
        dialTimeout: 1s
        responseHeaderTimeout: {timeout}ms
",
        attempts = job.proxies.max_attempts,
        timeout = job.proxies.response_timeout.as_millis(),
    );
    Recipe {
        files: vec![(CONFIG, config), (ROUTES, routes)],
        variables: vec![],
        args: vec![format!("--configFile={folder}/{CONFIG}")],
    }
}

pub(super) fn choices(strategy: &str) -> Vec<&'static str> {
    vec![
        match strategy {
            "leasttime" => {
                "strategy leasttime: the least mean time to the head of an answer by requests in \
                 flight"
            }
            "p2c" => "strategy p2c: of two that are drawn the one with fewer requests in flight",
            _ => "strategy wrr: weighted round robin, the default",
        },
        "maxIdleConnsPerHost 512: its own transport keeps 200 idle connections, fewer than a burst \
         needs",
        "passiveHealthCheck of 3 failures in 3 s: the example of its documentation; without it, \
         the default, nothing takes a server out, and its own default of 1 failure would take out \
         a server for each 503 by chance",
        "retry: where no connection can be made, as many attempts as the scenario allows a proxy; \
         without it nothing is retried",
        "dialTimeout 1s: as all contenders; the default is 30s",
        "disableHTTP2: nothing else is spoken here",
        "checkNewVersion and sendAnonymousUsage false, no API, no log of requests, no metrics: \
         nothing is listened to, written or fetched besides",
        "one scheduler thread of Go for each core that it is pinned to, by its default",
        "weights are carried over where the strategy has them; limits and backups are not, because \
         there are none for a server",
    ]
}
