//! The programs of a soak: backends that are killed and stopped, and proxies.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use super::super::process::Process;
use super::figures::{Figures, Samples};
use super::judge::Entry;
use super::origin;
use super::request_spec::token_of;
use tidegate::journal::{Hedge, LineError, Row, Tail};

/// Where backends listen: a loopback address from which no client's port is taken, so that the port
/// is free when a backend is started again.
const ORIGIN_HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// The proxies' flags beside policy and connection mode: shorter timeouts, so that each of them
/// happens; backends that were slow are tried again; and clients that end their stream after a
/// request, as some do here, are answered.
const PROXY_FLAGS: [&str; 14] = [
    "--workers",
    "2",
    "--response-timeout",
    "5s",
    "--stream-timeout",
    "5s",
    "--client-half-close",
    "allow",
    "--upstream-idle-timeout",
    "2s",
    "--cooldown-max",
    "1s",
    "--resample-after",
    "1s",
];

/// The programs' files, and a folder for what they write.
#[derive(Debug)]
pub(super) struct Programs<'a> {
    pub(super) lab: PathBuf,
    pub(super) proxy: PathBuf,
    pub(super) folder: &'a Path,
}

/// A backend, if it runs.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    process: Option<Process>,
}

impl Origin {
    /// A backend that does not run yet, with a port that was free a moment ago.
    pub(super) fn new() -> io::Result<Self> {
        let address = TcpListener::bind((ORIGIN_HOST, 0))?.local_addr()?;
        Ok(Self { address, process: None })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn start(&mut self, programs: &Programs<'_>) -> io::Result<()> {
        let args = [origin::SUBCOMMAND.into(), self.address.to_string().into()];
        let output = programs.folder.join(format!("origin-{}.out", self.address.port()));
        self.process = Some(Process::start(&programs.lab, &programs.lab, &args, output)?);
        Ok(())
    }

    /// Kills it, and waits until the system has closed its connections.
    pub(super) fn kill(&mut self) {
        self.process = None;
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.process {
            process.signal(signal);
        }
    }

    /// Whether it accepts connections; one that ended by itself is started again.
    pub(super) fn is_up(&mut self, programs: &Programs<'_>) -> io::Result<bool> {
        let process = self.process.as_mut();
        if process.is_some_and(|process| !matches!(process.ended(), Ok(None))) {
            self.start(programs)?;
        }
        Ok(origin::is_up(self.address))
    }
}

/// A proxy with its log and its figures.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) process: Process,
    pub(super) samples: Samples,
    /// Before the first request.
    pub(super) at_start: Figures,
    /// After the last one, when all connections should be closed.
    pub(super) at_end: Figures,
    pub(super) rows: u64,
    log: PathBuf,
    /// An earlier log that is to be read as soon as the proxy has begun another.
    rotated: Option<PathBuf>,
    rotations: u64,
}

impl Proxy {
    /// Starts a proxy; its address is known once it [`listens`](Self::listens).
    pub(super) fn start(
        policy: &str,
        connections: &str,
        origins: &[Origin],
        programs: &Programs<'_>,
    ) -> io::Result<Self> {
        let name = format!("{policy} {connections}");
        let file = format!("{policy}_{connections}");
        let log = programs.folder.join(&file).with_extension("csv");
        let mut args: Vec<OsString> = vec![policy.into()];
        args.extend(["--connections".into(), connections.into()]);
        args.extend(["--listen".into(), "127.0.0.1:0".into(), "--log".into(), log.clone().into()]);
        for origin in origins {
            args.extend(["--upstream".into(), origin.url().into()]);
        }
        args.extend(PROXY_FLAGS.map(OsString::from));
        let output = programs.folder.join(&file).with_extension("out");
        Ok(Self {
            name,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            process: Process::start(&programs.lab, &programs.proxy, &args, output)?,
            samples: Samples::default(),
            at_start: Figures::default(),
            at_end: Figures::default(),
            rows: 0,
            log,
            rotated: None,
            rotations: 0,
        })
    }

