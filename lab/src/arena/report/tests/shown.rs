//! What is where in the text, the page, the picture and the JSON.

use super::super::super::results::Predicted;
use super::*;

/// Two contenders in one scenario: the second is slower, has errors, and was disturbed.
fn two() -> Results {
    let mut second = entry(1, &[50.0, 40.0, 60.0], &[("503", 2), ("reset", 1)]);
    second.rounds[1].is_disturbed = true;
    second.rounds[1].lag_ms = 2.5;
    second.rounds[0].received[4] += 29_000;
    second.simulated = Some(Predicted {
        policy: "least-conn".to_owned(),
        latency_ms: [4.0, 5.0, 5.0, 40.0, 60.0],
        per_second: 5000.0,
        error_part: 0.0,
        shares: vec![0.2; 5],
    });
    results(vec![measured(vec![entry(0, &[25.0, 20.0, 30.0], &[]), second])])
}

/// The words of the line that begins with `name`, in a text.
fn line<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name)).expect(name);
    line.split("  ").map(str::trim).filter(|it| !it.is_empty()).collect()
}

#[test]
fn a_row_has_the_medians_of_the_rounds_and_the_interval_of_their_ratios() {
    let all = two();
    let text = scenario(&all, &all.scenarios[0]);
    assert!(text.starts_with("fails-fast-3s: One of five backends answers 503"), "{text}");
    let heads = line(&text, "contender");
    assert_eq!(heads[2..7], ["mean ms", "p50", "p95", "p99", "p99.9"]);
    assert_eq!(
        line(&text, "tidegate-round-robin"),
        [
            "tidegate-round-robin",
            "5,000",
            "5.90",
            "5.00",
            "5.00",
            "50.0",
            "–",
            "2.00 (2.00–2.00)",
            "6 × 503, 3 × reset",
            "530",
            "25",
            "15",
            "0.10 !",
        ],
        "{text}"
    );
    let first = line(&text, "tidegate-adaptive");
    assert_eq!(first[5..9], ["25.0", "–", "1.00", "0"], "30,000 requests are too few for a p99.9");
    let remark = "! tidegate-round-robin: 1 of 3 rounds were disturbed: the client was late by up \
         to 2.5 ms";
    assert!(text.contains(remark), "{text}");
}

#[test]
fn shares_are_shown_by_backend_or_by_group_if_there_are_many() {
    let mut all = two();
    let shown = scenario(&all, &all.scenarios[0]);
    let (_, shares) = shown.split_once("Share of each backend").unwrap();
    let row = ["tidegate-adaptive", "19.6 %", "19.8 %", "20.0 %", "20.2 %", "20.4 %"];
    assert_eq!(line(shares, "tidegate-adaptive"), row);
    all.scenarios[0].scenario = crate::scenario::Scenario::read("fleet", None).unwrap();
    for entry in &mut all.scenarios[0].entries {
        entry.rounds.iter_mut().for_each(|round| round.received = vec![1; 100]);
    }
    let shown = scenario(&all, &all.scenarios[0]);
    let (_, shares) = shown.split_once("Share of each backend").unwrap();
    assert_eq!(line(shares, "contender"), ["contender", "1–34", "35–67", "68–100"]);
    assert_eq!(
        line(shares, "tidegate-adaptive"),
        ["tidegate-adaptive", "34.0 %", "33.0 %", "33.0 %"]
    );
}

#[test]
fn requests_beyond_those_that_clients_sent_are_extra_also_with_long_polls() {
    let mut all = two();
    all.scenarios[0].scenario = crate::scenario::Scenario::read("long-polls", None).unwrap();
    for entry in &mut all.scenarios[0].entries {
        for round in &mut entry.rounds {
            round.sent = round.received.iter().sum::<u64>() - 3;
        }
    }
    let rounds = all.scenarios[0].entries[0].rounds.len();
    let text = scenario(&all, &all.scenarios[0]);
    assert_eq!(line(&text, "tidegate-adaptive")[9], (3 * rounds).to_string(), "{text}");
}

#[test]
fn what_the_simulator_says_is_beside_it_and_flagged_beyond_15_percent() {
    let all = two();
    let text = text(&all);
    let (_, simulated) = text.split_once("Measured / simulated").unwrap();
    let row = line(simulated, "tidegate-round-robin");
    assert_eq!(row[1..3], ["least-conn", "5,000 / 5,000 +0 %"]);
    assert_eq!(row[3], "5.90 / 4.00 +48 % !");
    assert_eq!(row[6..], ["50.0 / 40.0 +25 % !", "– / 60.0"]);
    let (_, overview) = text.split_once("Measured against simulated").unwrap();
    assert_eq!(line(overview, "fails-fast-3s p99"), ["fails-fast-3s p99", "+25 % !"]);
}

