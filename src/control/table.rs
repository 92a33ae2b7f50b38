//! The table of settings: command line, environment, `--check` and documents are made from it.
//!
//! To add a setting, add a field with its default to `proxy/settings.rs` and an entry here.

use std::num::NonZeroU64;

use super::format::{
    AdminAddress, Choice, Cidr, List, ListenAddress, Log, NameServer, Or, PinList, Port, Switch,
    Time, Upstream, at_least, between,
};
use super::setting::{At, Change, Group, Setting, Spelling};
use crate::proxy::settings::{Confinement, HalfClose, UpstreamReuse};

/// A place in the plan, and the format of its value.
macro_rules! at {
    ($($place:tt).+, $format:expr) => {
        &At { format: $format, get: |it| &it.$($place).+, get_mut: |it| &mut it.$($place).+ }
    };
}

/// The columns that most settings share. A new value takes effect while the proxy runs.
const RUNNING: Setting = Setting {
    name: "",
    spelling: Spelling::Long,
    value: "",
    unit: "",
    brief: "",
    help: "",
    change: Change::Running,
    part: at!(settings.verbose, Switch),
};

/// Like [`RUNNING`], but a new value takes effect at a restart.
const RESTART: Setting = Setting { change: Change::Restart, ..RUNNING };

mod balancing;

use balancing::BALANCING;

/// All settings, in the order of the table.
pub fn all() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The table.
pub static GROUPS: &[Group] = &[
    Group { heading: "Proxying", settings: PROXYING },
    Group { heading: "Balancing", settings: BALANCING },
    Group { heading: "Names", settings: NAMES },
    Group { heading: "Cores", settings: CORES },
    Group { heading: "Timeouts", settings: TIMEOUTS },
    Group { heading: "Limits", settings: LIMITS },
    Group { heading: OTHER, settings: OTHERS },
];

/// The name of the setting that backends are.
pub(super) const UPSTREAM: &str = "upstream";

/// The heading of the last group.
pub(super) const OTHER: &str = "Other";

static PROXYING: &[Setting] = &[
    Setting {
        name: UPSTREAM,
        value: "URL|unix:PATH",
        brief: "A backend, http://host[:port]; may be repeated",
        help: "A backend: `http://host[:port]`, or `unix:/path/to/socket`; may be repeated. \
               Options follow it, as in `'http://a:8080 weight=3 max-in-flight=8 backup'`: its \
               share of the requests, how many it gets at a time in all, and that it gets \
               requests only while no other backend takes them. `drained` is one that gets none. \
               With `resolve=all` each address of its name is a backend by itself",
        part: at!(backends, List(Upstream)),
        ..RUNNING
    },
    Setting {
        name: "listen",
        value: "ADDR:PORT|unix:PATH",
        brief: "Address to listen on; may be repeated",
        help: "Address to listen on; may be repeated. `[::]:9090` accepts IPv4 as well. The file \
               of a Unix socket has mode 0666, or as in `'unix:/run/tidegate.sock mode=0660'`",
        part: at!(settings.listen, List(ListenAddress)),
        ..RUNNING
    },
    Setting {
        name: "port",
        spelling: Spelling::InPlaceOf("listen"),
        value: "N",
        brief: "Port to listen on: short for --listen 0.0.0.0:N",
        help: "Port to listen on at every IPv4 address: short for `--listen 0.0.0.0:N`",
        part: at!(settings.listen, Port),
        ..RUNNING
    },
    Setting {
        name: "connections",
        value: "MODE",
        brief: "Upstream: persistent or non-persistent",
        help: "How upstream connections are used. persistent: kept alive and reused. \
               non-persistent: one per request; the client's connection is closed after it, too",
        part: at!(
            settings.upstream_reuse,
            Choice(&[
                (UpstreamReuse::Persistent.name(), UpstreamReuse::Persistent),
                (UpstreamReuse::NonPersistent.name(), UpstreamReuse::NonPersistent),
            ])
        ),
        ..RUNNING
    },
    Setting {
        name: "client-half-close",
        value: "MEANING",
        help: "What it means that a client closes its sending side before it has its response. \
               cancel: it has left; its request is cancelled at the backend and logged as 499. \
               allow: it still reads, as `nc -N` does; its request is answered",
        part: at!(
            settings.half_close,
            Choice(&[("cancel", HalfClose::Cancel), ("allow", HalfClose::Allow)])
        ),
        ..RUNNING
    },
    Setting {
        name: "trusted-proxy",
        value: "CIDR|unix:",
        brief: "Proxy whose X-Forwarded-* fields are kept; may be repeated",
        help: "Address or network of proxies in front of this one, or `unix:` for those that \
               connect to a Unix socket; may be repeated. Their `X-Forwarded-*` and `Forwarded` \
               fields are kept, those of other clients are replaced",
        part: at!(settings.trusted.0, List(Cidr)),
        ..RUNNING
    },
    Setting {
        name: "log",
        value: "FILE|none",
        brief: "CSV file with one row per request, - for standard output",
        help: "CSV file with one row per request, `-` for standard output, or `none`. \
               `<policy>` and `<connections>` in its name become the values of these settings",
        part: at!(settings.log, Or("none", Log)),
        ..RUNNING
    },
    Setting {
        name: "decisions",
        value: "FILE|none",
        help: "File with one JSON object per choice that is recorded: the backends, what was known \
               of each, which one it was and why; `-` for standard output, or `none`. \
               `<policy>` and `<connections>` in its name become the values of these settings",
        part: at!(settings.decisions, Or("none", Log)),
        ..RUNNING
    },
    Setting {
        name: "decision-sample",
        value: "N",
        help: "Every so many choices of a worker are recorded. Unusual ones always are: first \
               measurements, probes, retries, hedges, those of requests that waited in the \
               queue, the first after an ejection, and those while only one backend or none \
               takes requests",
        part: at!(settings.decision_sample, between(1, 1_000_000)),
        ..RUNNING
    },
];

