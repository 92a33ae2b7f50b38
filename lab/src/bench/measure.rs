//! Starts backends and contenders, and puts one contender after the other under load.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::super::ports::free_addresses;
use super::super::process::{Process, describe};
use super::super::signals::{Notice, Signals};
use super::contender::{Contender, Transport};
use super::job::Job;
use super::place::Place;
use super::probe::{self, Answer};
use super::results::{Entry, Measured, Results, Round};
use super::seen::Load;
use super::steady;
use super::tools::Tools;
use super::usage::{Cores, Tree};
use super::workload::Workload;
use super::wrk;
use super::{BenchError, Plan, system};
use tidegate::endpoint::{Endpoint, UnixName};

/// How long a program may take until it accepts connections.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait between two attempts to connect to it.
const START_PAUSE: Duration = Duration::from_millis(20);

/// How long it may take to end.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long a load may take beyond its planned time.
const LOAD_PATIENCE: Duration = Duration::from_secs(30);

/// What is called with the progress.
pub trait Progress {
    /// The number of all turns.
    fn announce(&mut self, turns: u64);
    /// A contender's turn begins.
    fn turn(&mut self, workload: &Workload, contender: &Contender);
    /// A workload has been measured.
    fn measured(&mut self, measured: &Measured);
}

/// What running a plan needs.
pub(super) struct Bench<'a> {
    pub(super) plan: &'a Plan,
    pub(super) tools: Tools,
    pub(super) signals: Signals,
    /// For configurations, logs and the output of programs.
    pub(super) folder: &'a Path,
    pub(super) allowed: Vec<usize>,
}

/// A contender that runs.
struct Running {
    process: Process,
    tree: Tree,
    address: SocketAddr,
    /// Bytes of each of its answers, heads included.
    answer_bytes: usize,
}

