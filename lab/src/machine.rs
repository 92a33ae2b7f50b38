//! The machine, and the versions of programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// What the figures depend on.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores may be used.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// Programs, each with its version.
    pub versions: Vec<String>,
}

impl Machine {
    /// This machine, and the versions of programs, each with the argument for printing it.
    pub(crate) fn this(cores: usize, programs: &[(&Path, &str)]) -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let processor = processor(&read("/proc/cpuinfo")).to_owned();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        let versions = programs.iter().filter_map(|(program, flag)| version_line(program, flag));
        Self { processor, cores, kernel, versions: versions.collect() }
    }
}

fn processor(cpuinfo: &str) -> &str {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or("unknown processor", |(_, name)| name.trim())
}

/// The first line that a program prints when it is asked for its version; wrk and nginx print it to
/// standard error.
pub(crate) fn version_line(program: &Path, flag: &str) -> Option<String> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    Some(plain_version(text.lines().find(|line| !line.trim().is_empty())?))
}

/// The version without what some programs print after it.
fn plain_version(line: &str) -> String {
    let line = line.trim().trim_start_matches("nginx version: ");
    let end = line.find(" - ").or_else(|| line.find(" Copyright")).or_else(|| line.find(" ["));
    line[..end.unwrap_or(line.len())].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_named_by_its_first_core() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: B\n"),
            "AMD EPYC"
        );
        assert_eq!(processor(""), "unknown processor");
    }

    #[test]
    fn versions_are_plain() {
        for (line, plain) in [
            ("nginx version: nginx/1.22.1", "nginx/1.22.1"),
            (
                "HAProxy version 2.6.12-1 2023/12/16 - https://haproxy.org/",
                "HAProxy version 2.6.12-1 2023/12/16",
            ),
            (
                "wrk debian/4.1.0-3 [epoll] Copyright (C) 2012 Will Glozer",
                "wrk debian/4.1.0-3 [epoll]",
            ),
            ("tidegate 0.1.0", "tidegate 0.1.0"),
        ] {
            assert_eq!(plain_version(line), plain);
        }
    }
}
