//! The load that sends requests as fast as they are answered: `wrk`.
//!
//! wrk rounds the figures that it prints. A script has it print the exact ones in one line at its
//! end; the script does nothing while it measures.

use std::ffi::OsString;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::seen::Load;
use super::workload::Workload;

/// The beginning of the line with the figures.
const MARK: &str = "figures:";

/// Parses the output of wrk.
pub(super) fn parse(output: &str) -> Option<Load> {
    let line = output.lines().find_map(|line| line.strip_prefix(MARK))?;
    let mut load = Load::default();
    let mut count = 0;
    for pair in line.split_ascii_whitespace() {
        let (name, value) = pair.split_once('=')?;
        let number: f64 = value.parse().ok()?;
        match name {
            "requests" => load.requests = whole(value)?,
            "duration_us" => load.duration = Duration::from_micros(whole(value)?),
            "bytes" => load.bytes = whole(value)?,
            "connect" | "read" | "write" | "timeout" | "status" => load.errors += whole(value)?,
            "p50_us" => load.p50_us = number,
            "p99_us" => load.p99_us = number,
            "p999_us" => load.p999_us = number,
            _ => return None,
        }
        count += 1;
    }
    (count == FIGURES.len()).then_some(load)
}

/// Lua's numbers are floating-point, and large ones may be written so.
fn whole(text: &str) -> Option<u64> {
    text.split('.').next()?.parse().ok()
}

const FIGURES: [(&str, &str); 11] = [
    ("requests", "summary.requests"),
    ("duration_us", "summary.duration"),
    ("bytes", "summary.bytes"),
    ("connect", "summary.errors.connect"),
    ("read", "summary.errors.read"),
    ("write", "summary.errors.write"),
    ("timeout", "summary.errors.timeout"),
    ("status", "summary.errors.status"),
    ("p50_us", "latency:percentile(50)"),
    ("p99_us", "latency:percentile(99)"),
    ("p999_us", "latency:percentile(99.9)"),
];

/// The script of a workload.
pub(super) fn script(workload: &Workload) -> String {
    let mut script = String::new();
    if workload.request_bytes > 0 {
        let bytes = workload.request_bytes;
        // Writing to a String can't fail.
        let _ = writeln!(script, "wrk.method = 'POST'\nwrk.body = string.rep('x', {bytes})");
    }
    script += "function done(summary, latency, requests)\n  io.write(string.format('\\n";
    script += MARK;
    for (name, _) in FIGURES {
        let _ = write!(script, " {name}=%.0f");
    }
    let values = FIGURES.map(|(_, value)| value).join(", ");
    let _ = writeln!(script, "\\n', {values}))\nend");
    script
}

/// The arguments for `workload` at `address`.
pub(super) fn args(
    workload: &Workload,
    address: SocketAddr,
    seconds: u32,
    threads: usize,
    script: &Path,
) -> Vec<OsString> {
    let threads = threads.clamp(1, workload.connections as usize);
    vec![
        "-t".into(),
        threads.to_string().into(),
        "-c".into(),
        workload.connections.to_string().into(),
        "-d".into(),
        format!("{seconds}s").into(),
        "-s".into(),
        script.into(),
        format!("http://{address}/").into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::workload::WORKLOADS;
    use super::*;

    const OUTPUT: &str = "Running 3s test @ http://127.0.0.1:1/\n  \
        1 threads and 64 connections\n  \
        Thread Stats   Avg      Stdev     Max   +/- Stdev\n\
        Requests/sec:  41234.12\n\n\
        figures: requests=123456 duration_us=3001234 bytes=9876543210 connect=1 read=2 write=3 \
        timeout=4 status=5 p50_us=1500 p99_us=2750 p999_us=3500\n";

    #[test]
    fn the_line_with_the_figures_is_read() {
        let load = parse(OUTPUT).expect("figures");
        assert_eq!(load.requests, 123_456);
        assert_eq!(load.duration, Duration::from_micros(3_001_234));
        assert_eq!(load.bytes, 9_876_543_210);
        assert_eq!(load.errors, 15);
        let percentiles = [load.p50_us, load.p99_us, load.p999_us].map(|us| us.to_string());
        assert_eq!(percentiles, ["1500", "2750", "3500"]);
    }

    #[test]
    fn an_output_without_all_figures_is_none() {
        assert_eq!(parse("unable to connect to 127.0.0.1:1 Connection refused\n"), None);
        assert_eq!(parse(&OUTPUT.replace(" status=5", "")), None);
        assert_eq!(parse(&OUTPUT.replace("read=2", "read=nan.")), None);
        assert_eq!(parse(&OUTPUT.replace("read=", "rd=")), None);
    }

    #[test]
    fn the_script_says_every_figure_that_is_read() {
        let script = script(&WORKLOADS[0]);
        assert!(script.contains(MARK) && !script.contains("POST"), "{script}");
        assert_eq!(script.matches("=%.0f").count(), FIGURES.len());
        let said = FIGURES.map(|(name, _)| format!("{name}=1")).join(" ");
        assert!(parse(&format!("{MARK} {said}")).is_some());
    }

    #[test]
    fn a_post_has_its_body_from_the_script() {
        let post = WORKLOADS.into_iter().find(|workload| workload.request_bytes > 0).expect("one");
        let script = script(&post);
        assert!(script.starts_with("wrk.method = 'POST'\nwrk.body = string.rep('x', 16384)\n"));
    }

    #[test]
    fn there_are_no_more_threads_than_connections() {
        let address = "127.0.0.1:1".parse().expect("an address");
        let args = |connections, threads| {
            let workload = Workload { connections, ..WORKLOADS[0] };
            args(&workload, address, 3, threads, Path::new("s.lua")).join(&OsString::from(" "))
        };
        assert_eq!(args(1, 4), "-t 1 -c 1 -d 3s -s s.lua http://127.0.0.1:1/");
        assert_eq!(args(64, 4), "-t 4 -c 64 -d 3s -s s.lua http://127.0.0.1:1/");
    }
}
