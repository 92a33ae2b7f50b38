//! Limits, the queue, hedges, retries, clients that leave, backends that are removed and a proxy
//! that stops, in all orders: whatever happens after what, nothing is sent twice that may not be,
//! no limit is exceeded, nobody waits for what is free, and no lease or place is left.

use tidegate::balance::Lease;
use tidegate::proxy::queue::{Class, Scope, Ticket, Turn};

use super::*;

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Another attempt begins, if it may.
    Hedge,
    /// The first attempt that is out breaks off, before its head or behind it.
    Break,
    /// The last attempt that is out is answered 503.
    Fail,
    /// It is answered with a head, behind which its body is to come.
    Head,
    /// It is answered whole.
    Answer,
    /// Another client's request ends.
    Free,
    /// Another client's request comes, which another worker has, and waits if it has to.
    Other,
    /// The client leaves.
    Leave,
    /// The first backend is removed, and what it has is cut.
    Remove,
    /// The proxy begins to stop.
    Drain,
    /// Longer than anybody may wait in the queue.
    Wait,
}

const STEPS: [Step; 11] = [
    Step::Hedge,
    Step::Break,
    Step::Fail,
    Step::Head,
    Step::Answer,
    Step::Free,
    Step::Other,
    Step::Leave,
    Step::Remove,
    Step::Drain,
    Step::Wait,
];

const BACKENDS: usize = 2;
const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";

/// One request, and others before the same backends, each of which takes one at a time.
struct Play {
    rig: ExchangeHarness,
    others: Vec<Lease>,
    waiting: Vec<Ticket>,
    is_removed: bool,
}

impl Play {
    /// So many of the backends have another request when this one comes.
    fn new(request: &str, busy: usize) -> Self {
        let mut rig = ExchangeHarness::with(BACKENDS, Policy::AdaptiveEwma { alpha: 1.0 });
        let ms = Duration::from_millis;
        (0..BACKENDS).for_each(|backend| rig.measure(backend, ms(backend as u64 + 1)));
        rig.settings.limits.queue = 3;
        rig.settings.timeouts.queue = ms(1_000);
        let role = Role { max_in_flight: Some(1), ..Role::default() };
        (0..BACKENDS).for_each(|backend| rig.set_role(backend, role));
        rig.allow_hedges(1);
        let others = (0..busy).map(|backend| rig.lease(backend)).collect();
        rig.client(request);
        Self { rig, others, waiting: Vec::new(), is_removed: false }
    }

    /// The connections of attempts that are out.
    fn out(&self) -> Vec<usize> {
        self.rig.links.into_iter().flatten().collect()
    }

