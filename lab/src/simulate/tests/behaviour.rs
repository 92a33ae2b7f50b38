//! What scripts and settings do to a run.

use super::*;

const ONE: &str = "service = \"fixed:5ms\"\nslots = 8";

fn pair(script: &str) -> String {
    backend(&format!("{ONE}\nscript = [{script}]")) + &backend(ONE)
}

fn focus(during: &str) -> String {
    format!("[[focus]]\nname = \"it\"\nduring = \"{during}\"\n")
}

#[test]
fn a_slow_backend_takes_longer_while_it_is_slow() {
    let one = backend(&format!("{ONE}\nscript = [\"4s..8s slow 10\"]"));
    let scenario = scenario(&one, "rate = 100", 10, &focus("4s..8s"));
    let measured = run(&scenario, "round-robin");
    assert_near("while it is slow", measured.focus[0].quantile_ms(0.5), 50.0, 0.01);
    assert_near("else", measured.all.quantile_ms(0.5), 5.0, 0.01);
}

#[test]
fn a_pause_delays_all_that_a_backend_has_by_what_is_left_of_it() {
    for kind in ["slots = 8", "cores = 64"] {
        let script = "script = [\"5s..6s pause\"]";
        let one = backend(&format!("service = \"fixed:5ms\"\n{kind}\n{script}"));
        let load = "rate = 200\narrivals = \"even\"";
        let scenario = scenario(&one, load, 8, &focus("5s..6s"));
        let measured = run(&scenario, "round-robin");
        assert_eq!(measured.all.error_part(), 0.0);
        // Those that came in the pause waited for its end, half of it on average.
        let waits = measured.focus[0].mean_ms();
        assert!((500.0..570.0).contains(&waits), "{kind}: {waits}");
        assert!(measured.all.quantile_ms(1.0) < 1100.0, "{kind}");
    }
}

#[test]
fn a_backend_that_fails_answers_with_errors_and_takes_no_slot() {
    let one = backend("service = \"fixed:5ms\"\nslots = 1\nscript = [\"4s.. fail 503 after 1ms\"]");
    let scenario = scenario(&one, "rate = 1000", 8, &focus("4s.."));
    let tally = &run(&scenario, "round-robin").focus[0];
    assert_eq!(tally.error_part(), 1.0);
    assert_near("p50", tally.quantile_ms(0.5), 1.0, 0.01);
}

#[test]
fn a_client_error_is_an_error_and_no_failure() {
    let scenario = scenario(&pair("\"2s.. fail 404 after 5ms\""), "rate = 200", 20, "");
    let measured = run(&scenario, "adaptive");
    assert!(measured.all.error_part() > 0.2, "it is as fast as the other one");
}

#[test]
fn what_a_closed_port_refuses_goes_elsewhere() {
    let scenario = scenario(&pair("\"4s..8s refuse\""), "rate = 200", 10, &focus("5s..8s"));
    for name in ["round-robin", "adaptive", "least-conn", "least-time"] {
        let measured = run(&scenario, name);
        assert_eq!(measured.all.error_part(), 0.0, "{name}");
        let is_ejected = measured.focus[0].shares()[0] < 0.05;
        assert_eq!(is_ejected, name != "least-time", "only the proxy's policies eject: {name}");
    }
}

#[test]
fn where_all_refuse_the_client_gets_an_error_and_time_goes_on() {
    let one = backend(&format!("{ONE}\nscript = [\"3s..4s refuse\"]"));
    let measured = run(&scenario(&one, "clients = 3", 4, &focus("3s..4s")), "round-robin");
    assert_eq!(measured.focus[0].error_part(), 1.0);
    assert!(measured.focus[0].requests() >= 2900, "one a millisecond for each of three clients");
    assert!(measured.all.error_part() < 1.0, "it comes back");
}

#[test]
fn a_hang_ends_by_the_time_out_of_the_proxy() {
    let more = "[proxies]\nresponse-timeout = \"1s\"\n".to_owned() + &focus("4s..6s");
    let one = backend(&format!("{ONE}\nscript = [\"4s..6s hang\"]"));
    let tally = &run(&scenario(&one, "rate = 50", 10, &more), "round-robin").focus[0];
    assert_eq!(tally.error_part(), 1.0);
    assert_near("p50", tally.quantile_ms(0.5), 1000.0, 0.01);
}

#[test]
fn what_nobody_waits_for_leaves_the_queue_unless_aborts_are_ignored() {
    // Four times as much as it can do for a second, then little.
    let mean_later = |more: &str| {
        let one = "service = \"fixed:5ms\"\nslots = 1\nscript = [\"4s..5s slow 20\"]";
        let proxies = "[proxies]\nresponse-timeout = \"500ms\"\n".to_owned() + &focus("5500ms..6s");
        let one = backend(&format!("{one}{more}"));
        run(&scenario(&one, "rate = 100", 6, &proxies), "round-robin").focus[0].mean_ms()
    };
    let (left, stayed) = (mean_later(""), mean_later("\nignore-aborts = true"));
    assert!(left < stayed, "{left} {stayed}");
}