#[test]
fn the_overview_marks_wins_errors_and_failures() {
    let mut all = two();
    let mut third = measured(vec![
        entry(0, &[10.0; 3], &[]),
        entry(1, &[10.0; 3], &[("503", 1)]),
        entry(2, &[1.0; 3], &[("503", 100)]),
        entry(3, &[], &[]),
    ]);
    third.name = "other".to_owned();
    all = results(vec![all.scenarios.remove(0), third]);
    let text = text(&all);
    let (_, overview) = text.split_once("× the best p99").unwrap();
    assert_eq!(line(overview, "fails-fast-3s"), ["fails-fast-3s", "1.00", "2.00 e", "–", "–"]);
    assert_eq!(line(overview, "other"), ["other", "1.00", "= 1.00 e", "(0.10 e)", "failed"]);
    assert_eq!(line(overview, "best or equal"), ["best or equal, of 2", "2", "1", "0", "0"]);
    assert!(
        text.contains(
            "tidegate-adaptive has the best or an equal tail latency in 2 of 2 scenarios"
        )
    );
    assert!(text.contains("left out: caddy-least-conn: there is no <caddy>"), "{text}");
}

#[test]
fn the_page_has_everything_and_fetches_nothing() {
    let all = full();
    let page = page(&all);
    assert_well_formed(&page);
    assert_self_contained(&page);
    for (index, measured) in all.scenarios.iter().enumerate() {
        let name = &measured.name;
        assert!(page.contains(&format!("<section id=\"scenario-{index}\">\n<h2>{name}</h2>")));
        assert!(page.contains(&format!("<a href=\"#scenario-{index}\">{name}</a>")), "{name}");
        assert!(measured.scenario.focus.iter().all(|it| page.contains(&it.name)), "{name}");
    }
    // A picture of the tails, and one over time for everyone who has a round.
    assert_eq!(page.matches("role=\"img\"").count(), 12 + 12 * 8 - 1);
    assert_eq!(page.matches("background: var(--heat-").count(), 12 * 8);
    assert!(page.contains("traefik-p2c FAILED: it ended with status 1: &lt;oops&gt;."));
    assert!(page.contains("listen &lt;here&gt;;\nhttp://127.0.0.1:1\n</pre>"), "configurations");
    assert!(page.contains("keep-alive to &lt;backends&gt;, as its manual says"), "choices");
    assert!(page.contains("<summary>nginx-least-time: nginx-least-time 1.0</summary>"), "versions");
    assert!(page.contains("Left out: caddy-least-conn: there is no &lt;caddy&gt;"));
    assert!(page.contains("AMD EPYC &amp; co, 2 cores, Linux 6.1.0"), "the machine");
    assert!(page.contains("Script: backend 1 slow 10, 2s..5s every 8s."), "phases are named");
}

#[test]
fn a_cell_has_the_multiple_and_what_is_wrong_in_the_colour_of_its_step() {
    let mut disturbed = entry(6, &[21.0; 3], &[]);
    disturbed.rounds[2].is_disturbed = true;
    let html = page(&results(vec![measured(vec![
        entry(0, &[10.0; 3], &[]),
        entry(1, &[10.9; 3], &[]),
        entry(2, &[11.5; 3], &[("reset", 1)]),
        entry(3, &[60.0; 3], &[]),
        entry(4, &[5.0; 3], &[("503", 1000)]),
        // Slower by half, but as fast in one round.
        entry(5, &[15.0, 15.0, 10.0], &[]),
        disturbed,
    ])]));
    for (step, text) in [
        (0, "1.00<small>10.0 ms"),
        (1, "1.09<small>10.9 ms"),
        (2, "1.15<small>3 errors"),
        (6, "6.00<small>60.0 ms"),
        (7, "0.50<small class=\"bad\">10.0 % errors"),
        (3, "= 1.50<small>15.0 ms"),
        (5, "2.10<small>21.0 ms !"),
    ] {
        let cell = format!("background: var(--heat-{step}); color: var(--on-heat-{step})\">{text}");
        assert!(html.contains(&cell), "{cell}");
    }
}

