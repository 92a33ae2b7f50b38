//! A configuration file that is read again on SIGHUP.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Pid;
use rustix::process::{Resource, Signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tidegate::journal::meta_path;
use tidegate::reactor::cores;

use crate::configured::{Configured, write};
use support::clock::until;
use support::http::{Connection, get};
use support::load::under_load;
use support::log::{Logged, column, rows, stop};
use support::origin::{Origin, ok};
use support::ports::free_ports;
use support::process::{Process, run, run_with};
use support::programs::program;
use support::unix;

/// By this reload all there is has been used once.
const SETTLED: usize = 25;

fn answering(text: &'static str) -> Origin {
    Origin::serve(move |mut connection| {
        while connection.request().is_some() {
            connection.send(ok(text));
        }
    })
}

#[test]
fn backends_and_settings_change_and_the_difference_is_said() {
    let (first, second) = (answering("first"), answering("second"));
    let mut configured = Configured::start("log = 'none'", &[first.address]);
    let address = configured.proxy.address();
    let mut client = Connection::connect(address);
    assert_eq!(client.get("/").text(), "first");
    let said = configured.reload("log = 'none'\nbody-timeout = '7s'", &[second.address]);
    for change in [
        format!("added http://{}", second.address),
        format!("removed http://{}", first.address),
        "changed body-timeout".to_owned(),
    ] {
        assert!(said.contains(&change), "{said}");
    }
    until("the other backend", || (client.get("/").text() == "second").then_some(()));
    let said = configured.reload("log = 'none'\nbody-timeout = '7s'", &[second.address]);
    assert!(said.contains("nothing changed"), "{said}");
}

#[test]
fn a_wrong_file_changes_nothing_and_is_shown() {
    let origin = answering("first");
    let mut configured = Configured::start("log = 'none'", &[origin.address]);
    for (rest, reason) in [
        ("max-attempts = 0", "a.toml:2:16: max-attempts: give a number, at least 1"),
        ("cooldown = '1m'\nlog = 'none'", "a.toml:2:12: cooldown must not be longer"),
        ("workers = 77\nlog = 'none'", "a.toml:2:11: workers can't change while the proxy runs"),
        ("log = 'x.csv'", "a.toml:2:7: log can't change while the proxy runs"),
    ] {
        let said = configured.reload(rest, &[origin.address]);
        assert!(said.contains("not reloaded, nothing has changed: "), "{said}");
        assert!(said.contains(reason), "{said}");
        assert_eq!(get(configured.proxy.address(), "/").text(), "first");
    }
    fs::remove_file(configured.path("a.toml")).unwrap();
    let said = configured.reload_as_it_is();
    assert!(said.contains("can't read the configuration"), "{said}");
    assert_eq!(get(configured.proxy.address(), "/").text(), "first");
}

#[test]
fn a_file_that_names_no_backend_is_refused_unless_it_says_so() {
    let origin = answering("first");
    let mut configured = Configured::start("log = 'none'", &[origin.address]);
    for rest in ["log = 'none'", ""] {
        let said = configured.reload(rest, &[]);
        assert!(
            said.contains("nothing has changed") && said.contains("names no backend"),
            "{said}"
        );
    }
    fs::write(configured.path("a.toml"), "").unwrap();
    let said = configured.reload_as_it_is();
    assert!(said.contains("names no backend: add a table [[backend]]"), "{said}");
    assert_eq!(get(configured.address(), "/").text(), "first");
    let said = configured.reload("log = 'none'\nbackend = []", &[]);
    assert!(said.contains(&format!("removed http://{}", origin.address)), "{said}");
    until("no backend", || (get(configured.address(), "/").status == 503).then_some(()));
    // The same holds at the start.
    let path = configured.path("b.toml");
    fs::write(&path, "log = 'none'\n").unwrap();
    let ended = run(&["--config", path.to_str().unwrap()]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    assert!(ended.stderr.contains("b.toml names no backend"), "{}", ended.stderr);
}

#[test]
fn a_file_that_a_variable_names_is_told_with_it() {
    let ended = run_with(&[("TIDEGATE_CONFIG", "/nowhere/a.toml")], &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stdout);
    let expected = "tidegate: TIDEGATE_CONFIG: can't read the configuration /nowhere/a.toml: ";
    assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
    let ended = run_with(&[("TIDEGATE_CONFIG", "/nowhere/b.toml")], &["--config", "/nowhere/a"]);
    let expected = "tidegate: can't read the configuration /nowhere/a: ";
    assert!(ended.stderr.starts_with(expected), "a flag wins: {}", ended.stderr);
}

#[test]
fn backends_of_the_file_that_flags_replace_are_told_of() {
    let (first, second) = (answering("flag"), answering("file"));
    let url = format!("http://{}", first.address);
    let both = [second.address; 2];
    let mut configured = Configured::start_with(&["--upstream", &url], "log = 'none'", &both);
    let told = configured.proxy.process.line("takes the place of");
    assert!(told.contains("--upstream takes the place of the 2 backends of "), "{told}");
    assert_eq!(get(configured.address(), "/").text(), "flag");
    let said = configured.reload("log = 'none'", &both[..1]);
    assert!(
        said.contains("nothing changed; --upstream takes the place of the 1 backend"),
        "{said}"
    );
    let said = configured.reload("log = 'none'", &[]);
    assert!(said.contains("nothing changed") && !said.contains("place"), "{said}");
    let path = configured.path("a.toml");
    write(&path, "log = 'none'", &both);
    let variables = [("TIDEGATE_UPSTREAM", url.as_str())];
    let ended = run_with(&variables, &["--config", path.to_str().unwrap(), "--check"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("TIDEGATE_UPSTREAM takes the place of"), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("config "), "{}", ended.stdout);
}

#[test]
fn checks_begin_change_and_end_by_the_file() {
    let origin = Origin::serve(|mut connection| {
        while let Some((head, _)) = connection.request() {
            let is_well = head.starts_with("GET /well") || !head.contains("tidegate-check");
            connection.send(if is_well { ok("x") } else { "HTTP/1.1 500 No\r\n\r\n".into() });
        }
    });
    let other = answering("x");
    let backends = [origin.address, other.address];
    let with = |path: &str| {
        format!("log = 'none'\ncheck-interval = '10ms'\ncheck-fall = 1\ncheck-path = '{path}'")
    };
    let mut configured = Configured::start("log = 'none'", &backends);
    let said = configured.reload(&with("/ill"), &backends);
    assert!(said.contains("changed check-path, check-interval, check-fall"), "{said}");
    // It may be said before the reload is.
    let says = |configured: &Configured, what: &str, times: usize| {
        let line = format!("tidegate: http://{} is {what} (", origin.address);
        let said = || configured.proxy.process.stderr().matches(&line).count() == times;
        until("a line on a check", || said().then_some(()));
    };
    says(&configured, "down", 1);
    assert!(configured.proxy.process.stderr().contains("status 500"));
    let said = configured.reload(&with("/well"), &backends);
    assert!(said.contains("changed check-path"), "{said}");
    says(&configured, "up", 1);
    let said = configured.reload(&with("no path"), &backends);
    assert!(said.contains("a.toml:5:14: check-path: give a path such as /healthz"), "{said}");
    configured.reload(&with("/ill"), &backends);
    says(&configured, "down", 2);
    let said = configured.reload("log = 'none'", &backends);
    assert!(said.contains("changed check-path, check-interval, check-fall"), "{said}");
    let threads = || configured.proxy.process.threads();
    until("the end of checks", || (!threads().contains(&"checks".to_owned())).then_some(()));
}

#[test]
fn a_log_that_can_not_be_written_is_refused() {
    let origin = answering("first");
    let folder = tempfile::tempdir().unwrap();
    let log = |path: &Path| format!("log = '{}'", path.display());
    let own = folder.path().join("own.csv");
    let mut configured = Configured::start(&log(&own), &[origin.address]);
    let said = configured.reload(&log(&own.join("x.csv")), &[origin.address]);
    assert!(said.contains("not reloaded, nothing has changed: "), "{said}");
    assert!(said.contains("Not a directory"), "{said}");
    assert_eq!(get(configured.address(), "/").text(), "first");
}

#[test]
fn a_log_that_another_process_writes_is_refused() {
    let origin = answering("x");
    let other = Logged::start(&[origin.address], &[]);
    let folder = tempfile::tempdir().unwrap();
    let log = |path: &Path| format!("sandbox = 'off'\nlog = '{}'", path.display());
    let own = log(&folder.path().join("own.csv"));
    let mut configured = Configured::start(&own, &[origin.address]);
    let said = configured.reload(&log(&other.path()), &[origin.address]);
    assert!(said.contains("nothing has changed: another process is writing the log"), "{said}");
    assert_eq!(get(configured.address(), "/").status, 200);
    assert!(other.rows().is_empty());
    let said = configured.reload(&own, &[origin.address]);
    assert!(said.contains("nothing changed"), "{said}");
    let totals = stop(&mut configured.proxy);
    assert!(totals.ends_with("1 requests, 0 errors, 1 rows, 0 rows lost\n"), "{totals}");
}

#[test]
fn a_log_that_is_moved_aside_by_a_reload_is_told_of() {
    let origin = answering("x");
    let folder = tempfile::tempdir().unwrap();
    let log = |name: &str| format!("log = '{}'", folder.path().join(name).display());
    let mut configured = Configured::start(&log("a.csv"), &[origin.address]);
    assert_eq!(get(configured.address(), "/").status, 200);
    configured.reload(&log("b.csv"), &[origin.address]);
    until("the other log", || folder.path().join("b.csv").exists().then_some(()));
    let said = configured.reload(&log("a.csv"), &[origin.address]);
    assert!(said.contains("changed log"), "{said}");
    let told = configured.proxy.process.line("an earlier log was moved to ");
    let aside = told.trim_end().rsplit_once(" moved to ").unwrap().1;
    assert_eq!(rows(Path::new(aside)).len(), 1, "{told}");
}

/// Lets the threads of a process run on these cores; 0 is the calling thread.
fn allow(threads: impl IntoIterator<Item = Option<Pid>>, cores: &[usize]) {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    for thread in threads {
        sched_setaffinity(thread, &set).unwrap();
    }
}

#[test]
fn other_cores_than_at_the_start_prevent_no_reload() {
    let cores = cores::allowed().unwrap();
    if cores.len() < 2 {
        return println!("not tested: there is one core only");
    }
    let origin = answering("x");
    let rest = "log = 'none'\nworkers = 'auto'\npin = 'auto'";
    // A child inherits where this thread may run.
    let before = sched_getaffinity(None).unwrap();
    allow([None], &cores[..1]);
    let configured = Configured::start(rest, &[origin.address]);
    sched_setaffinity(None, &before).unwrap();
    let mut configured = configured;
    allow(configured.proxy.process.thread_ids(), &cores);
    let said = configured.reload(&format!("{rest}\nbody-timeout = '7s'"), &[origin.address]);
    assert!(said.contains(": changed body-timeout"), "{said}");
    let said = configured.reload("log = 'none'\nworkers = 'auto'", &[origin.address]);
    assert!(said.contains("pin can't change while the proxy runs"), "{said}");
}

#[test]
fn a_reload_while_it_stops_changes_nothing() {
    let origin = answering("first");
    let rest = "log = 'none'\nshutdown-delay = '1h'";
    let mut configured = Configured::start(rest, &[origin.address]);
    configured.proxy.process.signal(Signal::TERM);
    let port = free_ports::<1>()[0];
    let more = format!("listen = ['127.0.0.1:0', '127.0.0.1:{port}']\n{rest}");
    let said = configured.reload(&more, &[]);
    assert!(said.contains("names no backend"), "{said}");
    let said = configured.reload(&more, &[origin.address]);
    assert!(said.contains("not reloaded, nothing has changed: the proxy is stopping"), "{said}");
    TcpStream::connect(("127.0.0.1", port)).expect_err("nothing listens there");
    assert_eq!(get(configured.address(), "/").text(), "first");
}

#[test]
fn a_reload_that_needs_descriptors_that_there_are_not_changes_nothing() {
    let (first, second) = (answering("first"), answering("second"));
    let folder = tempfile::tempdir().unwrap();
    let rest = "sandbox = 'off'\nlog = 'none'\nworkers = 4";
    let mut configured = Configured::start(rest, &[first.address]);
    let port = free_ports::<1>()[0];
    let socket = folder.path().join("a.sock");
    let more =
        format!("listen = ['127.0.0.1:0', '{}', '127.0.0.1:{port}']\n{rest}", unix::name(&socket));
    // Enough for the file and the first of the sockets.
    let before = configured.proxy.process.leave_files(3);
    let said = configured.reload(&more, &[second.address]);
    assert!(said.contains("nothing has changed: can't listen on 127.0.0.1:"), "{said}");
    assert!(said.contains("descriptors are used up, raise `ulimit -n`"), "{said}");
    assert!(!socket.exists());
    configured.proxy.process.limit(Resource::Nofile, before);
    assert_eq!(get(configured.address(), "/").text(), "first");
    let said = configured.reload(&more, &[second.address]);
    assert!(said.contains(&format!("listens on unix:{}, http://", socket.display())), "{said}");
    assert_eq!(unix::connect(&socket).get("/").text(), "second");
}

#[test]
fn the_policy_and_the_log_change_and_each_row_is_of_the_one_that_held() {
    let origin = answering("x");
    let folder = tempfile::tempdir().unwrap();
    let log = |name: &str| folder.path().join(name);
    let with =
        |policy: &str, name: &str| format!("policy = '{policy}'\nlog = '{}'", log(name).display());
    let mut configured = Configured::start(&with("round-robin", "a.csv"), &[origin.address]);
    let address = configured.proxy.address();
    assert_eq!(get(address, "/1").status, 200);
    configured.reload(&with("least-conn", "a.csv"), &[origin.address]);
    let is_told = || fs::read_to_string(meta_path(&log("a.csv"))).unwrap().contains("least-conn");
    until("a new description", || is_told().then_some(()));
    assert_eq!(get(address, "/2").status, 200);
    configured.reload(&with("adaptive", "b.csv"), &[origin.address]);
    until("another log", || log("b.csv").exists().then_some(()));
    assert_eq!(get(address, "/3").status, 200);
    let totals = stop(&mut configured.proxy);
    assert!(totals.ends_with("3 requests, 0 errors, 3 rows, 0 rows lost\n"), "{totals}");
    let (first, second) = (rows(&log("a.csv")), rows(&log("b.csv")));
    assert_eq!(column(&first, "routing_mode"), ["round-robin", "least-conn"]);
    assert_eq!(column(&second, "routing_mode"), ["adaptive"]);
}

/// Listeners that come and go, beside the one that stays.
struct Visitors {
    sockets: [PathBuf; 2],
    /// Another address than clients have, so that none of them takes its port meanwhile.
    tcp: SocketAddr,
}

impl Visitors {
    fn new(folder: &Path) -> Self {
        let free = TcpListener::bind("127.0.0.2:0").unwrap();
        let sockets = ["a.sock", "b.sock"].map(|name| folder.join(name));
        Self { sockets, tcp: free.local_addr().unwrap() }
    }

    /// The line of a file that has the proxy listen on these of them.
    fn listen(&self, wanted: [bool; 3]) -> String {
        let [first, second] = self.sockets.each_ref().map(|path| unix::name(path));
        let names = [first, format!("{second} mode=0600"), self.tcp.to_string()];
        let names = names.iter().zip(wanted).filter(|(_, is_wanted)| *is_wanted);
        let names: Vec<String> = names.map(|(name, _)| format!("'{name}'")).collect();
        format!("listen = [{}]", [&["'127.0.0.1:0'".to_owned()], &names[..]].concat().join(", "))
    }

    /// Asks each that should be there, and makes sure that no other is: how many were asked.
    fn ask(&self, wanted: [bool; 3]) -> u64 {
        for (path, is_wanted) in self.sockets.iter().zip(wanted) {
            assert_eq!(path.exists(), is_wanted, "{}", path.display());
            if is_wanted {
                assert_eq!(unix::connect(path).get("/unix").status, 200);
            }
        }
        assert_eq!(TcpStream::connect(self.tcp).is_ok(), wanted[2]);
        if wanted[2] {
            assert_eq!(get(self.tcp, "/tcp").status, 200);
        }
        wanted.into_iter().map(u64::from).sum()
    }
}

/// Has a proxy with these lines in its file be reloaded many times under load, with random changes,
/// valid and invalid: how many requests were made. `look` is called before each reload.
fn reload_at_random(
    configured: &mut Configured,
    rest: impl Fn(&mut fastrand::Rng) -> String,
    addresses: &[SocketAddr; 4],
    mut look: impl FnMut(usize, &Process),
) -> u64 {
    const RELOADS: usize = 500;
    let visitors = Visitors::new(configured.folder.path());
    let mut chance = fastrand::Rng::with_seed(15);
    let (mut asked, mut open) = (0, [false; 3]);
    let (by_clients, ()) = under_load(configured.address(), || {
        for reload in 0..RELOADS {
            look(reload, &configured.proxy.process);
            let policy = chance.choice(["round-robin", "adaptive", "least-conn"]).unwrap();
            let more = match chance.usize(..3) {
                0 => "max-attempts = 0".to_owned(),
                1 => format!("policy = '{policy}'\npool-size = {}", chance.u8(..)),
                _ => format!("policy = '{policy}'\nresponse-timeout = '{}s'", chance.u8(10..)),
            };
            let first = chance.usize(..4);
            let used = &addresses[first..chance.usize(first + 1..=4)];
            let wanted = [(); 3].map(|()| chance.bool());
            let more = format!("{}\n{}\n{more}", rest(&mut chance), visitors.listen(wanted));
            let said = configured.reload(&more, used);
            let is_refused = more.ends_with("max-attempts = 0");
            assert_eq!(said.contains("not reloaded"), is_refused, "{said}");
            open = if is_refused { open } else { wanted };
            asked += visitors.ask(open);
        }
        look(RELOADS, &configured.proxy.process);
    });
    asked + by_clients
}

#[test]
fn no_request_fails_and_no_row_is_lost_however_often_it_is_reloaded() {
    let origins = [(); 4].map(|()| answering("x"));
    let addresses = origins.each_ref().map(|origin| origin.address);
    let folder = tempfile::tempdir().unwrap();
    let log = |name: usize| folder.path().join(format!("{name}.csv"));
    let rest = |name| format!("sandbox = 'off'\nlog = '{}'\nworkers = 2", log(name).display());
    let mut configured = Configured::start(&rest(0), &addresses);
    let mut files = 0;
    let look = |reload: usize, process: &Process| {
        if reload == SETTLED {
            files = process.open_files();
        }
    };
    let rest = |chance: &mut fastrand::Rng| rest(chance.usize(..2));
    let asked = reload_at_random(&mut configured, rest, &addresses, look);
    let few = || (configured.proxy.process.open_files() <= files).then_some(());
    until("the descriptors of what is closed", few);
    let totals = stop(&mut configured.proxy);
    let expected = format!("{asked} requests, 0 errors, {asked} rows, 0 rows lost\n");
    assert!(totals.ends_with(&expected), "{asked}: {totals}");
}

#[test]
fn memory_stays_the_same_however_often_it_is_reloaded() {
    /// Resident memory may grow by so many KiB after that.
    const GROWTH: u64 = 1024;
    let origins = [(); 4].map(|()| answering("x"));
    let addresses = origins.each_ref().map(|origin| origin.address);
    // The log's rings come to be resident as rows pass through them for the first time.
    let rest = "sandbox = 'off'\nlog = 'none'\nworkers = 2";
    let mut configured = Configured::start(rest, &addresses);
    let mut resident = Vec::new();
    let look = |reload: usize, process: &Process| {
        if reload >= SETTLED && reload.is_multiple_of(SETTLED) {
            resident.push(process.status().vmrss.unwrap());
        }
    };
    reload_at_random(&mut configured, |_| rest.to_owned(), &addresses, look);
    let (first, last) = (resident[0], resident[resident.len() - 1]);
    assert!(last <= first + GROWTH, "KiB after each {SETTLED} reloads: {resident:?}");
}

#[test]
fn what_is_printed_as_a_file_is_what_is_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    let flags = ["least-conn", "--body-timeout", "7s", "--upstream", "http://127.0.0.1:1 weight=3"];
    let printed = run(&[&flags[..], &["--print-config"]].concat());
    assert_eq!(printed.code, Some(0));
    for line in ["body-timeout = \"7s\"", "# workers = \"auto\""] {
        assert!(printed.stdout.contains(&format!("\n{line}\n")), "{}", printed.stdout);
    }
    fs::write(&path, &printed.stdout).unwrap();
    let path = path.to_str().unwrap();
    let by_flags = run(&[&flags[..], &["--check", "--json"]].concat());
    let by_file = Command::new(program("tidegate"))
        .args(["--config", path, "--check", "--json"])
        .output()
        .unwrap();
    let plan = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
    let (mut by_file, by_flags) = (plan(&by_file.stdout), plan(by_flags.stdout.as_bytes()));
    assert_eq!((&by_file["config"], &by_flags["config"]), (&path.into(), &().into()));
    by_file["config"] = ().into();
    assert_eq!(by_file, by_flags);
}
