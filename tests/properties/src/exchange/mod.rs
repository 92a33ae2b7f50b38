//! Whatever a client and three backends do to one connection, everyone gets what is valid,
//! unchanged and not more of it than was asked for, and every request its row. What must not depend
//! on how bytes were cut does not.
//!
//! An input is a letter, which chooses what is checked, and then a script or a stream.

mod cuts;
mod judge;
mod script;

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

/// Checks it for `data`.
///
/// # Panics
/// If it does not hold.
pub fn check(data: &[u8]) {
    let ways = SETTINGS.len() + 1 + cuts::ASKED.len();
    let Some((choice, rest)) = choice(data, u8::try_from(ways).unwrap_or(u8::MAX)) else { return };
    let choice = usize::from(choice);
    match (SETTINGS.get(choice), choice.checked_sub(SETTINGS.len() + 1)) {
        (Some(settings), _) => anything_goes(*settings, rest),
        (None, None) => cuts::of_requests(rest),
        (None, Some(asked)) => cuts::of_response(cuts::ASKED[asked], rest),
    }
}

fn anything_goes((policy, connections): (Policy, UpstreamReuse), script: &[u8]) {
    let mut rig = ExchangeHarness::with(3, policy);
    rig.settings.upstream_reuse = connections;
    let sent = script::play(&mut rig, script);
    rig.client_ends(StreamEnd::Reset);
    let rows: Vec<Row> = rig.rows();
    let asked = judge::requests_of(&sent);
    judge::upstreams(&rig, &rows, &asked);
    judge::client(&rig, &rows, &asked);
}
