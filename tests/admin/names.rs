//! Backends whose names have no address, and those that have one name.

use std::net::UdpSocket;

use serde_json::json;

use support::clock::until;

use crate::scene::{Scene, answering, url};

const NOWHERE: &str = "http://nowhere.invalid:8080";

/// Flags by which no name is found, because no name server answers.
fn no_resolver() -> [String; 4] {
    let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    ["--resolver", &address, "--resolve-every", "100ms"].map(str::to_owned)
}

#[test]
fn one_whose_name_has_no_address_is_told_of_as_down() {
    let origin = answering("x");
    let flags = no_resolver();
    let flags = flags.each_ref().map(String::as_str);
    let scene = Scene::start(&[origin.address], &[&flags[..], &["--upstream", NOWHERE]].concat());
    let path = format!("/backends/{NOWHERE}");
    let told = until("a look-up", || {
        let told = scene.get(&path);
        (told["reason"] == "look-up failed").then_some(told)
    });
    for (key, value) in [
        ("id", json!(null)),
        ("url", json!(NOWHERE)),
        ("state", json!("down")),
        ("weight", json!(1)),
        ("in_flight", json!(0)),
        ("requests", json!(0)),
        ("estimate_ms", json!(null)),
    ] {
        assert_eq!(told[key], value, "{key}: {told}");
    }
    assert!(told["since_seconds"].as_f64().unwrap() >= 0.0, "{told}");
    let told = scene.backend(origin.address);
    let reached = told.as_object().unwrap().keys().collect::<Vec<_>>();
    let unreached = scene.get(&path);
    assert_eq!(unreached.as_object().unwrap().keys().collect::<Vec<_>>(), reached);
    let said = crate::ctl::done(&scene, &["backends", "--once"]);
    assert!(
        said.contains("2 backends, 1 up") && said.contains("down (look-up failed), "),
        "{said}"
    );
    let metrics = scene.ask("GET", "/metrics", "").text();
    for sample in [
        format!("tidegate_backend_state{{backend=\"{NOWHERE}\",state=\"down\"}} 1\n"),
        "tidegate_name_addresses{name=\"nowhere.invalid\"} 0\n".to_owned(),
        "tidegate_name_lookups_total{name=\"nowhere.invalid\",outcome=\"found\"} 0\n".to_owned(),
    ] {
        assert!(metrics.contains(&sample), "{sample}{metrics}");
    }
    let failed = "tidegate_name_lookups_total{name=\"nowhere.invalid\",outcome=\"failed\"} ";
    let failed = metrics.split_once(failed).expect("a count").1.lines().next().unwrap();
    assert!(failed.parse::<u32>().unwrap() > 0, "{failed}");
    assert!(!metrics.contains("tidegate_name_last_success_timestamp_seconds{"));
}

#[test]
fn a_name_that_is_found_is_counted() {
    let origin = answering("x");
    let name = format!("http://localhost:{}", origin.address.port());
    // It is found without a name server.
    let [resolver, address, ..] = &no_resolver();
    let flags = [resolver, address, "--upstream", &name, "--resolve-every", "10ms"];
    let scene = Scene::start(&[], &flags);
    until("a look-up", || {
        let metrics = scene.ask("GET", "/metrics", "").text();
        let is_found = |sample: &str| {
            let value = metrics.split_once(sample).map(|(_, rest)| rest.lines().next().unwrap());
            value.is_some_and(|value| value.parse::<f64>().unwrap() > 0.0)
        };
        let all = [
            "\ntidegate_name_lookups_total{name=\"localhost\",outcome=\"found\"} ",
            "\ntidegate_name_addresses{name=\"localhost\"} ",
            "\ntidegate_name_last_success_timestamp_seconds{name=\"localhost\"} ",
        ];
        all.into_iter().all(is_found).then_some(())
    });
}

#[test]
fn the_last_one_that_is_reached_stays_although_another_one_has_a_name() {
    let origin = answering("x");
    let flags = no_resolver();
    let flags = flags.each_ref().map(String::as_str);
    let scene = Scene::start(&[origin.address], &[&flags[..], &["--upstream", NOWHERE]].concat());
    for (method, body) in [("DELETE", ""), ("PATCH", r#"{ "drained": true }"#)] {
        let refused = scene.ask(method, "/backends/0.0", body);
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.text().contains("is the last backend"), "{}", refused.text());
    }
    scene.change("DELETE", &format!("/backends/{NOWHERE}"), "");
}

#[test]
fn one_that_is_drained_is_told_of_as_drained_whether_its_name_has_an_address_or_none() {
    let origin = answering("x");
    let flags = no_resolver();
    let flags = flags.each_ref().map(String::as_str);
    let drained = format!("{NOWHERE} drained");
    let scene = Scene::start(&[origin.address], &[&flags[..], &["--upstream", &drained]].concat());
    let told = scene.get(&format!("/backends/{NOWHERE}"));
    assert_eq!((&told["state"], &told["reason"]), (&json!("drained"), &json!("configured")));
}

#[test]
fn without_any_address_the_last_one_that_is_not_drained_stays() {
    let flags = no_resolver();
    let flags = flags.each_ref().map(String::as_str);
    let scene = Scene::start(&[], &[&flags[..], &["--upstream", NOWHERE]].concat());
    for (method, body) in [("DELETE", ""), ("PATCH", r#"{ "drained": true }"#)] {
        let refused = scene.ask(method, &format!("/backends/{NOWHERE}"), body);
        assert_eq!(refused.status, 409, "{}", refused.text());
    }
}

#[test]
fn of_two_that_are_configured_in_the_same_way_the_one_with_the_id_is_meant() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address; 3], &[]);
    let told = || {
        let list = scene.get("/backends");
        let list = list["backends"].as_array().unwrap().clone();
        let one = |it: serde_json::Value| (it["id"].clone(), it["weight"].clone());
        list.into_iter().map(one).collect::<Vec<_>>()
    };
    let refused =
        scene.ask("PATCH", &format!("/backends/{}", url(origin.address)), "{\"weight\":5}");
    assert!(refused.status == 409 && refused.text().contains("0.0, 1.0, 2.0"));
    scene.change("PATCH", "/backends/1.0", r#"{ "weight": 3 }"#);
    let ids = ["0.0", "1.0", "2.0"].map(|id| json!(id));
    let [first, second, third] = ids.clone();
    let weights = [1, 3, 1].map(|weight| json!(weight));
    assert_eq!(told(), ids.into_iter().zip(weights).collect::<Vec<_>>());
    scene.change("DELETE", "/backends/2.0", "");
    let is_left = || told() == [(first.clone(), json!(1)), (second.clone(), json!(3))];
    until("the end of the third one", || is_left().then_some(()));
    assert!(scene.ask("GET", &format!("/backends/{}", third.as_str().unwrap()), "").status == 404);
}
