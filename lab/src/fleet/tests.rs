use super::*;
use std::ops::RangeInclusive;
use time::MILLISECOND;

const MS: Time = MILLISECOND;

/// A fleet in simulated time. Requests are named by letters.
struct Simulated {
    fleet: Fleet<char>,
    agenda: Events<Event>,
    now: Time,
}

/// What happened, when (in milliseconds), and to whom.
type Story = Vec<(Time, String)>;

fn group(service: &str, script: &[&str]) -> Group {
    let script = script.iter().map(|phase| phase.parse().expect("a phase")).collect();
    Group { script, ..Group::new(service.parse().expect("a service")) }
}

fn slots(slots: usize, group: Group) -> Group {
    Group { slots: Some(slots), ..group }
}

fn cores(cores: usize, group: Group) -> Group {
    Group { cores: Some(cores), ..group }
}

impl Simulated {
    /// Backends whose scripts have begun.
    fn new(groups: &[Group]) -> Self {
        let mut it = Self::waiting(groups);
        it.begin(0);
        it
    }

    /// Backends whose scripts have not begun.
    fn waiting(groups: &[Group]) -> Self {
        Self { fleet: Fleet::new(groups.iter()), agenda: Events::default(), now: 0 }
    }

    fn begin(&mut self, zero: Time) {
        self.fleet.begin(zero, Rng::with_seed(1), self.now, &mut self.agenda);
    }

    fn ask(&mut self, owner: char, cost: f64) -> Key {
        let ask = Ask { cost, wait: None, seed: 7 };
        self.fleet.receive(0, ask, owner, self.now, &mut self.agenda)
    }

    fn ask_all(&mut self, owners: RangeInclusive<char>) {
        for owner in owners {
            self.ask(owner, 1.0);
        }
    }

    /// Lets time pass.
    fn run(&mut self, until: Time) -> Story {
        let mut story = Story::new();
        while self.agenda.next_at().is_some_and(|at| at <= until)
            && let Some((at, event)) = self.agenda.take()
        {
            let outcome = self.fleet.happen(event, at, &mut self.agenda);
            let what = match outcome {
                Some(Outcome::Answered(Answer { owner, status, took })) => {
                    let owner = owner.map_or("nobody".to_owned(), String::from);
                    format!("{owner} {status} after {}", took / MS)
                }
                Some(Outcome::Changed(_, Change::Other)) | None => continue,
                Some(Outcome::Changed(backend, change)) => format!("{backend} {change:?}"),
            };
            story.push((at / MS, what));
        }
        self.now = until;
        story
    }
}

fn story(parts: &[(Time, &str)]) -> Story {
    parts.iter().map(|(at, what)| (*at, (*what).to_owned())).collect()
}

#[test]
fn a_slot_works_on_one_request_and_the_others_queue() {
    let mut it = Simulated::new(&[slots(2, group("fixed:10ms", &[]))]);
    for (owner, cost) in [('a', 3.0), ('b', 1.0), ('c', 1.0), ('d', 0.5)] {
        it.ask(owner, cost);
    }
    let expected = [(10, "b 200 after 10"), (20, "c 200 after 10"), (25, "d 200 after 5")];
    assert_eq!(it.run(25 * MS), story(&expected));
    assert_eq!(it.run(90 * MS), story(&[(30, "a 200 after 30")]));
}

#[test]
fn without_limits_nothing_queues() {
    let mut it = Simulated::new(&[group("fixed:10ms", &[])]);
    it.ask_all('a'..='e');
    assert_eq!(it.run(10 * MS).len(), 5);
}

#[test]
fn cores_are_shared_equally_and_a_request_has_one_at_most() {
    let mut it = Simulated::new(&[cores(2, group("fixed:10ms", &[]))]);
    it.ask('a', 1.0);
    assert_eq!(it.run(5 * MS), []);
    it.ask_all('b'..='d');
    // Four share two cores: half speed from 5 ms on.
    assert_eq!(it.run(15 * MS), story(&[(15, "a 200 after 15")]));
    // The other three have done half of their work, and go on at two thirds.
    let rest = it.run(60 * MS);
    assert!(rest.iter().all(|(at, _)| (22..=23).contains(at)) && rest.len() == 3, "{rest:?}");
}

#[test]
fn the_same_seed_is_as_much_work_and_the_cost_multiplies_it() {
    let took = |cost, seed| {
        let mut it = Simulated::new(&[group("exp:10ms", &[])]);
        let ask = Ask { cost, wait: None, seed };
        it.fleet.receive(0, ask, 'a', 0, &mut it.agenda);
        it.agenda.next_at().expect("an end")
    };
    assert_eq!(took(1.0, 5), took(1.0, 5));
    assert_ne!(took(1.0, 5), took(1.0, 6));
    assert!(took(4.0, 5).abs_diff(4 * took(1.0, 5)) <= 4);
}

