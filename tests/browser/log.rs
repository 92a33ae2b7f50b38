//! A generated log as a proxy writes it: rows of the past at once, further rows on request.

use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use tidegate::journal::header;

/// The time between two rows: 200 rows a second.
const APART_US: i64 = 5_000;

pub(crate) struct Log {
    file: File,
    policy: &'static str,
    rows: u64,
    seed: u64,
}

impl Log {
    pub(crate) fn create(path: &Path, policy: &'static str) -> Self {
        let mut file = File::create(path).unwrap();
        file.write_all(header().as_bytes()).unwrap();
        Self { file, policy, rows: 0, seed: 0 }
    }

    /// Appends the rows of the last `seconds`.
    pub(crate) fn past(mut self, seconds: i64) -> Self {
        let now_us = now_us();
        let times = (0..seconds * 1_000_000 / APART_US).rev();
        self.rows_at(times.map(|before| now_us - before * APART_US));
        self
    }

    /// Appends rows up to now.
    pub(crate) fn append(&mut self, rows: i64) {
        let now_us = now_us();
        self.rows_at((1..=rows).map(|row| now_us - (rows - row) * APART_US));
    }

    /// Appends rows until the returned value is dropped.
    pub(crate) fn go_on(mut self) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Relaxed) {
                self.append(20);
                std::thread::park_timeout(Duration::from_millis(100));
            }
        });
        Traffic { stop, thread: Some(thread) }
    }

    fn rows_at(&mut self, times_us: impl Iterator<Item = i64>) {
        let mut text = String::new();
        for timestamp_us in times_us {
            self.rows += 1;
            self.write_row(timestamp_us, &mut text);
        }
        self.file.write_all(text.as_bytes()).unwrap();
    }

    /// Three backends whose latency varies; most requests go to the fastest.
    fn write_row(&mut self, timestamp_us: i64, text: &mut String) {
        const URLS: [&str; 3] =
            ["http://localhost:8081", "http://localhost:8082", "http://localhost:8083"];
        const PATHS: [&str; 4] = ["/", "/api/items?page=7", "/static/app.css", "/search?q=tide"];
        let wave = |minutes: f64| (timestamp_us as f64 / 60e6 * TAU / minutes).sin();
        let bases_ms = [58.0 + 26.0 * wave(2.2), 64.0 + 15.0 * wave(3.1), 96.0 + 7.0 * wave(0.9)];
        let fastest = usize::from(bases_ms[1] < bases_ms[0]);
        let (backend, reason) = match self.chance() {
            0.0..0.75 => (fastest, "best"),
            0.75..0.8 => (fastest, "tie"),
            0.8..0.9 => (1 - fastest, "tie"),
            _ => (2, "trial"),
        };
        // Most latencies are near the base; a few are much longer.
        let tail = -(1.0 - self.chance()).ln();
        let latency_ms = bases_ms[backend] * (0.9 + 0.12 * tail);
        let failed = self.rows.is_multiple_of(397);
        let (status, fault) = if failed { (504, "response_timeout") } else { (200, "") };
        let first_byte_ms =
            if failed { String::new() } else { format!("{:.3}", latency_ms * 0.98) };
        let time = |us: i64| Timestamp::from_microsecond(us).unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "some milliseconds")]
        let started = time(timestamp_us - (latency_ms * 1000.0) as i64);
        writeln!(
            text,
            "{:.6},{},{latency_ms:.3},{status},{},persistent,0,127.0.0.1:40000,GET,{},78,203,,\
             {first_byte_ms},1,{fault},,{started:.6},{},{reason}",
            time(timestamp_us),
            URLS[backend],
            self.policy,
            PATHS[usize::try_from(self.rows % 4).unwrap()],
            1 + self.rows % 5,
        )
        .unwrap();
    }

    /// A pseudo-random number from 0 to 1, the same in each run (`SplitMix64`).
    fn chance(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Rows that are being appended.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}
