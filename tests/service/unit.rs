//! The units of systemd.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The most that `systemd-analyze security` may rate the service's exposure, of 10.
const EXPOSURE_MAX: f64 = 1.5;

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd").join(name)
}

#[test]
fn the_service_is_exposed_as_little_as_systemd_can_tell() {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=true", "--no-pager"]).arg(unit("tidegate.service"));
    let Ok(rated) = command.output() else {
        return println!("skipped: there is no systemd-analyze");
    };
    let said = String::from_utf8_lossy(&rated.stdout);
    let rate =
        said.lines().find_map(|line| line.split_once("exposure level for tidegate.service: "));
    let rate: f64 = rate.expect(&said).1.split(' ').next().unwrap().parse().unwrap();
    assert!(rate <= EXPOSURE_MAX, "{said}");
}

#[test]
fn the_sockets_are_those_of_the_default_configuration() {
    let text = std::fs::read_to_string(unit("tidegate.socket")).unwrap();
    let listed: Vec<_> = text.lines().filter_map(|it| it.strip_prefix("ListenStream=")).collect();
    assert_eq!(listed, ["0.0.0.0:9090", "/run/tidegate/admin.sock", "127.0.0.1:9091"]);
    let configured = "\nadmin = [\"unix:/run/tidegate/admin.sock\", \"127.0.0.1:9091\"]\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/debian/tidegate.toml");
    assert!(std::fs::read_to_string(file).unwrap().contains(configured));
    assert!(text.lines().any(|line| line == "SocketMode=0600"), "it is for the admin, too");
}
