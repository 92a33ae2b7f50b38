//! Which contenders there are, and their configurations as texts.

use std::time::Duration;

use super::*;

/// So many backends at ports from 8001, each with its number as its weight.
fn weighted(count: u16) -> Vec<BackendSpec> {
    let spec = |number: u16| BackendSpec {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8000 + number)),
        weight: number.into(),
        max_in_flight: None,
        backup: false,
    };
    (1..=count).map(spec).collect()
}

/// The whole configuration: command line and files.
fn text_for(name: &str, backends: &[BackendSpec], proxies: &Proxies) -> String {
    let contender = find(name).expect(name);
    let recipe = contender.program.recipe(&Job {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
        backends,
        folder: Path::new("/folder"),
        cores: &[0, 3],
        proxies,
        log: None,
    });
    recipe.text(contender.program.executable())
}

fn text(name: &str, backends: &[BackendSpec]) -> String {
    text_for(name, backends, &Proxies::default())
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "there is no `{part}` in\n{text}");
    }
}

#[test]
fn names_are_unique_and_read_back_and_the_nearest_is_offered() {
    let names = ALL.map(|contender| contender.name);
    for name in names {
        assert_eq!(find(name).expect(name).name, name);
        assert_eq!(names.iter().filter(|other| **other == name).count(), 1, "{name}");
    }
    let refusal = find("nginx-leasttime").expect_err("misspelt");
    assert!(
        refusal.starts_with("`nginx-leasttime` is no contender; give any of tidegate-adaptive")
    );
    assert!(refusal.ends_with("did you mean nginx-least-time?"), "{refusal}");
}

#[test]
fn every_program_and_every_policy_of_ours_takes_part_and_each_program_by_default() {
    for policy in Policy::ALL {
        assert!(ALL.iter().any(|it| it.program == Program::Tidegate(policy)), "{policy}");
    }
    let programs = |names: &[&str]| {
        let mut found: Vec<_> =
            names.iter().map(|name| find(name).expect(name).program.executable()).collect();
        found.dedup();
        found
    };
    assert_eq!(programs(&DEFAULT), programs(&ALL.map(|contender| contender.name)));
}

#[test]
fn one_backend_without_a_weight_is_named_once_and_no_weight_is_written() {
    for contender in ALL {
        let text = text(contender.name, &weighted(1));
        assert_eq!(text.matches("8001").count(), 1, "{text}");
        assert!(!text.contains("weight"), "{text}");
        assert_eq!(text.matches("9000").count(), 1, "{text}");
        assert!(!text.contains("0.0.0.0"), "only the loopback: {text}");
    }
}

#[test]
fn eight_backends_are_all_there_in_order_with_the_weights_that_a_program_can_have() {
    for contender in ALL {
        let text = text(contender.name, &weighted(8));
        let places: Vec<_> = (8001..=8008).map(|port| text.find(&port.to_string())).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{text}");
    }
    for (name, third) in [
        ("tidegate-adaptive", "--upstream http://127.0.0.1:8003 weight=3"),
        ("nginx-least-time", "server 127.0.0.1:8003 weight=3;"),
        ("haproxy-leastconn", "server s2 127.0.0.1:8003 weight 3\n"),
        ("traefik-wrr", "url: http://127.0.0.1:8003\n            weight: 3\n"),
    ] {
        has(&text(name, &weighted(8)), &[third]);
    }
    let envoy = text("envoy-least-request", &weighted(8));
    has(
        &envoy,
        &["address: \"127.0.0.1\", port_value: 8003 } } }\n          load_balancing_weight: 3"],
    );
}

#[test]
fn weights_above_those_of_haproxy_keep_their_proportions() {
    let mut backends = weighted(3);
    for (backend, weight) in backends.iter_mut().zip([1000, 500, 1]) {
        backend.weight = weight;
    }
    let text = text("haproxy-leastconn", &backends);
    has(&text, &["8001 weight 256\n", "8002 weight 128\n", "8003\n"]);
    assert!(!text.contains("8003 weight"), "{text}");
}

