//! Whatever a client and three backends do to one connection, everyone gets what is valid,
//! unchanged and not more of it than was asked for, and every request its row. What must not depend
//! on how bytes were cut does not.
//!
//! An input is a letter, which chooses what is checked, and then a script or a stream. In a script
//! in which a second attempt begins, time that passes may begin others. In one in which backends
//! have requests of other clients, this one's may wait.

mod cuts;
mod judge;
mod script;

use std::time::Duration;

use rig::{ExchangeHarness, Row};
use tidegate::balance::Policy;
use tidegate::proxy::exchange::StreamEnd;
use tidegate::proxy::settings::UpstreamReuse;

use crate::choice;

/// Policies and kinds of connections under which scripts are played.
const SETTINGS: [(Policy, UpstreamReuse); 4] = [
    (Policy::RoundRobin, UpstreamReuse::Persistent),
    (Policy::RoundRobin, UpstreamReuse::NonPersistent),
    (Policy::AdaptiveSma { window: 3 }, UpstreamReuse::Persistent),
    (Policy::AdaptiveEwma { alpha: 0.2 }, UpstreamReuse::Persistent),
];

/// Under which scripts are played by the choice behind those of streams.
const ADAPTIVE: (Policy, UpstreamReuse) = (Policy::Adaptive, UpstreamReuse::Persistent);

/// Most second attempts of a request.
const MOST_HEDGES: u8 = 3;

/// Checks it for `data`.
///
/// # Panics
/// If it does not hold.
pub fn check(data: &[u8]) {
    let ways = SETTINGS.len() + 1 + cuts::ASKED.len() + 1;
    let Some((choice, rest)) = choice(data, u8::try_from(ways).unwrap_or(u8::MAX)) else { return };
    let choice = usize::from(choice);
    match (SETTINGS.get(choice), choice.checked_sub(SETTINGS.len() + 1)) {
        (Some(settings), _) => anything_goes(*settings, rest),
        (None, None) => cuts::of_requests(rest),
        (None, Some(asked)) => match cuts::ASKED.get(asked) {
            Some(asked) => cuts::of_response(asked, rest),
            None => anything_goes(ADAPTIVE, rest),
        },
    }
}

fn anything_goes((policy, connections): (Policy, UpstreamReuse), script: &[u8]) {
    let mut rig = ExchangeHarness::with(3, policy);
    rig.settings.upstream_reuse = connections;
    if policy == Policy::Adaptive {
        (0..rig.servers.len()).for_each(|backend| rig.measure(backend, Duration::from_millis(9)));
    }
    if script.windows(2).any(|step| step == b"~a") {
        rig.settings.limits.queue = 1;
    }
    if script.windows(2).any(|step| step == b"~h") {
        rig.allow_hedges(MOST_HEDGES);
        rig.settings.hedging.same = policy == Policy::Adaptive;
    }
    let sent = script::play(&mut rig, script);
    rig.client_ends(StreamEnd::Reset);
    let rows: Vec<Row> = rig.rows();
    let asked = judge::requests_of(&sent);
    judge::upstreams(&rig, &rows, &asked);
    judge::client(&rig, &rows, &asked);
    judge::hedges(&rig, &rows, &asked);
    judge::nothing_is_left(&rig, &rows);
}
