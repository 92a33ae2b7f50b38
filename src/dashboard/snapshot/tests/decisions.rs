//! Why requests went where, what became of them, and ranges of time.

use super::*;

/// A row of a proxy of ours, in a second.
fn told<'a>(second: i64, backend: &'a str, reason: &'a str) -> Row<'a> {
    Row {
        worker: Some(0),
        reason: Some(reason),
        in_flight: Some(2),
        attempts: Some(1),
        ..row(second * SECOND_US, backend, ms(10))
    }
}

#[test]
fn each_slot_tells_why_requests_went_where_and_what_became_of_second_attempts() {
    let undecided = Row { hedge_backend_url: Some("b"), attempts: Some(2), ..told(5, "a", "best") };
    let hedged = |outcome| Row { hedge: Some(outcome), ..undecided };
    let again = Row { attempts: Some(2), ..told(5, "b", "retry") };
    let rows = [undecided, hedged("won"), hedged("lost"), again, told(6, "b", "trial")];
    let figures = snapshot(rows, Window::Minute);
    let series = &figures["series"];
    let reasons = json!([
        { "reason": "best", "requests": [3, 0] },
        { "reason": "retry", "requests": [1, 0] },
        { "reason": "trial", "requests": [0, 1] },
    ]);
    assert_eq!(series["reasons"], reasons);
    assert_eq!(series["hedges"], json!({ "won": [1, 0], "lost": [1, 0] }));
    let b = &series["backends"][1];
    assert_eq!((&b["requests"], &b["trials"]), (&json!([1, 1]), &json!([0, 1])));
    assert_eq!((&b["in_flight"], &b["max_ms"]), (&json!([2.0, 2.0]), &json!([10.0, 10.0])));
    let retries: Vec<_> =
        figures["backends"].as_array().unwrap().iter().map(|it| it["retries"].clone()).collect();
    assert_eq!(retries, [json!(0), json!(1)], "a second attempt beside the first is no retry");
    assert_eq!(figures["backends"][1]["in_flight"], 2.0);
    let none = snapshot([told(5, "a", "best")], Window::Minute);
    assert_eq!(none["series"]["hedges"], Value::Null);
}

#[test]
fn the_state_of_a_backend_is_what_its_newest_requests_tell_and_since_when() {
    let failed = |second, backend| Row { status: Some(502), ..told(second, backend, "best") };
    let refused = Row { status: Some(404), ..told(9, "good", "best") };
    let rows = [
        told(1, "good", "best"),
        told(2, "good", "best"),
        refused,
        told(1, "bad", "best"),
        failed(7, "bad"),
        failed(9, "bad"),
        told(3, "silent", "best"),
    ];
    let backends = json!([{ "url": "new" }]);
    let description =
        serde_json::from_value(json!({ "policy": "adaptive_sma", "backends": backends }));
    let mut model = Model::new(description.unwrap());
    for row in rows {
        model.feed(Ok(row));
    }
    let figures = of(&model, &live(), Window::Minute);
    let states: Vec<_> = (figures["backends"].as_array().unwrap().iter())
        .map(|it| {
            (it["name"].as_str().unwrap(), it["state"].as_str().unwrap(), &it["state_since_ms"])
        })
        .collect();
    let expected = [
        ("bad", "fails", &json!(7_000)),
        ("good", "answers", &json!(1_000)),
        ("new", "unused", &Value::Null),
        ("silent", "quiet", &json!(3_000)),
    ];
    assert_eq!(states, expected);
}

#[test]
fn errors_are_told_in_groups_and_counted_over_time() {
    let failed = |second| Row {
        status: Some(504),
        fault: Some("response_timeout"),
        ..told(second, "http://b", "best")
    };
    let rows =
        [told(0, "http://b", "best"), failed(1), failed(3), failed(3), told(4, "http://b", "best")];
    let figures = snapshot(rows, Window::Minute);
    let group = json!([{ "status": 504, "fault": "response_timeout", "backend": "http://b",
        "from_ms": 1_000, "to_ms": 3_000, "requests": 3, "by_client": false }]);
    assert_eq!(figures["incidents"], group);
    assert_eq!(figures["series"]["errors"], json!([0, 1, 0, 2, 0]));
    let range = snapshot(rows, Window::Between(4, 4));
    assert_eq!(range["incidents"], json!([]), "they are over");
}

