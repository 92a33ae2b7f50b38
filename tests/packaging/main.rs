//! What the package has beside the programs agrees with them: the configuration file, manual pages,
//! completions, and the rotation of the log. `scripts/package-test` installs the whole package.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod manuals;
mod rotation;
mod shipped;

use std::path::Path;
use std::process::{Command, Stdio};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// What a program prints that ends well and says nothing else.
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?} {}: {said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// What a program prints that is given a text.
fn given(command: &mut Command, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    std::fs::write(&path, text).unwrap();
    printed(command.stdin(Stdio::from(std::fs::File::open(path).unwrap())))
}
