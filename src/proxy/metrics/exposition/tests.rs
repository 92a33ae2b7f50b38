use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::balance::{Balancer, Outcome, Role, Tried};
use crate::endpoint::{Client, Endpoint};
use crate::journal::Record;
use crate::proxy::backends::{Backends, Change};
use crate::proxy::locate::Located;
use crate::proxy::mailbox::Command;
use crate::proxy::metrics::WorkerMetrics;
use crate::proxy::settings::{Backend, Settings};
use crate::proxy::worker::tests::settings;
use crate::reactor::Poller;

/// Backends, and the one worker that they have.
struct Rig {
    backends: Backends,
    settings: Arc<Settings>,
    balancer: Balancer,
    worker: WorkerMetrics,
    _poller: Poller,
    now: Instant,
}

fn located(url: &str) -> Located {
    let endpoint = Endpoint::from(std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let backend = Backend { url: url.to_owned(), ..Backend::tcp("127.0.0.1", 1) };
    Located { backend, addresses: Ok(vec![endpoint]) }
}

impl Rig {
    fn new(urls: &[&str]) -> Self {
        let poller = Poller::new(1).expect("a poller");
        let (settings, now) = (Arc::new(settings()), poller.now());
        let located = urls.iter().map(|url| located(url)).collect();
        let backends = Backends::new(&settings, located, vec![poller.waker()], now);
        let mut backends = backends.expect("valid");
        let balancer = backends.balancer();
        let worker = backends.metrics().worker(0);
        Self { backends, settings, balancer, worker, _poller: poller, now }
    }

    fn change(&mut self, added: &[&str], removed: &[&str]) {
        let added = added.iter().map(|url| located(url)).collect();
        let removed = removed.iter().map(|url| located(url).backend).collect();
        let change = Change { added, removed, ..Change::default() };
        self.backends.change(&self.settings, change, self.now).expect("it can be changed");
    }

    /// The worker has the roster as it is now, and what can be gone is.
    fn settle(&mut self) {
        for command in self.backends.mailboxes.take(0) {
            if let Command::Roster(roster) = command {
                self.balancer.set_roster(roster);
            }
        }
        self.worker.forget_gone();
        self.backends.collect(self.now);
    }

    /// A request that is answered with this status after so long.
    fn request(&mut self, status: u16, fault: Option<&'static str>, took: Duration) {
        let choice = self.balancer.acquire(&Tried::default(), self.now);
        let mut lease = choice.lease().expect("a backend");
        self.worker.chosen(lease.backend(), lease.reason());
        self.now += took;
        self.balancer.observe(&mut lease, Outcome::Answered, self.now);
        let record = Record {
            client: Client::Ip(([127, 0, 0, 1], 1).into()),
            status,
            fault,
            latency: Some(took),
            attempts: 1,
            request_bytes: 10,
            ..Record::new(self.now)
        };
        self.worker.record(&record, Some(lease.backend()));
        self.balancer.release(lease);
    }

    fn text(&self, format: Format) -> String {
        let process = Process {
            open_descriptors: Some(7),
            most_descriptors: Some(1024),
            ..Process::default()
        };
        let started = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let reloads =
            Reloads { applied: 1, refused: 2, is_last_applied: false, applied_at: started };
        let observed = self.backends.observe(self.now);
        let logs = [(5, 1), (7, 2)].map(|(rows, lost)| Some(Log { rows, lost }));
        text(Scrape::new(observed, logs, Some(reloads), process, started), format)
    }

    fn read(&self) -> Read {
        read(&self.text(Format::Prometheus), Format::Prometheus)
    }
}

/// What a text says.
#[derive(Debug, Default)]
struct Read {
    /// Types by the names of metrics.
    types: BTreeMap<String, String>,
    /// Values by names and labels, as they are written.
    samples: BTreeMap<String, f64>,
}

impl Read {
    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample}: {:#?}", self.samples))
    }

    fn of_backend(&self, url: &str) -> usize {
        let label = format!("backend=\"{url}\"");
        self.samples.keys().filter(|sample| sample.contains(&label)).count()
    }
}