#[test]
fn errors_that_are_their_clients_are_no_failures() {
    let ended = |status, fault| Row { status, fault, ..told(1, "http://a", "best") };
    let (clients, others) = (
        [
            ended(Some(404), None),
            ended(Some(400), Some("bad_field")),
            ended(Some(499), Some("client_gone")),
            ended(Some(200), Some("client_gone")),
            ended(Some(101), Some("tunnel_timeout")),
        ],
        [
            ended(Some(500), None),
            ended(Some(504), Some("response_timeout")),
            ended(Some(200), Some("response_truncated")),
            ended(Some(404), Some("response_truncated")),
            ended(None, None),
        ],
    );
    let told = |rows: &[Row<'static>]| {
        let figures = snapshot(rows.iter().copied(), Window::Minute);
        let incidents = figures["incidents"].as_array().unwrap();
        let by_client = incidents.iter().filter(|it| it["by_client"] == true).count();
        let (window, backend) = (&figures["window"], &figures["backends"][0]);
        assert_eq!(
            (&window["errors"], &window["failures"]),
            (&backend["errors"], &backend["failures"])
        );
        let state = figures["series"]["backends"][0]["states"][0]["state"].clone();
        (window["errors"].clone(), window["failure_share"].clone(), by_client, state)
    };
    assert_eq!(told(&clients), (json!(5), json!(0.0), 5, json!("up")));
    assert_eq!(told(&others), (json!(5), json!(1.0), 0, json!("failing")));
    let both = [&clients[..], &others[..1]].concat();
    assert_eq!(told(&both), (json!(6), json!(0.166_667), 5, json!("degraded")));
}

#[test]
fn since_when_a_backend_is_what_it_is_may_not_be_known_of_a_log_whose_begin_was_left_out() {
    let failed = |second| Row { status: Some(502), ..told(second, "bad", "best") };
    let mut model = Model::new(None);
    for row in [told(0, "bad", "best"), told(1, "good", "best"), failed(2), told(0, "old", "best")]
    {
        model.feed(Ok(row));
    }
    model.feed(Ok(told(9, "good", "best")));
    model.feed(Ok(failed(9)));
    let older = |skipped_bytes| {
        let figures = of(&model, &Status { skipped_bytes, ..live() }, Window::Minute);
        let backends = figures["backends"].as_array().unwrap().iter();
        backends.map(|it| it["state_is_older"].clone()).collect::<Value>()
    };
    assert_eq!(older(0), json!([false, false, false]));
    // What changed, or ended with the last request, is known.
    assert_eq!(older(1), json!([false, true, false]));
}

#[test]
fn a_window_begins_where_it_begins_although_nothing_happened_there() {
    let rows = || [0, 100, 130].map(|second| told(second, "a", "best"));
    let of = |window| {
        let figures = snapshot(rows(), window);
        let series = &figures["series"];
        let states = series["backends"][0]["states"].as_array().unwrap();
        let states: Vec<_> = states.iter().map(|it| it["state"].clone()).collect();
        let slots = series["requests"].as_array().unwrap().len();
        (series["start_ms"].clone(), slots, json!(states))
    };
    let (idle, up) = (json!("idle"), json!("up"));
    let idle_up = json!([&idle, &up, &idle, &up]);
    assert_eq!(of(Window::Minute), (json!(71_000), 60, idle_up.clone()));
    assert_eq!(of(Window::Between(90, 140)), (json!(90_000), 41, idle_up));
    assert_eq!(of(Window::Between(40, 60)), (json!(40_000), 21, json!([idle])));
    // Before the first row nothing is known.
    assert_eq!(of(Window::FiveMinutes).0, 0);
}

#[test]
fn a_range_has_the_figures_of_its_seconds() {
    let rows: Vec<_> = (0..600).map(|n| row(n * SECOND_US, "a", ms(1))).collect();
    let of = |from, to| {
        let figures = snapshot(rows.clone(), Window::Between(from, to));
        let (window, series) = (&figures["window"], &figures["series"]);
        (
            window["requests"].as_i64().unwrap(),
            window["requests_per_s"].as_f64().unwrap(),
            series["step_ms"].as_i64().unwrap(),
            series["requests"].as_array().unwrap().len(),
        )
    };
    assert_eq!(of(500, 519), (20, 1.0, 1_000, 20), "lately by the second");
    assert_eq!(of(100, 199), (100, 1.0, 2_000, 50), "before that in longer slots");
    assert_eq!(of(101, 101), (2, 1.0, 2_000, 1), "in whole slots");
    assert_eq!(of(500, 8_000_000_000), (100, 1.0, 1_000, 100), "as far as there are rows");
    assert_eq!(of(0, 10_000), (600, 1.0, 2_000, 300));
    assert_eq!(of(700, 800).0, 0);
    let before = snapshot([told(1_000, "a", "best")], Window::Between(5, 9));
    assert_eq!(before["window"]["requests"], 0, "nothing before the first row");
    let window = &snapshot(rows.clone(), Window::Between(500, 519))["window"];
    assert_eq!((&window["name"], &window["end"]), (&json!("range"), &json!("last_row")));
    assert_eq!((&window["from_ms"], &window["to_ms"]), (&json!(500_000), &json!(519_999)));
}

