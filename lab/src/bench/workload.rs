//! The kinds of load.

/// One kind of load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Workload {
    /// Its name on the command line and in the results.
    pub name: &'static str,
    /// A short description.
    pub title: &'static str,
    /// The contenders.
    pub line_up: LineUp,
    /// Connections that send the next request as soon as they have an answer.
    pub connections: u32,
    /// Idle connections.
    pub idle: u32,
    /// Bytes of the requests' bodies; 0 is a GET.
    pub request_bytes: usize,
    /// Bytes of the answers' bodies; the backend's default if `None`.
    pub response_bytes: Option<usize>,
    /// Whether every request has a new connection, on both sides of the proxy.
    pub is_fresh: bool,
    /// Requests per second, sent regardless of the answers; if `None`, each connection sends the
    /// next request as soon as it has an answer.
    pub rate_per_s: Option<u32>,
}

/// The contenders of a workload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LineUp {
    /// All: each policy, each client of the rival, with a log and without.
    Everyone,
    /// One of each program: tidegate with a log, the others without.
    OneOfEach,
    /// One worker and two.
    Workers,
    /// Backends at ports, and at Unix sockets.
    Transports,
}

const SMALL: Workload = Workload {
    name: "small-64",
    title: "small response, 64 connections",
    line_up: LineUp::Everyone,
    connections: 64,
    idle: 0,
    request_bytes: 0,
    response_bytes: None,
    is_fresh: false,
    rate_per_s: None,
};

/// All workloads.
pub const WORKLOADS: [Workload; 11] = [
    SMALL,
    Workload {
        name: "small-1",
        title: "small response, 1 connection",
        line_up: LineUp::OneOfEach,
        connections: 1,
        ..SMALL
    },
    Workload {
        name: "small-256",
        title: "small response, 256 connections",
        line_up: LineUp::OneOfEach,
        connections: 256,
        ..SMALL
    },
    Workload {
        name: "response-100k",
        title: "response of 100 KiB, 64 connections",
        line_up: LineUp::OneOfEach,
        response_bytes: Some(100 * 1024),
        ..SMALL
    },
    Workload {
        name: "post-16k",
        title: "POST of 16 KiB, 64 connections",
        line_up: LineUp::OneOfEach,
        request_bytes: 16 * 1024,
        ..SMALL
    },
    Workload {
        name: "fresh",
        title: "small response, a fresh connection per request on both sides, 64 at a time",
        line_up: LineUp::OneOfEach,
        is_fresh: true,
        ..SMALL
    },
    Workload {
        name: "idle-1000",
        title: "small response, 64 connections beside 1,000 idle ones",
        line_up: LineUp::OneOfEach,
        idle: 1000,
        ..SMALL
    },
    Workload {
        name: "steady",
        title: "small response, 20,000 requests/s whatever becomes of them, 64 connections",
        line_up: LineUp::OneOfEach,
        rate_per_s: Some(20_000),
        ..SMALL
    },
    Workload {
        name: "workers-2",
        title: "small response, 256 connections, one worker and two",
        line_up: LineUp::Workers,
        connections: 256,
        ..SMALL
    },
    Workload {
        name: "unix-64",
        title: "small response, 64 connections, backends at ports and at Unix sockets",
        line_up: LineUp::Transports,
        ..SMALL
    },
    Workload {
        name: "unix-fresh",
        title: "the same with a fresh connection per request on both sides",
        line_up: LineUp::Transports,
        is_fresh: true,
        ..SMALL
    },
];

/// The workloads of a quick run.
pub const QUICK: [&str; 4] = ["small-64", "response-100k", "fresh", "steady"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_a_quick_run_knows_its_own() {
        let mut names: Vec<_> = WORKLOADS.iter().map(|workload| workload.name).collect();
        for name in QUICK {
            assert!(names.contains(&name), "{name}");
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), WORKLOADS.len());
    }
}