#[test]
fn limits_and_backups_are_carried_over_where_a_program_has_them() {
    let mut backends = weighted(2);
    for backend in &mut backends {
        (backend.weight, backend.max_in_flight) = (1, Some(7));
    }
    backends[1].backup = true;
    for (name, parts) in [
        ("tidegate-adaptive", ["8001 max-in-flight=7", "8002 max-in-flight=7 backup"]),
        ("nginx-least-conn", ["8001 max_conns=7;", "8002 max_conns=7 backup;"]),
        ("nginx-random-two", ["8001 max_conns=7;", "8002 max_conns=7;"]),
        ("haproxy-random", ["8001 maxconn 7\n", "8002 maxconn 7 backup\n"]),
        ("envoy-least-request", ["max_connections: 7", "- priority: 1"]),
        ("caddy-least-conn", ["unhealthy_request_count 7", "8001 127.0.0.1:8002"]),
    ] {
        has(&text(name, &backends), &parts);
    }
    backends[0].max_in_flight = None;
    assert!(!text("caddy-least-conn", &backends).contains("unhealthy_request_count"));
    backends.remove(0);
    assert!(!text("envoy-least-request", &backends).contains("priority: 1"), "there is one group");
}

#[test]
fn attempts_timeouts_and_workers_are_those_of_the_scenario() {
    let proxies = Proxies {
        workers: 2,
        max_attempts: 4,
        response_timeout: Duration::from_millis(1500),
        ..Proxies::default()
    };
    for (name, parts) in [
        ("tidegate-ewma", ["adaptive_ewma", "--max-attempts 4", "--response-timeout 1500ms"]),
        ("hyper-peak-ewma", ["--workers 2", "--pin 0,3", "--response-timeout 1500ms"]),
        ("nginx-round-robin", ["worker_processes 2", "tries 4;", "proxy_read_timeout 1500ms;"]),
        ("haproxy-random", ["nbthread 2", "retries 3\n", "timeout server 1500ms\n"]),
        ("envoy-slow-start", ["--concurrency 2", "num_retries: 3", "timeout: 1.500s"]),
        ("traefik-p2c", ["strategy: p2c", "attempts: 4", "responseHeaderTimeout: 1500ms"]),
        ("caddy-random-choose", ["choose 2", "lb_retries 3", "response_header_timeout 1500ms"]),
    ] {
        has(&text_for(name, &weighted(2), &proxies), &parts);
    }
    has(&text_for("nginx-least-time", &weighted(2), &proxies), &["zone backends"]);
    let once = Proxies { max_attempts: 1, ..proxies };
    for (name, part) in [
        ("envoy-least-request", "retry"),
        ("caddy-least-conn", "lb_retries"),
        ("caddy-least-conn", "lb_try_duration"),
    ] {
        let text = text_for(name, &weighted(2), &once);
        assert!(!text.contains(part), "{text}");
    }
    has(&text_for("haproxy-leastconn", &weighted(2), &once), &["retries 0\n"]);
}

#[test]
fn what_observes_the_backends_differs_as_the_names_say() {
    let config = |name| text(name, &weighted(2));
    assert!(!config("haproxy-leastconn").contains("observe"));
    has(&config("haproxy-leastconn-observe"), &["check observe layer7 on-error mark-down\n"]);
    assert!(!config("envoy-least-request").contains("outlier_detection"));
    assert!(!config("envoy-outlier-detection").contains("slow_start_config"));
    let scan = config("envoy-full-scan");
    has(&scan, &["policies.least_request.v3.LeastRequest\n", "FULL_SCAN\n", "outlier_detection"]);
    assert!(!scan.contains("lb_policy"), "{scan}");
    has(&config("envoy-slow-start"), &["outlier_detection", "slow_start_config", "health_checks"]);
}

#[test]
fn every_choice_is_a_line_and_says_why() {
    for contender in ALL {
        let choices = contender.program.choices();
        assert!(choices.len() >= 4, "{}", contender.name);
        for choice in choices {
            assert!(!choice.is_empty() && !choice.contains('\n'), "{choice}");
            assert!(!choice.contains("  "), "{choice}");
        }
    }
}

#[test]
fn what_is_not_there_is_named_with_what_installs_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let tools = Tools::beside(&folder.path().join("release").join("tidegate-lab"));
    let job = Job {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9000)),
        backends: &weighted(1),
        folder: folder.path(),
        cores: &[0],
        proxies: &Proxies::default(),
        log: None,
    };
    for (name, absence) in [
        ("nginx-least-time", "nginx is not installed: ./scripts/setup --arena"),
        ("hyper-peak-ewma", "rival-hyper is not built: cargo build --release --workspace"),
    ] {
        let contender = find(name).expect(name);
        assert_eq!(contender.entrant(&tools), None);
        let error = contender.command(&tools, &job).expect_err("it is not there");
        assert_eq!(error.to_string(), absence);
    }
}
