//! What the proxy may write, where the kernel can confine it.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use tempfile::TempDir;

use super::manager::alone;
use support::http::get;
use support::log::rows;
use support::origin::Origin;
use support::process::{Process, Proxy};
use support::unix;

/// Where its logs are at its start.
const LOG: &str = "log/a.csv";
const CHOICES: &str = "choices/a.jsonl";

/// A proxy with a file, whose logs and sockets are in folders of their own.
struct Confined {
    folder: TempDir,
    origin: Origin,
    proxy: Proxy,
}

impl Confined {
    fn start(flags: &[&str]) -> Self {
        let (folder, origin) = (tempfile::tempdir().unwrap(), Origin::echoing_targets());
        for name in ["run", "other"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let file = folder.path().join("a.toml");
        write(&folder, [LOG, CHOICES, ""], &origin);
        let mut command = alone(&["--config", file.to_str().unwrap()]);
        let admin = unix::name(&folder.path().join("run/admin.sock"));
        let proxy = Proxy::spawn(command.args(["--admin", &admin]).args(flags));
        Self { folder, origin, proxy }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reloads with these logs, and a Unix socket if one is named: what is said of it.
    fn reload(&mut self, names: [&str; 3]) -> String {
        write(&self.folder, names, &self.origin);
        self.proxy.process.signal(Signal::HUP);
        self.proxy.process.line("reloaded")
    }

    /// Whether the kernel can't confine it, so that there is nothing to test.
    fn is_free(&self) -> bool {
        self.proxy.process.stdout().contains("not confined")
    }
}

fn write(folder: &TempDir, [log, decisions, socket]: [&str; 3], origin: &Origin) {
    let path = |name: &str| folder.path().join(name);
    let listen = match socket {
        "" => "'127.0.0.1:0'".to_owned(),
        socket => format!("['127.0.0.1:0', '{}']", unix::name(&path(socket))),
    };
    let (log, decisions, at) = (path(log), path(decisions), origin.address);
    let logs = format!("log = '{}'\ndecisions = '{}'", log.display(), decisions.display());
    let text = format!("listen = {listen}\n{logs}\n[[backend]]\nurl = 'http://{at}'");
    fs::write(path("a.toml"), text).unwrap();
}

fn row_count(path: &Path) -> usize {
    if path.exists() { rows(path).len() } else { 0 }
}

#[test]
fn a_plan_that_needs_other_folders_is_refused_and_says_what_to_do() {
    let mut confined = Confined::start(&["--sandbox", "auto"]);
    if confined.is_free() {
        return;
    }
    for (names, refused) in [
        (["other/a.csv", CHOICES, ""], "other/a.csv"),
        ([LOG, "other/a.jsonl", ""], "other/a.jsonl"),
        ([LOG, CHOICES, "other/a.sock"], "other/a.sock"),
    ] {
        let said = confined.reload(names);
        let path = confined.path(refused);
        let expected = format!(
            "nothing has changed: the sandbox does not permit this process to write `{}`",
            path.display()
        );
        assert!(said.contains(&expected) && said.contains("restart the proxy"), "{said}");
        assert!(!path.exists());
    }
    let said = confined.reload(["log/b.csv", "choices/b.jsonl", "run/web.sock"]);
    assert!(said.contains("reloaded") && !said.contains("not reloaded"), "{said}");
    assert_eq!(unix::connect(&confined.path("run/web.sock")).get("/a").text(), "/a");
    confined.proxy.process.signal(Signal::TERM);
    assert!(confined.proxy.process.ended().success());
    // The logs follow within a moment.
    for name in ["log/b.csv", "choices/b.jsonl"] {
        assert!(confined.path(name).exists(), "{name}");
    }
    let counts = ["log/a.csv", "log/b.csv"].map(|name| row_count(&confined.path(name)));
    assert_eq!(counts.iter().sum::<usize>(), 1);
    for name in ["run/web.sock", "run/admin.sock"] {
        assert!(!confined.path(name).exists(), "{name} was removed");
    }
}

/// The path is one that was permitted, and the folder is another one.
#[test]
fn a_plan_whose_folder_was_made_anew_is_refused_whether_its_log_is_there_or_not() {
    let mut confined = Confined::start(&["--sandbox", "auto"]);
    if confined.is_free() {
        return println!("skipped: this kernel has no Landlock");
    }
    fs::rename(confined.path("log"), confined.path("log.old")).unwrap();
    fs::create_dir(confined.path("log")).unwrap();
    fs::write(confined.path("log/b.csv"), "").unwrap();
    for name in ["log/b.csv", "log/c.csv"] {
        let said = confined.reload([name, CHOICES, ""]);
        assert!(said.contains("not reloaded") && said.contains("deleted and made again"), "{said}");
    }
    assert_eq!(fs::read(confined.path("log/b.csv")).unwrap(), b"");
    assert!(!confined.path("log/c.csv").exists());
    // It goes on where it was.
    assert_eq!(get(confined.proxy.address(), "/a").status, 200);
    confined.proxy.process.signal(Signal::TERM);
    assert!(confined.proxy.process.ended().success());
    assert_eq!(row_count(&confined.path("log.old/a.csv")), 1);
}

#[test]
fn the_log_is_rotated_as_ever() {
    let mut confined = Confined::start(&["--sandbox", "auto"]);
    let (log, old) = (confined.path("log/a.csv"), confined.path("log/old.csv"));
    assert_eq!(get(confined.proxy.address(), "/first").status, 200);
    support::clock::until("the row", || (row_count(&log) == 1).then_some(()));
    fs::rename(&log, &old).unwrap();
    confined.proxy.process.signal(Signal::USR1);
    support::clock::until("the next log", || log.exists().then_some(()));
    assert_eq!(get(confined.proxy.address(), "/second").status, 200);
    confined.proxy.process.signal(Signal::TERM);
    assert!(confined.proxy.process.ended().success());
    assert_eq!((row_count(&old), row_count(&log)), (1, 1));
    // A log with rows is moved aside by the next run.
    let mut command = alone(&["--listen", "127.0.0.1:0", "--log", log.to_str().unwrap()]);
    let mut next = Process::spawn(command.args(["--upstream", "http://127.0.0.1:1"]));
    next.line("an earlier log was moved");
}

#[test]
fn who_turns_it_off_may_write_everywhere() {
    let mut confined = Confined::start(&["--sandbox", "off"]);
    let said = confined.reload(["other/a.csv", "other/a.jsonl", "other/a.sock"]);
    assert!(said.contains("reloaded") && !said.contains("not reloaded"), "{said}");
    assert!(confined.path("other/a.sock").exists());
}

#[test]
fn a_pipe_and_a_device_can_be_the_log() {
    let is_free = Confined::start(&["--sandbox", "auto"]).is_free();
    for log in ["/dev/null", "/dev/stdout", "/dev/stderr"] {
        let mut command = alone(&["--listen", "127.0.0.1:0", "--log", log]);
        let mut process = Process::spawn(command.args(["--upstream", "http://127.0.0.1:1"]));
        process.line("upstream ");
        process.signal(Signal::TERM);
        assert!(process.ended().success(), "{}", process.stderr());
        assert_eq!(process.stderr().matches("cannot be written").count(), 0);
        let said = process.stdout() + &process.stderr();
        assert_eq!(said.contains("not confined"), is_free, "{said}");
    }
}

#[test]
fn where_it_is_required_no_thread_was_started_before_that_would_be_free() {
    if Confined::start(&["--sandbox", "auto"]).is_free() {
        return println!("skipped: this kernel has no Landlock");
    }
    let mut confined = Confined::start(&["--sandbox", "require"]);
    assert_eq!(get(confined.proxy.address(), "/a").status, 200);
    confined.proxy.process.signal(Signal::TERM);
    assert!(confined.proxy.process.ended().success());
}

/// The proxy on a kernel without Landlock, as far as it can tell: the call is refused as unknown.
fn without_landlock(flags: &[&str]) -> Process {
    const SCRIPT: &str = "import ctypes, os, struct, sys\n\
        LOAD, EQUALS, RETURN, NUMBER, UNKNOWN, ALLOW = 0x20, 0x15, 6, 444, 0x50026, 0x7fff0000\n\
        steps = (LOAD, 0, 0, 0), (EQUALS, 0, 1, NUMBER)\n\
        steps += (RETURN, 0, 0, UNKNOWN), (RETURN, 0, 0, ALLOW)\n\
        code = b''.join(struct.pack('HBBI', *step) for step in steps)\n\
        code = ctypes.create_string_buffer(code)\n\
        program = struct.pack('HL', len(steps), ctypes.addressof(code))\n\
        libc = ctypes.CDLL(None, use_errno=True)\n\
        assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0\n\
        os.execv(sys.argv[1], sys.argv[1:])\n";
    let mut command = std::process::Command::new("python3");
    command.args(["-c", SCRIPT]).arg(support::programs::program("tidegate"));
    command.args(["--listen", "127.0.0.1:0", "--log", "none"]);
    Process::spawn(command.args(["--upstream", "http://127.0.0.1:1"]).args(flags))
}

#[test]
fn where_the_kernel_can_t_it_says_so_or_does_not_start() {
    let mut free = without_landlock(&[]);
    let said = free.line("not confined");
    assert!(said.contains("this kernel has no Landlock"), "{said}");
    free.line("upstream ");
    free.signal(Signal::TERM);
    assert!(free.ended().success());
    assert_eq!(free.stdout().matches("Landlock").count(), 1);
    let mut strict = without_landlock(&["--sandbox", "require"]);
    assert_eq!(strict.ended().code(), Some(1));
    let said = strict.stderr();
    assert!(said.starts_with("tidegate: can't be confined by --sandbox require: "), "{said}");
}