#[test]
fn a_long_poll_takes_its_time_and_no_slot() {
    let mut it = Simulated::new(&[slots(1, group("fixed:10ms", &[]))]);
    it.ask('a', 1.0);
    let ask = Ask { cost: 1.0, wait: Some(Duration::from_millis(5)), seed: 1 };
    it.fleet.receive(0, ask, 'p', 0, &mut it.agenda);
    assert_eq!(it.run(90 * MS), story(&[(5, "p 200 after 5"), (10, "a 200 after 10")]));
}

#[test]
fn what_is_begun_in_a_slow_phase_takes_longer_and_phases_multiply() {
    let script = ["10ms..20ms slow 3", "15ms..30ms slow 2"];
    let mut it = Simulated::new(&[group("fixed:2ms", &script)]);
    let mut seen = Story::new();
    for (at, owner) in [(9, 'a'), (10, 'b'), (15, 'c'), (20, 'd'), (30, 'e')] {
        seen.extend(it.run(at * MS));
        it.ask(owner, 1.0);
    }
    seen.extend(it.run(90 * MS));
    seen.sort();
    let expected = [
        (11, "a 200 after 2"),
        (16, "b 200 after 6"),
        (24, "d 200 after 4"),
        (27, "c 200 after 12"),
        (32, "e 200 after 2"),
    ];
    assert_eq!(seen, story(&expected));
}

#[test]
fn a_pause_delays_what_is_there_and_what_comes_by_what_is_left_of_it() {
    for limit in [slots, cores] {
        let mut it = Simulated::new(&[limit(2, group("fixed:10ms", &["5ms..25ms pause"]))]);
        it.ask('a', 1.0);
        assert_eq!(it.run(15 * MS), []);
        it.ask('b', 1.0);
        let expected = [(30, "a 200 after 30"), (35, "b 200 after 20")];
        assert_eq!(it.run(90 * MS), story(&expected));
    }
}

#[test]
fn failures_come_after_their_time_and_take_no_slot() {
    let group = slots(1, group("fixed:10ms", &["5ms..9ms fail 429 after 1ms"]));
    let mut it = Simulated::new(&[group]);
    it.ask('a', 1.0);
    it.run(5 * MS);
    it.ask('b', 1.0);
    assert_eq!(it.run(9 * MS), story(&[(6, "b 429 after 1")]));
    it.ask('c', 1.0);
    assert_eq!(it.run(90 * MS), story(&[(10, "a 200 after 10"), (20, "c 200 after 10")]));
}

#[test]
fn errors_by_chance_are_as_hard_as_others() {
    let mut it = Simulated::new(&[Group { errors: 1.0, ..group("fixed:10ms", &[]) }]);
    it.ask('a', 1.0);
    assert_eq!(it.run(90 * MS), story(&[(10, "a 503 after 10")]));
}

#[test]
fn one_that_hangs_never_answers_and_finishes_what_it_had() {
    let mut it = Simulated::new(&[group("fixed:10ms", &["5ms..9ms hang"])]);
    it.ask('a', 1.0);
    it.run(5 * MS);
    let hung = it.ask('b', 1.0);
    assert_eq!(it.run(9000 * MS), story(&[(10, "a 200 after 10")]));
    assert!(it.fleet.ends_with_client(hung));
    assert_eq!(it.fleet.abandon(hung), Some('b'));
    assert_eq!(it.fleet.drain().count(), 0);
}

#[test]
fn a_closed_port_is_known_from_the_script_alone() {
    let script = ["10ms..20ms refuse", "30ms..40ms restart", "50ms..60ms absent"];
    let mut it = Simulated::new(&[group("fixed:1ms", &script)]);
    let mut changes = Story::new();
    let listens: Vec<bool> = (0..7)
        .map(|step| {
            changes.extend(it.run((step * 10 + 5) * MS));
            it.fleet.listens(0)
        })
        .collect();
    assert_eq!(listens, [true, false, true, false, true, false, true]);
    let expected = [(30, "0 Restarted"), (50, "0 Left"), (60, "0 Joined")];
    assert_eq!(changes, story(&expected));
}

#[test]
fn a_restart_loses_what_is_there() {
    for limit in [slots, cores] {
        let mut it = Simulated::new(&[limit(1, group("fixed:10ms", &[])), group("exp:1ms", &[])]);
        it.ask_all('a'..='c');
        let other = Ask { cost: 1.0, wait: None, seed: 1 };
        it.fleet.receive(1, other, 'z', 0, &mut it.agenda);
        let keys = it.fleet.restart(0);
        let lost: Vec<_> = keys.iter().filter_map(|key| it.fleet.remove(*key)).collect();
        assert_eq!(lost, ['a', 'b', 'c']);
        it.ask('d', 1.0);
        let rest = it.run(9000 * MS);
        assert_eq!(rest.len(), 2, "the other backend has its request: {rest:?}");
        assert!(rest.contains(&(10, "d 200 after 10".to_owned())), "{rest:?}");
    }
}

