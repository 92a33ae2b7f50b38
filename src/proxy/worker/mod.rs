//! One event loop: moves bytes between the sockets of `reactor` and the exchanges.
//!
//! It decides nothing about HTTP or balancing. Within a turn it first notes what happened to all
//! connections, drops pooled ones that died, and only then serves clients, stage by stage
//! (`stages`), so that no request is handed to a connection whose end was in the same batch of
//! events. Timers come last, so that an answer and its timeout in one turn count as an answer.

mod accept;
mod actions;
mod attempt;
mod commands;
mod discard;
mod invariants;
mod queue;
mod room;
mod stages;
#[cfg(test)]
pub(super) mod tests;
mod upstreams;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use self::accept::Listeners;
use self::upstreams::Upstreams;
use super::accept_balancer::AcceptBalancer;
use super::backends::Backends;
use super::budget::RetryBudget;
use super::connection::{Client, InFlight, Links, Standing, Task};
use super::decisions;
use super::exchange::{Context, Exchange, Phase, Side, StreamEnd};
use super::hedging::Hedger;
use super::listeners::OwnListener;
use super::mailbox::Mailboxes;
use super::metrics::{Metrics, WorkerMetrics};
use super::peer::Peer;
use super::pool::Pool;
use super::queue::{Queue, WorkerQueue};
use super::resolver::{LocalResolver, Resolver};
use super::settings::Settings;
use crate::balance::Balancer;
use crate::buffer::FreeList;
use crate::http::Headers;
use crate::journal::RecordSender;
use crate::reactor::{Event, Key, LazyTimer, LazyTimers, Lists, Poller, Slots};

/// Kinds of keys.
const LISTENER: u8 = 1;
const CLIENT: u8 = 2;
const UPSTREAM: u8 = 3;
const CLOCK: u8 = 4;

/// The timers for the end of the shutdown delay, and of draining.
const DELAY_END: Key = Key::fixed(CLOCK, 0);
const DRAIN_END: Key = Key::fixed(CLOCK, 1);

/// The timer for the end of what is in flight at addresses that names do not have any more.
const FORMER_END: Key = Key::fixed(CLOCK, 3);

/// The timer that has each event loop turn now and then, so that those who watch know how late it
/// is even if nothing happens.
const HEARTBEAT: Key = Key::fixed(CLOCK, 2);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);

/// The lists of clients with something to do: those whose upstreams have sent something, and the
/// others. Each client is in one of them and there once, however many events and leftovers put it
/// there, so none gets more of a turn than another.
const ANSWERED: usize = 0;
const READY: usize = 1;

/// The list of clients that ask nothing, in the order in which they came to that.
const IDLE: usize = 2;

/// Clients that are only read until they end, in the order in which they began to be.
const LEAVING: usize = 3;

/// Choices that are kept for the admin, if there is one.
pub const CHOICES_KEPT: usize = 200;

/// Exchanges kept for reuse.
const SPARE_EXCHANGES: usize = 1024;

/// How long an idle connection is kept when the proxy is stopping, so that a request already on its
/// way is answered instead of reset.
const QUIET: Duration = Duration::from_millis(250);

/// What all workers share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) settings: Arc<Settings>,
    pub(super) resolver: Arc<Resolver>,
    pub(super) mailboxes: Arc<Mailboxes>,
    pub(super) accept_balancer: Arc<AcceptBalancer>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) hedger: Arc<Hedger>,
    pub(super) queue: Arc<Queue>,
}

impl Shared {
    /// What workers share that have these backends.
    pub(super) fn new(settings: Settings, backends: &Backends) -> Self {
        Self {
            settings: Arc::new(settings),
            resolver: Arc::clone(&backends.resolver),
            accept_balancer: Arc::new(AcceptBalancer::new(Arc::clone(&backends.mailboxes))),
            mailboxes: Arc::clone(&backends.mailboxes),
            metrics: backends.metrics(),
            hedger: Arc::default(),
            queue: Arc::clone(&backends.queue),
        }
    }
}

