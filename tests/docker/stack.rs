//! The stack of `compose.yaml`.

use serde_json::{Value, json};

use crate::engine::{command, container_on, finish, inspect, is_healthy, run};
use crate::load::Load;
use crate::local;
use support::clock::until;
use support::http::get;

pub const UP: &str = "docker compose up --build --detach";
pub const DOWN: &str = "docker compose down --volumes";

const PROXY: u16 = 9090;
const ADMIN: u16 = 9091;
const DASHBOARD: u16 = 5002;
const PORTS: [u16; 5] = [8081, 8082, 8083, PROXY, DASHBOARD];

/// All of it, removed with the test.
struct Stack;

impl Stack {
    fn up(settings: &[(&str, &str)]) -> Self {
        let stack = Self;
        finish(UP, command(UP).envs(settings.iter().copied()));
        for port in PORTS {
            let container = container_on(port);
            until("a healthy container", || is_healthy(&container).then_some(()));
        }
        stack
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // A panic here during another panic would hide that one.
        let _ = command(DOWN).output();
    }
}

fn data() -> Value {
    let answer = get(local(DASHBOARD), "/data");
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// Waits until the dashboard has seen so many requests.
fn dashboard_shows(requests: usize) {
    until("rows in the dashboard", || {
        (data()["since"]["requests"].as_u64()? >= requests as u64).then_some(())
    });
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn the_stack_becomes_healthy_and_shows_its_requests() {
    let _stack = Stack::up(&[]);
    for port in PORTS {
        let host = &inspect(&container_on(port))["HostConfig"];
        assert_eq!(host["ReadonlyRootfs"], true, "{port}");
        assert_eq!(host["CapDrop"], json!(["ALL"]), "{port}");
        assert_eq!(host["SecurityOpt"], json!(["no-new-privileges:true"]), "{port}");
        let published = host["PortBindings"].as_object().unwrap().values().next().unwrap();
        assert_eq!(published[0]["HostIp"], "127.0.0.1", "{port}");
    }
    for _ in 0..9 {
        assert_eq!(get(local(PROXY), "/").status, 200);
    }
    dashboard_shows(9);
    let data = data();
    assert_eq!(
        (&data["mode"], &data["connection"]),
        (&json!("adaptive_ewma"), &json!("persistent"))
    );
    let backends = data["backends"].as_array().unwrap().iter().map(|backend| &backend["name"]);
    let names: Vec<_> = backends.filter_map(Value::as_str).collect();
    assert_eq!(names, ["a", "b", "c"].map(|id| format!("http://backend-{id}:8080")));
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn the_proxy_is_looked_at_over_its_port_and_changed_over_its_socket() {
    let _stack = Stack::up(&[]);
    let proxy = container_on(PROXY);
    assert_eq!(container_on(ADMIN), proxy);
    assert_eq!(get(local(ADMIN), "/health").status, 200);
    let metrics = get(local(ADMIN), "/metrics").text();
    assert!(metrics.contains("backend=\"http://backend-a:8080\""), "{metrics}");
    let ctl = |task: &str| run(&format!("docker exec {proxy} /tidegatectl {task}"));
    let load = Load::begin(local(PROXY));
    let favourite = load.settles(30);
    ctl(&format!("drain backend-{} --wait 10s", favourite.to_ascii_lowercase()));
    assert_ne!(load.settles(30), favourite);
    assert!(ctl("backends").contains("drained (admin)"));
    // The file is read again, and knows of no draining.
    assert!(ctl("reload").contains("undid what the admin had told"));
    assert!(!ctl("backends").contains("drained"));
    let seen = load.end();
    assert!(seen.iter().all(|seen| seen.status == 200), "{seen:?}");
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn a_backend_may_stop_and_come_back_without_a_failed_request() {
    let stack = Stack::up(&[]);
    let load = Load::begin(local(PROXY));
    let service = |name: char| format!("backend-{}", name.to_ascii_lowercase());
    // Nearly all requests go to one backend, so that is the one to be restarted.
    run(&format!("docker compose restart {}", service(load.settles(30))));
    let favourite = load.settles(30);
    run(&format!("docker compose stop {}", service(favourite)));
    assert_ne!(load.settles(30), favourite);
    run(&format!("docker compose start {}", service(favourite)));
    load.goes_on(30);
    let seen = load.end();
    assert!(seen.iter().all(|seen| seen.status == 200), "{seen:?}");
    dashboard_shows(seen.len());
    let containers = PORTS.map(container_on);
    run("docker compose stop");
    for container in containers {
        assert_eq!(inspect(&container)["State"]["ExitCode"], 0, "{container}");
    }
    drop(stack);
    assert_eq!(run("docker compose ps --quiet"), "");
}

#[test]
#[ignore = "needs a container engine: ./scripts/docker-test"]
fn variables_choose_another_scenario() {
    let _stack = Stack::up(&[]);
    let settings = [("POLICY", "round-robin"), ("CONNECTIONS", "non-persistent")];
    let _again = Stack::up(&settings);
    assert_eq!(get(local(PROXY), "/").status, 200);
    until("the dashboard on the newer log", || (data()["mode"] == "round-robin").then_some(()));
    assert_eq!(data()["connection"], "non-persistent");
}
