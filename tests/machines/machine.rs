//! A machine: a network namespace with an interface `eth0` at the test's bridge, and folders of its
//! own for keepalived and for what runs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use support::process::Process;
use support::programs::program;

use crate::packaging;

/// The bridge of all machines, which is the network of the test itself: its clients and backends.
const BRIDGE: &str = "br0";

/// Stops a service as systemd does.
const SYSTEMCTL: &str = "#!/bin/sh
[ \"$1\" = stop ] || exit 1
pid=$(cat \"/run/$2.pid\")
kill -TERM \"$pid\"
while grep -qs '^State:.[^Z]' \"/proc/$pid/status\"; do sleep 0.02; done
";

/// Runs until it is killed, and keeps the namespaces.
const HOLD: &str = "mount -t tmpfs none /run && mount -t tmpfs none /etc/keepalived && \
                    mkdir /run/bin /run/tidegate && echo ready && exec sleep 1000000";

/// Runs a command of the system, which must succeed.
pub(crate) fn system(words: &str) {
    let mut words = words.split(' ');
    let output = Command::new(words.next().unwrap()).args(words.clone()).output().unwrap();
    assert!(output.status.success(), "{:?}: {output:?}", words.collect::<Vec<_>>());
}

/// Makes the bridge, at this address.
pub(crate) fn make_bridge(address: &str) {
    system(&format!("ip link add {BRIDGE} type bridge"));
    system(&format!("ip addr add {address} dev {BRIDGE}"));
    system(&format!("ip link set {BRIDGE} up"));
}

/// The addresses in the file of a machine.
#[derive(Clone, Copy)]
pub(crate) struct Addresses<'a> {
    pub(crate) own: &'a str,
    pub(crate) other: &'a str,
    pub(crate) shared: &'a str,
}

/// A machine with tidegate and keepalived.
pub(crate) struct Machine {
    name: &'static str,
    holder: Process,
    pub(crate) tidegate: Process,
    pub(crate) keepalived: Process,
}

impl Machine {
    /// Starts one with these flags for tidegate.
    pub(crate) fn start(name: &'static str, at: Addresses<'_>, flags: &[&str]) -> Self {
        let holder = ["--net", "--mount", "--propagation", "private", "sh", "-c", HOLD];
        let mut holder = Process::spawn(Command::new("unshare").args(holder));
        holder.line("ready");
        let id = holder.id();
        connect(id, name, at.own);
        write_files(&PathBuf::from(format!("/proc/{id}/root")), at);
        let tidegate = start_tidegate(id, flags);
        let flags = ["--dont-fork", "--log-console", "--log-detail", "--vrrp"];
        let keepalived = Process::spawn(within(id, "keepalived").args(flags));
        Self { name, holder, tidegate, keepalived }
    }

    /// Starts the proxy anew.
    pub(crate) fn restart_tidegate(&mut self) {
        self.tidegate = start_tidegate(self.holder.id(), &[]);
    }

    /// Waits until it has the address.
    pub(crate) fn has_address(&mut self) {
        self.keepalived.line("Entering MASTER STATE");
    }

    /// Waits until it could take the address.
    pub(crate) fn is_ready(&mut self) {
        self.keepalived.line("Entering BACKUP STATE");
    }

    /// Starts taking it out of service.
    pub(crate) fn leave(&self) -> Process {
        let script = "/etc/keepalived/tidegate-machine";
        Process::spawn(within(self.holder.id(), script).arg("leave"))
    }

    /// Ends as if the power failed: nothing comes from it any more, not even a reset.
    pub(crate) fn die(&mut self) {
        system(&format!("ip link set {} nomaster", self.name));
        self.kill_keepalived();
        self.tidegate.signal(Signal::KILL);
    }

    /// Kills it with its child, which does not end by itself.
    fn kill_keepalived(&mut self) {
        if self.keepalived.has_ended() {
            return;
        }
        let id = self.keepalived.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        self.keepalived.signal(Signal::KILL);
        for child in children.split_whitespace() {
            let child = Pid::from_raw(child.parse().unwrap()).unwrap();
            let _ = kill_process(child, Signal::KILL);
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill_keepalived();
    }
}

/// Connects a machine, of which this process is one, with the bridge.
fn connect(id: u32, name: &str, own: &str) {
    system(&format!("ip link add {name} type veth peer name eth0 netns {id}"));
    system(&format!("ip link set {name} master {BRIDGE} up"));
    for words in ["link set lo up", "link set eth0 up", &format!("addr add {own}/24 dev eth0")] {
        system(&format!("nsenter --target {id} --net ip {words}"));
    }
}

/// Installs the shipped files, and what they call, below the root of a machine.
fn write_files(root: &Path, at: Addresses<'_>) {
    let text = |file: &str| fs::read_to_string(packaging("keepalived").join(file)).unwrap();
    let words =
        [("OWN", at.own), ("OTHER", at.other), ("ADDRESS", at.shared), ("INTERFACE", "eth0")];
    let fill = |line: String, (word, is): &(&str, &str)| line.replace(word, is);
    let config = text("keepalived.conf");
    let lines = config.lines().filter(|line| !line.trim_start().starts_with('#'));
    let config: String =
        lines.map(|line| words.iter().fold(line.to_owned(), fill) + "\n").collect();
    fs::write(root.join("etc/keepalived/keepalived.conf"), config).unwrap();
    let script = text("tidegate-machine");
    let programs =
        [("etc/keepalived/tidegate-machine", &*script), ("run/bin/systemctl", SYSTEMCTL)];
    for (file, text) in programs {
        fs::write(root.join(file), text).unwrap();
        fs::set_permissions(root.join(file), PermissionsExt::from_mode(0o755)).unwrap();
    }
    symlink(program("tidegatectl"), root.join("run/bin/tidegatectl")).unwrap();
}

/// A program inside.
fn within(id: u32, program: &str) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &id.to_string(), "--net", "--mount", "--", program]);
    command.env("PATH", "/run/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

fn start_tidegate(id: u32, flags: &[&str]) -> Process {
    let mut command = within(id, program("tidegate").to_str().unwrap());
    command.args(["--listen", "0.0.0.0:80", "--admin", "unix:/run/tidegate/admin.sock"]);
    command.args(["--upstream", "http://10.99.0.1:8080", "--log", "none"]);
    let mut process = Process::spawn(command.args(flags));
    // For `systemctl`; keepalived writes its own.
    fs::write(format!("/proc/{id}/root/run/tidegate.pid"), process.id().to_string()).unwrap();
    process.line("upstream ");
    process
}
