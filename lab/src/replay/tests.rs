use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::read::ReadError;
use super::visits::Division;
use super::*;
use crate::scenario::{Scenario, exponential};
use crate::simulate::{Contender, simulate_log};

const UNEVEN: &str = "about = \"x\"\n[[backend]]\nservice = \"exp:10ms\"\nslots = 4\n\
    [[backend]]\nservice = \"exp:20ms\"\nslots = 4\n[load]\nload = 0.75\n\
    [run]\nwarm-up = \"0s\"\nlength = \"10s\"\nseeds = 1\n";

fn contender(name: &str) -> Contender {
    name.parse().expect(name)
}

/// The log of a simulated run.
fn logged(scenario: &str, policy: &str) -> (TempDir, PathBuf) {
    let scenario = Scenario::parse("x", scenario, None).expect("a scenario");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    simulate_log(&scenario, contender(policy), 1, &path).expect("a log");
    (folder, path)
}

/// What really happened under a policy.
fn truth(scenario: &str, policy: &str) -> Figures {
    let (_folder, path) = logged(scenario, policy);
    read(&path).expect("a log").real().expect("figures")
}

fn read(path: &Path) -> Result<Replay, ReadError> {
    Replay::read(&[path.to_owned()], None, None)
}

fn predict(path: &Path, policy: &str) -> (Replay, Prediction) {
    let replay = read(path).expect("a log");
    let prediction = replay.predict(&[contender(policy)], false).expect("a prediction");
    (replay, prediction)
}

#[track_caller]
fn assert_near(what: &str, found: &Figures, truth: &Figures, tolerance: f64) {
    let errors = found.errors(truth);
    assert!(errors.iter().all(|error| error.abs() < tolerance), "{what}: {errors:?}");
}

/// A log under one policy predicts another one as the simulator has it.
#[track_caller]
fn assert_predicted(scenario: &str, used: &str, other: &str, tolerance: f64) {
    let (_folder, path) = logged(scenario, used);
    let (_, prediction) = predict(&path, other);
    assert_near("what was used", &prediction.used, &prediction.real, 0.1);
    let Predicted { figures, refusal, .. } = &prediction.policies[0];
    let figures = figures.as_ref().unwrap_or_else(|| panic!("{refusal:?}"));
    assert_near(other, figures, &truth(scenario, other), tolerance);
}

fn divisions(scenario: &str, policy: &str) -> Vec<Division> {
    let (_folder, path) = logged(scenario, policy);
    let replay = read(&path).expect("a log");
    replay.model.backends.iter().map(|backend| backend.division).collect()
}

#[test]
fn slots_shared_cores_and_no_limit_are_told_from_each_other() {
    assert_eq!(divisions(UNEVEN, "round-robin"), [Division::Slots(4); 2]);
    let cores = divisions(&UNEVEN.replace("slots", "cores"), "least-conn");
    let is_near = |it: &Division| matches!(it, Division::Cores(3..=5));
    assert!(cores.iter().all(is_near), "{cores:?}");
    let light = UNEVEN.replace("slots = 4", "").replace("load = 0.75", "rate = 300");
    let unlimited = divisions(&light, "round-robin");
    assert_eq!(unlimited, [Division::Unlimited; 2]);
}

#[test]
fn what_was_used_is_predicted_and_so_is_another_policy() {
    assert_predicted(UNEVEN, "least-conn", "adaptive", 0.15);
    let light = UNEVEN.replace("load = 0.75", "load = 0.6");
    assert_predicted(&light, "round-robin", "adaptive", 0.15);
    let cores = light.replace("slots", "cores");
    assert_predicted(&cores, "round-robin", "least-conn", 0.2);
}

#[test]
fn a_slow_phase_is_at_its_time_for_every_policy() {
    let slow = UNEVEN
        .replacen("slots = 4", "slots = 4\nscript = [\"4s..6s slow 5\"]", 1)
        .replace("load = 0.75", "load = 0.4");
    assert_predicted(&slow, "round-robin", "adaptive", 0.2);
    assert_predicted(&slow, "least-conn", "round-robin", 0.2);
}

