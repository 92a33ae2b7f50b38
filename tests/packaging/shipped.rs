//! The configuration file, and the list of files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{printed, read, root};

const FILE: &str = "packaging/debian/tidegate.toml";

/// What the file says; all else are defaults.
const SETTINGS: &str = r#"
log = "/var/log/tidegate/access.csv"
admin = ["unix:/run/tidegate/admin.sock", "127.0.0.1:9091"]
backend = []
"#;

const BEGIN: &str = "\
# The configuration of tidegate, as the service reads it. What is commented out are the defaults.
#
#   tidegate --config /etc/tidegate/tidegate.toml --check    checks this file
#   systemctl reload tidegate                                applies it while the proxy serves
#   tidegatectl reload                                       the same, and tells what has changed
#
# It comes without backends, and every request is answered 503 until there is one: see the end.

";

const END: &str = r#"
# In the place of the line above, two backends:
#
# [[backend]]
# url = "http://10.0.0.7:8080"
#
# [[backend]]
# url = "http://10.0.0.8:8080"
# weight = 3
"#;

fn tidegate(config: &Path, mode: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    printed(program.arg("--config").arg(config).arg(mode))
}

#[test]
fn the_configuration_file_is_what_the_proxy_prints_of_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    fs::write(&path, SETTINGS).unwrap();
    let expected = [BEGIN, &tidegate(&path, "--print-config"), END].concat();
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(root().join(FILE), &expected).unwrap();
    }
    assert_eq!(read(FILE), expected, "UPDATE_DOCUMENTS=1 writes it");
}

#[test]
fn the_configuration_file_is_valid_with_and_without_its_example() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.toml");
    // The folder of the log belongs to root.
    let log =
        |text: &str| text.replace("/var/log/tidegate/", &folder.path().join("").to_string_lossy());
    fs::write(&path, log(&read(FILE))).unwrap();
    assert!(tidegate(&path, "--check").contains("127.0.0.1:9091"));
    let example =
        END.lines().skip_while(|line| !line.contains("[[")).map(|line| &line[2.min(line.len())..]);
    let example: Vec<_> = example.collect();
    let with = read(FILE).replace("\nbackend = []\n", &format!("\n{}\n", example.join("\n")));
    fs::write(&path, log(&with)).unwrap();
    let plan = tidegate(&path, "--check");
    assert!(plan.contains("10.0.0.7") && plan.contains("weight=3"), "{plan}");
}

#[test]
fn every_configuration_file_is_valid_and_has_the_socket_at_which_tidegatectl_asks() {
    let mut ctl = Command::new(env!("CARGO_BIN_EXE_tidegatectl"));
    let help = printed(ctl.arg("--help").env_remove("TIDEGATE_ADMIN"));
    for folder in ["compose", "debian", "docker"] {
        let path = root().join("packaging").join(folder).join("tidegate.toml");
        // Names of containers can't be resolved here, so it is not checked further.
        let settings = tidegate(&path, "--print-config");
        let admin = settings.lines().find(|line| line.starts_with("admin = ")).unwrap();
        let socket = admin.split('"').nth(1).unwrap();
        assert!(help.contains(&format!("[default: {socket}]")), "{folder}: {admin}");
    }
}

#[test]
fn the_files_of_the_package_are_there() {
    let manifest = read("Cargo.toml");
    let (_, package) = manifest.split_once("[package.metadata.deb]\n").unwrap();
    let (_, assets) = package.split_once("assets = [\n").unwrap();
    let assets = assets.lines().take_while(|line| *line != "]");
    let sources: Vec<_> = assets.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(sources.len() > 5, "{sources:?}");
    for source in sources {
        let folder = source.rsplit_once('/').unwrap().0;
        let is_made = source.starts_with("target/");
        let is_there = if source.contains('*') { folder } else { source };
        assert!(is_made || root().join(is_there).exists(), "{source}");
    }
}
