//! A Prometheus of the test's own.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;
use support::clock::until;
use support::http::get;
use support::ports::{free_ports, is_open};
use support::process::Process;
use tempfile::TempDir;

/// See the module. It ends with this.
pub(crate) struct Prometheus {
    address: SocketAddr,
    _process: Process,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that reads metrics at this address and evaluates these rules, both each second.
    pub(crate) fn start(program: &Path, metrics: SocketAddr, rules: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n\
             - job_name: tidegate\n  static_configs: [{{targets: ['{metrics}']}}]\n",
            rules.display()
        );
        fs::write(&config, text).unwrap();
        let [port] = free_ports();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(program);
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        let process = Process::spawn(&mut command);
        until("a Prometheus", || is_open(port).then_some(()));
        until("its start", || (get(address, "/-/ready").status == 200).then_some(()));
        Self { address, _process: process, _folder: folder }
    }

    /// The data of its answer.
    pub(crate) fn get(&self, path: &str) -> Json {
        let answer = get(self.address, path);
        let mut json: Json = serde_json::from_str(&answer.text()).expect("JSON");
        assert_eq!(json["status"], "success", "{path}: {json}");
        json["data"].take()
    }

    /// The value of a query, if there is one and no other.
    pub(crate) fn value(&self, query: &str) -> Option<f64> {
        let escaped = query.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() {
                text.push(byte.into());
            } else {
                write!(text, "%{byte:02X}").unwrap();
            }
            text
        });
        super::only_value(&self.get(&format!("/api/v1/query?query={escaped}")))
    }
}
