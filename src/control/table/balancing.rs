//! How backends are chosen, left out, checked and asked again.

use super::super::format::{
    Fraction, Or, Percent, PolicyName, ResampleAfter, StatusSet, Switch, Target, Time, at_least,
    between,
};
use super::super::setting::{At, Setting, Spelling};
use super::RUNNING;
use crate::balance::MAX_WINDOW;

pub(super) static BALANCING: &[Setting] = &[
    Setting {
        name: "policy",
        spelling: Spelling::Positional,
        value: "POLICY",
        brief: "adaptive, least-conn, round-robin, adaptive_{sma,ewma}",
        help: "How a backend is chosen. adaptive: the one with the least response time to expect, \
               by its last ones and what it has in flight. least-conn: the one with the fewest \
               requests and tunnels. round-robin: each in turn. adaptive_sma: the one with the \
               lowest mean of its last response times. adaptive_ewma: the one with the lowest \
               exponentially weighted moving average of its response times",
        part: at!(settings.policy, PolicyName),
        ..RUNNING
    },
    Setting {
        name: "sma-window",
        value: "N",
        help: "How many response times of a backend `adaptive_sma` averages",
        part: at!(settings.sma_window, between(1, MAX_WINDOW)),
        ..RUNNING
    },
    Setting {
        name: "ewma-alpha",
        value: "X",
        help: "Weight of the newest response time in `adaptive_ewma`",
        part: at!(settings.ewma_alpha, Fraction),
        ..RUNNING
    },
    Setting {
        name: "resample-after",
        value: "DURATION|auto|off",
        help: "How long a backend may go without a response before an adaptive policy sends it \
               one request to measure it again. auto: 1m under `adaptive`, else off",
        part: at!(settings.resample, ResampleAfter),
        ..RUNNING
    },
    Setting {
        name: "eject-after",
        value: "N|off",
        help: "Failures in a row after which a backend gets no requests for a while. One that \
               refuses connections is ejected at once",
        part: at!(settings.eject_after, Or("off", between(1, u8::MAX))),
        ..RUNNING
    },
    Setting {
        name: "max-ejected",
        value: "PERCENT",
        unit: "% of backends",
        help: "How many of a hundred backends may be ejected by `--eject-after`",
        part: at!(settings.max_ejected, between(0, 100)),
        ..RUNNING
    },
    Setting {
        name: "cooldown",
        value: "DURATION",
        help: "How long a backend is ejected at first; doubled each time it fails again. Up to a \
               tenth less, at random, so that many proxies don't try it together",
        part: at!(settings.cooldown, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "cooldown-max",
        value: "DURATION",
        help: "How long a backend is ejected at most",
        part: at!(settings.cooldown_max, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "slow-start",
        value: "DURATION|off",
        help: "How long the weight of a backend grows, from a tenth, after it was added or came \
               back",
        part: at!(settings.slow_start, Or("off", Time::Positive)),
        ..RUNNING
    },
    Setting {
        name: "probe-timeout",
        value: "DURATION",
        help: "How long one request that measures a backend, the first or one after an ejection, \
               keeps others from it at most",
        part: at!(settings.probe_timeout, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "check-path",
        value: "PATH|off",
        brief: "Ask backends for this, leave out those that fail",
        help: "Ask each backend for this path, such as /healthz, again and again. One that fails \
               gets no requests until it passes. Without it nothing is checked, whatever the \
               other flags of checks say",
        part: at!(settings.checks.path, Or("off", Target)),
        ..RUNNING
    },
    Setting {
        name: "check-interval",
        value: "DURATION",
        help: "From the beginning of a check to that of the backend's next one. Up to a tenth \
               less, at random, so that backends are not all checked together",
        part: at!(settings.checks.interval, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "check-timeout",
        value: "DURATION",
        help: "How long a backend has for the head of its answer, connecting included",
        part: at!(settings.checks.timeout, Time::Positive),
        ..RUNNING
    },
    Setting {
        name: "check-rise",
        value: "N",
        help: "Passed checks in a row after which a backend that was down gets requests again",
        part: at!(settings.checks.rise, between(1, u8::MAX)),
        ..RUNNING
    },
    Setting {
        name: "check-fall",
        value: "N",
        help: "Failed checks in a row after which a backend gets no requests",
        part: at!(settings.checks.fall, between(1, u8::MAX)),
        ..RUNNING
    },
    Setting {
        name: "check-status",
        value: "STATUSES",
        help: "Statuses with which a check passes: one, a range, or several, as in 200,300-399",
        part: at!(settings.checks.statuses, StatusSet),
        ..RUNNING
    },
    Setting {
        name: "max-attempts",
        value: "N",
        help: "Attempts per request, the one that replaces a stale pooled connection included",
        part: at!(settings.limits.attempts, at_least(1)),
        ..RUNNING
    },
    Setting {
        name: "retry-budget",
        value: "PERCENT",
        unit: "% of requests",
        help: "Retries per hundred requests, but at least 3 a second; 0 allows none",
        part: at!(settings.limits.retry_percent, between(0, 100)),
        ..RUNNING
    },
    Setting {
        name: "queue",
        value: "N",
        unit: "requests",
        help: "Requests that wait, in the order in which they came, while all backends are at \
               their `max-in-flight`; the next one is answered 503. With 0 none waits. It is of \
               use where the limits are the numbers of requests that the backends really work on \
               at a time",
        part: at!(settings.limits.queue, at_least(0)),
        ..RUNNING
    },
    Setting {
        name: "hedge",
        value: "PERCENT|off",
        unit: "% of requests",
        help: "Hedges per hundred requests at most, as `5` or `5%`. A hedge is another attempt of \
               a request that may be sent twice, at another backend, while the last one is \
               silent; the first acceptable answer is sent. It goes to no backend that is busy. \
               How much a backend can take is known under `adaptive`; other policies hedge only \
               where nothing is in flight",
        part: at!(settings.hedging.percent, Or("off", Percent)),
        ..RUNNING
    },
    Setting {
        name: "hedge-delay",
        value: "DURATION|auto",
        help: "How long an attempt is silent before a hedge. auto: the time that as many of the \
               last requests exceeded as --hedge allows",
        part: at!(settings.hedging.delay, Or("auto", Time::Positive)),
        ..RUNNING
    },
    Setting {
        name: "hedge-attempts",
        value: "N",
        help: "Hedges per request at most; they don't count in --max-attempts",
        part: at!(settings.hedging.attempts, between(1, 3)),
        ..RUNNING
    },
    Setting {
        name: "hedge-same",
        help: "A hedge may also go to a backend that has an attempt of the same request",
        part: at!(settings.hedging.same, Switch),
        ..RUNNING
    },
];
