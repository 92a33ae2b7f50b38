//! Checks of several backends in simulated time, and what a balancer makes of them.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::conversation::{Conversation, Expiry, Finding};
use super::target::Target;
use crate::balance::{
    Availability, BackendId, Balancer, Cause, Membership, Outcome, Policy, Reason, Role, Tier,
    Tried,
};
use crate::proxy::backends::{Backends, Change};
use crate::proxy::fault::Fault;
use crate::proxy::settings::{Backend, Settings};
use crate::proxy::worker::tests::settings;
use crate::reactor::Poller;

/// How a backend behaves when it is checked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Conduct {
    Answers(u16),
    /// It accepts and closes.
    Closes,
    /// It accepts and sends nothing.
    Hangs,
    /// The proxy has no descriptor to check it.
    Unmade,
}

use Conduct::{Answers, Closes, Hangs, Unmade};

/// Backends that are checked every 2 s within 1 s, and are down after 3 and up after 2 results.
struct Rig {
    settings: Settings,
    membership: Membership,
    balancer: Balancer,
    checked: Vec<(Target, Conduct)>,
    now: Instant,
    /// When which backend was checked.
    log: Vec<(Instant, usize)>,
}

#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn start() -> Instant {
    Instant::now()
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

impl Rig {
    fn new(count: u16, adapt: impl FnOnce(&mut Settings)) -> Self {
        Self::of(&vec![Role::default(); count.into()], adapt)
    }

    fn of(roles: &[Role], adapt: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings();
        settings.policy = Policy::RoundRobin;
        settings.cooldown = seconds(1.0);
        settings.checks.path = Some("/healthz".to_owned());
        settings.checks.timeout = seconds(1.0);
        adapt(&mut settings);
        let now = start();
        let mut membership = Membership::new(settings.balancing(), now).expect("valid options");
        let checked = roles.iter().zip(1..).map(|(role, port)| {
            let backend = Backend { role: *role, ..Backend::tcp("localhost", port) };
            let id = membership.add_as(&backend.url, *role, now).expect("a slot");
            let interval = settings.checks.interval;
            (Target::new((id, backend), interval, fastrand::f64(), now), Answers(200))
        });
        let checked = checked.collect();
        let balancer = membership.balancer();
        Self { settings, membership, balancer, checked, now, log: Vec::new() }
    }

    fn id(&self, place: usize) -> BackendId {
        self.checked[place].0.id
    }

    /// Makes one check of a backend, which is due, and gives its verdict to the membership.
    fn check(&mut self, place: usize) {
        let (target, conduct) = &mut self.checked[place];
        self.log.push((self.now, place));
        let conversation = target.begin(&self.settings, fastrand::f64(), self.now);
        let Some((finding, at)) = played(conversation, *conduct, self.now) else { return };
        if let Some((verdict, _)) = target.take(finding, &self.settings.checks) {
            self.membership.checked(target.id, verdict, at);
        }
    }

    /// So much time passes, in which each check is made that is due.
    fn pass(&mut self, time: f64) {
        let until = self.now + seconds(time);
        loop {
            let dues = self.checked.iter().map(|(target, _)| target.due()).zip(0..);
            let (due, place) = dues.min().expect("a backend");
            if due > until {
                break;
            }
            self.now = self.now.max(due);
            self.check(place);
        }
        self.now = until;
    }

    /// How many of so many requests each backend gets.
    fn shares(&mut self, requests: usize) -> Vec<usize> {
        let mut shares = vec![0; self.checked.len()];
        for _ in 0..requests {
            let lease = self.balancer.acquire(&Tried::default(), self.now).lease().expect("one");
            shares[lease.backend().slot()] += 1;
            self.balancer.release(lease);
        }
        shares
    }

    /// Sends a request to the next backend that comes to this end.
    fn request(&mut self, outcome: Outcome) -> (usize, Reason) {
        let mut lease = self.balancer.acquire(&Tried::default(), self.now).lease().expect("one");
        let (slot, reason) = (lease.backend().slot(), lease.reason());
        self.balancer.observe(&mut lease, outcome, self.now);
        self.balancer.release(lease);
        (slot, reason)
    }

    fn availability(&self, place: usize) -> Availability {
        self.balancer.availability(self.id(place), self.now)
    }
}

