//! A reload for which there are not enough descriptors.

use std::fs;
use std::net::SocketAddr;

use rustix::process::Resource;
use support::http::get;
use support::origin::Origin;

use crate::configured::{Configured, write};

const REST: &str = "log = 'none'\nworkers = 1";

/// Reloads a proxy without descriptors for that, then with them. No connection that ends meanwhile
/// gives it one, because there was none yet.
fn reload(backend: SocketAddr, more: &str, named: &str, reason: &str, change: &str) {
    let mut configured = Configured::start(REST, &[backend]);
    let path = configured.path("a.toml");
    write(&path, &format!("{REST}\n{more}"), &[backend]);
    let text = fs::read_to_string(&path).unwrap() + named;
    fs::write(&path, text).unwrap();
    // Enough to read the file.
    let before = configured.proxy.process.leave_files(1);
    let said = configured.reload_as_it_is();
    configured.proxy.process.limit(Resource::Nofile, before);
    assert!(said.contains("nothing has changed: ") && said.contains(reason), "{said}");
    assert_eq!(get(configured.address(), "/a").text(), "/a");
    let said = configured.reload_as_it_is();
    assert!(said.contains(change), "{said}");
}

#[test]
fn a_reload_that_needs_a_thread_without_descriptors_for_it_changes_nothing() {
    let origin = Origin::echoing_targets();
    let (check, refused) = ("check-path = '/x'", "can't start the thread of --check-path");
    reload(origin.address, check, "", refused, "changed check-path");
    let named = format!("[[backend]]\nurl = 'http://localhost:{}'\n", origin.address.port());
    reload(origin.address, "", &named, "can't be resolved", "added http://localhost:");
}