impl Bench<'_> {
    pub(super) fn run(&self, progress: &mut dyn Progress) -> Result<Results, BenchError> {
        let mut left_out: Vec<String> = Vec::new();
        let mut line_ups = Vec::new();
        for workload in &self.plan.workloads {
            let mut contenders = self.plan.contenders(workload);
            contenders.retain(|contender| {
                let is_there = self.tools.program(contender.program).is_some();
                if !is_there && !left_out.contains(&Tools::absence(contender.program)) {
                    left_out.push(Tools::absence(contender.program));
                }
                is_there
            });
            line_ups.push((workload, contenders));
        }
        let contenders: usize = line_ups.iter().map(|(_, contenders)| contenders.len()).sum();
        if contenders == 0 {
            return Err(BenchError::NobodyLeft(left_out));
        }
        progress.announce(u64::from(self.plan.rounds) * contenders as u64);
        let mut workloads = Vec::new();
        for (workload, contenders) in line_ups {
            let measured = self.measure(workload, contenders, progress)?;
            progress.measured(&measured);
            workloads.push(measured);
        }
        Ok(Results {
            machine: self.tools.machine(self.allowed.len()),
            rounds: (self.plan.rounds, self.plan.seconds),
            left_out,
            workloads,
        })
    }

    fn measure(
        &self,
        workload: &Workload,
        contenders: Vec<Contender>,
        progress: &mut dyn Progress,
    ) -> Result<Measured, BenchError> {
        let place = Place::new(&self.allowed, 1);
        let addresses = free_addresses(place.backends()).map_err(system("find free ports"))?;
        let ports: Vec<_> = addresses.iter().copied().map(Endpoint::from).collect();
        let over_unix = contenders.iter().any(|one| one.transport == Transport::Unix);
        let sockets = self.sockets(if over_unix { ports.len() } else { 0 })?;
        let _backends = self.start_backends(workload, &place, ports.iter().chain(&sockets))?;
        let expected = probe::ask(addresses[0], workload).map_err(system("ask a backend"))?.0;
        let script = self.folder.join(workload.name).with_extension("lua");
        fs::write(&script, wrk::script(workload)).map_err(system("write wrk's script"))?;
        let mut field = Vec::new();
        for contender in contenders {
            let place = Place::new(&self.allowed, contender.workers);
            let mut entry = Entry {
                contender,
                rounds: Vec::new(),
                failure: None,
                peak_resident_bytes: 0,
                is_shared: place.is_shared(),
            };
            let backends = match contender.transport {
                Transport::Tcp => &ports,
                Transport::Unix => &sockets,
            };
            let running = self.start(&contender, workload, &place, backends, &expected)?;
            let running = running.map_err(|failure| entry.failure = Some(failure)).ok();
            field.push((entry, running, place));
        }
        for round in 0..self.plan.rounds {
            let count = field.len();
            for turn in 0..count {
                // Each round begins with another contender.
                let (entry, running, place) = &mut field[(turn + round as usize) % count];
                progress.turn(workload, &entry.contender);
                let Some(one) = running.as_mut().filter(|_| entry.failure.is_none()) else {
                    continue;
                };
                match self.round(one, workload, place, &script)? {
                    Ok(round) => entry.rounds.push(round),
                    Err(failure) => entry.failure = Some(failure),
                }
            }
        }
        let mut entries = Vec::new();
        for (mut entry, running, _) in field {
            if let Some(running) = running {
                // A process that ended by itself has failed, and has no peak.
                entry.peak_resident_bytes = running.tree.peak_resident_bytes().unwrap_or(0);
                self.stop(running.process)?;
            }
            entries.push(entry);
        }
        Ok(Measured { workload: *workload, place, entries })
    }

    /// Terminates a program; if it does not end, it is killed.
    fn stop(&self, mut process: Process) -> Result<(), BenchError> {
        process.terminate();
        self.wait(&mut process, now() + STOP_PATIENCE).map(drop)
    }

    /// Names of so many Unix sockets.
    fn sockets(&self, count: usize) -> Result<Vec<Endpoint>, BenchError> {
        let name = |index| {
            let path = self.folder.join(format!("backend-{index}.sock"));
            UnixName::new(path.as_os_str()).map(Endpoint::from).map_err(io::Error::other)
        };
        (0..count).map(name).collect::<io::Result<_>>().map_err(system("name a Unix socket"))
    }

    fn start_backends<'e>(
        &self,
        workload: &Workload,
        place: &Place,
        endpoints: impl Iterator<Item = &'e Endpoint>,
    ) -> Result<Vec<Process>, BenchError> {
        let mut processes = Vec::new();
        for (index, endpoint) in endpoints.enumerate() {
            let args = backend_args(workload, endpoint);
            let output = self.folder.join(format!("backend-{index}.out"));
            let backend = &self.tools.backend;
            let mut process =
                Process::start_on(&place.load, &self.tools.lab, backend, &args, output)
                    .map_err(system("start a backend"))?;
            if let Err(output) = self.reach(&mut process, endpoint)? {
                return Err(BenchError::Failed { name: "a backend", output });
            }
            processes.push(process);
        }
        Ok(processes)
    }

    /// Starts a contender and checks one answer; the inner error is a failure of the contender.
    fn start(
        &self,
        contender: &Contender,
        workload: &Workload,
        place: &Place,
        backends: &[Endpoint],
        expected: &Answer,
    ) -> Result<Result<Running, String>, BenchError> {
        let listen = free_addresses(1).map_err(system("find a free port"))?[0];
        let folder = self.folder.join(workload.name);
        fs::create_dir_all(&folder).map_err(system("make a folder"))?;
        let (is_fresh, cores) = (workload.is_fresh, place.proxy.as_slice());
        let job = Job { listen, backends, is_fresh, cores, folder: &folder };
        let args = contender.args(&job).map_err(system("write a configuration"))?;
        let Some(program) = self.tools.program(contender.program) else {
            return Ok(Err("it is gone".to_owned()));
        };
        let output = folder.join(contender.name).with_extension("out");
        let mut process = Process::start_on(cores, &self.tools.lab, &program, &args, output)
            .map_err(system("start a contender"))?;
        if let Err(output) = self.reach(&mut process, &listen.into())? {
            return Ok(Err(output));
        }
        let answer = match probe::ask(listen, workload) {
            Ok((answer, _)) => answer,
            Err(error) => return Ok(Err(format!("no whole answer: {error}"))),
        };
        if let Some(failure) = judge(&answer, expected) {
            return Ok(Err(failure));
        }
        let look = system("look at a contender's processes");
        let tree = Tree::of(process.id()).map_err(&look)?;
        let at = tree.cores().map_err(&look)?;
        if at.iter().any(|core| !cores.contains(core)) {
            return Ok(Err(format!("it runs on cores {at:?}, not on {cores:?}")));
        }
        Ok(Ok(Running { process, tree, address: listen, answer_bytes: answer.bytes }))
    }

    /// Waits until connections to `endpoint` are accepted; the inner error says why they are not.
    fn reach(
        &self,
        process: &mut Process,
        endpoint: &Endpoint,
    ) -> Result<Result<(), String>, BenchError> {
        let deadline = now() + START_PATIENCE;
        while connect(endpoint).is_err() {
            if let Some(status) = process.ended().map_err(system("watch a program"))? {
                return Ok(Err(format!("it {}: {}", describe(status), process.last_lines())));
            }
            if now() >= deadline {
                return Ok(Err(format!("it does not listen: {}", process.last_lines())));
            }
            if let Some(Notice::Stop(signal)) = self.signals.wait(START_PAUSE) {
                return Err(BenchError::Stopped(signal));
            }
        }
        Ok(Ok(()))
    }

    /// One turn; the inner error is a failure of the contender.
    fn round(
        &self,
        contender: &mut Running,
        workload: &Workload,
        place: &Place,
        script: &Path,
    ) -> Result<Result<Round, String>, BenchError> {
        let idle = match probe::idle(contender.address, workload) {
            Ok(idle) => idle,
            Err(error) => return Ok(Err(format!("an idle connection failed: {error}"))),
        };
        let before = used(contender, place);
        let load = self.put_under_load(contender.address, workload, place, script)?;
        let after = used(contender, place);
        drop(idle);
        if let Some(status) = contender.process.ended().map_err(system("watch a contender"))? {
            let words = contender.process.last_lines();
            return Ok(Err(format!("it {}: {words}", describe(status))));
        }
        let figures = system("read what a contender used");
        let ((before, cores_before), (after, cores_after)) =
            (before.map_err(&figures)?, after.map_err(&figures)?);
        if let Some(failure) = find_fault(&load, contender.answer_bytes, workload) {
            return Ok(Err(failure));
        }
        let used = after.saturating_sub(before).as_secs_f64();
        let share = used / load.duration.as_secs_f64() / place.proxy.len() as f64;
        Ok(Ok(Round {
            load,
            cpu_us_per_request: used * 1e6 / load.requests as f64,
            share,
            others: (cores_after.busy_since(cores_before) - share).max(0.0),
        }))
    }

    fn put_under_load(
        &self,
        address: SocketAddr,
        workload: &Workload,
        place: &Place,
        script: &Path,
    ) -> Result<Load, BenchError> {
        let seconds = self.plan.seconds;
        let Some(rate_per_s) = workload.rate_per_s else {
            let args = wrk::args(workload, address, seconds, place.load.len(), script);
            let (wrk, status) = self.load(&self.tools.wrk, &args, place)?;
            let load = status.filter(ExitStatus::success).and_then(|_| wrk::parse(&wrk.output()));
            return load
                .ok_or_else(|| BenchError::Failed { name: "wrk", output: wrk.last_lines() });
        };
        let figures = self.folder.join("load.json");
        let args = steady::args(workload, rate_per_s, address, seconds, &figures);
        let (lab, _) = self.load(&self.tools.lab, &args, place)?;
        let text = fs::read_to_string(&figures).unwrap_or_default();
        // The next round must not read these figures.
        let _ = fs::remove_file(&figures);
        steady::parse(&text)
            .ok_or_else(|| BenchError::Failed { name: "the load", output: lab.last_lines() })
    }

    /// Runs a program that makes load, to its end.
    fn load(
        &self,
        program: &Path,
        args: &[OsString],
        place: &Place,
    ) -> Result<(Process, Option<ExitStatus>), BenchError> {
        let output = self.folder.join("load.out");
        let mut load = Process::start_on(&place.load, &self.tools.lab, program, args, output)
            .map_err(system("start the load"))?;
        let deadline = now() + Duration::from_secs(self.plan.seconds.into()) + LOAD_PATIENCE;
        let status = self.wait(&mut load, deadline)?;
        Ok((load, status))
    }

    /// Waits until a program has ended, or until `deadline`.
    fn wait(
        &self,
        process: &mut Process,
        deadline: Instant,
    ) -> Result<Option<ExitStatus>, BenchError> {
        loop {
            if let Some(status) = process.ended().map_err(system("watch a program"))? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(Notice::Stop(signal)) = self.signals.wait(left) {
                return Err(BenchError::Stopped(signal));
            }
        }
    }
}

