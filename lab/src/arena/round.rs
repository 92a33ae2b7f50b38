//! One turn of one contender: its processes and the backends are started, put under the
//! scenario's load, and ended.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::super::load::Engine;
use super::super::ports::free_addresses;
use super::super::process::{Process, describe};
use super::super::signals::{Notice, Signals};
use super::backends::Backends;
use super::bins::Bins;
use super::client::{Clients, Seen};
use super::contender::{BackendSpec, Contender, Job, Tools};
use super::error::{ArenaError, system};
use super::probe;
use super::results::{Round, Slice};
use crate::backend::Counts;
use crate::bench::Place;
use crate::bench::usage::{Cores, Tree};
use crate::scenario::Scenario;
use tidegate::reactor::cores;

/// How long a contender may take until a request is answered.
const START_PATIENCE: Duration = Duration::from_secs(15);

/// How long to wait between two attempts.
const START_PAUSE: Duration = Duration::from_millis(20);

/// When the script begins, after the contender is ready.
const LEAD: Duration = Duration::from_millis(50);

/// Connections to a proxy at most. No request should wait for one.
const MOST_CONNECTIONS: usize = 8192;

/// A client that is later than this, at the 99th percentile, disturbs what it measures.
pub(super) const MOST_LAG_MS: f64 = 1.0;

/// So do other programs that use more of the contender's cores.
const MOST_FOR_OTHERS: f64 = 0.1;

/// What a turn needs.
pub(super) struct Turn<'a> {
    pub(super) scenario: &'a Scenario,
    /// The scenario as a file.
    pub(super) file: &'a Path,
    pub(super) seed: u64,
    pub(super) contender: &'a Contender,
    pub(super) tools: &'a Tools,
    pub(super) lab: &'a Path,
    pub(super) signals: &'a Signals,
    /// A folder for the contender's files.
    pub(super) folder: &'a Path,
    pub(super) place: &'a Place,
    /// Where logs go, if they are kept.
    pub(super) logs: Option<&'a Path>,
}

/// The processes of a contender, with the address of each.
struct Proxies {
    running: Vec<(Process, SocketAddr)>,
    trees: Vec<Tree>,
}

/// Processor time of a contender so far, and of its backends, and what its cores did.
struct Used {
    time: Duration,
    /// That of the backends.
    backends: Duration,
    cores: Cores,
    at: Instant,
}

