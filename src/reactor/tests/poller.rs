use super::*;
use rustix::event::{PollFd, PollFlags};
use std::collections::BTreeSet;

const TIMER: Key = Key::fixed(1, 7);

#[test]
fn a_call_from_another_thread_ends_the_wait() {
    let mut turning = Loop::new();
    let waker = turning.poller.waker();
    let thread = std::thread::spawn(move || waker.clone().wake().unwrap());
    turning.until("being called", |_, event| (event == Event::Woken).then_some(()));
    thread.join().unwrap();
}

#[test]
fn timers_expire_in_order_and_not_before_their_time() {
    let mut turning = Loop::new();
    let start = turning.poller.now();
    let [soon, later] = [2, 5].map(|ms| start + Duration::from_millis(ms));
    turning.poller.timers().wake_at(TIMER, later);
    turning.poller.timers().wake_at(TIMER, soon);
    let mut expired = Vec::new();
    turning.until("both timers", |poller, wake| {
        if let Event::Expired { key: TIMER, at } = wake {
            assert!(at <= poller.now(), "expired early");
            expired.push(at);
        }
        (expired.len() == 2).then_some(())
    });
    assert_eq!(expired, [soon, later]);
}

#[test]
fn work_left_over_makes_a_turn_that_does_not_wait() {
    let mut poller = Poller::new(8).unwrap();
    let mut events = vec![Event::Woken];
    let before = poller.now();
    poller.timers().wake_at(TIMER, before + PATIENCE);
    let now = poller.turn(&mut events, true).unwrap();
    assert_eq!(events, [], "the list is cleared and the timer not due");
    assert!(before <= now && now < before + PATIENCE);
    assert_eq!(poller.now(), now);
}

#[test]
fn readiness_comes_before_expiry_in_one_turn() {
    let mut poller = Poller::new(8).unwrap();
    let now = poller.now();
    poller.timers().wake_at(TIMER, now);
    poller.waker().wake().unwrap();
    let mut events = Vec::new();
    poller.turn(&mut events, false).unwrap();
    assert_eq!(events, [Event::Woken, Event::Expired { key: TIMER, at: now }]);
}

#[test]
fn what_exceeds_the_capacity_comes_in_the_same_turn() {
    const COUNT: u32 = 7;
    let mut poller = Poller::new(2).unwrap();
    let mut held = Vec::new();
    for index in 0..COUNT {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        poller.register_readable(&listener, Key::fixed(2, index)).unwrap();
        let peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // The poller is not asked before all of them have come.
        let patience = rustix::time::Timespec::try_from(PATIENCE).unwrap();
        let mut waiting = [PollFd::new(&listener, PollFlags::IN)];
        assert_eq!(rustix::event::poll(&mut waiting, Some(&patience)), Ok(1));
        held.push((listener, peer));
    }
    let mut events = Vec::new();
    poller.turn(&mut events, false).unwrap();
    let ready = events.iter().map(|event| match event {
        Event::Ready { key, .. } => key.index(),
        other => panic!("{other:?}"),
    });
    assert!(ready.collect::<BTreeSet<_>>().into_iter().eq(0..COUNT));
}