/// What a worker lends to its exchanges, beside the time.
struct WorkerContext {
    settings: Arc<Settings>,
    balancer: Balancer,
    budget: RetryBudget,
    hedger: Arc<Hedger>,
    queue: WorkerQueue,
    sender: RecordSender,
    metrics: WorkerMetrics,
    free: FreeList,
    headers: Headers,
    date: DateLine,
    phase: Phase,
}

impl WorkerContext {
    fn lend<'a>(&'a mut self, now: Instant, peer: &'a Peer) -> Context<'a> {
        Context {
            now,
            settings: &self.settings,
            balancer: &mut self.balancer,
            budget: &mut self.budget,
            hedger: &self.hedger,
            queue: &self.queue,
            free: &mut self.free,
            headers: &mut self.headers,
            date: self.date.text.as_bytes(),
            peer,
            phase: self.phase,
        }
    }
}

/// The current date, formatted once a second (RFC 9110 §6.6.1).
struct DateLine {
    text: String,
    made: Instant,
}

impl DateLine {
    fn new(now: Instant) -> Self {
        Self { text: httpdate::fmt_http_date(SystemTime::now()), made: now }
    }

    fn refresh(&mut self, now: Instant) {
        if now.duration_since(self.made) >= Duration::from_secs(1) {
            *self = Self::new(now);
        }
    }
}

/// See the module's description.
pub(super) struct Worker {
    /// Which one of them.
    index: usize,
    poller: Poller,
    listeners: Listeners,
    clients: Slots<Client>,
    upstreams: Upstreams,
    client_timers: LazyTimers,
    upstream_timers: LazyTimers,
    former_timer: LazyTimer,
    pool: Pool,
    resolver: LocalResolver,
    #[expect(clippy::vec_box, reason = "they move between here and the clients")]
    spare: Vec<Box<InFlight>>,
    context: WorkerContext,
    mailboxes: Arc<Mailboxes>,
    accept_balancer: Arc<AcceptBalancer>,
    /// Clients by what they are to the next turn; those that wait for an event are in no list.
    order: Lists,
    events: Vec<Event>,
    /// Scratch for the clients that are served together.
    batch: Vec<Key>,
}

impl Worker {
    /// # Errors
    /// When the system gives no descriptors for the loop.
    pub(super) fn new(
        index: usize,
        listeners: Vec<OwnListener>,
        shared: Shared,
        mut balancer: Balancer,
        sender: RecordSender,
        poller: Poller,
    ) -> io::Result<Self> {
        let settings = shared.settings;
        balancer.record(decisions::recording(&settings));
        let metrics = shared.metrics.worker(index);
        let now = poller.now();
        Ok(Self {
            index,
            listeners: Listeners::open(listeners, &poller)?,
            clients: Slots::new(CLIENT),
            upstreams: Upstreams::new(UPSTREAM, metrics.clone()),
            client_timers: LazyTimers::default(),
            upstream_timers: LazyTimers::default(),
            former_timer: LazyTimer::default(),
            pool: Pool::new(settings.limits.pool),
            resolver: LocalResolver::new(shared.resolver),
            spare: Vec::new(),
            context: WorkerContext {
                headers: Headers::new(settings.limits.headers),
                budget: RetryBudget::new(settings.limits.retry_percent, now),
                hedger: shared.hedger,
                queue: WorkerQueue::new(shared.queue, index),
                settings,
                balancer,
                sender,
                metrics,
                free: FreeList::default(),
                date: DateLine::new(now),
                phase: Phase::Serving,
            },
            mailboxes: shared.mailboxes,
            accept_balancer: shared.accept_balancer,
            order: Lists::new(4),
            events: Vec::new(),
            batch: Vec::new(),
            poller,
        })
    }