    fn step(&mut self, step: Step) {
        let out = self.out();
        let (first, last) = (out.first().copied(), out.last().copied());
        let rig = &mut self.rig;
        let answer = |rig: &mut ExchangeHarness, bytes: &str| {
            if let Some(last) = last {
                rig.sends(Peer::Connection(last), bytes);
            }
        };
        match step {
            Step::Hedge if rig.over.is_none() => {
                let sent = |rig: &ExchangeHarness| {
                    rig.hedges.iter().filter(|(_, event)| *event == HedgeEvent::Sent).count()
                };
                let before = sent(rig);
                rig.hedge();
                let is_calm = self.waiting.is_empty();
                assert!(is_calm || sent(rig) == before, "a hedge was sent while somebody waits");
            }
            Step::Break => {
                if let Some(first) = first {
                    rig.ends(Peer::Connection(first), StreamEnd::Reset);
                }
            }
            Step::Fail => answer(rig, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
            Step::Head => answer(rig, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
            Step::Answer => answer(rig, OK),
            Step::Free => self.others.pop().into_iter().for_each(|lease| rig.give_back(lease)),
            Step::Other => self.other(),
            Step::Leave => rig.client_ends(StreamEnd::Reset),
            Step::Remove if !self.is_removed => {
                self.is_removed = true;
                rig.drain(0);
                let removed = [rig.ids[0]];
                rig.remove(&removed);
            }
            Step::Drain => {
                rig.draining = true;
                rig.act(Exchange::drain);
                rig.run();
            }
            Step::Wait => rig.advance_ms(1_001),
            Step::Hedge | Step::Remove => {}
        }
        self.serve_others();
        self.assert_sound();
    }

    /// A request of another client, as a worker serves it.
    fn other(&mut self) {
        let rig = &mut self.rig;
        if rig.queues[1].is_empty()
            && let Choice::Go(lease) = rig.balancer.acquire(&Tried::default(), rig.now)
        {
            return self.others.push(lease);
        }
        let joined = rig.queues[1].join(7, Class::First, Scope::All, 3);
        if let Some((ticket, turn)) = joined {
            self.waiting.push(ticket);
            if turn == Turn::Called {
                self.look(self.waiting.len() - 1);
            }
        }
    }

    /// Those of the other worker that are called look for a backend.
    fn serve_others(&mut self) {
        while let Some(called) = self.waiting.iter().position(|it| it.turn() == Turn::Called) {
            self.look(called);
            self.rig.run();
        }
    }

    fn look(&mut self, place: usize) {
        let (balancer, now) = (&mut self.rig.balancer, self.rig.now);
        let ticket = &self.waiting[place];
        let choice = loop {
            match balancer.acquire(&Tried::default(), now) {
                Choice::Wait if ticket.stays() == Turn::Called => {}
                choice => break choice,
            }
        };
        match choice {
            Choice::Go(lease) => {
                ticket.goes(|| balancer.places(now), || balancer.next_chance(now).is_some());
                self.others.push(lease);
                self.waiting.remove(place);
            }
            Choice::Wait => {}
            Choice::Nobody => drop(self.waiting.remove(place)),
        }
    }

    fn assert_sound(&self) {
        let rig = &self.rig;
        for backend in 0..BACKENDS {
            assert!(rig.in_flight(backend) <= 1, "a limit was exceeded");
        }
        let can_go = rig.balancer.places(rig.now) > 0;
        assert!(!can_go || self.waiting.is_empty(), "one waits for what is free");
    }

    /// Everything ends.
    fn end(mut self, request: &str) {
        self.others.drain(..).for_each(|lease| self.rig.give_back(lease));
        self.waiting.clear();
        self.rig.run();
        let sent = self.rig.connections.iter().filter(|it| !it.socket.received.is_empty()).count();
        assert!(sent <= 1 || request != POST, "it was sent twice");
        assert!(sent <= 3, "it was sent more often than it may be");
        // The harness makes sure that nothing else is left.
        drop(self.rig);
    }
}

#[test]
fn whatever_happens_after_what_no_lease_or_place_is_left_and_nobody_waits_for_what_is_free() {
    for request in [GET, POST] {
        for busy in 0..=BACKENDS {
            for first in STEPS {
                for second in STEPS {
                    for third in STEPS {
                        let steps = [first, second, third, Step::Free, Step::Answer];
                        play(request, busy, &steps);
                    }
                }
            }
        }
    }
}

/// Longer ones, by a generator that needs no seed but the number.
#[test]
fn long_sequences_leave_nothing_either() {
    for seed in 0..2_000_usize {
        let mut state = seed as u64;
        let steps = [(); 12].map(|()| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            STEPS[(state >> 33) as usize % STEPS.len()]
        });
        play([GET, POST][seed % 2], seed / 2 % (BACKENDS + 1), &steps);
    }
}

fn play(request: &str, busy: usize, steps: &[Step]) {
    let played = std::panic::catch_unwind(|| {
        let mut play = Play::new(request, busy);
        for step in steps {
            play.step(*step);
        }
        play.end(request);
    });
    assert!(played.is_ok(), "{busy} of {BACKENDS} busy, then {steps:?}: {request:?}");
}