static NAMES: &[Setting] = &[
    Setting {
        name: "resolve-every",
        value: "DURATION",
        help: "How often the name of a backend is looked up; sooner if its TTL is shorter, or if \
               no address answers. Up to a tenth sooner, at random, so that many proxies don't \
               ask together",
        part: at!(settings.names.every, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "resolve-hold",
        value: "DURATION",
        help: "How long the addresses of a name stay in use once servers say that it does not \
               exist or has none. While servers fail or don't answer, they stay in use",
        part: at!(settings.names.hold, Time::Any),
        ..RUNNING
    },
    Setting {
        name: "resolver",
        value: "ADDR[:PORT]",
        help: "A name server; may be repeated. They are asked in place of those of \
               `/etc/resolv.conf`",
        part: at!(settings.names.servers, List(NameServer)),
        ..RUNNING
    },
];

static CORES: &[Setting] = &[
    Setting {
        name: "workers",
        value: "N|auto",
        brief: "Event loops, one thread each",
        help: "Event loops, one thread each. `auto`: one per core that may be used, or per core \
               that --pin lists",
        part: at!(settings.workers, Or("auto", between(1, 1024))),
        ..RESTART
    },
    Setting {
        name: "pin",
        value: "auto|none|LIST",
        brief: "Cores of the workers; auto: one each",
        help: "Cores the workers stay on: `auto` for one each, `none`, or a list such as 0,2",
        part: at!(settings.pin, PinList),
        ..RESTART
    },
];

static TIMEOUTS: &[Setting] = &[
    Setting {
        name: "connect-timeout",
        value: "DURATION",
        brief: "To connect to a backend, per address",
        help: "To connect to a backend, per address",
        part: at!(settings.timeouts.connect, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "response-timeout",
        value: "DURATION|off",
        brief: "Until a response head arrives; then 504",
        help: "For a backend that has the request to send the head of its response, and to take \
               more of a request that it has not taken whole; then the client gets 504",
        part: at!(settings.timeouts.response, Or("off", Time::Positive)),
        ..RUNNING
    },
    Setting {
        name: "stream-timeout",
        value: "DURATION|off",
        help: "For the next byte of a response's body",
        part: at!(settings.timeouts.stream, Or("off", Time::Positive)),
        ..RUNNING
    },
    Setting {
        name: "tunnel-timeout",
        value: "DURATION|off",
        help: "For a tunnel, such as a WebSocket, in which no byte moves",
        part: at!(settings.timeouts.tunnel, Or("off", Time::Positive)),
        ..RUNNING
    },
    Setting {
        name: "queue-timeout",
        value: "DURATION",
        help: "For a backend below its limit, while a request waits in the queue; then 503",
        part: at!(settings.timeouts.queue, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "header-timeout",
        value: "DURATION",
        help: "For the whole head of a request, and for the first byte of a new connection",
        part: at!(settings.timeouts.header, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "body-timeout",
        value: "DURATION",
        help: "For the client's next progress while it sends a body or reads a response",
        part: at!(settings.timeouts.body, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "client-idle-timeout",
        value: "DURATION",
        help: "For an idle client connection",
        part: at!(settings.timeouts.client_idle, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "upstream-idle-timeout",
        value: "DURATION",
        help: "For an idle upstream connection in the pool",
        part: at!(settings.timeouts.upstream_idle, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "shutdown-delay",
        value: "DURATION",
        brief: "To go on accepting once told to stop",
        help: "How long a proxy that is told to stop goes on accepting clients, while --health \
               fails already, so that a load balancer in front of it learns of it",
        part: at!(settings.timeouts.shutdown_delay, Time::Any),
        ..RUNNING
    },
    Setting {
        name: "drain-timeout",
        value: "DURATION",
        brief: "For requests in flight at the stop",
        help: "For what is in flight when the proxy stops",
        part: at!(settings.timeouts.drain, Time::Any),
        ..RUNNING
    },
    Setting {
        name: "backend-drain-timeout",
        value: "DURATION",
        help: "For what is in flight at a backend that is removed while the proxy runs",
        part: at!(settings.timeouts.backend_drain, Time::Any),
        ..RUNNING
    },
];

static LIMITS: &[Setting] = &[
    Setting {
        name: "max-head-bytes",
        value: "BYTES",
        help: "Size of a request's or a response's head",
        part: at!(settings.limits.head_bytes, between(256, 65_535)),
        ..RUNNING
    },
    Setting {
        name: "max-headers",
        value: "N",
        help: "Header fields of a request or a response",
        part: at!(settings.limits.headers, between(1, 4096)),
        ..RUNNING
    },
    Setting {
        name: "max-body-bytes",
        value: "BYTES|off",
        brief: "Size of a request's body",
        help: "Size of a request's body",
        part: at!(settings.limits.body_bytes, Or("off", at_least(0))),
        ..RUNNING
    },
    Setting {
        name: "min-body-rate",
        value: "BYTES|off",
        unit: "B/s",
        help: "Bytes per second that a request's body must keep up once --body-timeout has passed",
        part: at!(settings.limits.body_rate, Or("off", at_least(NonZeroU64::MIN))),
        ..RUNNING
    },
    Setting {
        name: "max-connections",
        value: "N",
        unit: "per worker",
        brief: "Client connections per worker",
        help: "Client connections per worker; at the limit idle ones are closed, or accepting \
               pauses",
        part: at!(settings.limits.connections, at_least(1)),
        ..RUNNING
    },
    Setting {
        name: "pool-size",
        value: "N",
        unit: "per backend and worker",
        help: "Idle upstream connections kept per backend and worker",
        part: at!(settings.limits.pool, at_least(0)),
        ..RUNNING
    },
];

static OTHERS: &[Setting] = &[
    Setting {
        name: "admin",
        value: "ADDRESS",
        help: "Address of the admin API, which tidegatectl asks; may be repeated. `unix:PATH` is a \
               socket for this user alone, at which backends can be changed. `127.0.0.1:9091` only \
               tells; another address than the loopback needs `'ADDR:PORT exposed'`. Requests name \
               localhost, an address of this host, or `host=NAME`",
        part: at!(settings.admin, List(AdminAddress)),
        ..RESTART
    },
    Setting {
        name: "sandbox",
        value: "MODE",
        help: "Whether the proxy is kept, by Landlock, from writing anywhere but in the folders of \
               its logs and its Unix sockets, and from starting programs. auto: where the kernel \
               can do that. require: it does not start where the kernel can't. off: never",
        part: at!(
            settings.confinement,
            Choice(&[
                ("auto", Confinement::Auto),
                ("off", Confinement::Off),
                ("require", Confinement::Require),
            ])
        ),
        ..RESTART
    },
    Setting {
        name: "verbose",
        spelling: Spelling::Short('v'),
        brief: "Print a line per decision",
        help: "Print a line per decision",
        part: at!(settings.verbose, Switch),
        ..RESTART
    },
];
