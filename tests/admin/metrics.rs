//! The figures, as Prometheus reads them.

use rustix::process::Signal;
use support::clock::until;
use support::http::{Answer, Connection};

use crate::scene::{Scene, answering, url};

fn metrics(scene: &Scene, accept: &str) -> Answer {
    let field = if accept.is_empty() { String::new() } else { format!("Accept: {accept}\r\n") };
    let request = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\n{field}\r\n");
    let answer = Connection::connect(scene.tcp).ask(&request);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

/// Waits until there is such a line.
fn until_told(scene: &Scene, line: &str) {
    let is_told = || metrics(scene, "").text().contains(&format!("\n{line}\n")).then_some(());
    until(line, is_told);
}

#[test]
fn the_figures_come_in_the_format_that_is_asked_for() {
    let origin = answering("x");
    let scene = Scene::start(&[origin.address], &[]);
    let mut client = Connection::connect(scene.proxy.address());
    assert_eq!(client.get("/").status, 200);
    until_told(&scene, "tidegate_requests_total{class=\"2xx\"} 1");
    let plain = metrics(&scene, "text/html, */*;q=0.8");
    assert_eq!(plain.header("Content-Type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(!plain.text().contains("# EOF"));
    let open = metrics(&scene, "application/openmetrics-text;version=1.0.0,*/*;q=0.1");
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.header("Content-Type"), Some(kind));
    assert!(open.text().ends_with("\n# EOF\n"));
    for text in [plain.text(), open.text()] {
        assert!(!text.contains("\ntidegate_config_"), "there is no file: {text}");
        assert!(!text.contains("\ntidegate_log_rows_total "), "nor a log: {text}");
    }
}

#[test]
fn drains_ejections_and_reloads_by_the_admin_are_told() {
    let (first, second) = (answering("x"), answering("x"));
    let backends = [first.address, second.address].map(url);
    let [one, other] = backends.each_ref();
    let text = format!(
        "listen = [\"127.0.0.1:0\"]\nlog = \"none\"\nadmin = [\"SOCKET\", \"127.0.0.1:0\"]\n\
         [[backend]]\nurl = \"{one}\"\n[[backend]]\nurl = \"{other}\"\n"
    );
    let scene = Scene::configured(&text);
    let state = |url: &str, state: &str| {
        format!("tidegate_backend_state{{backend=\"{url}\",state=\"{state}\"}} 1")
    };
    until_told(&scene, &state(one, "up"));
    scene.change("PATCH", &format!("/backends/{one}"), r#"{"drained": true}"#);
    until_told(&scene, &state(one, "drained"));
    scene.change("PATCH", &format!("/backends/{other}"), r#"{"eject": "60s"}"#);
    until_told(&scene, &state(other, "ejected"));
    let label = format!("{{backend=\"{other}\",reason=\"admin\"}}");
    until_told(&scene, &format!("tidegate_backend_ejections_total{label} 1"));
    until_told(&scene, "tidegate_config_last_reload_successful 1");
    scene.write("what is this?");
    scene.proxy.process.signal(Signal::HUP);
    until_told(&scene, "tidegate_config_last_reload_successful 0");
    scene.write(&text);
    scene.proxy.process.signal(Signal::HUP);
    until_told(&scene, "tidegate_config_last_reload_successful 1");
    until_told(&scene, "tidegate_config_reloads_total{result=\"refused\"} 1");
}