#[test]
fn requests_whose_client_left_leave_the_queue_and_are_worked_on_to_their_end() {
    let mut it = Simulated::new(&[slots(1, group("fixed:10ms", &[]))]);
    let [first, second, _] = ['a', 'b', 'c'].map(|owner| it.ask(owner, 1.0));
    it.run(5 * MS);
    assert_eq!([second, first].map(|key| it.fleet.abandon(key)), [Some('b'), Some('a')]);
    assert_eq!(it.fleet.abandon(first), None, "once");
    assert_eq!(it.run(90 * MS), story(&[(10, "nobody 200 after 10"), (20, "c 200 after 10")]));
    let mut it = Simulated::new(&[cores(1, group("fixed:10ms", &[]))]);
    let [first, _] = ['a', 'b'].map(|owner| it.ask(owner, 1.0));
    assert_eq!(it.fleet.abandon(first), Some('a'));
    let expected = [(20, "nobody 200 after 20"), (20, "b 200 after 20")];
    assert_eq!(it.run(90 * MS), story(&expected));
}

#[test]
fn one_that_ignores_aborts_works_on_what_nobody_waits_for() {
    let group = Group { ignore_aborts: true, ..group("fixed:10ms", &[]) };
    let mut it = Simulated::new(&[slots(1, group.clone())]);
    let [first, second, _] = ['a', 'b', 'c'].map(|owner| it.ask(owner, 1.0));
    assert_eq!([it.fleet.abandon(first), it.fleet.abandon(second)], [Some('a'), Some('b')]);
    let nobody = "nobody 200 after 10";
    assert_eq!(it.run(90 * MS), story(&[(10, nobody), (20, nobody), (30, "c 200 after 10")]));
    let mut it = Simulated::new(&[cores(1, group)]);
    let [first, _] = ['a', 'b'].map(|owner| it.ask(owner, 1.0));
    assert_eq!(it.fleet.abandon(first), Some('a'));
    assert_eq!(it.run(90 * MS).len(), 2);
}

#[test]
fn an_end_of_the_stream_is_an_abort_where_others_wait_or_no_answer_comes() {
    for (group, ends) in [
        (group("fixed:10ms", &[]), false),
        (slots(1, group("fixed:10ms", &[])), true),
        (cores(1, group("fixed:10ms", &[])), true),
        (group("fixed:10ms", &["0s.. hang"]), true),
    ] {
        let mut it = Simulated::new(&[group]);
        let [first, second] = ['a', 'b'].map(|owner| it.ask(owner, 1.0));
        assert_eq!([first, second].map(|key| it.fleet.ends_with_client(key)), [ends; 2]);
    }
}

#[test]
fn before_its_beginning_a_script_stands_at_it() {
    let groups = [
        group("cycle:10,20", &["0s..1s absent"]),
        group("fixed:1ms", &["1s..2s refuse"]),
        group("cycle:10,20", &["50ms..60ms slow 10"]),
    ];
    let mut it = Simulated::waiting(&groups);
    let ask = Ask { cost: 1.0, wait: None, seed: 1 };
    it.run(5000 * MS);
    assert_eq!([0, 1].map(|backend| it.fleet.listens(backend)), [false, true]);
    it.fleet.receive(2, ask, 'a', it.now, &mut it.agenda);
    assert_eq!(it.run(5040 * MS), story(&[(5010, "a 200 after 10")]), "slow 10 has not begun");
    // In the future.
    it.begin(6000 * MS);
    it.fleet.receive(2, ask, 'b', it.now, &mut it.agenda);
    assert_eq!(it.run(6055 * MS), story(&[(5050, "b 200 after 10")]), "the cycle begins anew");
    it.fleet.receive(2, ask, 'c', it.now, &mut it.agenda);
    let expected = [(6255, "c 200 after 200"), (7000, "0 Joined")];
    assert_eq!(it.run(7500 * MS), story(&expected));
    assert_eq!([0, 1].map(|backend| it.fleet.listens(backend)), [true, false]);
}

#[test]
fn a_pause_at_the_beginning_lasts_from_it_on() {
    let mut it = Simulated::waiting(&[group("fixed:10ms", &["0ms..50ms pause"])]);
    it.ask('a', 1.0);
    assert_eq!(it.run(100 * MS), []);
    it.begin(200 * MS);
    assert_eq!(it.run(900 * MS), story(&[(260, "a 200 after 260")]));
}

#[test]
fn speeds_drift_by_the_seed_alone() {
    let drift = "sigma=0.5,time=100ms".parse().ok();
    let took = |seed| {
        let mut it = Simulated::waiting(&[Group { drift, ..group("fixed:10ms", &[]) }]);
        it.fleet.begin(0, Rng::with_seed(seed), 0, &mut it.agenda);
        it.ask('a', 1.0);
        it.run(400 * MS);
        it.ask('b', 1.0);
        format!("{:?}", it.run(900 * MS))
    };
    assert_eq!(took(1), took(1));
    assert_ne!(took(1), took(2));
}
