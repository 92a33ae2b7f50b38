//! Results of queueing theory that hold exactly, with fixed seeds.
//!
//! L. Kleinrock, Queueing Systems, 1975, volume 1: M/M/1 (3.2), M/M/m (3.5), M/G/1 (5.7); volume 2
//! (4.4): processor sharing.

use super::*;

const SERVICE_MS: f64 = 10.0;

/// The mean and the p99 of one backend at this load.
fn latency(backend_is: &str, load: f64, seconds: u32) -> (f64, f64) {
    let scenario = scenario(&backend(backend_is), &format!("load = {load}"), seconds, "");
    let all = run(&scenario, "round-robin").all;
    (all.mean_ms(), all.quantile_ms(0.99))
}

/// The mean time in a queue with so many slots, by Erlang's C formula.
fn erlang_wait_ms(slots: u32, load: f64) -> f64 {
    let offered = f64::from(slots) * load;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..slots {
        term *= offered / f64::from(k);
        sum += term;
    }
    let all_busy = term * offered / f64::from(slots) / (1.0 - load);
    all_busy / (sum + all_busy) * SERVICE_MS / (f64::from(slots) * (1.0 - load))
}

#[test]
fn one_slot_with_exponential_times_is_m_m_1() {
    for (load, seconds) in [(0.5, 2000), (0.8, 3000)] {
        let (mean, p99) = latency("service = \"exp:10ms\"\nslots = 1", load, seconds);
        // The time in the system is exponential.
        let expected = SERVICE_MS / (1.0 - load);
        assert_near("mean", mean, expected, 0.03);
        assert_near("p99", p99, expected * 100f64.ln(), 0.05);
    }
}

#[test]
fn four_slots_with_exponential_times_are_m_m_4() {
    for (load, seconds) in [(0.5, 500), (0.9, 800)] {
        let (mean, _) = latency("service = \"exp:10ms\"\nslots = 4", load, seconds);
        assert_near("mean", mean, SERVICE_MS + erlang_wait_ms(4, load), 0.04);
    }
}

/// 5 ms with 90 %, else 55 ms: mean 10, and a second moment of 325.
const TWO: &str = "service = \"sample:5x9,55\"";

#[test]
fn one_slot_with_any_times_is_as_pollaczek_and_khinchine_say() {
    for (load, seconds) in [(0.5, 2500), (0.8, 4000)] {
        let (mean, _) = latency(&format!("{TWO}\nslots = 1"), load, seconds);
        let wait = load / SERVICE_MS * 325.0 / (2.0 * (1.0 - load));
        assert_near("mean", mean, SERVICE_MS + wait, 0.04);
    }
    let (mean, _) = latency("service = \"fixed:10ms\"\nslots = 1", 0.8, 2000);
    assert_near("constant times: half the wait", mean, 10.0 + 0.5 * 10.0 * 0.8 / 0.2, 0.03);
}

#[test]
fn a_shared_core_is_as_fast_as_a_queue_whatever_the_distribution() {
    for load in [0.5, 0.8] {
        let (mean, _) = latency(&format!("{TWO}\ncores = 1"), load, 3000);
        assert_near("mean", mean, SERVICE_MS / (1.0 - load), 0.04);
    }
    let (mean, _) = latency("service = \"exp:10ms\"\ncores = 4", 0.8, 800);
    assert_near("four cores are M/M/4", mean, SERVICE_MS + erlang_wait_ms(4, 0.8), 0.04);
}

#[test]
fn a_backend_without_slots_never_queues() {
    let scenario = scenario(&backend("service = \"exp:10ms\""), "rate = 1000", 100, "");
    let all = run(&scenario, "round-robin").all;
    assert_near("mean", all.mean_ms(), 10.0, 0.02);
    assert_near("p99", all.quantile_ms(0.99), 10.0 * 100f64.ln(), 0.03);
}

#[test]
fn two_choices_are_as_mitzenmacher_says() {
    let one = "count = 100\nservice = \"exp:10ms\"\nslots = 1";
    let scenario = scenario(&backend(one), "load = 0.9", 6, "");
    let expected: f64 = (1..30).map(|i| 0.9f64.powf(2f64.powi(i) - 2.0)).sum();
    let found = run(&scenario, "p2c").all.mean_ms();
    // The formula is of infinitely many backends.
    assert_near("mean", found, SERVICE_MS * expected, 0.06);
}

#[test]
fn a_closed_loop_has_as_many_requests_as_clients_and_times_allow() {
    let backends = backend("service = \"fixed:200ms\"") + &backend("service = \"fixed:100ms\"");
    let measured = run(&scenario(&backends, "clients = 30", 60, ""), "round-robin");
    // Little: clients by the mean latency.
    assert_near("requests per second", measured.per_second(), 30.0 / 0.15, 0.02);
    assert_near("mean", measured.all.mean_ms(), 150.0, 0.01);
}

#[test]
fn even_arrivals_leave_no_wait_where_there_is_room() {
    let one = backend("service = \"fixed:9ms\"\nslots = 1");
    let scenario = scenario(&one, "rate = 100\narrivals = \"even\"", 10, "");
    assert_near("p99.9", run(&scenario, "random").all.quantile_ms(0.999), 9.0, 0.002);
}
