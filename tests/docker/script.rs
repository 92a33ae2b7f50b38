//! What `scripts/docker-test` prints where it can't test anything.

use std::process::Command;

use support::scripted::programs;

/// Runs the script where no engine answers, and where `id` and `df` print what the test wants.
/// Returns its exit status and its error message.
fn told(user: u32, free: &str, flags: &[&str]) -> (Option<i32>, String) {
    // If it goes further than expected, it must not install or start an engine.
    let folder = programs(&[
        ("apt-get", "exit 1"),
        ("dockerd", "exit 1"),
        ("docker", "exit 1"),
        ("id", &format!("echo {user}")),
        ("df", &format!("printf '  Avail\\n%7s\\n' {free}")),
    ]);
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut script = Command::new("./scripts/docker-test");
    script.current_dir(env!("CARGO_MANIFEST_DIR")).args(flags);
    script.env("PATH", path).env("TMPDIR", folder.path());
    let output = script.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said.replace(folder.path().to_str().unwrap(), "FOLDER"))
}

#[test]
fn a_full_disk_is_named_and_a_failure_only_with_require() {
    let complaint = "docker-test: nothing was tested: an engine and its images take 2000 MB, but \
                     only 525 are free in FOLDER: free some there, or name another folder in \
                     TMPDIR\n";
    assert_eq!(told(0, "525MB", &[]), (Some(0), complaint.to_owned()));
    assert_eq!(told(0, "525MB", &["--require"]), (Some(1), complaint.to_owned()));
}

#[test]
fn without_an_engine_and_without_root_it_says_so() {
    let complaint = "docker-test: nothing was tested: no container engine answers, and only root \
                     may start one\n";
    assert_eq!(told(1000, "90000MB", &["--require"]), (Some(1), complaint.to_owned()));
}

#[test]
fn an_unknown_flag_is_refused() {
    let (status, said) = told(0, "525MB", &["--requires"]);
    assert_eq!((status, said.as_str()), (Some(2), "usage: ./scripts/docker-test [--require]\n"));
}
