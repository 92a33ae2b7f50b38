//! Measures what grows with the number of backends: a choice, memory, start, reload and scrape.
//!
//! These are times of one machine at one moment, so nothing is compared with a baseline:
//! `scripts/bench --scale` prints tables in Markdown.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "it measures, or it stops")]

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use support::clock::now;
use support::http::{Connection, get};
use support::origin::{Origin, Silent, ok};
use support::process::Proxy;
use tidegate::balance::{Choice, Membership, Options, Outcome, Policy, Tried};

const BACKENDS: [u16; 4] = [3, 10, 100, 1_000];

/// Up to so many are replaced at once, because those before have their slots for a moment.
const REPLACED: u16 = 500;

/// Each figure is the median of so many.
const ROUNDS: usize = 9;

fn main() {
    // Without optimisation it takes minutes, and tells nothing.
    if !cfg!(debug_assertions) {
        println!("{}", choices());
    }
    println!("{}", proxies());
}

fn row(cells: impl IntoIterator<Item = String>) -> String {
    format!("| {} |\n", cells.into_iter().collect::<Vec<_>>().join(" | "))
}

fn head(first: &str) -> String {
    let counts = BACKENDS.map(|count| count.to_string());
    row([first.to_owned()].into_iter().chain(counts)) + "|---|---|---|---|---|\n"
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Processor time of this thread, which other programs on this machine do not lengthen much.
fn processor() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

/// What it takes to choose, to learn from the answer, and to release, in nanoseconds.
fn choices() -> String {
    let policies = Policy::ALL.map(|policy| {
        let cells = BACKENDS.map(|count| format!("{:.0}", choice(policy, count)));
        row([policy.to_string()].into_iter().chain(cells))
    });
    head("ns per choice, by policy and backends") + &policies.concat()
}

fn choice(policy: Policy, backends: u16) -> f64 {
    const TIMES: u32 = 20_000;
    let mut at = now();
    let options = Options { policy, ..Options::default() };
    let mut membership = Membership::new(options, at).expect("valid options");
    for index in 0..backends {
        membership.add(&format!("http://localhost:{index}")).expect("a slot");
    }
    let mut balancer = membership.balancer();
    // All of them are measured.
    for member in membership.roster().members() {
        let Choice::Go(mut lease) = balancer.acquire_bound(member.id(), at) else { panic!("it") };
        balancer.observe(&mut lease, Outcome::Answered, at + Duration::from_micros(100));
        balancer.release(lease);
    }
    let tried = Tried::default();
    let mut round = || {
        let start = processor();
        for _ in 0..TIMES {
            let Choice::Go(mut lease) = balancer.acquire(&tried, at) else { panic!("a backend") };
            at += Duration::from_micros(100);
            balancer.observe(&mut lease, Outcome::Answered, at);
            balancer.release(lease);
        }
        processor().saturating_sub(start).as_nanos() as f64 / f64::from(TIMES)
    };
    median((0..ROUNDS).map(|_| round()).collect())
}

/// What is measured of a proxy.
struct Figures {
    start_ms: f64,
    at_start_mb: f64,
    /// Once each worker has sent requests to each backend.
    used_mb: f64,
    /// Of a file in which one weight is another one.
    reload_ms: f64,
    /// Of a file in which all backends are others. Both must have slots, which are 1,024.
    replace_ms: Option<f64>,
    scrape_ms: f64,
    scrape_cpu_ms: f64,
    scrape_mb: f64,
    scraped_mb: f64,
}

fn proxies() -> String {
    let listening = Silent::reserve_at(Ipv4Addr::UNSPECIFIED.into());
    let origin =
        listening.serve(
            |mut connection| {
                while connection.request().is_some_and(|_| connection.offer(ok("x"))) {}
            },
        );
    let all = BACKENDS.map(|count| figures(&origin, count));
    let line = |name: &str, figure: fn(&Figures) -> Option<f64>| {
        let cell = |it| figure(it).map_or("-".to_owned(), |figure| format!("{figure:.1}"));
        let cells = all.iter().map(cell);
        row([name.to_owned()].into_iter().chain(cells))
    };
    [
        head("a proxy with two workers, by backends"),
        line("start, ms", |it| Some(it.start_ms)),
        line("resident memory at the start, MB", |it| Some(it.at_start_mb)),
        line("the same once all backends were used, MB", |it| Some(it.used_mb)),
        line("reload, one weight changed, ms", |it| Some(it.reload_ms)),
        line("reload, all backends replaced, ms", |it| it.replace_ms),
        line("scrape, ms until the last byte", |it| Some(it.scrape_ms)),
        line("scrape, ms of processor time", |it| Some(it.scrape_cpu_ms)),
        line("scrape, MB", |it| Some(it.scrape_mb)),
        line("resident memory after scrapes, MB", |it| Some(it.scraped_mb)),
    ]
    .concat()
}

fn figures(origin: &Origin, count: u16) -> Figures {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.toml");
    write(&file, origin, count, 1, 1);
    let spawn = || {
        let begun = now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let proxy = Proxy::spawn(command.arg("--config").arg(&file));
        (proxy, begun.elapsed().as_secs_f64() * 1e3)
    };
    let start_ms = median((0..ROUNDS).map(|_| spawn().1).collect());
    let (mut proxy, _) = spawn();
    let resident = |proxy: &Proxy| proxy.process.status().vmrss.unwrap() as f64 * 1024.0 / 1e6;
    let at_start_mb = resident(&proxy);
    use_all(&proxy, count);
    let used_mb = resident(&proxy);
    let admin = admin(&proxy);
    let scrapes: Vec<_> = (0..=ROUNDS).map(|_| scrape(admin)).collect();
    let scraped_mb = resident(&proxy);
    let cpu = |at: usize| value(&scrapes[at].1, "process_cpu_seconds_total ");
    let scrape_cpu_ms = (cpu(ROUNDS) - cpu(0)) / ROUNDS as f64 * 1e3;
    let (scrape_ms, texts): (Vec<f64>, Vec<String>) = scrapes.into_iter().unzip();
    let mut reload = |host: u8, weight: usize| {
        write(&file, origin, count, host, weight);
        let begun = now();
        proxy.process.signal(Signal::HUP);
        let said = proxy.process.line("reloaded");
        assert!(!said.contains("not reloaded"), "{said}");
        begun.elapsed().as_secs_f64() * 1e3
    };
    let reload_ms = median((0..ROUNDS).map(|round| reload(1, round + 2)).collect());
    let host = |round: usize| if round.is_multiple_of(2) { 2 } else { 1 };
    let replace_ms = (count <= REPLACED)
        .then(|| median((0..ROUNDS).map(|round| reload(host(round), 1)).collect()));
    Figures {
        start_ms,
        at_start_mb,
        used_mb,
        reload_ms,
        replace_ms,
        scrape_ms: median(scrape_ms),
        scrape_cpu_ms,
        scrape_mb: texts[0].len() as f64 / 1e6,
        scraped_mb,
    }
}

/// A file with backends at 127.`host`.x.y, of which the first has a weight.
fn write(file: &Path, origin: &Origin, count: u16, host: u8, weight: usize) {
    let mut text = "listen = '127.0.0.1:0'\nadmin = '127.0.0.1:0'\nlog = 'none'\nworkers = 2\n\
        policy = 'round-robin'\n"
        .to_owned();
    for index in 0..count {
        let [high, low] = index.to_be_bytes();
        let port = origin.address.port();
        write!(text, "[[backend]]\nurl = 'http://127.{host}.{high}.{low}:{port}'\n").unwrap();
        if index == 0 {
            writeln!(text, "weight = {weight}").unwrap();
        }
    }
    std::fs::write(file, text).unwrap();
}

fn admin(proxy: &Proxy) -> SocketAddr {
    let said = proxy.process.stdout();
    let mut lines = said.lines().filter_map(|line| line.strip_prefix("admin at http://"));
    lines.next().expect("an address").parse().unwrap()
}

/// Sends each backend a request of each worker.
fn use_all(proxy: &Proxy, count: u16) {
    for _ in 0..8 {
        let mut client = Connection::connect(proxy.address());
        for _ in 0..count {
            assert_eq!(client.get("/").status, 200);
        }
    }
}

/// How long it takes in milliseconds, and what it says.
fn scrape(admin: SocketAddr) -> (f64, String) {
    let begun = now();
    let text = get(admin, "/metrics").text();
    (begun.elapsed().as_secs_f64() * 1e3, text)
}

fn value(text: &str, sample: &str) -> f64 {
    let (_, rest) = text.split_once(&format!("\n{sample}")).expect(sample);
    rest.lines().next().unwrap().parse().unwrap()
}
