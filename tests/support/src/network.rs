//! A network of the test's own, in which no other program takes a port or asks a name server: the
//! test runs itself again in it, with files of its own for names.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::geteuid;

use crate::dnsmasq;

/// Tells the test that it is inside.
const INSIDE: &str = "TIDEGATE_TEST_NETWORK";

const RESOLV_CONF: &str =
    "nameserver 127.0.0.1\nsearch example.test\noptions timeout:1 attempts:1\n";
const HOSTS: &str = "127.0.0.1 localhost\n127.0.3.1 in-hosts\n";

/// `$0` has the files.
const ENTER: &str = "ip link set lo up && mount --bind \"$0/resolv.conf\" /etc/resolv.conf && \
                     mount --bind \"$0/hosts\" /etc/hosts && exec \"$@\"";

fn inside(folder: &Path, program: &OsStr) -> Command {
    let mut command = Command::new("unshare");
    // Another user may make networks only as the root of a namespace of its own, who is not
    // permitted all that root is.
    if !geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.args(["--net", "--mount", "sh", "-c", ENTER]);
    command.arg(folder).arg(program);
    command
}

/// Whether the test of this name, which is `module::function`, is inside. If not, it has been run
/// there, or that is not possible here.
pub fn is_inside(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("resolv.conf"), RESOLV_CONF).unwrap();
    fs::write(folder.path().join("hosts"), HOSTS).unwrap();
    if dnsmasq::program().is_none() {
        println!("skipped: there is no dnsmasq here; ./scripts/setup installs it");
        return false;
    }
    let probe = inside(folder.path(), "true".as_ref()).output();
    if !probe.as_ref().is_ok_and(|probe| probe.status.success()) {
        println!("skipped: no network of its own here: {probe:?}");
        return false;
    }
    let own = env::current_exe().unwrap();
    let mut command = inside(folder.path(), own.as_os_str());
    command.args([test, "--exact", "--include-ignored", "--nocapture"]).env(INSIDE, "1");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{why}");
    print!("{said}");
    false
}