/// What a check finds, and when.
fn played(
    mut conversation: Conversation,
    conduct: Conduct,
    now: Instant,
) -> Option<(Finding, Instant)> {
    conversation.dialling(now);
    if conduct == Unmade {
        return None;
    }
    conversation.sent(conversation.pending().len());
    let finding = match conduct {
        Answers(status) => {
            let head = format!("HTTP/1.1 {status} \r\nContent-Length: 0\r\n\r\n");
            conversation.receive(head.as_bytes())
        }
        Closes => conversation.ended(),
        Hangs | Unmade => {
            let at = conversation.deadline();
            let expiry = conversation.expire(at);
            let Expiry::Failed(fault) = expiry else { panic!("{expiry:?}") };
            return Some((Finding::Faulty(fault), at));
        }
    };
    Some((finding.expect("a finding"), now))
}

#[test]
fn one_that_fails_gets_nothing_after_as_many_checks_as_it_takes_and_is_back_after_others() {
    for conduct in [Answers(503), Answers(404), Closes, Hangs] {
        let mut rig = Rig::new(2, |_| {});
        rig.pass(10.0);
        assert_eq!(rig.shares(10), [5, 5]);
        rig.checked[1].1 = conduct;
        let before = rig.log.iter().filter(|(_, place)| *place == 1).count();
        rig.pass(3.9);
        let checks = rig.log.iter().filter(|(_, place)| *place == 1).count() - before;
        assert!(checks <= 2 || rig.availability(1) == Availability::Down, "{conduct:?}");
        assert_eq!(rig.shares(10), if checks <= 2 { [5, 5] } else { [10, 0] });
        rig.pass(4.2);
        assert_eq!(rig.availability(1), Availability::Down, "{conduct:?}");
        assert_eq!(rig.shares(10), [10, 0]);
        rig.checked[1].1 = Answers(200);
        rig.pass(4.1);
        assert_eq!(rig.balancer.cause(rig.id(1)), Cause::CheckPassed);
        assert_eq!(rig.shares(10), [5, 5]);
    }
}

#[test]
fn single_failures_change_nothing() {
    let mut rig = Rig::new(1, |_| {});
    for conduct in [Closes, Hangs, Answers(200), Hangs, Answers(500), Answers(200), Closes] {
        rig.checked[0].1 = conduct;
        rig.now = rig.checked[0].0.due();
        rig.check(0);
        assert_eq!(rig.availability(0), Availability::Up);
    }
}

#[test]
fn a_check_that_can_t_be_made_is_no_result_of_either_kind() {
    let mut rig = Rig::new(2, |_| {});
    rig.checked[1].1 = Unmade;
    rig.pass(3_600.0);
    assert_eq!(rig.availability(1), Availability::Up, "our lack is no fault of the backend");
    let mut checks = |conducts: &[Conduct]| {
        for conduct in conducts {
            rig.checked[1].1 = *conduct;
            rig.now = rig.checked[1].0.due().max(rig.now);
            rig.check(1);
        }
        rig.availability(1)
    };
    assert_eq!(checks(&[Closes, Closes, Unmade, Unmade]), Availability::Up);
    assert_eq!(checks(&[Closes]), Availability::Down, "the third failure in a row");
    assert_eq!(checks(&[Unmade, Answers(200), Unmade]), Availability::Down);
    assert_eq!(checks(&[Answers(200)]), Availability::Up);
}

#[test]
fn checks_are_spread_and_none_is_later_than_the_interval_or_earlier_by_more_than_a_tenth() {
    const BACKENDS: usize = 200;
    let mut rig = Rig::new(200, |_| {});
    let begun = rig.now;
    rig.pass(200.0);
    for place in 0..BACKENDS {
        let times: Vec<Instant> =
            rig.log.iter().filter(|(_, other)| *other == place).map(|(at, _)| *at).collect();
        assert!(times[0] < begun + seconds(2.0), "the first one is within an interval");
        let gaps = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64());
        assert!(gaps.clone().all(|gap| (1.8..=2.0).contains(&gap)));
        assert!(gaps.clone().fold(9.0, f64::min) < 1.85 && gaps.fold(0.0, f64::max) > 1.95);
    }
    // 100 checks a second; about 10 in each tenth.
    let per_tenth = (0..1_900).map(|tenth| {
        let from = begun + seconds(2.0 + f64::from(tenth) / 10.0);
        let until = from + seconds(0.1);
        rig.log.iter().filter(|(at, _)| (from..until).contains(at)).count()
    });
    let most = per_tenth.max();
    assert!(most < Some(50), "{most:?} at once");
}

