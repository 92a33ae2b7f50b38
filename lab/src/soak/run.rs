//! One soak from its first program to its last row.
//!
//! Clients have threads of their own. All else happens on this one at scheduled times: backends are
//! killed and stopped, logs are rotated and read.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fastrand::Rng;
use rustix::process::Signal;

use super::super::signals::{Notice, Signals};
use super::client::{Client, Outcome};
use super::clock::{Clock, Stop};
use super::judge::Judge;
use super::outages::{Disturbance, Outages};
use super::programs::{Origin, Programs, Proxy, Read};
use super::report::{Report, Share};
use super::{Plan, Progress, SoakError, system};
use tidegate::balance::Policy;
use tidegate::reactor::descriptors;

const ORIGINS: usize = 3;
const CONNECTIONS: [&str; 2] = ["persistent", "non-persistent"];

/// How long a program may take to start, and connections to be closed after the last request.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often is looked at what is waited for, and at the outcomes of sessions.
const TICK: Duration = Duration::from_millis(20);

const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);
const ROTATE_INTERVAL: Duration = Duration::from_secs(5);

/// What is to be done at some time.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// Kill or stop some backends.
    Disturb,
    /// Start a backend again.
    Restart(usize),
    /// See whether a backend is up again.
    Probe(usize),
    /// Let a stopped backend go on.
    Resume(usize),
    /// Sample the figures of all proxies, and read the logs that they have finished.
    Sample,
    /// Rotate all logs.
    Rotate,
}

pub(super) struct Run<'a> {
    plan: &'a Plan,
    programs: Programs<'a>,
    signals: Signals,
    clock: Clock,
    rng: Rng,
    stop: Stop,
    /// The first signal that asked for the end.
    stopped: Option<i32>,
    outcomes: Receiver<Outcome>,
    clients: Vec<JoinHandle<()>>,
    origins: Vec<Origin>,
    backends: Vec<String>,
    proxies: Vec<Proxy>,
    schedule: Vec<(Duration, Task)>,
    outages: Outages,
    judge: Judge,
    rotations: u64,
}

impl<'a> Run<'a> {
    /// Starts all programs and clients.
    pub(super) fn begin(plan: &'a Plan, folder: &'a Path) -> Result<Self, SoakError> {
        descriptors::raise_limit().map_err(system("raise the limit of file descriptors"))?;
        let signals = Signals::watch().map_err(system("watch signals"))?;
        let lab = std::env::current_exe().map_err(system("find the lab's own program"))?;
        let proxy = lab.with_file_name("tidegate");
        if !proxy.is_file() {
            return Err(SoakError::NoProgram(proxy));
        }
        let (sender, outcomes) = channel();
        let mut run = Self {
            plan,
            programs: Programs { lab, proxy, folder },
            signals,
            clock: Clock::start(),
            rng: Rng::with_seed(plan.seed),
            stop: Stop::default(),
            stopped: None,
            outcomes,
            clients: Vec::new(),
            origins: Vec::new(),
            backends: Vec::new(),
            proxies: Vec::new(),
            schedule: Vec::new(),
            outages: Outages::new(ORIGINS),
            judge: Judge::default(),
            rotations: 0,
        };
        run.start_programs()?;
        // The time that starting took does not count.
        run.clock = Clock::start();
        let tokens = Arc::new(AtomicU64::new(0));
        for _ in 0..plan.clients {
            let client = Client {
                clock: run.clock,
                stop: run.stop.clone(),
                rng: run.rng.fork(),
                proxies: run.choices(),
                interval: Duration::from_secs(1) * plan.clients / plan.rate,
                tokens: Arc::clone(&tokens),
                outcomes: sender.clone(),
            };
            run.clients.push(client.start().map_err(system("start a client"))?);
        }
        Ok(run)
    }

    fn start_programs(&mut self) -> Result<(), SoakError> {
        let starting = system("start a program");
        for index in 0..ORIGINS {
            let mut origin = Origin::new().map_err(system("find a free port"))?;
            origin.start(&self.programs).map_err(&starting)?;
            self.backends.push(origin.url());
            self.origins.push(origin);
            self.wait("a backend", |run| run.origins[index].is_up(&run.programs).unwrap_or(false))?;
        }
        for policy in Policy::ALL {
            for connections in CONNECTIONS {
                let policy = policy.to_string();
                let proxy = Proxy::start(&policy, connections, &self.origins, &self.programs);
                self.proxies.push(proxy.map_err(&starting)?);
            }
        }
        for index in 0..self.proxies.len() {
            self.wait("a proxy", |run| run.proxies[index].listens())?;
            let figures = self.proxies[index].figures().map_err(system("look at a proxy"))?;
            self.proxies[index].at_start = figures;
        }
        Ok(())
    }

