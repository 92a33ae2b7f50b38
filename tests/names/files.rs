//! What a name stands for by the files of the system, and by an answer that is too long for a
//! datagram.

use serde_json::Value;
use support::process::run;

use support::dnsmasq::Dnsmasq;
use support::network::is_inside;

/// The addresses of a host by `--check`.
fn addresses(host: &str, flags: &[&str]) -> Vec<String> {
    let upstream = format!("http://{host}:80");
    let ended =
        run(&[&["--check", "--json", "--log", "none", "--upstream", &upstream], flags].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let json: Value = serde_json::from_str(&ended.stdout).unwrap();
    let addresses = json["backends"][0]["addresses"].as_array().unwrap();
    addresses.iter().map(|address| address.as_str().unwrap().to_owned()).collect()
}

#[test]
fn hosts_search_domains_aliases_and_long_answers_are_as_everywhere() {
    if !is_inside("files::hosts_search_domains_aliases_and_long_answers_are_as_everywhere") {
        return;
    }
    let hundred: Vec<String> = (1..=100).map(|n| format!("127.0.2.{n}")).collect();
    let mut records: Vec<_> = hundred.iter().map(|ip| (&**ip, "many.example.test")).collect();
    records.extend([("127.0.1.1", "app.example.test"), ("fd00::1", "app.example.test")]);
    let _dnsmasq = Dnsmasq::start(&records, &["--cname=alias.example.test,app.example.test"]);
    let both = ["127.0.1.1:80", "[fd00::1]:80"];
    for host in ["app.example.test", "APP.Example.Test.", "app", "alias"] {
        assert_eq!(addresses(host, &[]), both, "{host}");
    }
    assert_eq!(addresses("in-hosts", &[]), ["127.0.3.1:80"]);
    assert_eq!(addresses("localhost", &[]), ["127.0.0.1:80"]);
    // They take more than the 512 bytes that a datagram may have.
    let mut expected: Vec<_> = hundred.iter().map(|ip| format!("{ip}:80")).collect();
    let mut found = addresses("many", &[]);
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    let missing = run(&["--check", "--log", "none", "--upstream", "http://missing"]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("(no such name, or it has no address)"), "{}", missing.stderr);
}

#[test]
fn a_name_server_may_be_given() {
    if !is_inside("files::a_name_server_may_be_given") {
        return;
    }
    let records = [("127.0.1.1", "app.example.test")];
    let _dnsmasq = Dnsmasq::start(&records, &["--port=5353"]);
    assert_eq!(addresses("app", &["--resolver", "127.0.0.1:5353"]), ["127.0.1.1:80"]);
    let refused = run(&["--check", "--log", "none", "--upstream", "http://app"]);
    assert!(refused.stderr.contains("127.0.0.1:53 can't be reached"), "{}", refused.stderr);
}