#[test]
fn a_backend_that_stands_still_does_so_for_every_policy() {
    let pauses = UNEVEN
        .replacen("slots = 4", "slots = 4\nscript = [\"1s..1300ms every 2s pause\"]", 1)
        .replace("load = 0.75", "load = 0.4");
    let (_folder, path) = logged(&pauses, "round-robin");
    let [stalls, _] = read(&path).expect("a log").model.backends[0].changes();
    assert_eq!(stalls, 5);
    assert_predicted(&pauses, "round-robin", "least-conn", 0.15);
}

#[test]
fn a_backend_that_fails_does_so_for_every_policy() {
    let fails = UNEVEN
        .replacen("slots = 4", "slots = 4\nscript = [\"4s..6s fail 503 after 300us\"]", 1)
        .replace("load = 0.75", "load = 0.3");
    let (_folder, path) = logged(&fails, "round-robin");
    let (_, prediction) = predict(&path, "least-conn");
    let truth = truth(&fails, "least-conn");
    let figures = prediction.policies[0].figures.as_ref().expect("figures");
    assert!(truth.error_part > 0.001, "{truth:?}");
    assert!((figures.error_part - truth.error_part).abs() < 0.01, "{figures:?} {truth:?}");
}

#[test]
fn kinds_of_requests_keep_their_lengths() {
    let classes =
        "[[class]]\nname = \"small\"\nshare = 9\n[[class]]\nname = \"large\"\ncost = 10\n";
    let scenario = UNEVEN.replace("exp:", "fixed:").replace("[run]", &format!("{classes}[run]"));
    let scenario = scenario.replace("load = 0.75", "load = 0.5");
    assert_predicted(&scenario, "round-robin", "adaptive", 0.15);
}

#[test]
fn clients_that_wait_for_answers_are_replayed_one_after_the_other() {
    let closed = UNEVEN.replace("load = 0.75", "clients = 12");
    let (_folder, path) = logged(&closed, "round-robin");
    let (replay, prediction) = predict(&path, "adaptive");
    assert_eq!(replay.clients, Loop::Closed);
    let per_second = prediction.real.per_second;
    assert!((prediction.used.per_second / per_second - 1.0).abs() < 0.05);
    let adaptive = prediction.policies[0].figures.as_ref().expect("figures");
    assert!(adaptive.per_second > 1.1 * per_second, "{adaptive:?}");
    assert_near("adaptive", adaptive, &truth(&closed, "adaptive"), 0.15);
    // Without clients, nothing says so.
    let text = fs::read_to_string(&path).expect("a log").replace("127.0.0.1:", "unix:#");
    fs::write(&path, text).expect("a log");
    let (replay, prediction) = predict(&path, "adaptive");
    assert_eq!(replay.clients, Loop::Open);
    let shown = text_of(&replay, &prediction);
    assert!(shown.contains("does not say which client"), "{shown}");
}

#[test]
fn the_second_half_is_predicted_from_the_first() {
    let (_folder, path) = logged(UNEVEN, "least-conn");
    let (_, prediction) = predict(&path, "adaptive");
    let [found, truth] = prediction.half.expect("a half");
    assert!(found.requests.abs_diff(truth.requests) < 50, "{found:?} {truth:?}");
    let [mean, p50, ..] = found.errors(&truth);
    assert!(mean.abs() < 0.3 && p50.abs() < 0.3, "{found:?} {truth:?}");
}

fn written(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.csv");
    fs::write(&path, text).expect("a file");
    (folder, path)
}

fn text_of(replay: &Replay, prediction: &Prediction) -> String {
    text(replay, prediction)
}

/// A log as the original writes it: rows of a backend each, with a latency of 5 ms.
fn five_columns(backends: &str, mode: &str, ends_us: impl Fn(usize) -> usize) -> String {
    let mut text = "timestamp,backend_url,latency_ms,status_code,routing_mode\n".to_owned();
    for (index, backend) in backends.chars().enumerate() {
        let (second, us) = (ends_us(index) / 1_000_000, ends_us(index) % 1_000_000);
        let fraction = if us == 0 { String::new() } else { format!(".{us:06}") };
        let time = format!("2025-01-01 00:00:{second:02}{fraction}");
        text.extend([&*time, ",http://", &backend.to_string(), ",5,200,", mode, "\n"]);
    }
    text
}

