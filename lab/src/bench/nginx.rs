//! The configuration of nginx for the same job.

use std::fmt::Write;
use std::path::Path;

use super::job::Job;

/// A configuration for speed: buffers that are large enough for bodies not to be written to files,
/// connections that are kept alive, a log that is written in batches.
pub(super) fn config(workers: usize, log: Option<&Path>, job: &Job<'_>) -> String {
    let log = log.map_or("off".to_owned(), |path| {
        format!("{} combined buffer=64k flush=100ms", path.display())
    });
    let (client, upstream) = if job.is_fresh {
        ("keepalive_timeout 0;", "")
    } else {
        let kept = "\n    keepalive 512;\n    keepalive_requests 1000000000;";
        ("keepalive_timeout 75s;\n  keepalive_requests 1000000000;", kept)
    };
    let connection = if job.is_fresh { "close" } else { "" };
    let mut servers = String::new();
    for address in job.upstreams() {
        // Writing to a String can't fail.
        let _ = write!(servers, "\n    server {address};");
    }
    format!(
        "daemon off;
worker_processes {workers};
worker_cpu_affinity auto {mask};
worker_rlimit_nofile 16384;
pid {pid};
events {{
  worker_connections 8192;
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
      proxy_read_timeout 10s;
      proxy_set_header Connection \"{connection}\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto http;
      proxy_set_header X-Forwarded-Host $http_host;
    }}
  }}
}}
",
        mask = mask(job.cores),
        pid = job.folder.join("nginx.pid").display(),
        listen = job.listen,
    )
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