/// The processor time of a contender so far, and what its cores did.
fn used(contender: &Running, place: &Place) -> io::Result<(Duration, Cores)> {
    Ok((contender.tree.processor_time()?, Cores::now(&place.proxy)?))
}

/// What is wrong with an answer.
fn judge(answer: &Answer, expected: &Answer) -> Option<String> {
    if answer.status != expected.status {
        return Some(format!("status {} instead of {}", answer.status, expected.status));
    }
    let lengths = (answer.body.len(), expected.body.len());
    if lengths.0 != lengths.1 {
        return Some(format!("a body of {} bytes instead of {}", lengths.0, lengths.1));
    }
    (answer.body != expected.body).then(|| "another body than the backend's".to_owned())
}

/// What is wrong with the answers to the load. Its bytes include incomplete answers, one per
/// connection at most.
fn find_fault(load: &Load, answer_bytes: usize, workload: &Workload) -> Option<String> {
    if load.errors > 0 {
        return Some(format!("{} of {} requests failed", load.errors, load.requests));
    }
    if load.requests == 0 {
        return Some("no answer came".to_owned());
    }
    let whole = load.requests * answer_bytes as u64;
    let parts = u64::from(workload.connections) * answer_bytes as u64;
    let is_right = (whole..=whole + parts).contains(&load.bytes);
    let mean = load.bytes as f64 / load.requests as f64;
    (!is_right).then(|| format!("answers of {mean:.1} bytes instead of {answer_bytes}"))
}