#[test]
fn a_shorter_interval_holds_for_the_next_check_already_and_a_longer_one_after_it() {
    let now = start();
    let mut rig = Rig::new(1, |settings| settings.checks.interval = seconds(3_600.0));
    let (target, _) = &mut rig.checked[0];
    let settings = &rig.settings;
    drop(target.begin(settings, 0.5, now));
    assert_eq!(target.due(), now + seconds(3_420.0));
    target.hasten(seconds(2.0), 0.0, now);
    assert_eq!(target.due(), now + seconds(2.0));
    target.hasten(seconds(60.0), 0.0, now);
    assert_eq!(target.due(), now + seconds(2.0));
}

#[test]
fn a_check_that_passes_ends_no_ejection_and_one_that_fails_takes_its_place() {
    let mut rig = Rig::new(2, |_| {});
    rig.pass(10.0);
    // Round-robin: the first one refuses.
    while rig.request(Outcome::Unreachable).0 != 0 {}
    let refused = |rig: &Rig| rig.balancer.cause(rig.id(0)) == Cause::Refused;
    assert!(refused(&rig), "whatever else happened");
    rig.pass(0.5);
    assert!(refused(&rig) && rig.availability(0) == Availability::Ejected);
    rig.pass(60.0);
    assert_eq!(rig.availability(0), Availability::Probing, "a request has to show that it is back");
    rig.checked[0].1 = Closes;
    rig.pass(6.0);
    assert_eq!(rig.availability(0), Availability::Down);
    assert_eq!(rig.balancer.cause(rig.id(0)), Cause::CheckFailed);
    rig.checked[0].1 = Answers(200);
    rig.pass(4.0);
    assert_eq!(rig.availability(0), Availability::Up, "without a probe: the check has shown it");
}

#[test]
fn one_whose_check_passes_may_be_ejected_by_what_its_requests_come_to() {
    let mut rig = Rig::new(2, |_| {});
    rig.pass(10.0);
    for _ in 0..8 {
        let lease = rig.balancer.acquire(&Tried::default(), rig.now).lease();
        let mut lease = lease.expect("a backend");
        let fails = lease.backend() == rig.id(0);
        let outcome = if fails { Outcome::Failed } else { Outcome::Answered };
        rig.balancer.observe(&mut lease, outcome, rig.now);
        rig.balancer.release(lease);
    }
    assert_eq!(rig.balancer.cause(rig.id(0)), Cause::Failures);
    rig.pass(0.5);
    assert_eq!(rig.shares(4), [0, 4]);
}

#[test]
fn checks_may_take_all_down_and_then_each_is_tried_rather_than_none() {
    let mut rig = Rig::new(3, |_| {});
    for (_, conduct) in &mut rig.checked {
        *conduct = Closes;
    }
    rig.pass(10.0);
    assert!((0..3).all(|place| rig.availability(place) == Availability::Down));
    assert_eq!(rig.request(Outcome::Answered).1, Reason::Cooling);
    let shares = rig.shares(300);
    assert!(shares.iter().all(|share| *share == 100), "{shares:?}");
    assert_eq!(rig.availability(0), Availability::Down, "an answer is no passed check");
}

#[test]
fn backups_serve_while_the_checks_of_all_others_fail() {
    let backup = Role { tier: Tier::Backup, ..Role::default() };
    let mut rig = Rig::of(&[Role::default(), Role::default(), backup], |_| {});
    for conduct in [Closes, Answers(200)] {
        rig.checked[0].1 = conduct;
        rig.checked[1].1 = conduct;
        rig.pass(10.0);
        let expected = if conduct == Closes { [0, 0, 8] } else { [4, 4, 0] };
        assert_eq!(rig.shares(8), expected);
    }
}

#[test]
fn one_that_is_back_starts_slowly_and_one_that_never_left_does_not_again() {
    let mut rig = Rig::new(2, |settings| settings.slow_start = Some(seconds(10.0)));
    rig.pass(20.0);
    assert_eq!(rig.shares(20), [10, 10], "checks that pass don't begin it anew");
    rig.checked[1].1 = Hangs;
    rig.pass(10.0);
    rig.checked[1].1 = Answers(200);
    while rig.availability(1) == Availability::Down {
        rig.pass(0.01);
    }
    assert_eq!(rig.shares(22), [20, 2], "a tenth of the weight");
    rig.pass(5.0);
    assert_eq!(rig.shares(30), [20, 10], "half of it");
    rig.pass(5.0);
    let shares = rig.shares(20);
    assert!(shares[0].abs_diff(shares[1]) <= 1, "{shares:?}");
}

