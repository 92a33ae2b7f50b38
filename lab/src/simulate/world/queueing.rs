//! Requests that wait because all backends are at their limits.

use tidegate::balance::Choice;
use tidegate::proxy::queue::Turn;

use super::attempt::Wait;
use super::{Event, NO_BACKEND, Workload, World};
use crate::fleet::Key;
use crate::scenario::Request as Drawn;

impl<W: Workload> World<'_, W> {
    /// A request waits, or is refused.
    pub(super) fn join_queue(&mut self, key: Key) {
        let Some(request) = self.pending.get(key) else { return };
        let Drawn { proxy, worker, .. } = request.drawn;
        let proxy = &self.proxies[proxy];
        let Some((ticket, turn)) = proxy.join_queue(worker, key.number(), &request.tried) else {
            return self.complete(key, NO_BACKEND);
        };
        let end = self.now + proxy.queue_timeout.saturating_sub(request.waited);
        self.events.push(end, Event::Waited(key));
        request.waits = Some(Wait { ticket, since: self.now, end });
        if turn == Turn::Called {
            self.look(key);
        }
    }

    /// Those whose turn has come look for a backend, until nobody is called.
    pub(super) fn serve_called(&mut self) {
        loop {
            let calls: Vec<_> = (self.proxies.iter().enumerate())
                .flat_map(|(proxy, it)| it.calls().into_iter().map(move |call| (proxy, call)))
                .collect();
            for (proxy, call) in &calls {
                let Some(key) = self.pending.key_of(call.client) else { continue };
                let Some(request) = self.pending.get(key) else { continue };
                let waits = request.waits.as_ref();
                let is_meant = waits.is_some_and(|wait| wait.ticket.is_meant_by(*call));
                if is_meant && request.drawn.proxy == *proxy {
                    self.look(key);
                }
            }
            if calls.is_empty() {
                return;
            }
        }
    }

    fn look(&mut self, key: Key) {
        loop {
            let Some(request) = self.pending.get(key) else { return };
            let Drawn { proxy, worker, .. } = request.drawn;
            let proxy = &mut self.proxies[proxy];
            match proxy.acquire(worker, &request.tried, self.now) {
                Choice::Go(lease) => {
                    if let Some(Wait { ticket, since, .. }) = request.waits.take() {
                        request.waited += self.now - since;
                        proxy.goes(worker, &ticket, self.now);
                    }
                    if !self.try_backend(key, lease, false) && self.may_retry(key) {
                        self.dispatch(key);
                    }
                    return;
                }
                Choice::Nobody => return self.complete(key, NO_BACKEND),
                Choice::Wait => {
                    let Some(Wait { ticket, .. }) = &request.waits else { return };
                    let chance = match ticket.stays() {
                        Turn::Called => continue,
                        Turn::Watches => proxy.next_chance(worker, self.now),
                        Turn::Waits => None,
                    };
                    if let Some(at) = chance {
                        self.events.push(at, Event::Waited(key));
                    }
                    return;
                }
            }
        }
    }

    /// A request has waited too long, or may find a backend.
    pub(super) fn waited(&mut self, key: Key) {
        let Some(request) = self.pending.get(key) else { return };
        let Some(Wait { end, .. }) = &request.waits else { return };
        if *end <= self.now {
            return self.complete(key, NO_BACKEND);
        }
        self.proxies[request.drawn.proxy].freed(request.drawn.worker, self.now);
    }
}
