//! What a worker does on command: takes new settings and clients, frees slots for others, and ends.

use std::sync::Arc;
use std::time::Instant;

use super::super::connection::Target;
use super::super::decisions;
use super::super::exchange::Phase;
use super::super::mailbox::Command;
use super::super::settings::Settings;
use super::{DELAY_END, DRAIN_END, FORMER_END, QUIET, Worker};
use crate::balance::{BackendId, Roster};
use crate::http::Headers;

impl Worker {
    /// Carries commands out, in their order.
    pub(super) fn obey(&mut self, commands: Vec<Command>, now: Instant) {
        for command in commands {
            match command {
                Command::Drain => self.leave(now),
                Command::Settings(settings) => self.configure(settings),
                Command::Roster(roster) => self.take_roster(roster, now),
                Command::Listen(listening) => self.listen(listening, now),
                Command::Moved => self.leave_former_addresses(now),
                Command::Cut(backends) => self.cut(&backends, now),
                Command::Explain(count, asker) => {
                    // The thread that asked may not wait for the answer any more.
                    let _ = asker.send(decisions::explain(&mut self.context.balancer, count, now));
                }
                Command::Capacity => self.make_room_for_others(now),
                Command::Client(newcomer) => self.admit_all([newcomer], now),
            }
        }
    }

    /// Runs by these settings from now on. What was judged by the former ones stands. What is in
    /// flight is waited for by the new timeouts; what is idle keeps its deadline.
    fn configure(&mut self, settings: Arc<Settings>) {
        self.context.headers = Headers::new(settings.limits.headers);
        self.context.budget.set_percent(settings.limits.retry_percent);
        for link in self.pool.set_limit(settings.limits.pool) {
            self.upstreams.remove(link);
        }
        self.context.balancer.record(decisions::recording(&settings));
        self.context.settings = settings;
        for key in self.clients.keys().collect::<Vec<_>>() {
            self.set_client_timer(key);
        }
        // More connections may be allowed now.
        self.listeners.capacity_freed();
    }

    /// Chooses from these backends from now on. Idle connections to others are closed before the
    /// membership learns of it, so a backend that is gone has none. One that is drained needs none.
    fn take_roster(&mut self, roster: Arc<Roster>, now: Instant) {
        for link in self.upstreams.keys().collect::<Vec<_>>() {
            let upstream = self.upstreams.get(link);
            if upstream.is_some_and(|u| u.client().is_none() && !roster.admits(u.backend)) {
                self.drop_resting(link);
            }
        }
        self.context.balancer.set_roster(roster);
        self.context.metrics.forget_gone();
        self.upstreams.forget_gone();
        // One may have joined, or may take more now.
        let balancer = &self.context.balancer;
        self.context.queue.freed(|| balancer.places(now));
    }

    /// Closes idle connections to addresses that their backends do not have any more. Those in use
    /// are closed after it, and no later than those of a backend that was removed. A connection
    /// that is opened later leads to an address of then. One whose address is there again is like
    /// any other.
    fn leave_former_addresses(&mut self, now: Instant) {
        let limit = now + self.context.settings.timeouts.backend_drain;
        for link in self.upstreams.keys().collect::<Vec<_>>() {
            let Some(upstream) = self.upstreams.get_mut(link) else { continue };
            let (address, until) = match upstream.target {
                Target::Ip(address) => (address, limit),
                Target::Former { address, until } => (address, until),
                Target::Unix => continue,
            };
            let is_left = !self.resolver.leads_to(upstream.backend, address);
            upstream.target =
                if is_left { Target::Former { address, until } } else { Target::Ip(address) };
            if is_left && upstream.client().is_none() {
                self.drop_resting(link);
            }
        }
        self.await_former_end();
    }

    /// Has the worker woken when the next connection to a former address is to be cut.
    fn await_former_end(&mut self) {
        let upstreams = self.upstreams.keys().filter_map(|link| self.upstreams.get(link));
        let ends = upstreams.filter_map(|upstream| match upstream.target {
            Target::Former { until, .. } => Some(until),
            _ => None,
        });
        self.former_timer.set(ends.min(), FORMER_END, self.poller.timers());
    }

    /// Ends what has been in flight for too long at addresses that their backends do not have any
    /// more.
    pub(super) fn cut_former(&mut self, now: Instant) {
        for key in self.clients.keys().collect::<Vec<_>>() {
            let Some(client) = self.clients.get_mut(key) else { continue };
            let Some(in_flight) = &mut client.in_flight else { continue };
            let is_over = |link| match self.upstreams.get(link).map(|upstream| upstream.target) {
                Some(Target::Former { until, .. }) => until <= now,
                _ => false,
            };
            let links = in_flight.links.iter().filter(|(_, link)| is_over(*link));
            let attempts: Vec<_> = links.map(|(attempt, _)| attempt).collect();
            if !attempts.is_empty() {
                in_flight
                    .exchange
                    .servers_removed(&attempts, &mut self.context.lend(now, &client.peer));
                self.serve_one(key, now);
            }
        }
        self.await_former_end();
    }

    /// Ends what is in flight at these backends.
    fn cut(&mut self, backends: &[BackendId], now: Instant) {
        for key in self.clients.keys().collect::<Vec<_>>() {
            let Some(client) = self.clients.get_mut(key) else { continue };
            let Some(in_flight) = &mut client.in_flight else { continue };
            in_flight
                .exchange
                .backends_removed(backends, &mut self.context.lend(now, &client.peer));
            if in_flight.exchange.has_actions() {
                self.serve_one(key, now);
            }
        }
    }

    /// Serves for the shutdown delay, then drains.
    fn leave(&mut self, now: Instant) {
        if self.context.phase == Phase::Serving {
            self.context.phase = Phase::Leaving;
            let delay = self.context.settings.timeouts.shutdown_delay;
            self.poller.timers().wake_at(DELAY_END, now + delay);
        }
    }

    /// Accepts no more clients, and finishes what is in flight.
    pub(super) fn drain(&mut self, now: Instant) {
        self.context.phase = Phase::Draining;
        self.close_listeners(now);
        let timeout = self.context.settings.timeouts.drain;
        self.poller.timers().wake_at(DRAIN_END, now + timeout);
        for key in self.clients.keys().collect::<Vec<_>>() {
            let Some(client) = self.clients.get_mut(key) else { continue };
            match &mut client.in_flight {
                Some(in_flight) if !in_flight.exchange.is_idle() => {
                    in_flight.exchange.drain(&mut self.context.lend(now, &client.peer));
                }
                _ => client.idle_until = now + QUIET.min(timeout),
            }
            self.set_client_timer(key);
        }
    }

    /// Draining has lasted long enough.
    pub(super) fn stop_all(&mut self, now: Instant) {
        self.listeners.end_closing();
        for key in self.clients.keys().collect::<Vec<_>>() {
            let Some(client) = self.clients.get_mut(key) else { continue };
            if let Some(in_flight) = &mut client.in_flight {
                in_flight.exchange.stop(&mut self.context.lend(now, &client.peer));
                self.serve_one(key, now);
            }
            self.abort(key, now);
        }
    }
}
