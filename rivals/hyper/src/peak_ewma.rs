//! tower's balancing, as services on hyper have it: of two backends that are drawn, the one with
//! the smaller product of its latency and its requests in flight.
//!
//! tower's `Balance` sends requests itself. Here it only chooses: its services are ready at once
//! and answer with their backend, and what measures a latency goes with the request until its
//! answer is here. Constants are linkerd's.

use std::convert::Infallible;
use std::future::{self, Future};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tidegate::balance::BackendId;
use tower::Service;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::completion::TrackCompletion;
use tower::load::{self, peak_ewma};

/// Of a backend that has not answered yet.
const FIRST_LATENCY: Duration = Duration::from_millis(30);
const DECAY: Duration = Duration::from_secs(10);

/// Measures the latency of a request, and counts it as in flight, until this is dropped.
pub(crate) type Latency = peak_ewma::Handle;

type Backends = ServiceList<Vec<load::PeakEwma<Backend, Keep>>>;

/// The balancer of one worker.
pub(crate) struct PeakEwma(Balance<Backends, ()>);

impl PeakEwma {
    pub(crate) fn new(backends: &[BackendId]) -> Self {
        let nanos = DECAY.as_nanos() as f64;
        let measured =
            |id: &BackendId| load::PeakEwma::new(Backend(*id), FIRST_LATENCY, nanos, Keep);
        let backends = backends.iter().map(measured).collect();
        Self(Balance::new(ServiceList::new::<()>(backends)))
    }

    /// The backend of a request that begins now; `None` without backends.
    pub(crate) fn choose(&mut self) -> Option<(BackendId, Latency)> {
        // Nothing has to be woken, because every service is ready at once.
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(())) = self.0.poll_ready(&mut context) else { return None };
        match pin!(self.0.call(())).poll(&mut context) {
            Poll::Ready(chosen) => chosen.ok(),
            Poll::Pending => None,
        }
    }
}

struct Backend(BackendId);

impl Service<()> for Backend {
    type Response = BackendId;
    type Error = Infallible;
    type Future = future::Ready<Result<BackendId, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        future::ready(Ok(self.0))
    }
}

/// Hands out what measures a latency, in place of ending it.
#[derive(Clone)]
struct Keep;

impl TrackCompletion<Latency, BackendId> for Keep {
    type Output = (BackendId, Latency);

    fn track_completion(&self, latency: Latency, backend: BackendId) -> Self::Output {
        (backend, latency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate::balance::{Membership, Options};

    fn ids(count: usize) -> Vec<BackendId> {
        let mut members = Membership::new(Options::default(), crate::now()).expect("options");
        let name = |index| format!("http://{index}");
        (0..count).map(|index| members.add(&name(index)).expect("a backend")).collect()
    }

    #[test]
    fn requests_in_flight_are_spread_and_an_ended_one_makes_room() {
        let ids = ids(2);
        let mut balance = PeakEwma::new(&ids);
        let (first, kept) = balance.choose().expect("a backend");
        let (second, other) = balance.choose().expect("a backend");
        assert_ne!(first, second, "the first has one in flight");
        drop(kept);
        // Both latencies are the first guess still, but one of them has a request in flight.
        assert_eq!(balance.choose().expect("a backend").0, first);
        drop(other);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_counts_against_its_backend() {
        let ids = ids(2);
        let mut balance = PeakEwma::new(&ids);
        let (slow, latency) = balance.choose().expect("a backend");
        tokio::time::advance(FIRST_LATENCY * 2).await;
        drop(latency);
        for _ in 0..20 {
            let (chosen, latency) = balance.choose().expect("a backend");
            assert_ne!(chosen, slow);
            drop(latency);
        }
    }

    #[test]
    fn all_of_many_are_chosen_and_of_one_that_and_of_none_nothing() {
        let ids = ids(100);
        let mut balance = PeakEwma::new(&ids);
        let held: Vec<_> = (0..2000).map(|_| balance.choose().expect("a backend")).collect();
        for id in &ids {
            let count = held.iter().filter(|(chosen, _)| chosen == id).count();
            assert!((10..30).contains(&count), "{count}");
        }
        assert_eq!(PeakEwma::new(&ids[..1]).choose().expect("it").0, ids[0]);
        assert!(PeakEwma::new(&[]).choose().is_none());
    }
}