#[test]
fn a_restart_resets_what_is_under_way_and_the_proxy_sends_it_again() {
    let scenario = scenario(&pair("\"4s..5s restart\""), "rate = 1000", 6, "");
    let measured = run(&scenario, "least-conn");
    assert_eq!(measured.all.error_part(), 0.0);
    let alone = backend(&format!("{ONE}\nscript = [\"4s..5s restart\"]"));
    let alone = super::scenario(&alone, "rate = 1000", 6, "");
    let measured = run(&alone, "least-conn");
    assert_near("errors while it is away", measured.all.error_part(), 1.0 / 6.0, 0.05);
}

#[test]
fn an_absent_backend_gets_nothing_and_joins_as_one_that_is_new() {
    let more = focus("4s..8s every 10s") + &focus("9s..13s every 10s");
    let backends = pair("\"4s..8s every 10s absent\"");
    let scenario = scenario(&backends, "rate = 400", 40, &more);
    for contender in Contender::all() {
        let measured = simulate(&scenario, contender).unwrap();
        assert_eq!(measured.focus[0].shares()[0], 0.0, "{contender}");
        let back = measured.focus[1].shares()[0];
        assert!(back > 0.1, "{contender}: {back}");
    }
}

#[test]
fn a_fleet_that_begins_without_a_backend_gets_it_later() {
    let scenario = scenario(&pair("\"0s..6s absent\""), "rate = 100", 8, &focus("7s.."));
    assert_near("its share", run(&scenario, "round-robin").focus[0].shares()[0], 0.5, 0.02);
}

#[test]
fn classes_have_their_shares_and_costs() {
    let classes = "[[class]]\nname = \"small\"\nshare = 3\n\
        [[class]]\nname = \"large\"\ncost = 10\n\
        [[focus]]\nname = \"large ones\"\nclass = \"large\"\n";
    let measured = run(&scenario(&backend(ONE), "rate = 100", 60, classes), "random");
    let large = &measured.focus[0];
    let part = large.requests() as f64 / measured.all.requests() as f64;
    assert_near("part of the large ones", part, 0.25, 0.05);
    assert_near("their latency", large.quantile_ms(0.5), 50.0, 0.01);
    assert_near("that of most", measured.all.quantile_ms(0.5), 5.0, 0.01);
}

#[test]
fn a_long_poll_takes_no_slot_and_does_not_count_as_slow() {
    let classes = "[[class]]\nname = \"small\"\nshare = 9\n\
        [[class]]\nname = \"poll\"\nwait = \"30s\"\n";
    let one = backend("service = \"fixed:5ms\"\nslots = 1");
    let measured = run(&scenario(&one, "rate = 50", 100, classes), "adaptive");
    assert_eq!(measured.all.error_part(), 0.0);
    assert!(measured.all.quantile_ms(1.0) < 100.0, "no poll is among the latencies");
}

#[test]
fn weights_slow_start_and_limits_are_the_balancer_s() {
    let unlimited = "service = \"exp:5ms\"";
    let weighted = backend(&format!("{unlimited}\nweight = 3")) + &backend(unlimited);
    let shares = run(&scenario(&weighted, "clients = 100", 20, ""), "least-conn").all.shares();
    assert_near("weights 3 and 1", shares[0], 0.75, 0.04);

    let limited = backend("service = \"fixed:5ms\"\nmax-in-flight = 1");
    let measured = run(&scenario(&limited, "rate = 400", 20, ""), "least-conn");
    // Erlang's B formula with one place and an offered load of two.
    assert_near("refused for lack of room", measured.all.error_part(), 2.0 / 3.0, 0.03);

    let backup = backend(&format!("{ONE}\nbackup = true")) + &backend(ONE);
    let shares = run(&scenario(&backup, "rate = 100", 10, ""), "round-robin").all.shares();
    assert_eq!(shares[0], 0.0);

    let share_after = |slow_start: &str| {
        let more = format!("[proxies]\nslow-start = \"{slow_start}\"\n") + &focus("6s..7s");
        let scenario = scenario(&pair("\"0s..6s absent\""), "rate = 400", 8, &more);
        run(&scenario, "round-robin").focus[0].shares()[0]
    };
    assert_near("at once", share_after("0s"), 0.5, 0.05);
    assert!(share_after("10s") < 0.25, "slowly: {}", share_after("10s"));
}

#[test]
fn several_proxies_and_workers_share_the_requests() {
    let four = "[proxies]\ncount = 4\nworkers = 2\n";
    let backends = pair("");
    for name in ["round-robin", "adaptive", "least-time"] {
        let measured = run(&scenario(&backends, "rate = 400", 20, four), name);
        assert_eq!(measured.all.error_part(), 0.0, "{name}");
        assert_near(name, measured.all.shares()[0], 0.5, 0.3);
    }
}

