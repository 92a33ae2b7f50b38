//! stub
#![allow(missing_docs)]
use std::net::SocketAddr;
use std::time::{Duration, Instant};
#[derive(Debug)]
pub struct Record<'a> {
    pub ended: Instant,
    pub client: SocketAddr,
    pub backend: Option<u16>,
    pub status: u16,
    pub method: &'a [u8],
    pub path: &'a [u8],
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub latency: Option<Duration>,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
    pub attempts: u32,
    pub fault: Option<&'static str>,
}
pub struct Feed;
impl Feed {
    pub fn record(&mut self, _: &Record<'_>) {}
    pub fn flush(&mut self) {}
    pub fn say(&mut self, _: &str) {}
}
pub struct Journal;
pub struct Options {
    pub path: Option<std::path::PathBuf>,
    pub backends: Vec<String>,
    pub routing_mode: String,
    pub connection: String,
    pub workers: usize,
    pub verbose: bool,
}
#[derive(Clone)]
pub struct Reopener;
impl Reopener {
    pub fn reopen(&self) {}
}
pub struct Totals {
    pub requests: u64,
    pub errors: u64,
    pub rows: u64,
    pub lost: u64,
}
impl Journal {
    pub fn start(o: Options) -> Result<(Journal, Vec<Feed>), String> {
        Ok((Journal, (0..o.workers).map(|_| Feed).collect()))
    }
    pub fn reopener(&self) -> Reopener {
        Reopener
    }
    pub fn close(self) -> Totals {
        Totals { requests: 0, errors: 0, rows: 0, lost: 0 }
    }
}
