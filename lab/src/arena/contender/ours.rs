//! Tidegate and the rival on hyper in the arena.

use tidegate::balance::Policy;

use super::{Job, Recipe};
use crate::process;
use crate::scenario::Proxies;

/// How tidegate does the job.
pub(super) fn tidegate(policy: Policy, job: &Job<'_>) -> Recipe {
    let proxies = job.proxies;
    let upstreams = job.backends.iter().map(|backend| {
        let mut words = vec![format!("http://{}", backend.address)];
        if backend.weight != 1 {
            words.push(format!("weight={}", backend.weight));
        }
        words.extend(backend.max_in_flight.map(|limit| format!("max-in-flight={limit}")));
        if backend.backup {
            words.push("backup".to_owned());
        }
        words.join(" ")
    });
    let mut args = common(policy.name(), job, upstreams);
    let eject_after = match proxies.eject_after {
        0 => "off".to_owned(),
        number => number.to_string(),
    };
    let slow_start = match proxies.slow_start.as_millis() {
        0 => "off".to_owned(),
        ms => format!("{ms}ms"),
    };
    let settings = [
        ("--response-timeout", format!("{}ms", proxies.response_timeout.as_millis())),
        ("--max-attempts", proxies.max_attempts.to_string()),
        ("--eject-after", eject_after),
        ("--slow-start", slow_start),
        ("--queue", proxies.queue.to_string()),
        ("--queue-timeout", format!("{}ms", proxies.queue_timeout.as_millis())),
    ];
    args.extend(settings.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]));
    args.extend(hedging(proxies));
    if let Some((folder, number)) = job.log {
        let number = if number == 1 { String::new() } else { format!(".{number}") };
        let file = |end| folder.join(format!("{}{number}.{end}", policy.name()));
        let [log, choices] = ["csv", "jsonl"].map(|end| file(end).display().to_string());
        let words = ["--log", &log, "--decisions", &choices, "--decision-sample", "10"];
        args.extend(words.map(str::to_owned));
    } else {
        args.extend(["--log", "none"].map(str::to_owned));
    }
    Recipe { files: vec![], variables: vec![], args }
}

/// Second attempts, if the scenario has any.
fn hedging(proxies: &Proxies) -> Vec<String> {
    if proxies.hedge == 0 {
        return Vec::new();
    }
    let (part, attempts) = (proxies.hedge.to_string(), proxies.hedge_attempts.to_string());
    let mut args = ["--hedge", &part, "--hedge-attempts", &attempts].map(str::to_owned).to_vec();
    if let Some(delay) = proxies.hedge_delay {
        args.extend(["--hedge-delay".to_owned(), format!("{}us", delay.as_micros())]);
    }
    args.extend(proxies.hedge_same.then(|| "--hedge-same".to_owned()));
    args
}

/// How the rival does the job.
pub(super) fn hyper(job: &Job<'_>) -> Recipe {
    let upstreams = job.backends.iter().map(|backend| format!("http://{}", backend.address));
    let mut args = common("p2c-peak-ewma", job, upstreams);
    let timeout = format!("{}ms", job.proxies.response_timeout.as_millis());
    let words = ["--client", "own-pool", "--response-timeout", &timeout, "--log", "none"];
    args.extend(words.map(str::to_owned));
    Recipe { files: vec![], variables: vec![], args }
}

/// What is spelled the same in both.
fn common(policy: &str, job: &Job<'_>, upstreams: impl Iterator<Item = String>) -> Vec<String> {
    let (listen, workers) = (job.listen.to_string(), job.proxies.workers.to_string());
    // Several workers share a core if there are too few.
    let cores: Vec<usize> = job.cores.iter().copied().cycle().take(job.proxies.workers).collect();
    let pin = process::list(&cores);
    let words = [policy, "--listen", &listen, "--workers", &workers, "--pin", &pin];
    let upstreams = upstreams.flat_map(|upstream| ["--upstream".to_owned(), upstream]);
    words.into_iter().map(str::to_owned).chain(upstreams).collect()
}

pub(super) const TIDEGATE_CHOICES: [&str; 5] = [
    "its defaults, with the policy that the name says",
    "--response-timeout, --max-attempts, --eject-after, --slow-start, --queue, --queue-timeout: \
     those of the scenario, which are the defaults unless it says otherwise",
    "--hedge and its delay, attempts and --hedge-same: those of the scenario, off unless it says \
     otherwise",
    "weights, limits and backups are options of the upstreams",
    "--log none: no contender logs requests, unless --logs asks for it",
];

pub(super) const HYPER_CHOICES: [&str; 5] = [
    "p2c-peak-ewma: tower's `Balance` over `PeakEwma` with linkerd's constants: 30 ms at first, a \
     decay of 10 s",
    "--client own-pool: up to 512 idle connections for each backend, the one used last first",
    "--response-timeout: that of the scenario",
    "no retry and no ejection: tower's balance has neither; a failure is a latency like any other, \
     so what fails fast is preferred",
    "weights, limits and backups are not carried over, because tower's balance has none",
];
