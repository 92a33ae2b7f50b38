//! The configuration of nginx, here and in the arena.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::job::Job;

/// What the configurations differ in.
#[derive(Debug)]
pub(crate) struct Nginx<'a> {
    pub(crate) listen: SocketAddr,
    pub(crate) folder: &'a Path,
    pub(crate) cores: &'a [usize],
    pub(crate) workers: usize,
    pub(crate) log: Option<&'a Path>,
    /// Whether every request has a new connection.
    pub(crate) is_fresh: bool,
    pub(crate) response_timeout: Duration,
    /// After what a request is sent to another server.
    pub(crate) retry_on: &'a str,
    /// Attempts per request at most; 0 for as many as there are servers.
    pub(crate) tries: usize,
    /// Lines of the group of servers, without that for connections that are kept.
    pub(crate) servers: &'a str,
}

/// The configuration of a bench.
pub(super) fn config(workers: usize, log: Option<&Path>, job: &Job<'_>) -> String {
    let mut servers = String::new();
    for address in job.upstreams() {
        // Writing to a String can't fail.
        let _ = write!(servers, "\n    server {address};");
    }
    let nginx = Nginx {
        listen: job.listen,
        folder: job.folder,
        cores: job.cores,
        workers,
        log,
        is_fresh: job.is_fresh,
        response_timeout: Duration::from_secs(10),
        retry_on: "error timeout",
        tries: 0,
        servers: &servers,
    };
    nginx.config()
}

impl Nginx<'_> {
    /// A configuration for speed: buffers that are large enough for bodies not to be written to
    /// files, connections that are kept alive, a log that is written in batches.
    pub(crate) fn config(&self) -> String {
        let log = self.log.map_or("off".to_owned(), |path| {
            format!("{} combined buffer=64k flush=100ms", path.display())
        });
        let (client, upstream) = if self.is_fresh {
            ("keepalive_timeout 0;", "")
        } else {
            let kept = "\n    keepalive 512;\n    keepalive_requests 1000000000;";
            ("keepalive_timeout 75s;\n  keepalive_requests 1000000000;", kept)
        };
        let connection = if self.is_fresh { "close" } else { "" };
        format!(
            "daemon off;
worker_processes {workers};
worker_cpu_affinity auto {mask};
worker_rlimit_nofile 32768;
pid {pid};
events {{
  worker_connections 16384;
}}
http {{
  access_log {log};
  server_tokens off;
  {client}
  tcp_nodelay on;
  client_body_buffer_size 64k;
  proxy_buffers 16 16k;
  proxy_buffer_size 16k;
  proxy_max_temp_file_size 0;
  upstream backends {{{servers}{upstream}
  }}
  server {{
    listen {listen} reuseport backlog=4096;
    location / {{
      proxy_pass http://backends;
      proxy_http_version 1.1;
      proxy_connect_timeout 1s;
      proxy_read_timeout {timeout}ms;
      proxy_next_upstream {retry_on};
      proxy_next_upstream_tries {tries};
      proxy_set_header Connection \"{connection}\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
",
            workers = self.workers,
            mask = mask(self.cores),
            pid = self.folder.join("nginx.pid").display(),
            servers = self.servers,
            listen = self.listen,
            timeout = self.response_timeout.as_millis(),
            retry_on = self.retry_on,
            tries = self.tries,
        )
    }

    /// The arguments with which nginx runs by `config`, in the foreground and with its files in its
    /// folder.
    pub(crate) fn args(folder: &Path, config: &Path) -> [OsString; 6] {
        ["-p".into(), folder.into(), "-e".into(), "stderr".into(), "-c".into(), config.into()]
    }
}

/// Cores as nginx takes them: a binary number with one digit per core, the first core last. Without
/// it its workers would not stay on the cores to which they were pinned.
fn mask(cores: &[usize]) -> String {
    let last = cores.iter().copied().max().unwrap_or(0);
    (0..=last).rev().map(|core| if cores.contains(&core) { '1' } else { '0' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_has_a_digit_per_core_from_the_last_to_the_first() {
        assert_eq!(mask(&[0]), "1");
        assert_eq!(mask(&[1]), "10");
        assert_eq!(mask(&[2, 4]), "10100");
    }
}
