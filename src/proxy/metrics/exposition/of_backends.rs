//! The metrics of each backend.

use std::fmt;

use super::families::{
    CLASSES, Family, Names, by_label, bytes, counter, gauge, histogram, seconds,
};
use super::scrape::{BackendFigures, Scrape, State};
use crate::balance::Reason;

const BACKEND: Names = &["backend"];

pub(super) static FAMILIES: &[Family] = &[
    gauge(
        "tidegate_backend_state",
        &["backend", "state"],
        "1 for the state that the backend is in, else 0: up; ejected, because its requests failed \
         or the admin said so; probing, to see whether it is back; down, because its check failed \
         or its name has no address; drained, by the admin; draining, because it was removed.",
        |all, out| {
            each(all, |name, it| {
                State::ALL.iter().try_for_each(|state| {
                    out.level(&[name, state.name()], u64::from(*state == it.state))
                })
            })
        },
    ),
    counter(
        "tidegate_backend_ejections",
        &["backend", "reason"],
        "How often the backend was taken out: refused, it could not be reached; failures, several \
         in a row; check, its active check failed; admin, for a while.",
        |all, out| {
            each(all, |name, it| {
                let ejections = it.counted.ejections;
                out.count(&[name, "refused"], ejections.refused)?;
                out.count(&[name, "failures"], ejections.failures)?;
                out.count(&[name, "check"], ejections.checks)?;
                out.count(&[name, "admin"], ejections.admin)
            })
        },
    ),
    gauge(
        "tidegate_backend_weight",
        BACKEND,
        "The weight of the backend, which is a part of the configured one during its slow start; 0 \
         once it is removed.",
        |all, out| each(all, |name, it| out.gauge(&[name], it.weight)),
    ),
    gauge(
        "tidegate_backend_max_in_flight",
        BACKEND,
        "The limit of what the backend has in flight, if it has one.",
        |all, out| {
            each(all, |name, it| {
                it.max_in_flight.map_or(Ok(()), |limit| out.level(&[name], limit.into()))
            })
        },
    ),
    gauge(
        "tidegate_backend_in_flight",
        &["backend", "kind"],
        "What the backend has in flight: requests, parked ones, which wait for something else than \
         its speed, and tunnels.",
        |all, out| {
            each(all, |name, it| {
                out.level(&[name, "request"], it.in_flight.into())?;
                out.level(&[name, "parked"], it.parked.into())?;
                out.level(&[name, "tunnel"], it.tunnels.into())
            })
        },
    ),
    seconds(gauge(
        "tidegate_backend_estimate_seconds",
        BACKEND,
        "The latency that the policy expects of the backend, once it is measured.",
        |all, out| {
            each(all, |name, it| {
                it.estimate.map_or(Ok(()), |estimate| out.gauge(&[name], estimate.as_secs_f64()))
            })
        },
    )),
    gauge(
        "tidegate_backend_score",
        BACKEND,
        "What the policy goes by, once the backend is measured: the least is chosen. Its unit is \
         the policy's own.",
        |all, out| each(all, |name, it| it.score.map_or(Ok(()), |score| out.gauge(&[name], score))),
    ),
    counter(
        "tidegate_backend_choices",
        &["backend", "reason"],
        "Choices that fell on the backend, by the word for the reason.",
        |all, out| {
            each(all, |name, it| {
                let choices = Reason::ALL.iter().zip(it.counted.choices);
                choices
                    .into_iter()
                    .try_for_each(|(why, count)| out.count(&[name, why.name()], count))
            })
        },
    ),
    counter(
        "tidegate_backend_requests",
        &["backend", "class"],
        "Requests whose last attempt was sent to the backend, by the class of their status.",
        |all, out| {
            each(all, |name, it| {
                let traffic = &it.counted.traffic;
                CLASSES
                    .iter()
                    .try_for_each(|(class, word)| out.count(&[name, word], traffic.answers(*class)))
            })
        },
    ),
    counter(
        "tidegate_backend_faults",
        &["backend", "fault"],
        "Those of them with which something went wrong, by the label of the fault.",
        |all, out| each(all, |name, it| by_label(&[name], &it.counted.traffic.faults, out)),
    ),
    counter(
        "tidegate_backend_failed_attempts",
        &["backend", "fault"],
        "Attempts at the backend that failed while their request went on with another attempt.",
        |all, out| each(all, |name, it| by_label(&[name], &it.counted.failed_attempts, out)),
    ),
    counter(
        "tidegate_backend_retries",
        BACKEND,
        "Attempts beyond the first, of requests whose last attempt was sent to the backend.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.traffic.retries)),
    ),
    counter(
        "tidegate_backend_hedges",
        BACKEND,
        "Hedges that were sent to the backend.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.hedges)),
    ),
    counter(
        "tidegate_backend_hedges_won",
        BACKEND,
        "Those whose answer was the first.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.hedges_won)),
    ),
    bytes(counter(
        "tidegate_backend_request_bytes",
        BACKEND,
        "Bytes of requests whose last attempt was sent to the backend.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.traffic.request_bytes)),
    )),
    bytes(counter(
        "tidegate_backend_response_bytes",
        BACKEND,
        "Bytes of the responses to them.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.traffic.response_bytes)),
    )),
    histogram(
        "tidegate_backend_latency_seconds",
        BACKEND,
        "As tidegate_latency_seconds, of requests whose last attempt was sent to the backend.",
        |all, out| each(all, |name, it| out.histogram(&[name], &it.counted.latencies.steps())),
    ),
    histogram(
        "tidegate_backend_connect_seconds",
        BACKEND,
        "How long it took to open a connection to the backend.",
        |all, out| each(all, |name, it| out.histogram(&[name], &it.counted.connects)),
    ),
    counter(
        "tidegate_backend_opened_connections",
        BACKEND,
        "Connections to the backend that were opened for requests, or tried to be.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.opened)),
    ),
    gauge(
        "tidegate_backend_open_connections",
        BACKEND,
        "Connections to the backend that are open, or being opened.",
        |all, out| each(all, |name, it| out.level(&[name], it.counted.open)),
    ),
    gauge(
        "tidegate_backend_idle_connections",
        BACKEND,
        "Those of them that serve no request: in the pool, or kept for a client.",
        |all, out| each(all, |name, it| out.level(&[name], it.counted.idle())),
    ),
    counter(
        "tidegate_backend_checks",
        BACKEND,
        "Active checks of the backend that came to a result.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.checks)),
    ),
    counter(
        "tidegate_backend_failed_checks",
        &["backend", "reason"],
        "Those of them that failed: status, if it was not expected, or the label of the fault.",
        |all, out| each(all, |name, it| by_label(&[name], &it.counted.failed_checks, out)),
    ),
    counter(
        "tidegate_backend_unmade_checks",
        BACKEND,
        "Active checks that were not made, because the proxy had no descriptor, port or memory.",
        |all, out| each(all, |name, it| out.count(&[name], it.counted.unmade_checks)),
    ),
];

/// Each backend with its name.
fn each(all: &Scrape, mut tell: impl FnMut(&str, &BackendFigures) -> fmt::Result) -> fmt::Result {
    all.backends.iter().try_for_each(|backend| tell(&backend.name, backend))
}
