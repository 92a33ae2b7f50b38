//! A scenario as a file: what was run, whatever flags have changed.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde_json::Value;
use tidegate::time::format_duration;

use super::{Arena, Arrivals, Burst, Class, Focus, Group, Load, Proxies, Run, Scenario};

/// As [`Scenario::parse`] reads it. The load is a rate or clients.
impl Display for Scenario {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "about = {}", quoted(&self.about))?;
        self.backends.iter().try_for_each(|backend| write!(f, "\n[[backend]]\n{backend}"))?;
        self.classes.iter().try_for_each(|class| write!(f, "\n[[class]]\n{class}"))?;
        write!(f, "\n[load]\n{}", self.load)?;
        write!(f, "\n[proxies]\n{}", self.proxies)?;
        self.focus.iter().try_for_each(|focus| write!(f, "\n[[focus]]\n{focus}"))?;
        write!(f, "\n[run]\n{}", self.run)?;
        match self.arena {
            arena if arena == Arena::default() => Ok(()),
            arena => write!(f, "\n[arena]\n{arena}"),
        }
    }
}

/// A text with its quotation marks. Escapes of JSON are escapes of TOML.
fn quoted(text: impl Display) -> Value {
    Value::String(text.to_string())
}

fn time(duration: Duration) -> Value {
    quoted(format_duration(duration))
}

/// A line, if there is a value.
fn line(f: &mut Formatter<'_>, key: &str, value: Option<impl Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| writeln!(f, "{key} = {value}"))
}

impl Display for Group {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "count", (self.count != 1).then_some(self.count))?;
        line(f, "service", Some(quoted(&self.service)))?;
        line(f, "slots", self.slots)?;
        line(f, "cores", self.cores)?;
        let script: Vec<Value> = self.script.iter().map(quoted).collect();
        line(f, "script", (!script.is_empty()).then_some(Value::Array(script)))?;
        let drift = self
            .drift
            .map(|drift| format!("{{ sigma = {}, time = {} }}", drift.sigma, time(drift.time)));
        line(f, "drift", drift)?;
        line(f, "errors", (self.errors > 0.0).then_some(self.errors))?;
        line(f, "weight", self.weight)?;
        line(f, "max-in-flight", self.max_in_flight)?;
        line(f, "backup", self.backup.then_some(true))?;
        line(f, "ignore-aborts", self.ignore_aborts.then_some(true))
    }
}

impl Display for Class {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "name", Some(quoted(&self.name)))?;
        line(f, "share", Some(self.share))?;
        line(f, "cost", Some(self.cost))?;
        line(f, "wait", self.wait.map(time))
    }
}

impl Display for Load {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { clients } => line(f, "clients", Some(clients)),
            Self::Open { rate, arrivals, burst } => {
                line(f, "rate", Some(rate))?;
                let is_even = *arrivals == Arrivals::Even;
                line(f, "arrivals", is_even.then(|| quoted("even")))?;
                let burst = burst.map(|Burst { by, time: mean }| {
                    format!("{{ by = {by}, time = {} }}", time(mean))
                });
                line(f, "burst", burst)
            }
        }
    }
}

impl Display for Proxies {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "count", Some(self.count))?;
        line(f, "workers", Some(self.workers))?;
        line(f, "response-timeout", Some(time(self.response_timeout)))?;
        line(f, "max-attempts", Some(self.max_attempts))?;
        line(f, "eject-after", Some(self.eject_after))?;
        line(f, "slow-start", Some(time(self.slow_start)))?;
        line(f, "queue", Some(self.queue))?;
        line(f, "queue-timeout", Some(time(self.queue_timeout)))?;
        line(f, "hedge", Some(self.hedge))?;
        line(f, "hedge-delay", self.hedge_delay.map(time))?;
        line(f, "hedge-attempts", Some(self.hedge_attempts))?;
        line(f, "hedge-same", Some(self.hedge_same))
    }
}

impl Display for Focus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "name", Some(quoted(&self.name)))?;
        line(f, "during", self.during.map(quoted))?;
        line(f, "class", self.class.as_ref().map(quoted))
    }
}

impl Display for Run {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "warm-up", Some(time(self.warm_up)))?;
        line(f, "length", Some(time(self.length)))?;
        line(f, "seeds", Some(self.seeds))
    }
}

impl Display for Arena {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        line(f, "warm-up", Some(time(self.warm_up)))?;
        line(f, "length", Some(time(self.length)))?;
        line(f, "time", self.time)
    }
}
