//! The metrics of the process and of the proxy as a whole.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::encode::Samples;
use super::families::{
    CLASSES, Family, Kind, Names, by_label, bytes, counter, family, gauge, histogram, seconds,
};
use super::scrape::Scrape;
use crate::proxy::metrics::WorkerSnapshot;

const WORKER: Names = &["worker"];

pub(super) static FAMILIES: &[Family] = &[
    // Of the process.
    family(Kind::Info, "tidegate_build", &["version"], "The version of the program.", |_, out| {
        out.info(&[env!("CARGO_PKG_VERSION")])
    }),
    seconds(gauge(
        "process_start_time_seconds",
        &[],
        "When the proxy started, since the Unix epoch.",
        |all, out| out.gauge(&[], unix(all.started)),
    )),
    seconds(counter(
        "process_cpu_seconds",
        &[],
        "Processor time used by the process.",
        |all, out| out.sum(&[], all.process.processor.as_secs_f64()),
    )),
    gauge("process_open_fds", &[], "Descriptors that are open.", |all, out| {
        known(all.process.open_descriptors, out)
    }),
    gauge("process_max_fds", &[], "How many descriptors may be open.", |all, out| {
        known(all.process.most_descriptors, out)
    }),
    bytes(gauge(
        "process_resident_memory_bytes",
        &[],
        "Memory in use by the process.",
        |all, out| known(all.process.resident_bytes, out),
    )),
    bytes(gauge(
        "process_virtual_memory_bytes",
        &[],
        "Address space taken by the process.",
        |all, out| known(all.process.virtual_bytes, out),
    )),
    // Of all clients and requests.
    counter(
        "tidegate_accepted_connections",
        &[],
        "Client connections that were accepted.",
        |all, out| out.count(&[], all.snapshot.accepted),
    ),
    gauge("tidegate_client_connections", &[], "Client connections that are open.", |all, out| {
        out.level(&[], all.snapshot.clients)
    }),
    gauge(
        "tidegate_requests_in_progress",
        &[],
        "Client connections with a request in progress.",
        |all, out| out.level(&[], all.snapshot.outstanding),
    ),
    counter(
        "tidegate_requests",
        &["class"],
        "Requests that ended, by the class of their status. 499 is a client that left before its \
         answer.",
        |all, out| {
            let traffic = &all.snapshot.total.traffic;
            CLASSES.iter().try_for_each(|(class, name)| out.count(&[name], traffic.answers(*class)))
        },
    ),
    counter(
        "tidegate_faults",
        &["fault"],
        "Requests with which something went wrong, by the label of the fault.",
        |all, out| by_label(&[], &all.snapshot.total.traffic.faults, out),
    ),
    bytes(counter(
        "tidegate_request_bytes",
        &[],
        "Bytes of requests that came from clients.",
        |all, out| out.count(&[], all.snapshot.total.traffic.request_bytes),
    )),
    bytes(counter(
        "tidegate_response_bytes",
        &[],
        "Bytes of responses that went to clients.",
        |all, out| out.count(&[], all.snapshot.total.traffic.response_bytes),
    )),
    histogram(
        "tidegate_latency_seconds",
        &[],
        "From the first choice of a backend for a request to the last byte from a backend. Tunnels \
         are left out.",
        |all, out| out.histogram(&[], &all.snapshot.total.latencies.steps()),
    ),
    counter("tidegate_retries", &[], "Attempts beyond the first of their request.", |all, out| {
        out.count(&[], all.snapshot.total.traffic.retries)
    }),
    counter("tidegate_hedges", &[], "Hedges that were sent.", |all, out| {
        out.count(&[], all.snapshot.total.hedges)
    }),
    counter("tidegate_hedges_won", &[], "Those whose answer was the first.", |all, out| {
        out.count(&[], all.snapshot.total.hedges_won)
    }),
    gauge(
        "tidegate_queue_length",
        &[],
        "Requests that wait because all backends are at their limits.",
        |all, out| out.level(&[], all.queue.now as u64),
    ),
    gauge("tidegate_queue_limit", &[], "How many requests may wait so.", |all, out| {
        out.level(&[], all.queue.most as u64)
    }),
    histogram(
        "tidegate_queue_wait_seconds",
        &[],
        "How long requests that ended had waited so, whatever became of them. Those that never \
         waited are left out.",
        |all, out| out.histogram(&[], &all.snapshot.queue_waits),
    ),
    // Of the event loops, the log and the configuration.
    counter("tidegate_worker_turns", WORKER, "Turns of a worker's event loop.", |all, out| {
        workers(all).try_for_each(|(name, worker)| out.count(&[&name], worker.turns))
    }),
    histogram(
        "tidegate_worker_timer_lag_seconds",
        WORKER,
        "How much later than it was due a timer was noticed: what a worker's turns take. There is \
         one timer a second at least.",
        |all, out| {
            workers(all).try_for_each(|(name, worker)| out.histogram(&[&name], &worker.timer_lag))
        },
    ),
    gauge(
        "tidegate_worker_client_connections",
        WORKER,
        "Client connections that are open in a worker.",
        |all, out| workers(all).try_for_each(|(name, worker)| out.level(&[&name], worker.clients)),
    ),
    counter("tidegate_log_rows", &[], "Rows that are in the log.", |all, out| {
        all.log.map_or(Ok(()), |log| out.count(&[], log.rows))
    }),
    counter(
        "tidegate_log_lost_rows",
        &[],
        "Rows that the log could not take, because a disk is full or slow.",
        |all, out| all.log.map_or(Ok(()), |log| out.count(&[], log.lost)),
    ),
    counter(
        "tidegate_decision_log_rows",
        &[],
        "Choices that are in the log of choices.",
        |all, out| all.decisions.map_or(Ok(()), |log| out.count(&[], log.rows)),
    ),
    counter(
        "tidegate_decision_log_lost_rows",
        &[],
        "Choices that were to be logged and are not, because a disk is full or slow.",
        |all, out| all.decisions.map_or(Ok(()), |log| out.count(&[], log.lost)),
    ),
    counter(
        "tidegate_config_reloads",
        &["result"],
        "How often the configuration file was read again: applied, or refused because it is wrong.",
        |all, out| {
            let Some(reloads) = all.reloads else { return Ok(()) };
            out.count(&["applied"], reloads.applied)?;
            out.count(&["refused"], reloads.refused)
        },
    ),
    gauge(
        "tidegate_config_last_reload_successful",
        &[],
        "1 if the configuration file was applied when it was read last, else 0.",
        |all, out| {
            let reloads = all.reloads;
            reloads.map_or(Ok(()), |it| out.level(&[], u64::from(it.is_last_applied)))
        },
    ),
    seconds(gauge(
        "tidegate_config_last_reload_success_timestamp_seconds",
        &[],
        "When the configuration file was applied last, since the Unix epoch.",
        |all, out| all.reloads.map_or(Ok(()), |it| out.gauge(&[], unix(it.applied_at))),
    )),
];

/// Each worker with its number.
fn workers(all: &Scrape) -> impl Iterator<Item = (String, &WorkerSnapshot)> {
    all.snapshot.workers.iter().enumerate().map(|(index, worker)| (index.to_string(), worker))
}

/// A level, if it is known.
fn known(level: Option<u64>, out: &mut Samples<'_>) -> fmt::Result {
    level.map_or(Ok(()), |level| out.level(&[], level))
}

pub(super) fn unix(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