    /// The proxies as often as clients should choose them for all to get about as many requests: a
    /// session over non-persistent connections has one, over others several.
    fn choices(&self) -> Vec<(usize, SocketAddr)> {
        const SHARES: [usize; CONNECTIONS.len()] = [1, 4];
        let proxies = self.proxies.iter().map(|proxy| proxy.address).enumerate();
        let shares = SHARES.into_iter().cycle();
        proxies.zip(shares).flat_map(|(proxy, share)| vec![proxy; share]).collect()
    }

    /// Waits for something that takes hardly any time on an idle machine.
    fn wait(&mut self, name: &str, done: impl Fn(&mut Self) -> bool) -> Result<(), SoakError> {
        let deadline = self.clock.elapsed() + PATIENCE;
        while !done(self) {
            if self.clock.elapsed() > deadline {
                let lines = self.proxies.iter().map(|proxy| proxy.process.last_lines());
                let output = lines.collect::<Vec<_>>().join("; ");
                return Err(SoakError::Silent { name: name.to_owned(), output });
            }
            self.sleep(TICK)?;
        }
        Ok(())
    }

    /// Sleeps for so long, or until a signal. The first signal to stop is noted, the second is an
    /// error.
    fn sleep(&mut self, time: Duration) -> Result<(), SoakError> {
        if let Some(Notice::Stop(signal)) = self.signals.wait(time) {
            if self.stopped.is_some() {
                return Err(SoakError::Hurried(signal));
            }
            self.stopped = Some(signal);
        }
        Ok(())
    }

    /// Runs the schedule while clients send requests, until time is up or a signal comes.
    pub(super) fn traffic(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), SoakError> {
        self.schedule.extend([Task::Disturb, Task::Sample].map(|task| (SAMPLE_INTERVAL, task)));
        self.schedule.push((ROTATE_INTERVAL, Task::Rotate));
        loop {
            let now = self.clock.elapsed();
            self.take_outcomes();
            if now >= self.plan.duration || self.stopped.is_some() || !self.all_run()? {
                return Ok(());
            }
            let due = self.schedule.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            match due.map(|(index, (at, _))| (index, *at)) {
                Some((index, at)) if at <= now => {
                    let (_, task) = self.schedule.swap_remove(index);
                    self.perform(task, now)?;
                }
                _ => self.sleep(TICK)?,
            }
            let tally = self.judge.tally();
            let (rows, findings) = (tally.rows, tally.findings.count);
            progress(Progress { elapsed: now, rows, findings });
        }
    }

    /// Judges what the clients have seen since the last time.
    fn take_outcomes(&mut self) {
        for outcome in self.outcomes.try_iter() {
            match outcome {
                Outcome::Claims(claims) => {
                    for claim in claims {
                        self.judge.claim(claim, &self.outages);
                    }
                }
                Outcome::Unreachable { proxy, error } => {
                    let name = &self.proxies[proxy].name;
                    self.judge.tally().findings.add(format!("{name} can't be reached: {error}"));
                }
            }
        }
    }

