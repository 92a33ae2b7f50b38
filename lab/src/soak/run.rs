//! One soak from its first program to its last row.
//!
//! Everything happens on this thread but the clients: what is done to backends, the logs' rotation
//! and the judging follow an agenda.

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
use super::client::{Client, Told};
use super::clock::{Clock, Stop};
use super::judge::Judge;
use super::outages::{Disturbance, Outages};
use super::players::{Origin, Proxy, Read, Stage};
use super::report::{Report, Share};
use super::{Plan, Progress, SoakError, system};
use tidegate::balance::Policy;
use tidegate::reactor::descriptors;

const ORIGINS: usize = 3;
const CONNECTIONS: [&str; 2] = ["persistent", "non-persistent"];

/// How long a program may take to serve, and connections to go away when nobody asks any more.
const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks at what one waits for, and at what the clients tell.
const TICK: Duration = Duration::from_millis(20);

const SAMPLE_INTERVAL: Duration = Duration::from_millis(500);
const ROTATE_INTERVAL: Duration = Duration::from_secs(5);

/// What is to be done at some time.
#[derive(Clone, Copy, Debug)]
enum Act {
    /// Kill or stop some backends.
    Disturb,
    /// Start a backend again.
    Revive(usize),
    /// See whether a backend is up again.
    Greet(usize),
    /// Let a stopped backend go on.
    Resume(usize),
    /// Look at all proxies, and read what logs they have finished.
    Sample,
    /// Take all logs away.
    Rotate,
}