/// Reads a text as strictly as the format asks.
fn read(text: &str, format: Format) -> Read {
    let mut read = Read::default();
    let mut lines = text.strip_suffix('\n').expect("whole lines").split('\n').peekable();
    let mut current = String::new();
    while let Some(line) = lines.next() {
        if line == "# EOF" {
            assert_eq!((format, lines.next()), (Format::OpenMetrics, None));
            return read;
        }
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, says) = help.split_once(' ').expect("a help");
            assert!(says.ends_with('.') && !says.contains('\\'), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
            let kind = kind.and_then(|kind| kind.strip_prefix(name)).expect("its type");
            assert!(read.types.insert(name.to_owned(), kind.trim().to_owned()).is_none(), "{line}");
            name.clone_into(&mut current);
            continue;
        }
        if let Some(unit) = line.strip_prefix("# UNIT ") {
            let (name, unit) = unit.split_once(' ').expect("a unit");
            assert_eq!((name, format), (&*current, Format::OpenMetrics));
            assert!(name.ends_with(&format!("_{unit}")), "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').expect("a sample");
        let (name, labels) = sample.split_once('{').unwrap_or((sample, "}"));
        assert!(is_of(name, &current, &read.types[&current], format), "{name}: {current}");
        let labels = labels.strip_suffix('}').expect("the end of the labels");
        let value = value.parse().expect("a number");
        let sample = name.to_owned() + &sorted(labels);
        assert!(read.samples.insert(sample, value).is_none(), "twice: {line}");
    }
    assert_eq!(format, Format::Prometheus, "no end");
    read
}

/// The labels in braces, with `le` in front of the others as in one of the formats.
fn sorted(labels: &str) -> String {
    let mut pairs = Vec::new();
    let mut rest = labels;
    while let Some((name, behind)) = rest.split_once("=\"") {
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{labels}");
        let mut is_escaped = false;
        let end = behind.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let (value, behind) = behind.split_at(end.expect("the end of a value"));
        pairs.push((name != "le", format!("{name}=\"{value}\"")));
        rest = behind[1..].strip_prefix(',').unwrap_or(&behind[1..]);
    }
    assert_eq!(rest, "");
    pairs.sort_by_key(|(is_behind, _)| *is_behind);
    let pairs: Vec<String> = pairs.into_iter().map(|(_, pair)| pair).collect();
    if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) }
}

/// Whether a sample may have this name.
fn is_of(name: &str, metric: &str, kind: &str, format: Format) -> bool {
    let suffixes: &[&str] = match (kind, format) {
        ("counter", Format::OpenMetrics) => &["_total"],
        ("info", Format::OpenMetrics) => &["_info"],
        ("histogram", _) => &["_bucket", "_sum", "_count"],
        ("counter" | "gauge", _) => &[""],
        _ => &[],
    };
    name.strip_prefix(metric).is_some_and(|suffix| suffixes.contains(&suffix))
}

#[test]
fn both_formats_are_valid_and_say_the_same() {
    let mut rig = Rig::new(&["http://a:1", "http://b:1"]);
    for _ in 0..3 {
        rig.request(200, None, Duration::from_millis(20));
        rig.request(502, Some("upstream_closed"), Duration::from_millis(1));
    }
    let open = read(&rig.text(Format::OpenMetrics), Format::OpenMetrics);
    let classic = rig.read();
    assert!(open.samples == classic.samples, "{open:#?}\nis not\n{classic:#?}");
    let told = |family: &Family| (family.sample(), family.kind.name().replace("info", "gauge"));
    assert_eq!(classic.types, families().map(told).collect());
    let told = |family: &Family| (family.name.to_owned(), family.kind.name().to_owned());
    assert_eq!(open.types, families().map(told).collect());
    for (sample, value) in [
        ("tidegate_requests_total{class=\"2xx\"}", 3.0),
        ("tidegate_faults_total{fault=\"upstream_closed\"}", 3.0),
        ("tidegate_latency_seconds_bucket{le=\"0.000128\"}", 0.0),
        ("tidegate_latency_seconds_bucket{le=\"0.001024\"}", 3.0),
        ("tidegate_latency_seconds_bucket{le=\"0.032768\"}", 6.0),
        ("tidegate_latency_seconds_bucket{le=\"67.108864\"}", 6.0),
        ("tidegate_latency_seconds_bucket{le=\"+Inf\"}", 6.0),
        ("tidegate_latency_seconds_count", 6.0),
        ("tidegate_latency_seconds_sum", 0.063),
        ("tidegate_log_rows_total", 5.0),
        ("tidegate_log_lost_rows_total", 1.0),
        ("tidegate_decision_log_rows_total", 7.0),
        ("tidegate_decision_log_lost_rows_total", 2.0),
        ("tidegate_config_reloads_total{result=\"refused\"}", 2.0),
        ("tidegate_config_last_reload_successful", 0.0),
        ("tidegate_config_last_reload_success_timestamp_seconds", 1.5),
        ("tidegate_worker_turns_total{worker=\"0\"}", 0.0),
        ("process_open_fds", 7.0),
        ("process_max_fds", 1024.0),
        ("tidegate_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert!((classic.value(sample) - value).abs() < 1e-9, "{sample}");
    }
}

#[test]
fn names_follow_the_conventions_and_are_not_confused() {
    let names: Vec<_> = families().map(|family| family.name).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "each once");
    let reserved = ["_total", "_info", "_created", "_bucket", "_count", "_sum"];
    for family in families() {
        let name = family.name;
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(!reserved.iter().any(|suffix| name.ends_with(suffix)), "{name}");
        assert!(["tidegate_", "process_"].iter().any(|prefix| name.starts_with(prefix)), "{name}");
        let unit = family.unit.unwrap_or_default();
        assert!(name.ends_with(unit) && family.help.ends_with('.'), "{name}");
        let has_unit = ["_seconds", "_bytes"].iter().any(|end| name.ends_with(end));
        assert_eq!(has_unit, family.unit.is_some(), "{name}");
        assert_eq!(name.contains("_backend_"), family.labels.first() == Some(&"backend"), "{name}");
    }
}