/// A model of rows of a second to the other, with a description, and lines of a decision log.
fn decided(seconds: std::ops::Range<i64>, lines: &[Value]) -> Model {
    let description = json!({ "policy": "adaptive_sma" });
    let mut model = Model::new(serde_json::from_value(description).unwrap());
    for second in seconds {
        model.feed(Ok(told(second, "http://a", "best")));
    }
    assert!(model.takes_choices());
    for line in lines {
        model.choice(line.to_string().as_bytes(), 0);
    }
    model
}

/// A recorded choice in a second of 1970, of `a`, with these states of `a` and `b`.
fn choice(second: i64, [a, b]: [&str; 2]) -> Value {
    let time = format!("1970-01-01T00:{:02}:{:02}.5Z", second / 60, second % 60);
    super::super::super::tests::choice(&time, "http://a", &[("http://a", a), ("http://b", b)])
}

#[test]
fn each_slot_tells_what_the_policy_knew_in_its_recorded_choices() {
    let mut second = choice(1, ["up", "ejected"]);
    second["candidates"][0]["estimate_ms"] = json!(9.5);
    second["candidates"][1]["score"] = Value::Null;
    let lines = [choice(0, ["up", "up"]), choice(1, ["up", "ejected"]), second];
    let model = decided(0..3, &lines);
    let backends = &of(&model, &live(), Window::Minute)["series"]["backends"];
    let a = json!({ "estimate_ms": [8.0, 8.75, null], "score": [12.0, 12.0, null],
        "in_flight": [2.0, 2.0, null], "chosen": [1, 2, 0] });
    assert_eq!(backends[0]["known"], a);
    // It has no request, and is known from choices only.
    assert_eq!(
        (&backends[1]["name"], &backends[1]["known"]["chosen"][1]),
        (&json!("http://b"), &json!(0))
    );
    let states = backends[1]["states"].as_array().unwrap();
    let states: Vec<_> =
        states.iter().map(|it| (&it["state"], &it["cause"], &it["choices"])).collect();
    let expected = [
        (&json!("up"), &Value::Null, &json!(1)),
        (&json!("ejected"), &json!("failures"), &json!(2)),
    ];
    assert_eq!(states, expected);
    let without = of(&decided(0..3, &[]), &live(), Window::Minute);
    assert_eq!(without["series"]["backends"][0]["known"], Value::Null);
}

#[test]
fn longer_slots_have_the_means_of_shorter_ones() {
    let lines: Vec<_> = (0..600).map(|second| choice(second, ["up", "drained"])).collect();
    let model = decided(0..600, &lines);
    let series = &of(&model, &live(), Window::All)["series"];
    assert_eq!(series["step_ms"], 2_000);
    let known = &series["backends"][0]["known"];
    assert_eq!((&known["estimate_ms"][0], &known["chosen"][0]), (&json!(8.0), &json!(2)));
    let states = &series["backends"][1]["states"];
    assert_eq!((&states[0]["state"], &states[0]["choices"]), (&json!("drained"), &json!(600)));
}

#[test]
fn choices_of_another_time_than_the_rows_are_on_no_axis() {
    let lines = [choice(5, ["up", "up"]), choice(99, ["up", "up"]), choice(500, ["up", "up"])];
    let mut model = decided(60..70, &lines);
    for second in 70..120 {
        model.feed(Ok(told(second, "http://a", "best")));
    }
    let known = &of(&model, &live(), Window::All)["series"]["backends"][0]["known"]["chosen"];
    let fell: Vec<_> = known.as_array().unwrap().iter().map(|it| it.as_u64().unwrap()).collect();
    // A row may be read after the choice for it.
    assert_eq!((fell.len(), fell[39], fell.iter().sum::<u64>()), (60, 1, 1));
}

#[test]
fn what_is_no_choice_is_passed_over() {
    let mut model = decided(0..3, &[]);
    let mut old = choice(0, ["up", "up"]);
    old["time"] = json!("yesterday");
    let broken = [
        "",
        "\n",
        "{",
        "[]",
        "null",
        "\u{0}",
        "{\"time\":1}",
        &choice(0, ["", ""]).to_string()[..99],
    ];
    for line in broken.into_iter().chain([&*old.to_string()]) {
        model.choice(line.as_bytes(), 0);
        model.choice(&[line.as_bytes(), b"\xff\xfe"].concat(), 0);
    }
    assert_eq!(of(&model, &live(), Window::Minute)["series"]["backends"][0]["known"], Value::Null);
    assert_eq!(model.backends.len(), 1);
}
