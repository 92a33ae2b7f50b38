//! Plays cases in parallel: each lane has a backend and a proxy of its own, because a case spends
//! most of its time waiting.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::backend::Backend;
use crate::case::{Case, cases};
use crate::client::Client;
use crate::judge::{Evidence, judge};
use crate::wire::Pace;
use strict::Faults;
use support::clock::{pause, until};
use support::process::Proxy;

const LANES: usize = 16;

/// A plain request, which shows that a proxy still serves.
const PLAIN: &str = r#"{"id":"plain","group":"","level":"must","gate":true,"ref":"",
    "request":"GET /plain HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "expect":{"status":[200],"forwarded":true,"closes":true}}"#;

/// How all cases of a run are played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// How the client's bytes, and the backend's, are written.
    pub client: Pace,
    pub backend: Pace,
    /// Whether the proxy has a connection to the backend in its pool when a case starts.
    pub is_warm: bool,
    /// Whether the proxy is another one than tidegate.
    pub is_foreign: bool,
    /// More flags for the proxy.
    pub flags: &'static [&'static str],
}

/// The proxy's flags, besides its addresses: short timeouts, and a client whose stream ended may
/// still read.
pub const FLAGS: [&str; 16] = [
    "--connect-timeout",
    "1s",
    "--response-timeout",
    "2s",
    "--stream-timeout",
    "2s",
    "--client-half-close",
    "allow",
    "--header-timeout",
    "2s",
    "--body-timeout",
    "2s",
    "--client-idle-timeout",
    "6s",
    "--workers",
    "1",
];

/// A case that failed.
pub struct Failure<'a> {
    pub case: &'a Case,
    why: Faults,
    evidence: Evidence,
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 600;
        let shown = |bytes: &[u8]| bytes[..bytes.len().min(LONGEST)].escape_ascii().to_string();
        let Case { id, reference, note, .. } = self.case;
        writeln!(f, "{id} ({reference}) {note}")?;
        for why in &self.why {
            writeln!(f, "    {why}")?;
        }
        let sent = crate::script::bytes_sent(&self.case.request);
        writeln!(f, "    sent     \"{}\"", shown(&sent))?;
        for bytes in &self.evidence.upstream {
            writeln!(f, "    upstream \"{}\"", shown(bytes))?;
        }
        if let Some(received) = &self.evidence.client {
            let ending = received.ending.map_or("open".to_owned(), |ending| format!("{ending:?}"));
            writeln!(f, "    client   \"{}\" ({ending})", shown(&received.bytes))?;
        }
        Ok(())
    }
}

/// Plays the cases with the proxy, in many lanes.
pub fn play_all(cases: &[Case], mode: Mode) -> Vec<Failure<'_>> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..LANES.min(cases.len()) {
            scope.spawn(|| {
                let mut backend = Backend::open();
                let flags = [&FLAGS[..], mode.flags].concat();
                let mut proxy = Proxy::start(&[backend.address()], &flags);
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let failure = play(case, mode, proxy.address(), &mut backend);
                    failures.lock().unwrap().extend(failure);
                }
                assert!(!proxy.process.has_ended(), "{}", proxy.process.stderr());
                assert_eq!(proxy.process.stderr(), "");
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Plays a case with the proxy at `address` in front of `backend`.
pub fn play<'a>(
    case: &'a Case,
    mode: Mode,
    address: SocketAddr,
    backend: &mut Backend,
) -> Option<Failure<'a>> {
    let plain = &cases(&PLAIN.replace('\n', " "))[0];
    let plainly = Mode { is_foreign: mode.is_foreign, ..Mode::default() };
    if mode.is_warm {
        backend.begin(&[], Pace::Whole);
        let failure = once(plain, plainly, address, backend);
        assert!(failure.is_none(), "{}", failure.unwrap());
    }
    backend.begin(&case.replies, mode.backend);
    let mut failure = once(case, mode, address, backend);
    backend.end();
    until("an answer to a plain request after a case", || {
        backend.begin(&[], Pace::Whole);
        let trouble = once(plain, plainly, address, backend);
        backend.end();
        trouble.is_none().then_some(())
    });
    if let Some(failure) = &mut failure {
        failure.why.dedup();
    }
    failure
}

/// Why a case fails, played against something that is no proxy and need not recover.
pub fn play_once(case: &Case, address: SocketAddr, backend: &mut Backend) -> Faults {
    backend.begin(&case.replies, Pace::Whole);
    let failure = once(case, Mode::default(), address, backend);
    backend.end();
    failure.map_or_else(Vec::new, |failure| failure.why)
}

fn once<'a>(
    case: &'a Case,
    mode: Mode,
    address: SocketAddr,
    backend: &Backend,
) -> Option<Failure<'a>> {
    let client = Client::connect(address, case).play(mode.client);
    if client.is_none() {
        // What the proxy does after a reset can't be observed, but happens at once.
        pause(std::time::Duration::from_millis(300));
    }
    let evidence = Evidence { upstream: backend.received(), client };
    let why = judge(case, &evidence, !mode.is_foreign);
    (!why.is_empty()).then_some(Failure { case, why, evidence })
}