#[test]
fn what_stands_between_quotes_is_escaped() {
    let rig = Rig::new(&["unix:/tmp/a\"b\\c\nd", "http://a:1"]);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let read = read(&rig.text(format), format);
        let told = r#"tidegate_backend_weight{backend="unix:/tmp/a\"b\\c\nd"}"#;
        assert_eq!(read.value(told).to_bits(), 1.0_f64.to_bits());
    }
}

#[test]
fn what_a_backend_is_to_requests_is_one_state_of_all() {
    let mut rig = Rig::new(&["http://a:1"]);
    let states = |rig: &Rig| {
        let read = rig.read();
        ["up", "probing", "ejected", "down", "draining"].map(|state| {
            let sample =
                format!("tidegate_backend_state{{backend=\"http://a:1\",state=\"{state}\"}}");
            read.value(&sample) > 0.5
        })
    };
    let count = |rig: &Rig, reason: &str| {
        let label = format!("{{backend=\"http://a:1\",reason=\"{reason}\"}}");
        rig.read().value(&format!("tidegate_backend_ejections_total{label}"))
    };
    assert_eq!(states(&rig), [true, false, false, false, false]);
    let choice = rig.balancer.acquire(&Tried::default(), rig.now);
    let mut lease = choice.lease().expect("a backend");
    rig.balancer.observe(&mut lease, Outcome::Unreachable, rig.now);
    assert_eq!(states(&rig), [false, false, true, false, false]);
    assert!((count(&rig, "refused") - 1.0).abs() < 0.5 && count(&rig, "failures") < 0.5);
    rig.now += rig.settings.cooldown;
    assert_eq!(states(&rig), [false, true, false, false, false]);
    rig.change(&["http://b:1"], &["http://a:1"]);
    assert_eq!(states(&rig), [false, false, false, false, true]);
    rig.balancer.release(lease);
    rig.settle();
    assert_eq!(
        (rig.read().of_backend("http://a:1"), rig.read().of_backend("http://b:1") > 0),
        (0, true)
    );
}

#[test]
fn a_policy_s_view_is_told_once_there_is_one() {
    let mut rig = Rig::new(&["http://a:1"]);
    let of = |name: &str| format!("tidegate_backend_{name}{{backend=\"http://a:1\"}}");
    let unmeasured = rig.read();
    for name in ["estimate_seconds", "score"] {
        assert!(!unmeasured.samples.contains_key(&of(name)), "{name}");
    }
    rig.request(200, None, Duration::from_millis(50));
    let read = rig.read();
    assert!((read.value(&of("estimate_seconds")) - 0.05).abs() < 1e-6);
    // One request more at a backend that had one usually.
    assert!((read.value(&of("score")) - 0.05).abs() < 1e-6);
    let sample = "tidegate_backend_choices_total{backend=\"http://a:1\",reason=\"first\"}";
    assert!((read.value(sample) - 1.0).abs() < 1e-9);
}