#[test]
fn a_speed_that_drifts_is_1_on_average() {
    let drifting = format!("{ONE}\ndrift = {{ sigma = 0.5, time = \"100ms\" }}");
    let scenario = scenario(&backend(&drifting), "rate = 200", 400, "");
    // The mean of a lognormal time is above that of the speed by the square of its sigma.
    let expected = 5.0 * 0.25f64.exp();
    assert_near("mean", run(&scenario, "random").all.mean_ms(), expected, 0.03);
}

#[test]
fn bursts_change_the_rate_and_not_its_mean() {
    let load = "rate = 500\nburst = { by = 0.8, time = \"200ms\" }";
    let measured =
        run(&scenario(&backend("service = \"exp:5ms\"\nslots = 3"), load, 400, ""), "random");
    assert_near("requests per second", measured.per_second(), 500.0, 0.06);
    let even = run(
        &scenario(&backend("service = \"exp:5ms\"\nslots = 3"), "rate = 500", 400, ""),
        "random",
    );
    assert!(measured.all.mean_ms() > 1.5 * even.all.mean_ms());
}

#[test]
fn errors_by_chance_have_their_part_and_cost_no_share() {
    let two = backend(&format!("{ONE}\nerrors = 0.02")) + &backend(ONE);
    let measured = run(&scenario(&two, "rate = 1000", 40, ""), "round-robin");
    assert_near("errors", measured.all.error_part(), 0.01, 0.1);
    assert_near("their share", measured.all.shares()[0], 0.5, 0.01);
}

/// One backend that takes one request at a time, of one proxy or of its two workers.
fn limited(more: &str) -> Scenario {
    let one = backend("service = \"fixed:10ms\"\nslots = 1\nmax-in-flight = 1");
    scenario(&one, "rate = 80", 200, &format!("[proxies]\n{more}"))
}

#[test]
fn who_waits_before_a_limit_waits_as_in_the_backend_s_own_queue() {
    let mut own = limited("");
    own.backends[0].max_in_flight = None;
    let own = run(&own, "adaptive");
    for workers in [1, 2] {
        let measured = run(&limited(&format!("queue = 1000\nworkers = {workers}")), "adaptive");
        assert_eq!(measured.all.error_part(), 0.0);
        for quantile in [0.5, 0.99, 1.0] {
            let [found, expected] = [&measured, &own].map(|it| it.all.quantile_ms(quantile));
            assert_near("first come, first served", found, expected, 0.002);
        }
    }
}

#[test]
fn without_a_place_in_the_queue_or_after_too_long_there_a_request_is_an_error() {
    let refused = run(&limited("queue = 0"), "adaptive");
    let few = run(&limited("queue = 1"), "adaptive");
    assert!(refused.all.error_part() > 0.3 && few.all.error_part() > 0.05);
    assert!(few.all.error_part() < refused.all.error_part());
    let short = run(&limited("queue = 1000\nqueue-timeout = \"15ms\""), "adaptive");
    assert!(short.all.error_part() > 0.05);
    assert!(short.all.quantile_ms(1.0) <= 25.1, "{}", short.all.quantile_ms(1.0));
}

#[test]
fn who_waits_is_taken_by_a_backend_that_joins_or_comes_back() {
    let slow = backend("service = \"fixed:1s\"\nslots = 1\nmax-in-flight = 1");
    for script in ["0s..4s absent", "3s..4s restart"] {
        let other = format!("{ONE}\nmax-in-flight = 8\nscript = [\"{script}\"]");
        let scenario = scenario(
            &(slow.clone() + &backend(&other)),
            "rate = 20",
            8,
            &format!("{}[proxies]\nqueue = 100", focus("3s..4s")),
        );
        let measured = run(&scenario, "adaptive");
        let p99 = measured.focus[0].quantile_ms(0.99);
        assert!(measured.all.error_part() < 0.01 && p99 < 2_200.0, "{script}: {p99}");
    }
}

#[test]
fn a_request_whose_first_backend_refuses_it_earns_a_hedge_as_well() {
    // Some requests are refused first. Later ones are slow, and half as many hedges are allowed as
    // there were requests.
    let serves = "service = \"fixed:100us\"\nslots = 8\nscript = [\"150ms.. slow 10000\"]";
    let closed = backend("service = \"fixed:100us\"\nslots = 8\nscript = [\"0s.. refuse\"]");
    let backends = (closed + &backend(serves)).repeat(10) + &backend(serves).repeat(30);
    let hedges = "[proxies]\nhedge = 50\nhedge-delay = \"1ms\"\nhedge-attempts = 3\n";
    let mut scenario = scenario(&backends, "rate = 100\narrivals = \"even\"", 1, hedges);
    scenario.run = short(0, 200, 1);
    let all = run(&scenario, "round-robin").all;
    assert_eq!(all.error_part(), 0.0);
    let refused: u64 = all.sent[..20].iter().step_by(2).sum();
    let hedges = all.sent.iter().sum::<u64>() - refused - all.requests();
    assert!(refused > 5 && hedges >= 7, "{hedges}: {:?}", all.sent);
}