#[test]
fn a_check_measures_nothing() {
    for policy in [Policy::Adaptive, Policy::AdaptiveSma { window: 3 }] {
        let mut rig = Rig::new(2, |settings| settings.policy = policy);
        rig.pass(60.0);
        assert_eq!(rig.balancer.estimate(rig.id(0)), None);
        rig.checked[1].1 = Closes;
        rig.pass(10.0);
        rig.checked[1].1 = Answers(200);
        rig.pass(10.0);
        let firsts = [(); 2].map(|()| rig.request(Outcome::Answered).1);
        assert_eq!(firsts, [Reason::First; 2], "{policy}: a request measures it");
        assert!(rig.balancer.estimate(rig.id(1)).is_some());
    }
}

#[test]
fn a_change_is_told_in_one_line() {
    let rig = Rig::new(1, |settings| settings.checks.fall = 1);
    let (mut target, checks) =
        (rig.checked.into_iter().next().expect("one").0, rig.settings.checks);
    let mut told = |finding| target.take(finding, &checks).map(|(_, text)| text);
    let down = "http://localhost:1 is down (failed checks in a row: 1; the last: ";
    assert_eq!(told(Finding::Status(503)), Some(format!("{down}status 503)")));
    assert_eq!(told(Finding::Passed), None);
    let up = "http://localhost:1 is up (passed checks in a row: 2)".to_owned();
    assert_eq!(told(Finding::Passed), Some(up));
    let timeout = told(Finding::Faulty(Fault::ResponseTimeout));
    assert_eq!(timeout, Some(format!("{down}response_timeout)")));
}

/// Backends that are checked on a thread.
fn checked_backends(settings: &Settings) -> Arc<Mutex<Backends>> {
    let waker = Poller::new(1).expect("a poller").waker();
    let backends = Backends::new(settings, Vec::new(), vec![waker], start());
    let backends = Arc::new(Mutex::new(backends.expect("valid options")));
    super::start(&backends, &mut super::lock(&backends)).expect("a thread");
    super::lock(&backends).wake_checks();
    backends
}

/// Waits until something holds that another thread brings about soon.
fn until(mut holds: impl FnMut() -> bool) {
    let deadline = start() + seconds(30.0);
    while !holds() {
        assert!(start() < deadline, "in vain");
        thread::yield_now();
    }
}

#[test]
fn the_thread_ends_with_the_proxy_whether_it_is_stopped_or_dropped() {
    let mut settings = settings();
    settings.checks.path = Some("/healthz".to_owned());
    // The thread is the only other one that holds them.
    let held = |backends: &Arc<Mutex<Backends>>| Arc::clone(&super::lock(backends).settings);
    let stopped = checked_backends(&settings);
    let of_stopped = held(&stopped);
    super::lock(&stopped).stop();
    until(|| Arc::strong_count(&of_stopped) == 2);
    let dropped = checked_backends(&settings);
    let of_dropped = held(&dropped);
    drop(dropped);
    until(|| Arc::strong_count(&of_dropped) == 1);
}

#[test]
fn there_is_one_thread_while_checks_are_on_and_none_while_they_are_off() {
    let mut settings = settings();
    settings.checks.path = Some("/healthz".to_owned());
    let backends = checked_backends(&settings);
    let held = Arc::clone(&super::lock(&backends).settings);
    for _ in 0..3 {
        super::start(&backends, &mut super::lock(&backends)).expect("there is one already");
        super::lock(&backends).wake_checks();
    }
    // These, the backends, and one thread.
    until(|| Arc::strong_count(&held) == 3);
    let turn = |path: Option<&str>| {
        let mut settings = settings.clone();
        settings.checks.path = path.map(str::to_owned);
        let mut backends = super::lock(&backends);
        backends.change(&Arc::new(settings), Change::default(), start()).expect("a change");
        backends.wake_checks();
    };
    turn(None);
    until(|| super::lock(&backends).checks.is_none());
    until(|| Arc::strong_count(&held) == 1);
    super::start(&backends, &mut super::lock(&backends)).expect("another one");
    turn(Some("/"));
    assert!(super::lock(&backends).checks.is_some());
}
