//! Second attempts on the command line, in place of what a scenario says of them.

use std::time::Duration;

use clap::{Args, value_parser};
use tidegate::time::parse_duration;
use tidegate_lab::scenario::Proxies;

#[derive(Args, Debug)]
pub(crate) struct HedgeFlags {
    /// Second attempts per hundred requests at most, in place of the scenario's number; 0 for none
    #[arg(long, value_name = "PERCENT", value_parser = value_parser!(u8).range(0..=100))]
    hedge: Option<u8>,

    /// How long an attempt is silent before there is another one, in place of the scenario's time
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    hedge_delay: Option<Duration>,

    /// Second attempts of one request at most, in place of the scenario's number
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(1..=3))]
    hedge_attempts: Option<u8>,

    /// They may go to a backend that has the request
    #[arg(long)]
    hedge_same: bool,
}

impl HedgeFlags {
    pub(crate) fn adapt(&self, proxies: &mut Proxies) {
        proxies.hedge = self.hedge.unwrap_or(proxies.hedge);
        proxies.hedge_delay = self.hedge_delay.or(proxies.hedge_delay);
        proxies.hedge_attempts = self.hedge_attempts.unwrap_or(proxies.hedge_attempts);
        proxies.hedge_same |= self.hedge_same;
    }
}
