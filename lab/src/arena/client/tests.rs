use super::*;
use crate::arena::bins::Bins;

const TARGETS: [&str; 2] = ["127.0.0.1:1001", "127.0.0.1:1002"];

/// One backend, and what else is given.
fn scenario(more: &str) -> Scenario {
    let text = format!(
        "about = \"a test\"\n[[backend]]\nservice = \"fixed:1ms\"\n{more}\n\
         [run]\nwarm-up = \"100ms\"\nlength = \"400ms\"\n"
    );
    Scenario::parse("test", &text, None).unwrap_or_else(|error| panic!("{error}"))
}

#[expect(clippy::disallowed_methods, reason = "simulated time needs some instant to start from")]
fn clients(scenario: &Scenario) -> Clients<'_> {
    let targets = TARGETS.map(|target| target.parse().unwrap());
    let bins = Bins::of(&scenario.run);
    Clients::new(scenario, 1, &targets, Instant::now(), bins.length).unwrap()
}

/// Sends every request `lag` after its start, and ends each as `end` says of it after `took`.
fn drive(
    clients: &mut Clients<'_>,
    [lag, took]: [Duration; 2],
    end: impl Fn(&Ticket) -> End,
) -> Vec<(Duration, String)> {
    let (mut now, mut sent) = (clients.begin, Vec::new());
    while clients.settle(now).is_some() {
        let start = clients.next_start().expect("a client that is ready");
        let (target, ticket) = clients.take(start);
        now = start + lag;
        let mut bytes = Vec::new();
        clients.send(&ticket, now, &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(&format!("Host: {}\r\n\r\n", TARGETS[target])), "{text}");
        sent.push((start - clients.begin, text));
        let end = end(&ticket);
        clients.ended(ticket, end, now + took);
    }
    sent
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn requests_come_when_and_as_the_simulator_has_them() {
    let classes = "[[class]]\nname = \"small\"\n[[class]]\nname = \"large\"\ncost = 20.5\n\
         [load]\nrate = 1000\nburst = { by = 0.5, time = \"50ms\" }\n[proxies]\ncount = 2";
    let scenario = scenario(classes);
    let mut clients = clients(&scenario);
    let sent = drive(&mut clients, [ms(0), ms(1)], |_| End::Answered(200));
    let Streams { arrivals, requests, .. } = Streams::new(1);
    let mut expected = Requests::new(&scenario, arrivals, requests);
    for (start, text) in &sent {
        assert_eq!(expected.next_at(), Some(*start));
        let Request { class, proxy, seed, .. } = expected.take(*start);
        let (path, host) = (["small", "large"][class], TARGETS[proxy]);
        let query = format!("seed={seed}&cost={}", ["1", "20.5"][class]);
        let line = format!("GET /{path}?{query} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(*text, line);
    }
    assert!(sent.len() > 300, "{}", sent.len());
}

#[test]
fn what_comes_in_the_warm_up_or_after_the_end_is_not_counted() {
    let scenario = scenario("[load]\nrate = 1000\narrivals = \"even\"");
    let mut clients = clients(&scenario);
    let sent = drive(&mut clients, [ms(0), ms(20)], |_| End::Answered(200));
    assert_eq!(sent.len(), 500, "one each millisecond, until all that is counted has ended");
    let mut seen = clients.into_seen();
    assert_eq!((seen.sent, seen.all.latencies.len(), seen.lag.len()), (400, 400, 400));
    assert_eq!(seen.total, 500);
    assert_eq!(seen.all.latencies.max(), 20_000);
    let requests: Vec<u64> = seen.bins.iter().map(Bin::requests).collect();
    assert_eq!(requests.iter().sum::<u64>(), 499, "the bins have the warm-up, too");
    let [p50, p99] = seen.bins[3].quantiles_ms([0.5, 0.99]).map(|ms| ms.to_string());
    assert_eq!((&*p50, &*p99), ("20", "20"));
}

#[test]
fn the_end_waits_for_what_is_counted_under_continued_load_but_not_for_ever() {
    let scenario = scenario("[load]\nrate = 100\narrivals = \"even\"");
    let mut clients = clients(&scenario);
    let (begin, at) =
        (clients.begin, |clients: &Clients<'_>, ms| clients.begin + Duration::from_millis(ms));
    let mut open = Vec::new();
    while clients.next_start().unwrap() < begin + ms(500) {
        let start = clients.next_start().unwrap();
        open.push(clients.take(start).1);
    }
    let end = at(&clients, 500);
    assert_eq!(clients.settle(at(&clients, 499)), Some(end));
    assert_eq!(clients.settle(end), Some(end + PATIENCE));
    assert!(clients.next_start().is_some(), "requests go on");
    assert_eq!(clients.settle(end + PATIENCE), None);
    for ticket in open {
        clients.ended(ticket, End::Unanswered, end + PATIENCE);
    }
    assert_eq!(clients.settle(end), None, "nothing is open");
    assert_eq!(clients.seen.all.errors, [("unanswered".to_owned(), 40)]);
}

#[test]
fn latencies_count_from_the_intended_start_and_the_lag_is_told() {
    let scenario = scenario("[load]\nrate = 1000");
    let mut clients = clients(&scenario);
    drive(&mut clients, [ms(3), ms(5)], |_| End::Answered(200));
    let seen = clients.into_seen();
    assert_eq!((seen.all.latencies.min(), seen.lag.min()), (8000, 3000));
}

#[test]
fn errors_are_counted_by_kind_and_each_focus_by_itself() {
    let focus = "[[class]]\nname = \"good\"\n[[class]]\nname = \"bad\"\n[load]\nrate = 1000\n\
         arrivals = \"even\"\n[[focus]]\nname = \"a\"\nduring = \"200ms..300ms\"\n\
         [[focus]]\nname = \"b\"\nclass = \"bad\"";
    let scenario = scenario(focus);
    let mut clients = clients(&scenario);
    drive(&mut clients, [ms(0), ms(1)], |ticket| match ticket.request.class {
        0 => End::Answered(404),
        _ => End::Reset,
    });
    let seen = clients.into_seen();
    let count = |tally: &Tally, kind: &str| {
        tally.errors.iter().find(|(name, _)| name == kind).map_or(0, |(_, count)| *count)
    };
    assert_eq!(count(&seen.all, "404") + count(&seen.all, "reset"), 400);
    assert_eq!(seen.focus[0].latencies.len(), 100);
    assert_eq!((count(&seen.focus[1], "404"), count(&seen.focus[1], "503")), (0, 0));
    assert_eq!(count(&seen.focus[1], "reset"), count(&seen.all, "reset"));
    let in_bins: u64 = seen.bins.iter().map(|bin| bin.errors).sum();
    assert_eq!(in_bins, 499);
}

#[test]
fn long_polls_are_sent_but_their_latency_is_not_counted_and_the_end_does_not_wait() {
    let poll =
        "[[class]]\nname = \"poll\"\nwait = \"3s\"\n[load]\nrate = 1000\narrivals = \"even\"";
    let scenario = scenario(poll);
    let mut clients = clients(&scenario);
    let mut open = Vec::new();
    let end = clients.begin + ms(500);
    while clients.settle(clients.next_start().unwrap()).is_some() {
        let start = clients.next_start().unwrap();
        let (_, ticket) = clients.take(start);
        let mut bytes = Vec::new();
        clients.send(&ticket, start, &mut bytes);
        assert!(String::from_utf8(bytes).unwrap().contains("&cost=1&wait=3s HTTP"));
        open.push(ticket);
    }
    assert_eq!(clients.settle(end), None);
    for ticket in open {
        clients.ended(ticket, End::Unanswered, end);
    }
    let seen = clients.into_seen();
    assert_eq!((seen.sent, seen.all.latencies.len(), seen.all.errors.len()), (400, 0, 0));
}

#[test]
fn clients_of_a_closed_loop_go_on_when_they_have_the_answer_and_later_after_an_error() {
    let scenario = scenario("[load]\nclients = 3");
    let mut clients = clients(&scenario);
    let begin = clients.begin;
    let tickets: Vec<Ticket> = (0..3).map(|_| clients.take(begin).1).collect();
    assert_eq!(clients.next_start(), None, "all wait");
    for (ticket, end) in tickets.into_iter().zip([End::Closed, End::Answered(200), End::Refused]) {
        clients.ended(ticket, end, begin + ms(7));
    }
    assert_eq!(clients.next_start(), Some(begin + ms(7)));
    clients.take(begin + ms(7));
    assert_eq!(clients.next_start(), Some(begin + ms(8)));
}
