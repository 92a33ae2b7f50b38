//! Changes while clients ask: none of them notices.

use std::net::SocketAddr;

use serde_json::json;

use support::load::under_load;
use support::origin::Origin;

use crate::scene::{Scene, answering, url};

fn origins<const N: usize>() -> ([Origin; N], [SocketAddr; N]) {
    let origins = [(); N].map(|()| answering("x"));
    let addresses = origins.each_ref().map(|origin| origin.address);
    (origins, addresses)
}

#[test]
fn a_backend_is_drained_replaced_and_taken_back_and_no_request_fails() {
    let ([first, _second], addresses) = origins::<2>();
    let scene = Scene::start(&addresses, &["adaptive", "--slow-start", "1s"]);
    let (address, path) = (addresses[0], "/backends/0.0");
    let mut first = Some(first);
    let (asked, ()) = under_load(scene.proxy.address(), || {
        for _ in 0..5 {
            scene.change("PATCH", path, r#"{ "drained": true }"#);
            scene.until_idle(address);
            scene.change("PATCH", path, r#"{ "drained": false }"#);
        }
        scene.change("PATCH", path, r#"{ "drained": true }"#);
        scene.until_idle(address);
        // Nothing is sent to it any more, so it can go, with the connections that it has.
        assert_eq!(scene.backend(address)["connections"], 0);
        drop(first.take());
        scene.change("PATCH", "/backends/1.0", r#"{ "weight": 5 }"#);
    });
    assert!(asked > 0);
    assert_eq!(scene.backend(address)["errors"], 0);
    assert_eq!(scene.backend(addresses[1])["errors"], 0);
}

#[test]
fn backends_join_and_leave_and_no_request_fails() {
    let (_origins, addresses) = origins::<3>();
    let scene = Scene::start(&addresses[..1], &["--workers", "2"]);
    let mut chance = fastrand::Rng::with_seed(15);
    under_load(scene.proxy.address(), || {
        for _ in 0..50 {
            for address in &addresses[1..] {
                let body = json!({ "url": url(*address), "weight": chance.u32(1..9) });
                scene.change("PUT", "/backends", &body.to_string());
            }
            for address in &addresses[1..] {
                scene.change("DELETE", &format!("/backends/{}", url(*address)), "");
            }
        }
    });
    let list = scene.get("/backends");
    let errors = list["backends"].as_array().unwrap().iter().map(|it| it["errors"].as_u64());
    assert_eq!(errors.sum::<Option<u64>>(), Some(0));
}

#[test]
fn ejections_by_the_admin_lose_no_request() {
    let (_origins, addresses) = origins::<3>();
    let scene = Scene::start(&addresses, &["least-conn"]);
    under_load(scene.proxy.address(), || {
        for round in 0..60 {
            let path = format!("/backends/{}.0", round % 3);
            let eject = ["1ms", "50ms", "off"][round / 3 % 3];
            scene.change("PATCH", &path, &json!({ "eject": eject }).to_string());
        }
    });
}