pub(super) struct Run<'a> {
    plan: &'a Plan,
    stage: Stage<'a>,
    signals: Signals,
    clock: Clock,
    rng: Rng,
    stop: Stop,
    /// The first signal that asked for the end.
    stopped: Option<i32>,
    told: Receiver<Told>,
    clients: Vec<JoinHandle<()>>,
    origins: Vec<Origin>,
    backends: Vec<String>,
    proxies: Vec<Proxy>,
    agenda: Vec<(Duration, Act)>,
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
        let (teller, told) = channel();
        let mut run = Self {
            plan,
            stage: Stage { lab, proxy, folder },
            signals,
            clock: Clock::start(),
            rng: Rng::with_seed(plan.seed),
            stop: Stop::default(),
            stopped: None,
            told,
            clients: Vec::new(),
            origins: Vec::new(),
            backends: Vec::new(),
            proxies: Vec::new(),
            agenda: Vec::new(),
            outages: Outages::new(ORIGINS),
            judge: Judge::default(),
            rotations: 0,
        };
        run.start_programs()?;
        // Only now does the time of the soak begin.
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
                told: teller.clone(),
            };
            run.clients.push(client.start().map_err(system("start a client"))?);
        }
        Ok(run)
    }

    fn start_programs(&mut self) -> Result<(), SoakError> {
        let starting = system("start a program");
        for index in 0..ORIGINS {
            let mut origin = Origin::new().map_err(system("find a free port"))?;
            origin.start(&self.stage).map_err(&starting)?;
            self.backends.push(origin.url());
            self.origins.push(origin);
            self.wait("a backend", |run| run.origins[index].is_up(&run.stage).unwrap_or(false))?;
        }
        for policy in Policy::ALL {
            for connections in CONNECTIONS {
                let policy = policy.to_string();
                let proxy = Proxy::start(&policy, connections, &self.origins, &self.stage);
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

    /// The proxies as clients choose from them, so that all get about as many requests: over
    /// non-persistent connections a conversation has one, over others some.
    fn choices(&self) -> Vec<(usize, SocketAddr)> {
        const SHARES: [usize; CONNECTIONS.len()] = [1, 4];
        let proxies = self.proxies.iter().map(|proxy| proxy.address).enumerate();
        let shares = SHARES.into_iter().cycle();
        proxies.zip(shares).flat_map(|(proxy, share)| vec![proxy; share]).collect()
    }

    /// Waits for something that takes no time on an idle machine.
    fn wait(&mut self, name: &str, done: impl Fn(&mut Self) -> bool) -> Result<(), SoakError> {
        let deadline = self.clock.elapsed() + PATIENCE;
        while !done(self) {
            if self.clock.elapsed() > deadline {
                let words = self.proxies.iter().map(|proxy| proxy.process.last_words());
                let output = words.collect::<Vec<_>>().join("; ");
                return Err(SoakError::Silent { name: name.to_owned(), output });
            }
            self.rest(TICK)?;
        }
        Ok(())
    }

    /// Waits for at most so long. The first signal to stop is noted, the second is an error.
    fn rest(&mut self, patience: Duration) -> Result<(), SoakError> {
        if let Some(Notice::Stop(signal)) = self.signals.wait(patience) {
            if self.stopped.is_some() {
                return Err(SoakError::Hurried(signal));
            }
            self.stopped = Some(signal);
        }
        Ok(())
    }

    /// Lets clients ask until time is up or a signal comes.
    pub(super) fn traffic(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<(), SoakError> {
        self.agenda.extend([Act::Disturb, Act::Sample].map(|act| (SAMPLE_INTERVAL, act)));
        self.agenda.push((ROTATE_INTERVAL, Act::Rotate));
        loop {
            let now = self.clock.elapsed();
            self.listen();
            if now >= self.plan.duration || self.stopped.is_some() || !self.all_run()? {
                return Ok(());
            }
            let due = self.agenda.iter().enumerate().min_by_key(|(_, (at, _))| *at);
            match due.map(|(index, (at, _))| (index, *at)) {
                Some((index, at)) if at <= now => {
                    let (_, act) = self.agenda.swap_remove(index);
                    self.act(act, now)?;
                }
                _ => self.rest(TICK)?,
            }
            let tally = self.judge.tally();
            let (rows, findings) = (tally.rows, tally.findings.count);
            progress(Progress { elapsed: now, rows, findings });
        }
    }

    /// Takes in what the clients have told.
    fn listen(&mut self) {
        for told in self.told.try_iter() {
            match told {
                Told::Claims(claims) => {
                    for claim in claims {
                        self.judge.claim(claim, &self.outages);
                    }
                }
                Told::Unreachable { proxy, error } => {
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
                let words = proxy.process.last_words();
                let finding = format!("{} ended by itself ({status}): {words}", proxy.name);
                self.judge.tally().findings.add(finding);
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn act(&mut self, act: Act, now: Duration) -> Result<(), SoakError> {
        match act {
            Act::Disturb => self.disturb(now),
            Act::Revive(index) => {
                self.origins[index].start(&self.stage).map_err(system("start a backend"))?;
                self.agenda.push((now, Act::Greet(index)));
            }
            Act::Greet(index) => {
                if self.origins[index].is_up(&self.stage).map_err(system("start a backend"))? {
                    self.outages.end(index, self.clock.elapsed());
                } else {
                    self.agenda.push((now + TICK, Act::Greet(index)));
                }
            }
            Act::Resume(index) => {
                self.origins[index].signal(Signal::CONT);
                self.outages.end(index, self.clock.elapsed());
            }
            Act::Sample => {
                for proxy in &mut self.proxies {
                    proxy.course.add(proxy.figures().map_err(system("look at a proxy"))?);
                }
                self.read_logs(Proxy::read_aside)?;
                self.agenda.push((now + SAMPLE_INTERVAL, Act::Sample));
            }
            Act::Rotate => {
                for proxy in &mut self.proxies {
                    if proxy.rotate().map_err(system("rename a log"))? {
                        self.rotations += 1;
                    } else {
                        let finding = format!("{} does not begin another log", proxy.name);
                        self.judge.tally().findings.add(finding);
                    }
                }
                self.agenda.push((now + ROTATE_INTERVAL, Act::Rotate));
            }
        }
        Ok(())
    }

    /// Kills or stops a backend, now and then several at once, and puts down when that ends. There
    /// is one disturbance at a time, so that what it excuses is known.
    fn disturb(&mut self, now: Duration) {
        if !self.outages.are_over() {
            return self.agenda.push((now + TICK, Act::Disturb));
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
            // Longer than the proxies have patience.
            _ => (Disturbance::Paused, self.rng.u64(6000..7000)),
        };
        let end = now + Duration::from_millis(lasts_ms);
        for index in targets {
            self.outages.begin(index, what, self.clock.elapsed());
            let undo = match what {
                Disturbance::Killed => {
                    self.origins[index].kill();
                    Act::Revive(index)
                }
                Disturbance::Paused => {
                    self.origins[index].signal(Signal::STOP);
                    Act::Resume(index)
                }
            };
            self.agenda.push((end, undo));
        }
        let rest = Duration::from_millis(self.rng.u64(300..3000));
        self.agenda.push((end + rest, Act::Disturb));
    }

    /// Has all proxies' logs read by `read`, and the rows judged.
    fn read_logs(
        &mut self,
        read: impl Fn(&mut Proxy, &[String], &mut dyn FnMut(Read)) -> std::io::Result<()>,
    ) -> Result<(), SoakError> {
        // A client has told of its request before that can be missed.
        self.listen();
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

    /// Has everybody finish, and closes the books.
    pub(super) fn end(mut self) -> Result<Report, SoakError> {
        let asked_for = self.clock.elapsed();
        for index in 0..ORIGINS {
            self.origins[index].signal(Signal::CONT);
            if self.agenda.iter().any(|(_, act)| matches!(act, Act::Revive(of) if *of == index)) {
                self.origins[index].start(&self.stage).map_err(system("start a backend"))?;
            }
        }
        self.stop.call();
        while self.clients.iter().any(|client| !client.is_finished()) {
            self.rest(TICK)?;
            self.listen();
        }
        // What is still open is given up by whoever has it idle.
        let deadline = self.clock.elapsed() + PATIENCE;
        loop {
            let mut is_quiet = true;
            for proxy in &mut self.proxies {
                // Of a proxy that has ended this was found before.
                proxy.at_end = proxy.figures().unwrap_or_default();
                is_quiet &= proxy.at_end.descriptors <= proxy.at_start.descriptors;
            }
            if is_quiet || self.clock.elapsed() > deadline {
                break;
            }
            self.rest(TICK)?;
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
            asked_for,
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
                    None => self.rest(TICK)?,
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