    /// Whether it has said where it listens.
    pub(super) fn listens(&mut self) -> bool {
        let output = self.process.output();
        // The upstreams are printed last, in one write with the address.
        let address = output.lines().find_map(|line| line.strip_prefix("listening on http://"));
        match address.and_then(|address| address.parse().ok()) {
            Some(address) if output.contains("\nupstream ") => {
                self.address = address;
                true
            }
            _ => false,
        }
    }

    pub(super) fn figures(&self) -> io::Result<Figures> {
        Figures::of(self.process.id()).map_err(io::Error::other)
    }

    /// Renames its log and has it begin another; `false` if it has not yet begun one since the last
    /// time.
    pub(super) fn rotate(&mut self) -> io::Result<bool> {
        if self.rotated.is_some() {
            return Ok(false);
        }
        self.rotations += 1;
        let rotated = self.log.with_extension(format!("{}.csv", self.rotations));
        fs::rename(&self.log, &rotated)?;
        self.rotated = Some(rotated);
        self.process.signal(Signal::HUP);
        Ok(true)
    }

    /// Reads and removes the log that was rotated, once nothing more is written to it.
    pub(super) fn read_rotated(
        &mut self,
        backends: &[String],
        each: &mut dyn FnMut(Read),
    ) -> io::Result<()> {
        // The proxy begins another file only when it has finished this one.
        let Some(rotated) = self.rotated.take_if(|_| self.log.exists()) else { return Ok(()) };
        self.rows += read(&rotated, backends, each)?;
        fs::remove_file(rotated)
    }

    /// Reads what is left, after the proxy has ended.
    pub(super) fn read_rest(
        &mut self,
        backends: &[String],
        each: &mut dyn FnMut(Read),
    ) -> io::Result<()> {
        if let Some(rotated) = self.rotated.take() {
            self.rows += read(&rotated, backends, each)?;
        }
        self.rows += read(&self.log, backends, each)?;
        Ok(())
    }

    /// What it prints at its end: requests, rows and rows lost.
    pub(super) fn totals(&self) -> Option<(u64, u64, u64)> {
        totals(&self.process.output())
    }
}

/// A row, or what is wrong with it. The caller fills in the proxy.
pub(super) type Read = Result<Entry, String>;

fn read(log: &Path, backends: &[String], each: &mut dyn FnMut(Read)) -> io::Result<u64> {
    let mut tail = Tail::open(log, None).map_err(io::Error::other)?;
    let (mut rows, mut is_at_end) = (0, false);
    loop {
        while let Some(row) = tail.next_row() {
            rows += u64::from(row.is_ok());
            each(entry(row, log, backends));
        }
        if is_at_end {
            return Ok(rows);
        }
        if tail.read_on()? == 0 {
            tail.end();
            is_at_end = true;
        }
    }
}

fn entry(row: Result<Row<'_>, LineError>, log: &Path, backends: &[String]) -> Read {
    let row = row.map_err(|error| format!("{error} in {}", log.display()))?;
    let token =
        row.path.and_then(token_of).ok_or_else(|| format!("a row without a token: {row:?}"))?;
    let place = |url: &str| backends.iter().position(|backend| backend == url);
    // Hedges are turned on by `TIDEGATE_HEDGE`, which the proxies inherit: one for each request.
    let hedge = row.hedge.map(|how| if how == "won" { Hedge::Won } else { Hedge::Lost });
    Ok(Entry {
        token,
        proxy: 0,
        status: row.status.unwrap_or(0),
        fault: row.fault.map(str::to_owned),
        backend: row.backend_url.and_then(place),
        attempts: row.attempts.unwrap_or(0).saturating_sub(u32::from(hedge.is_some())),
        hedge,
    })
}

/// The totals in a proxy's output.
fn totals(output: &str) -> Option<(u64, u64, u64)> {
    let line = output.lines().find(|line| line.ends_with(" rows lost"))?;
    let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
    let [requests, _errors, rows, lost] = numbers[..] else { return None };
    Some((requests, rows, lost))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_from_the_output() {
        let output =
            "listening on http://127.0.0.1:1\n12 requests, 3 errors, 11 rows, 1 rows lost\n";
        assert_eq!(totals(output), Some((12, 11, 1)));
        assert_eq!(totals("listening on http://127.0.0.1:1\n"), None);
    }
}