#[test]
fn a_log_that_says_nothing_of_a_backend_is_refused_with_what_to_do() {
    let backends = "b".repeat(490) + &"c".repeat(10);
    let (_folder, path) = written(&five_columns(&backends, "round-robin", |it| 10_000 * it + 1));
    let (replay, prediction) = predict(&path, "least-conn");
    assert!(prediction.policies[0].figures.is_none());
    let shown = text_of(&replay, &prediction);
    assert!(shown.contains("least-conn is refused: http://c answered 10 of the 500"), "{shown}");
    assert!(shown.contains("Run `tidegate round-robin --log FILE`"), "{shown}");
    assert!(shown.contains("round-robin, replayed"), "{shown}");
}

#[test]
fn other_policies_are_refused_where_what_was_used_is_not_predicted() {
    let (_folder, path) = logged(UNEVEN, "adaptive");
    let text = fs::read_to_string(&path).expect("a log").replace(",adaptive,", ",round-robin,");
    fs::write(&path, text).expect("a log");
    let (replay, prediction) = predict(&path, "least-conn");
    assert!(matches!(prediction.policies[0].refusal, Some(Refusal::Missed { .. })));
    let shown = text_of(&replay, &prediction);
    assert!(shown.contains("the replay of round-robin, which was used, is wrong by +"), "{shown}");
    let forced = replay.predict(&[contender("least-conn")], true).expect("a prediction");
    assert!(forced.policies[0].figures.is_some() && forced.policies[0].refusal.is_some());
    let shown = text_of(&replay, &forced);
    assert!(shown.contains("least-conn, not to be trusted"), "{shown}");
}

#[test]
fn a_policy_that_would_do_what_was_never_seen_is_refused() {
    // Under round-robin nothing queues, and the limit of the fast backend does not show.
    let light = UNEVEN
        .replacen("exp:10ms\"\nslots = 4", "exp:2ms\"\nslots = 4", 1)
        .replace("exp:20ms", "exp:200ms")
        .replace("slots = 4", "slots = 40")
        .replace("load = 0.75", "rate = 100");
    let (_folder, path) = logged(&light, "adaptive");
    let (replay, prediction) = predict(&path, "round-robin");
    let refusal = prediction.policies[0].refusal.as_ref().expect("a refusal").to_string();
    assert!(refusal.contains("http://backend-1"), "{refusal}\n{}", text_of(&replay, &prediction));
}

#[test]
fn a_policy_that_would_give_a_backend_many_times_what_it_had_is_refused_unless_its_limit_shows() {
    // One request at a time, so it is never seen with more at once.
    let rows = five_columns(&"abbbb".repeat(100), "least-conn", |it| 10_000 * it + 5001);
    let (_folder, path) = written(&rows);
    let (replay, prediction) = predict(&path, "round-robin");
    let refusal = prediction.policies[0].refusal.as_ref().expect("a refusal").to_string();
    assert!(refusal.contains("http://a would get 250, more than 2 times the 100"), "{refusal}");
    assert!(text_of(&replay, &prediction).contains("where its limit does not show"), "{refusal}");
}

#[test]
fn a_log_of_the_original_is_read_and_its_limits_are_told() {
    let rows = five_columns(&"ab".repeat(200), "adaptive_ewma", |it| 10_000 * it + 5001);
    let (_folder, path) = written(&rows);
    let (replay, prediction) = predict(&path, "round-robin");
    assert_eq!(replay.trace.rows[1].start_us, 10_000);
    let shown = text_of(&replay, &prediction);
    assert!(shown.contains("at its end minus its latency"), "{shown}");
    assert!(shown.contains("does not say which client"), "{shown}");
    let text = five_columns(&"ab".repeat(200), "adaptive_ewma", |it| it / 40 * 1_000_000);
    let (_folder, path) = written(&text);
    let replay = read(&path).expect("a log");
    assert_eq!(replay.trace.rows[1].start_us, 25_000, "spread over the second");
}

#[test]
fn broken_rows_are_counted_and_what_is_no_run_is_refused() {
    let good = five_columns(&"ab".repeat(100), "least-conn", |it| 10_000 * it + 1);
    let (_folder, path) = written(&(good.clone() + "yesterday,http://a,5,200,least-conn\n"));
    let replay = read(&path).expect("a log");
    assert_eq!((replay.trace.left_out.broken, replay.trace.rows.len()), (1, 200));
    let mixed = good.clone() + "2025-01-01 00:00:03,http://a,5,200,adaptive\n";
    let (_folder, path) = written(&mixed);
    assert!(matches!(read(&path), Err(ReadError::Mixed(..))));
    let (_folder, path) = written(&good.replace("least-conn", "p2c"));
    let refusal = read(&path).expect_err("a refusal").to_string();
    assert!(refusal.contains("`p2c`") && refusal.contains("--used"), "{refusal}");
    let (_folder, path) = written("timestamp,backend_url,latency_ms,status_code,routing_mode\n");
    assert!(matches!(read(&path), Err(ReadError::Empty { .. })));
}