    /// Whether no proxy has ended by itself.
    fn all_run(&mut self) -> Result<bool, SoakError> {
        for proxy in &mut self.proxies {
            if let Some(status) = proxy.process.ended().map_err(system("watch a proxy"))? {
                let lines = proxy.process.last_lines();
                let finding = format!("{} ended by itself ({status}): {lines}", proxy.name);
                self.judge.tally().findings.add(finding);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn perform(&mut self, task: Task, now: Duration) -> Result<(), SoakError> {
        match task {
            Task::Disturb => self.disturb(now),
            Task::Restart(index) => {
                self.origins[index].start(&self.programs).map_err(system("start a backend"))?;
                self.schedule.push((now, Task::Probe(index)));
            }
            Task::Probe(index) => {
                if self.origins[index].is_up(&self.programs).map_err(system("start a backend"))? {
                    self.outages.end(index, self.clock.elapsed());
                } else {
                    self.schedule.push((now + TICK, Task::Probe(index)));
                }
            }
            Task::Resume(index) => {
                self.origins[index].signal(Signal::CONT);
                self.outages.end(index, self.clock.elapsed());
            }
            Task::Sample => {
                for proxy in &mut self.proxies {
                    proxy.samples.add(proxy.figures().map_err(system("look at a proxy"))?);
                }
                self.read_logs(Proxy::read_rotated)?;
                self.schedule.push((now + SAMPLE_INTERVAL, Task::Sample));
            }
            Task::Rotate => {
                for proxy in &mut self.proxies {
                    if proxy.rotate().map_err(system("rename a log"))? {
                        self.rotations += 1;
                    } else {
                        let finding = format!("{} does not begin another log", proxy.name);
                        self.judge.tally().findings.add(finding);
                    }
                }
                self.schedule.push((now + ROTATE_INTERVAL, Task::Rotate));
            }
        }
        Ok(())
    }

    /// Kills or stops a backend, now and then several at once, and schedules the end of that. There
    /// is one disturbance at a time, so that it is known which failures it excuses.
    fn disturb(&mut self, now: Duration) {
        if !self.outages.are_over() {
            return self.schedule.push((now + TICK, Task::Disturb));
        }
        let mut targets: Vec<usize> = (0..ORIGINS).collect();
        self.rng.shuffle(&mut targets);
        targets.truncate(match self.rng.u32(..100) {
            0..90 => 1,
            90..97 => 2,
            _ => ORIGINS,
        });
        let (what, lasts_ms) = match self.rng.u32(..100) {
            0..70 => (Disturbance::Killed, self.rng.u64(50..2000)),
            70..94 => (Disturbance::Paused, self.rng.u64(50..1500)),
            // Longer than the proxies' timeouts.
            _ => (Disturbance::Paused, self.rng.u64(6000..7000)),
        };
        let end = now + Duration::from_millis(lasts_ms);
        for index in targets {
            self.outages.begin(index, what, self.clock.elapsed());
            let undo = match what {
                Disturbance::Killed => {
                    self.origins[index].kill();
                    Task::Restart(index)
                }
                Disturbance::Paused => {
                    self.origins[index].signal(Signal::STOP);
                    Task::Resume(index)
                }
            };
            self.schedule.push((end, undo));
        }
        let pause = Duration::from_millis(self.rng.u64(300..3000));
        self.schedule.push((end + pause, Task::Disturb));
    }

    /// Has all proxies' logs read by `read`, and the rows judged.
    fn read_logs(
        &mut self,
        read: impl Fn(&mut Proxy, &[String], &mut dyn FnMut(Read)) -> std::io::Result<()>,
    ) -> Result<(), SoakError> {
        // The judge must have all claims before it is closed after the last log.
        self.take_outcomes();
        let Self { proxies, backends, judge, outages, .. } = self;
        for (index, proxy) in proxies.iter_mut().enumerate() {
            let mut each = |row: Read| match row {
                Ok(mut entry) => {
                    entry.proxy = index;
                    judge.entry(entry, outages);
                }
                Err(why) => judge.tally().findings.add(why),
            };
            read(proxy, backends, &mut each).map_err(system("read a log"))?;
        }
        Ok(())
    }

    /// Stops clients and proxies, and reads what is left of the logs.
    pub(super) fn end(mut self) -> Result<Report, SoakError> {
        let elapsed = self.clock.elapsed();
        for index in 0..ORIGINS {
            self.origins[index].signal(Signal::CONT);
            if self
                .schedule
                .iter()
                .any(|(_, task)| matches!(task, Task::Restart(of) if *of == index))
            {
                self.origins[index].start(&self.programs).map_err(system("start a backend"))?;
            }
        }
        self.stop.set();
        while self.clients.iter().any(|client| !client.is_finished()) {
            self.sleep(TICK)?;
            self.take_outcomes();
        }
        // Idle connections are closed by their timeouts.
        let deadline = self.clock.elapsed() + PATIENCE;
        loop {
            let mut is_quiet = true;
            for proxy in &mut self.proxies {
                // A proxy that has ended is a finding already.
                proxy.at_end = proxy.figures().unwrap_or_default();
                is_quiet &= proxy.at_end.descriptors <= proxy.at_start.descriptors;
            }
            if is_quiet || self.clock.elapsed() > deadline {
                break;
            }
            self.sleep(TICK)?;
        }
        self.stop_proxies()?;
        self.read_logs(Proxy::read_rest)?;
        let mut tally = self.judge.close();
        let shares: Vec<Share> = self.proxies.iter().map(Share::of).collect();
        for finding in shares.iter().flat_map(Share::findings) {
            tally.findings.add(finding);
        }
        Ok(Report {
            plan: *self.plan,
            elapsed,
            stopped: self.stopped.is_some(),
            tally,
            killed: self.outages.count(Disturbance::Killed),
            paused: self.outages.count(Disturbance::Paused),
            rotations: self.rotations,
            shares,
        })
    }

    fn stop_proxies(&mut self) -> Result<(), SoakError> {
        for proxy in &self.proxies {
            proxy.process.terminate();
        }
        for index in 0..self.proxies.len() {
            let ended = loop {
                let ended = self.proxies[index].process.ended();
                match ended.map_err(system("watch a proxy"))? {
                    Some(status) => break status,
                    None => self.sleep(TICK)?,
                }
            };
            if !ended.success() {
                let name = &self.proxies[index].name;
                self.judge.tally().findings.add(format!("{name} ended with {ended}"));
            }
        }
        Ok(())
    }
}