/// The arguments with which a backend listens there and answers as the workload needs it.
fn backend_args(workload: &Workload, endpoint: &Endpoint) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--profile".into(), "0".into(), "--listen".into()];
    match endpoint {
        Endpoint::Tcp(address) => {
            args.extend([address.ip().to_string().into(), "--port".into()]);
            args.push(address.port().to_string().into());
        }
        Endpoint::Unix(name) => args.push(name.to_string().into()),
    }
    if let Some(bytes) = workload.response_bytes {
        args.extend(["--body-size".into(), bytes.to_string().into()]);
    }
    if workload.is_fresh {
        // So the relay, which does not parse the answers, has new connections, too.
        args.extend(["--close-every".into(), "1".into()]);
    }
    args
}

fn connect(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint {
        Endpoint::Tcp(address) => TcpStream::connect_timeout(address, START_PATIENCE).map(drop),
        Endpoint::Unix(name) => UnixStream::connect(name.path().unwrap_or(Path::new(""))).map(drop),
    }
}

#[expect(clippy::disallowed_methods, reason = "the lab waits for processes, in real time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::super::workload::WORKLOADS;
    use super::*;

    #[test]
    fn an_answer_is_right_if_it_is_the_backends() {
        let of = |status, body: &[u8]| Answer { status, body: body.to_vec(), bytes: 0 };
        let expected = of(200, b"abc");
        assert_eq!(judge(&of(200, b"abc"), &expected), None);
        for (answer, fault) in [
            (of(502, b"abc"), "status 502"),
            (of(200, b"ab"), "2 bytes instead of 3"),
            (of(200, b"abd"), "another body"),
        ] {
            assert!(judge(&answer, &expected).expect("wrong").contains(fault));
        }
    }

    #[test]
    fn a_load_with_errors_or_other_lengths_is_no_figure() {
        let load = |requests, bytes, errors| Load { requests, bytes, errors, ..Load::default() };
        let fault = |load| find_fault(&load, 100, &WORKLOADS[0]);
        assert_eq!(fault(load(1000, 100_000, 0)), None);
        assert_eq!(fault(load(1000, 106_400, 0)), None, "64 parts of answers");
        assert!(fault(load(1000, 106_401, 0)).expect("too much").contains("106.4 bytes"));
        assert!(fault(load(1000, 99_999, 0)).expect("too little").contains("instead of 100"));
        assert!(fault(load(1000, 100_000, 7)).expect("errors").starts_with("7 of 1000"));
        assert!(fault(load(0, 0, 0)).expect("none").contains("no answer"));
    }
}
