//! How long a client waits, depending on what it has received.

use std::time::Duration;

use strict::{Ending, Extent, Reader, Responses};

use crate::case::Case;

/// How long `{{wait}}` waits for a response, and `{{wait100}}` for any.
pub const AWAIT_RESPONSE: Duration = Duration::from_secs(3);
pub const AWAIT_CONTINUE: Duration = Duration::from_millis(1500);

/// How long nothing may come after the last expected response.
const QUIET: Duration = Duration::from_millis(150);

/// How long nothing may come after a response before further expected ones are given up.
const QUIET_BEFORE_NEXT: Duration = Duration::from_millis(1500);

/// How long nothing may come in a tunnel.
const QUIET_TUNNEL: Duration = Duration::from_millis(400);

/// How the client of a case parses what it receives.
pub fn reader(case: &Case, ending: Option<Ending>) -> Reader<'_> {
    Reader { methods: &case.methods, ending, is_http10: case.is_http10 }
}

/// After how long without a byte nothing more is expected; none while the connection still has to
/// be closed.
pub fn quiet(case: &Case, seen: &Responses) -> Option<Duration> {
    let last = seen.finals.last()?;
    if case.expect.closes == Some(true) {
        None
    } else if last.extent == Extent::Tunnel {
        Some(QUIET_TUNNEL)
    } else if whole(seen) >= case.methods.len() {
        Some(QUIET)
    } else {
        last.is_whole.then_some(QUIET_BEFORE_NEXT)
    }
}

pub fn whole(seen: &Responses) -> usize {
    seen.finals.iter().filter(|response| response.is_whole).count()
}

pub fn is_final(seen: &Responses) -> bool {
    seen.finals.iter().any(|response| response.status.is_some())
}

/// Whether there is any response.
pub fn is_any(seen: &Responses) -> bool {
    !seen.interims.is_empty() || is_final(seen)
}