    /// Serves until the proxy is told to stop and everything in flight has ended.
    ///
    /// # Errors
    /// When the system's event interface fails, which is final.
    pub(super) fn run(mut self) -> io::Result<()> {
        let now = self.poller.now();
        self.poller.timers().wake_at(HEARTBEAT, now + HEARTBEAT_INTERVAL);
        while !self.has_ended() {
            self.turn()?;
        }
        Ok(())
    }

    /// Whether this worker drains, and has served all clients: also those that had connected to a
    /// listener before it was closed.
    fn has_ended(&self) -> bool {
        let is_draining = self.context.phase == Phase::Draining;
        is_draining && self.clients.is_empty() && !self.listeners.has_closing()
    }

    fn turn(&mut self) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        let has_left = !self.order.is_empty(READY) || self.context.queue.is_called();
        let again = has_left || self.listeners.has_pending();
        let now = self.poller.turn(&mut events, again)?;
        self.context.date.refresh(now);
        for event in &events {
            self.note(*event, now);
        }
        if self.mailboxes.has_commands(self.index) {
            self.obey(self.mailboxes.take(self.index), now);
        }
        self.serve_all(now);
        self.serve_called(now);
        self.accept_all(now);
        // Only now, for what has come in this turn has not come too late.
        for event in &events {
            if let Event::Expired { key, at } = *event {
                self.context.metrics.timer_fired(now.saturating_duration_since(at));
                self.expired(key, at, now);
            }
        }
        self.events = events;
        let without_request = self.order.len(IDLE) + self.order.len(LEAVING);
        let open = self.clients.len();
        self.context.metrics.clients(open, open.saturating_sub(without_request));
        self.context.metrics.turned();
        self.check();
        Ok(())
    }

    /// Notes what happened to a connection, and which exchange has to do with it.
    fn note(&mut self, event: Event, now: Instant) {
        match event {
            Event::Ready { key, readiness } => match key.tag() {
                CLIENT => {
                    if let Some(client) = self.clients.get_mut(key) {
                        client.stream.note(readiness);
                        if self.order.list_of(key) != Some(ANSWERED) {
                            self.order.push(READY, key);
                        }
                    }
                }
                UPSTREAM => {
                    let Some(upstream) = self.upstreams.get_mut(key) else { return };
                    upstream.stream.note(readiness);
                    match upstream.task {
                        Task::Serve(client) => self.order.push(ANSWERED, client),
                        Task::Discard(_) => self.discard_more(key, now),
                        // Nothing is owed to us here: it is the end, or bytes nobody asked for.
                        Task::Rest if upstream.stream.can_read() => self.drop_resting(key),
                        Task::Rest => {}
                    }
                }
                _ => self.listeners.mark_pending(key),
            },
            // Timers come last in a turn, and commands are looked for in each.
            Event::Expired { .. } | Event::Woken => {}
        }
    }

    /// A wait may be over; whose, the place of the key tells.
    fn expired(&mut self, key: Key, at: Instant, now: Instant) {
        match key.tag() {
            CLIENT if self.client_timers.fired(key, at) => {
                if let Some(key) = self.clients.occupant(key) {
                    self.client_expired(key, now);
                }
            }
            UPSTREAM if self.upstream_timers.fired(key, at) => {
                let Some(key) = self.upstreams.occupant(key) else { return };
                let Some(upstream) = self.upstreams.get(key) else { return };
                if let Some(client) = upstream.client() {
                    return self.connect_again(key, client, now);
                }
                if upstream.idle_until > now {
                    let deadline = Some(upstream.idle_until);
                    self.upstream_timers.set(deadline, key, self.poller.timers());
                } else {
                    self.drop_resting(key);
                }
            }
            LISTENER => self.listeners.expired(key, at),
            CLOCK if key == DELAY_END => self.drain(now),
            CLOCK if key == FORMER_END && self.former_timer.fired(at) => self.cut_former(now),
            CLOCK if key == HEARTBEAT => {
                self.poller.timers().wake_at(HEARTBEAT, now + HEARTBEAT_INTERVAL);
            }
            CLOCK if key == DRAIN_END => self.stop_all(now),
            _ => {}
        }
    }

    fn client_expired(&mut self, key: Key, now: Instant) {
        if self.client_deadline(key).is_none_or(|deadline| deadline > now) {
            return self.set_client_timer(key);
        }
        let Some(client) = self.clients.get_mut(key) else { return };
        match &mut client.in_flight {
            Some(in_flight) if !in_flight.exchange.is_idle() => {
                in_flight.exchange.expired(&mut self.context.lend(now, &client.peer));
                if self.order.list_of(key) == Some(READY) {
                    // It has had its share of this turn, and goes on in the next one.
                    self.run_actions(key, now);
                    self.set_client_timer(key);
                } else {
                    self.serve_one(key, now);
                }
            }
            _ => self.dismiss(key, now),
        }
    }

    /// Until when a client's request, or the client while it has none, is waited for.
    fn client_deadline(&self, key: Key) -> Option<Instant> {
        let client = self.clients.get(key)?;
        match &client.in_flight {
            Some(in_flight) if !in_flight.exchange.is_idle() => {
                in_flight.exchange.deadline(&self.context.settings.timeouts)
            }
            _ => Some(client.idle_until),
        }
    }

    fn set_client_timer(&mut self, key: Key) {
        let deadline = self.client_deadline(key);
        self.client_timers.set(deadline, key, self.poller.timers());
    }

    /// Ends a client's connection whatever its state; a request in flight gets its row.
    fn abort(&mut self, key: Key, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        if let Some(in_flight) = &mut client.in_flight {
            in_flight.exchange.closed(Side::Client, StreamEnd::Reset);
            self.work(key, now);
        }
        self.drop_client(key);
    }

    /// Closes a connection that rests. A client it is bound to will find it gone.
    fn drop_resting(&mut self, key: Key) {
        self.pool.remove(key);
        self.upstreams.remove(key);
    }

    /// Closes a client's connection, and the upstream's that serves it.
    fn drop_client(&mut self, key: Key) -> Option<Client> {
        let mut client = self.clients.remove(key)?;
        self.order.remove(key);
        if client.standing != Standing::Leaving {
            self.accept_balancer.closed(self.index);
        }
        if let Some(bound) = client.bound.take() {
            self.upstreams.remove(bound);
        }
        if let Some(in_flight) = client.in_flight.take() {
            self.recycle_exchange(in_flight);
        }
        self.listeners.capacity_freed();
        Some(client)
    }

    /// What a client has under way.
    fn in_flight(&mut self, key: Key) -> Option<&mut InFlight> {
        self.clients.get_mut(key)?.in_flight.as_deref_mut()
    }

    /// Keeps an exchange that is over, for the next connection that needs one.
    fn recycle_exchange(&mut self, mut in_flight: Box<InFlight>) {
        for (_, link) in std::mem::take(&mut in_flight.links).iter() {
            self.upstreams.remove(link);
        }
        in_flight.exchange.reset();
        in_flight.exchange.release_buffers(&mut self.context.free);
        if self.spare.len() < SPARE_EXCHANGES {
            self.spare.push(in_flight);
        }
    }
}

/// An exchange for a connection that needs one, used before or new.
#[expect(clippy::vec_box, reason = "they move between the spare ones and the clients")]
fn spare(spare: &mut Vec<Box<InFlight>>, now: Instant) -> Box<InFlight> {
    spare.pop().unwrap_or_else(|| {
        Box::new(InFlight { exchange: Exchange::new(now), links: Links::default() })
    })
}

impl Drop for Worker {
    /// However a worker ends, no other may leave clients to it any more, and what is in flight gets
    /// its row and gives back its lease.
    fn drop(&mut self) {
        self.accept_balancer.retire(self.index);
        let now = self.poller.now();
        for key in self.clients.keys().collect::<Vec<_>>() {
            self.abort(key, now);
        }
        self.context.metrics.ended();
    }
}