impl Turn<'_> {
    /// Takes the turn; the inner error is a failure of the contender.
    pub(super) fn run(&self) -> Result<Result<Round, String>, ArenaError> {
        let bins = Bins::of(&self.scenario.run);
        // Backends and the client have a core each where there are so many.
        let spare = self.place.load.get(1..).filter(|cores| !cores.is_empty());
        let spare = spare.unwrap_or(&self.place.load);
        let mut backends = Backends::start(self.lab, self.file, bins.length, spare)
            .map_err(system("start the backends"))?;
        let mut proxies = match self.start(&backends.addresses)? {
            Ok(proxies) => proxies,
            Err(failure) => return Ok(Err(failure)),
        };
        let figures = system("read what a contender used");
        let (system_now, now) = (SystemTime::now(), now());
        backends
            .begin(system_now + LEAD, self.seed)
            .map_err(system("tell the backends to begin"))?;
        let before = proxies.used(&backends, self.place).map_err(&figures)?;
        let seen = self.put_under_load(&mut proxies, now + LEAD, &bins)?;
        let after = proxies.used(&backends, self.place);
        let counts = backends.stop().map_err(system("stop the backends"))?;
        match seen {
            Err(failure) => Ok(Err(failure)),
            Ok(seen) => {
                let after = after.map_err(&figures)?;
                Ok(Ok(self.round(seen, &counts, &bins, &before, &after)))
            }
        }
    }

    /// Starts the contender's processes and waits until they answer; the inner error is a failure
    /// of the contender.
    fn start(&self, backends: &[SocketAddr]) -> Result<Result<Proxies, String>, ArenaError> {
        let specs = BackendSpec::of(self.scenario, backends);
        let count = self.scenario.proxies.count;
        let mut running = Vec::new();
        let listen = free_addresses(count).map_err(system("find free ports"))?;
        for (index, listen) in listen.into_iter().enumerate() {
            let folder = self.folder.join(index.to_string());
            fs::create_dir_all(&folder).map_err(system("make a folder"))?;
            let job = Job {
                listen,
                backends: &specs,
                folder: &folder,
                cores: &self.place.proxy,
                proxies: &self.scenario.proxies,
                log: self.logs.map(|folder| (folder, index + 1)),
            };
            let command = match self.contender.command(self.tools, &job) {
                Ok(command) => command,
                Err(error) => return Ok(Err(format!("it can't be configured: {error}"))),
            };
            let process = Process::start_on(
                &self.place.proxy,
                self.lab,
                &command.program,
                &command.args,
                folder.join("output"),
            );
            running.push((process.map_err(system("start a contender"))?, listen));
        }
        for (process, address) in &mut running {
            if let Err(failure) = self.await_ready(process, *address)? {
                return Ok(Err(failure));
            }
        }
        let trees = running.iter().map(|(process, _)| Tree::of(process.id()));
        let trees = trees.collect::<io::Result<_>>();
        let trees = trees.map_err(system("look at a contender's processes"))?;
        Ok(Ok(Proxies { running, trees }))
    }

    fn await_ready(
        &self,
        process: &mut Process,
        address: SocketAddr,
    ) -> Result<Result<(), String>, ArenaError> {
        let deadline = now() + START_PATIENCE;
        let mut held = Vec::new();
        while !probe::is_ready(address, &mut held).unwrap_or(false) {
            if let Some(failure) = ended(process)? {
                return Ok(Err(failure));
            }
            if now() >= deadline {
                let last = process.last_lines();
                return Ok(Err(format!("it answers no request with 200: {last}")));
            }
            if let Some(Notice::Stop(signal)) = self.signals.wait(START_PAUSE) {
                return Err(ArenaError::Stopped(signal));
            }
        }
        Ok(Ok(()))
    }

    /// Runs the clients on a thread of their own, and watches the contender meanwhile.
    fn put_under_load(
        &self,
        proxies: &mut Proxies,
        begin: Instant,
        bins: &Bins,
    ) -> Result<Result<Seen, String>, ArenaError> {
        let failed = system("run the clients");
        let targets: Vec<_> = proxies.running.iter().map(|(_, address)| *address).collect();
        let mut clients = Clients::new(self.scenario, self.seed, &targets, begin, bins.length)
            .map_err(io::Error::other)
            .map_err(&failed)?;
        let mut engine = Engine::new(&targets, MOST_CONNECTIONS).map_err(&failed)?;
        let stopper = engine.stopper();
        let core = self.place.load.first().copied();
        let (outcome, ran) = thread::scope(|scope| {
            let client = scope.spawn(move || {
                if let Some(core) = core {
                    cores::pin_current_thread(core).map_err(io::Error::other)?;
                }
                engine.run(&mut clients).map(|_| clients.into_seen())
            });
            let mut watch = || {
                while !client.is_finished() {
                    if let Some(Notice::Stop(signal)) = self.signals.wait(START_PAUSE) {
                        return Err(ArenaError::Stopped(signal));
                    }
                    for (process, _) in &mut proxies.running {
                        if let Some(failure) = ended(process)? {
                            return Ok(Err(failure));
                        }
                    }
                }
                Ok(Ok(()))
            };
            let outcome = watch();
            if !matches!(outcome, Ok(Ok(()))) {
                // If it can't be stopped, it ends by itself.
                let _ = stopper.wake();
            }
            (outcome, client.join())
        });
        if let Err(failure) = outcome? {
            return Ok(Err(failure));
        }
        match ran {
            Ok(seen) => seen.map(Ok).map_err(failed),
            Err(_) => Err(failed(io::Error::other("their thread panicked"))),
        }
    }

    fn round(
        &self,
        seen: Seen,
        counts: &Counts,
        bins: &Bins,
        before: &Used,
        after: &Used,
    ) -> Round {
        let Seen { all, focus, bins: seen_bins, lag, sent, total } = seen;
        let used = after.time.saturating_sub(before.time).as_secs_f64();
        let backends = after.backends.saturating_sub(before.backends).as_secs_f64();
        let share = used / (after.at - before.at).as_secs_f64() / self.place.proxy.len() as f64;
        let for_others = after.cores.busy_since(before.cores) - share;
        let lag_ms = lag.value_at_quantile(0.99) as f64 / 1e3;
        let received_in = |from, to| {
            let of = |bins: &Vec<u64>| bins.iter().take(to).skip(from).sum();
            counts.received.iter().map(of).collect::<Vec<u64>>()
        };
        let series = seen_bins.into_iter().enumerate().map(|(index, mut bin)| {
            let [p50_ms, p99_ms] = bin.quantiles_ms([0.5, 0.99]);
            Slice {
                from_s: bins.length.as_secs_f64() * index as f64,
                p50_ms,
                p99_ms,
                requests: bin.requests(),
                errors: bin.errors,
                received: received_in(index, index + 1),
            }
        });
        Round {
            all,
            focus,
            series: series.collect(),
            seconds: self.scenario.run.length.as_secs_f64(),
            sent,
            received: received_in(bins.warm_up, bins.all),
            cpu_us_per_request: used * 1e6 / total.max(1) as f64,
            backends_us_per_request: backends * 1e6 / total.max(1) as f64,
            lag_ms,
            others: for_others,
            is_disturbed: disturbance(lag_ms, for_others) > 1.0,
        }
    }
}

impl Proxies {
    fn used(&self, backends: &Backends, place: &Place) -> io::Result<Used> {
        let times = self.trees.iter().map(Tree::processor_time);
        let time = times.sum::<io::Result<Duration>>()?;
        let backends = backends.processor_time()?;
        Ok(Used { time, backends, cores: Cores::now(&place.proxy)?, at: now() })
    }
}

/// How many times the disturbance that is allowed it is that a client is so late, or that other
/// programs use so much of the contender's cores.
pub(super) fn disturbance(lag_ms: f64, others: f64) -> f64 {
    (lag_ms / MOST_LAG_MS).max(others / MOST_FOR_OTHERS)
}

/// Why it is no contender any more, if it has ended.
fn ended(process: &mut Process) -> Result<Option<String>, ArenaError> {
    let status = process.ended().map_err(system("watch a contender"))?;
    Ok(status.map(|status| format!("it {}: {}", describe(status), process.last_lines())))
}

#[expect(clippy::disallowed_methods, reason = "the lab lives in real time")]
fn now() -> Instant {
    Instant::now()
}
