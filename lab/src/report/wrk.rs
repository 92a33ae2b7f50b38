//! What `wrk` printed about a run, in the file beside its log.

use std::fs;
use std::path::Path;

use super::file_name::stem;
use super::plain;

/// Requests per second as wrk counted them for `log`: `<run>_wrk.txt` beside `<run>.csv`. `None` if
/// there is no such file, or no such figure in it.
pub(super) fn per_second_beside(log: &Path) -> Option<f64> {
    per_second(&beside(log)?)
}

/// The load that wrk put on `log`, in words.
pub(super) fn load_beside(log: &Path) -> Option<String> {
    let text = beside(log)?;
    let mut lines = text.lines();
    let time = lines.find_map(|line| line.strip_prefix("Running ")?.split(' ').next())?;
    let clients = lines.next()?.trim();
    clients.contains("connections").then(|| plain(&format!("wrk, {time}, {clients}")))
}

fn beside(log: &Path) -> Option<String> {
    let text = fs::read(log.with_file_name(format!("{}_wrk.txt", stem(log)))).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The figure in what wrk printed.
pub(crate) fn per_second(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.trim_start().strip_prefix("Requests/sec:"))?;
    line.trim().parse().ok().filter(|figure: &f64| figure.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_found_among_the_others() {
        let text = "Running 2m test @ http://localhost:9090\n  4 threads and 100 connections\n  \
                    60240 requests in 2.00m, 9.31MB read\nRequests/sec:    501.62\n\
                    Transfer/sec:     79.35KB\n";
        assert_eq!(per_second(text), Some(501.62));
        for broken in ["", "unable to connect", "Requests/sec:", "Requests/sec: inf"] {
            assert_eq!(per_second(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn it_is_looked_for_beside_the_log() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("round-robin_persistent.csv");
        assert_eq!(per_second_beside(&log), None);
        let beside = folder.path().join("round-robin_persistent_wrk.txt");
        fs::write(beside, "Requests/sec:  12.5\n").expect("written");
        assert_eq!(per_second_beside(&log), Some(12.5));
    }
}