#[test]
fn a_row_takes_little_memory() {
    assert!(size_of::<super::trace::Row>() <= 32);
}

/// The log of a round-robin proxy before two backends of four slots, which gets a request a
/// millisecond for 8 s. Its machine stops it for a while every 50 ms: it sees requests and answers
/// after that. What has not ended when the requests do is missing.
fn of_a_proxy(mean_us: f64, pause_us: f64) -> String {
    let seen = |at_us: f64| at_us + (pause_us - at_us % 50_000.0).max(0.0);
    let (mut rng, mut now) = (fastrand::Rng::with_seed(3), 0.0);
    let mut free = [[0.0f64; 4]; 2];
    let mut rows = Vec::new();
    for index in 0..8000 {
        now += 1000.0 * exponential(&mut rng);
        let (backend, start) = (index % 2, seen(now));
        let slots = &mut free[backend];
        slots.sort_by(f64::total_cmp);
        slots[0] = slots[0].max(start) + mean_us * exponential(&mut rng);
        rows.push((seen(slots[0]), start, backend));
    }
    rows.retain(|(end, ..)| *end < now);
    let line = |(end, start, backend): (f64, f64, usize)| {
        let (second, ms) = (end / 1e6, (end - start) / 1e3);
        format!("2025-01-01 00:00:{second:09.6},http://{backend},{ms:.3},200,round-robin\n")
    };
    let head = "timestamp,backend_url,latency_ms,status_code,routing_mode\n".to_owned();
    rows.into_iter().fold(head, |text, row| text + &line(row))
}

#[test]
fn what_a_proxy_sees_late_because_its_machine_stopped_it_is_not_taken_for_work() {
    let (_folder, path) = written(&of_a_proxy(6400.0, 20_000.0));
    let (replay, prediction) = predict(&path, "least-conn");
    let (count, us) = replay.model.pauses.total();
    assert!((150..=165).contains(&count), "{count}");
    assert!((us / count as f64 - 20_000.0).abs() < 1000.0, "{us}");
    for backend in &replay.model.backends {
        assert_eq!(backend.division, Division::Slots(4));
        assert!((backend.mean_ms() / 6.4 - 1.0).abs() < 0.05, "{}", backend.mean_ms());
    }
    assert_near("round-robin", &prediction.used, &prediction.real, 0.1);
    let shown = text_of(&replay, &prediction);
    assert!(shown.contains("The proxy stood still"), "{shown}");
}

#[test]
fn a_proxy_that_is_never_stopped_has_no_pauses() {
    let (_folder, path) = written(&of_a_proxy(6400.0, 0.0));
    assert_eq!(read(&path).expect("a log").model.pauses.total().0, 0);
}

#[test]
fn requests_of_which_others_of_their_time_had_not_ended_are_left_out() {
    // The queue grows by five requests in eight, so two fifths of the log lack the longest.
    let (_folder, path) = written(&of_a_proxy(13_000.0, 0.0));
    let (replay, prediction) = predict(&path, "least-conn");
    let seconds = replay.trace.length_us() as f64 / 1e6;
    assert!((4.5..5.3).contains(&seconds), "{seconds}");
    assert_near("round-robin", &prediction.used, &prediction.real, 0.05);
}

#[test]
fn many_requests_in_flight_are_no_clients_that_wait_for_answers() {
    // They hardly change while 500 requests come.
    let slow = "[[backend]]\ncount = 7\nservice = \"exp:20ms\"\nslots = 2\n";
    let scenario = format!(
        "about = \"x\"\n[[backend]]\nservice = \"exp:5ms\"\nslots = 16\n{slow}[load]\nload = 0.8\n\
         [run]\nwarm-up = \"0s\"\nlength = \"5s\"\nseeds = 1\n"
    );
    let (_folder, path) = logged(&scenario, "least-conn");
    assert_eq!(read(&path).expect("a log").clients, Loop::Open);
}