#[test]
fn over_time_phases_errors_and_gaps_are_seen() {
    let mut all = two();
    let entry = &mut all.scenarios[0].entries[1];
    for round in &mut entry.rounds {
        round.series[1].errors = 3;
    }
    let (phase, bad) = (crate::render::Ink::Phase.hex(), crate::render::Ink::Bad.hex());
    let scales = series::Scales::of(&all.scenarios[0]).expect("latencies");
    let [first, second] = [0, 1].map(|it| scales.picture(&all.scenarios[0].entries[it]).unwrap());
    // 5s..8s every 16s of 336 s.
    assert_eq!(first.matches(&phase).count(), 21);
    assert_eq!((first.matches(&bad).count(), second.matches(&bad).count()), (0, 1));
    assert_eq!(first.matches("Z\"").count(), 5, "one area for each backend");
    for round in &mut all.scenarios[0].entries[0].rounds {
        round.series[1].requests = 0;
        round.series[1].received = vec![0; 5];
    }
    let gap = scales.picture(&all.scenarios[0].entries[0]).unwrap();
    assert!(gap.matches('L').count() < first.matches('L').count(), "nothing is drawn there");
}

#[test]
fn the_heat_map_is_a_picture_for_both_colour_schemes() {
    let svg = heat_map(&full());
    assert_well_formed(&svg);
    assert_self_contained(&svg.replace("http://www.w3.org/2000/svg", ""));
    assert!(!svg.replace("http://www.w3.org/2000/svg", "").contains("http"));
    assert!(svg.contains("@media (prefers-color-scheme: dark)"));
    for text in ["one-big", "adaptive", "failed", "best or equal, of 12", "not ranked"] {
        assert!(svg.contains(&format!(">{text}</text>")), "{text}");
    }
    // The cells, the legend, and the background.
    assert_eq!(svg.matches("<rect").count(), 12 * 8 + 8 + 1);
}

#[test]
fn programs_find_every_figure() {
    let document: Value = serde_json::from_str(&json(&two()).unwrap()).unwrap();
    let scenario = &document["figures"]["scenarios"][0];
    assert_eq!(
        (&scenario["name"], &scenario["compared_by"]),
        (&"fails-fast-3s".into(), &"p99".into())
    );
    let second = &scenario["contenders"][1];
    assert_eq!(second["name"], "tidegate-round-robin");
    assert_eq!(second["verdict"], "behind");
    assert_eq!(second["errors"]["503"], 6);
    assert!((second["p99_ms"].as_f64().unwrap() - 50.0).abs() < 0.01, "{second}");
    assert_eq!(second["p999_ms"], Value::Null);
    let to_first = second["ratio_to_first"]["median"].as_f64().unwrap();
    assert!((to_first - 2.0).abs() < 0.001, "{to_first}");
    assert_eq!(second["disturbed_rounds"], 1);
    assert_eq!(second["shares"].as_array().unwrap().len(), 5);
    assert_eq!(second["focus"][0]["name"], "while it fails");
    let deviation = &second["measured_to_simulated_minus_1"];
    assert!((deviation["p99_ms"].as_f64().unwrap() - 0.25).abs() < 1e-3, "{deviation}");
    let score = &document["figures"]["contenders"][0];
    assert_eq!((&score["best_or_equal"], &score["not_ranked"]), (&1.into(), &0.into()));
}

#[test]
fn what_is_written_is_read_back_and_drawn_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = two();
    // Nothing came in a slice, so it has no latency.
    all.scenarios[0].entries[0].rounds[0].series[0].p99_ms = f64::NAN;
    let paths = write(&all, folder.path()).unwrap();
    let names = paths.each_ref().map(|path| path.file_name().unwrap().to_str().unwrap());
    assert_eq!(names, ["arena.json", "arena.html", "arena-heatmap.svg"]);
    let again = read(&paths[0]).unwrap();
    let shown = [json(&again).unwrap(), page(&again), heat_map(&again)];
    for (path, shown) in paths.iter().zip(shown) {
        assert!(fs::read_to_string(path).unwrap() == shown, "{}", path.display());
    }
}

#[test]
fn what_is_no_such_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arena.json");
    assert_eq!(read(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    for text in ["", "{}", "{\"results\": 1}", "<html>"] {
        fs::write(&path, text).unwrap();
        assert!(read(&path).is_err(), "{text}");
    }
    let text = json(&two()).unwrap();
    for (old, new) in [("about = ", "abuot = "), ("2000x9800", "2000xy"), ("2000x9800", "x")] {
        assert!(text.contains(old), "{old}");
        fs::write(&path, text.replace(old, new)).unwrap();
        assert!(read(&path).is_err(), "{new}");
    }
}