/// All counters of `after` that are in `before` are at least as high.
fn assert_grown(before: &Read, after: &Read) {
    for (sample, value) in &before.samples {
        let name = sample.split('{').next().unwrap_or_default();
        let is_counter =
            ["_total", "_bucket", "_count", "_sum"].iter().any(|end| name.ends_with(end));
        if let Some(now) = after.samples.get(sample).filter(|_| is_counter) {
            assert!(now >= value, "{sample} went back from {value} to {now}");
        }
    }
}

#[test]
fn nothing_goes_back_when_backends_are_removed_and_added_again() {
    let url = "http://a:1";
    let mut rig = Rig::new(&[url]);
    let mut before = rig.read();
    let requests = format!("tidegate_backend_requests_total{{backend=\"{url}\",class=\"2xx\"}}");
    for round in 1..=20_u32 {
        // It is added again while the one before still has a request.
        let choice = rig.balancer.acquire(&Tried::default(), rig.now);
        let mut lease = choice.lease().expect("a backend");
        rig.request(200, None, Duration::from_millis(1));
        if round % 3 == 0 {
            rig.balancer.observe(&mut lease, Outcome::Unreachable, rig.now);
        }
        rig.change(&[], &[url]);
        rig.change(&[url], &[]);
        let told = |rig: &mut Rig, before: &mut Read| {
            let now = rig.read();
            assert_grown(before, &now);
            assert!((now.value(&requests) - f64::from(round)).abs() < 0.5, "{round}");
            assert!(
                (now.value("tidegate_requests_total{class=\"2xx\"}") - f64::from(round)).abs()
                    < 0.5
            );
            *before = now;
        };
        told(&mut rig, &mut before);
        rig.settle();
        told(&mut rig, &mut before);
        rig.balancer.release(lease);
        rig.settle();
        told(&mut rig, &mut before);
    }
    let refused =
        format!("tidegate_backend_ejections_total{{backend=\"{url}\",reason=\"refused\"}}");
    assert!((before.value(&refused) - 6.0).abs() < 0.5);
    // Once it is away, its series are, too, and its next ones begin anew.
    rig.change(&["http://b:1"], &[url]);
    rig.settle();
    let without = rig.read();
    assert_eq!(without.of_backend(url), 0);
    assert_grown(&before, &without);
    rig.change(&[url], &[]);
    assert!(rig.read().value(&requests) < 0.5);
    assert!((rig.read().value("tidegate_requests_total{class=\"2xx\"}") - 20.0).abs() < 0.5);
}

#[test]
fn backends_of_one_name_are_one_series() {
    let mut rig = Rig::new(&["http://a:1", "http://a:1"]);
    for _ in 0..4 {
        rig.request(200, None, Duration::from_millis(1));
    }
    let read = rig.read();
    let label = "{backend=\"http://a:1\"";
    let requests = read.value(&format!("tidegate_backend_requests_total{label},class=\"2xx\"}}"));
    assert!((requests - 4.0).abs() < 0.5);
    assert!((read.value(&format!("tidegate_backend_weight{label}}}")) - 2.0).abs() < 1e-9);
    assert!(
        (read.value(&format!("tidegate_backend_state{label},state=\"up\"}}")) - 1.0).abs() < 0.5
    );
    let limited = Role { max_in_flight: Some(3), ..Role::default() };
    let from = located("http://a:1").backend;
    let to = Backend { role: limited, ..from.clone() };
    let change =
        Change { adjusted: vec![(from.clone(), to.clone()), (from, to)], ..Change::default() };
    rig.backends.change(&rig.settings, change, rig.now).expect("a change");
    assert!(
        (rig.read().value(&format!("tidegate_backend_max_in_flight{label}}}")) - 6.0).abs() < 0.5
    );
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    use Format::{OpenMetrics, Prometheus};
    for (accept, format) in [
        ("", Prometheus),
        ("*/*", Prometheus),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Prometheus),
        ("application/openmetrics-text", OpenMetrics),
        ("Application/OpenMetrics-Text; version=1.0.0", OpenMetrics),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
             version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            OpenMetrics,
        ),
        ("text/plain;version=0.0.4;q=0.9, application/openmetrics-text;q=0.5", Prometheus),
        ("application/openmetrics-text;q=0", Prometheus),
        ("application/openmetrics-text;q=x", Prometheus),
        (",;,q=1;=", Prometheus),
    ] {
        assert_eq!(Format::of_accept(accept), format, "{accept}");
    }
    assert!(OpenMetrics.content_type().contains("version=1.0.0"));
    assert!(Prometheus.content_type().contains("version=0.0.4"));
}
