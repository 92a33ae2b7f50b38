//! What the page answers: is it healthy, where does the time go, and why there? And that a link to
//! an answer shows the same to others.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::json;

use super::browser::Browser;
use super::page::{CHARTS_DRAWN, text};
use super::story::{BEGIN_MS, choices, minute};
use super::{Site, in_browser};

/// Opens the page over the log of the minute.
pub(crate) async fn open(browser: &Browser, site: &Site, query: &str) {
    fs::write(site.log("adaptive_persistent.csv"), minute()).unwrap();
    browser.resize(1440, 1320).await;
    browser.open(&format!("{}/{query}", site.url())).await;
    browser.until(CHARTS_DRAWN).await;
}

/// Puts the decision log of the minute beside its log, and the description that names it.
pub(crate) fn with_choices(site: &Site) {
    let settings = json!({ "decisions": "/elsewhere/choices.jsonl" });
    let description = json!({ "policy": "adaptive", "settings": settings });
    fs::write(site.log("choices.jsonl"), choices()).unwrap();
    fs::write(site.log("adaptive_persistent.csv.meta.json"), description.to_string()).unwrap();
}

/// The query of a range from one second of the minute to the end of another.
fn range(from: i64, to: i64) -> String {
    format!("from={}&to={}", BEGIN_MS + from * 1000, BEGIN_MS + to * 1000 + 999)
}

/// How many rows the table of requests has.
const LISTED: &str = "document.querySelectorAll('#latest-table tbody tr').length";

/// The texts of the elements of this selector.
pub(crate) fn texts(selector: &str) -> String {
    format!("[...document.querySelectorAll('{selector}')].map((it) => it.textContent)")
}

pub(crate) fn is_shown(id: &str) -> String {
    format!("document.getElementById('{id}').checkVisibility()")
}

#[test]
fn a_link_to_a_range_shows_that_range_and_the_way_back() {
    in_browser(|browser, site| async move {
        open(&browser, &site, &format!("?{}", range(10, 19))).await;
        browser.until(&format!("{} === '0 of 150'", text("errors-note"))).await;
        let shown = browser.value(&text("range-text")).await;
        assert_eq!(shown, "2026-11-23 10:00:10 – 10:00:19");
        assert_eq!(
            browser.value("document.querySelector('input[name=window]:checked')").await,
            json!(null)
        );
        assert_eq!(browser.value(&text("rate")).await, "15");
        // It was so before the range, too.
        let states = browser.value(&texts("#backends-table td.state-cell")).await;
        assert_eq!(states[0], "up since before 2026-11-23 10:00:10");
        // Twice as long, from 5 s on: five seconds of failures are in it.
        browser.click("#wider").await;
        browser.until(&format!("{} === '10 of 288'", text("errors-note"))).await;
        browser.click("#live").await;
        browser.until(&format!("{} === '10 of 864'", text("errors-note"))).await;
        assert_eq!(browser.value("location.search").await, "");
        // The browser's way back leads back.
        browser.value("(history.back(), true)").await;
        browser.until(&format!("{} === '10 of 288'", text("errors-note"))).await;
        browser.value("(history.back(), true)").await;
        browser.until(&format!("{} === '0 of 150'", text("errors-note"))).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_link_that_is_wrong_or_leads_to_nothing_is_no_dead_end() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "?from=9&to=1&window=7m&slower=x&scale=cubic").await;
        browser.until(&format!("{} === '10 of 864'", text("errors-note"))).await;
        browser.open(&format!("{}/?from=1&to=1000", site.url())).await;
        browser.until(&is_shown("nothing")).await;
        browser.click("#nothing-live").await;
        browser.until(&format!("{} === '10 of 864'", text("errors-note"))).await;
        assert_eq!(browser.value(&is_shown("nothing")).await, false);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

/// Rows of these seconds and statuses.
fn rows_of(rows: impl IntoIterator<Item = (i64, u16)>) -> String {
    let row = |(second, status)| {
        let (hour, minute, second) = (10 + second / 3600, second / 60 % 60, second % 60);
        let time = format!("2026-11-23T{hour}:{minute:02}:{second:02}.000000Z");
        format!(
            "{time},http://a:8080,10,{status},adaptive,persistent,0,127.0.0.1:4000,GET,/,78,203,,9,\
             1,,,{time},1,best,,,\n"
        )
    };
    rows.into_iter().map(row).collect()
}

fn log_of(rows: impl IntoIterator<Item = (i64, u16)>) -> String {
    tidegate::journal::header() + &rows_of(rows)
}

#[test]
fn errors_of_clients_are_told_apart_and_are_no_sign_of_an_unhealthy_proxy() {
    in_browser(|browser, site| async move {
        let path = site.log("adaptive_persistent.csv");
        let rows = (0..50).flat_map(|second| [(second, 200), (second, 404)]);
        fs::write(&path, log_of(rows)).unwrap();
        browser.resize(1440, 1320).await;
        browser.open(site.url()).await;
        browser.until(&format!("{} === '50 of 100, all by clients'", text("errors-note"))).await;
        let tone = "document.getElementById('verdict').dataset.tone";
        assert_eq!(browser.value(tone).await, "good");
        let told = "No request failed because of the proxy or its backends. 50 requests (50.0 %) \
            ended in client errors, most of them 404. 95 % took 10.0 ms or less. The backend \
            answered.";
        assert_eq!(browser.value(&text("verdict-text")).await, told);
        let failed = (0..50).flat_map(|second| [(second, 502), (second, 502)]);
        let mut log = OpenOptions::new().append(true).open(&path).unwrap();
        log.write_all(rows_of(failed).as_bytes()).unwrap();
        browser.until(&format!("{} === '150 of 200, 50 by clients'", text("errors-note"))).await;
        let verdict = browser.value(&text("verdict-text")).await;
        let told = "50.0 % of requests failed, most of them 502, the last at 10:00:49 UTC. 50 \
            others (25.0 %) ended in client errors, most of them 404. 95 % took 10.0 ms or less.";
        assert!(verdict.as_str().unwrap().starts_with(told), "{verdict}");
        assert_eq!(browser.value(tone).await, "bad");
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_range_begins_where_it_was_asked_to_although_nothing_happened_there() {
    in_browser(|browser, site| async move {
        fs::write(site.log("adaptive_persistent.csv"), log_of([(0, 200), (50, 200)])).unwrap();
        browser.resize(1440, 1320).await;
        browser.open(&format!("{}/?{}", site.url(), range(20, 59))).await;
        browser.until(CHARTS_DRAWN).await;
        let marks = texts("#share-chart .grid text[text-anchor=middle]");
        let marks = browser.value(&marks).await;
        assert_eq!((&marks[0], &marks[1]), (&json!("10:00:25"), &json!("10:00:30")));
        let states = "[...document.querySelectorAll('#strips rect.state')]
            .map((it) => it.dataset.colour)";
        assert_eq!(browser.value(states).await, json!(["idle", "up"]));
        let since = browser.value(&texts("#backends-table td.state-cell")).await;
        assert_eq!(since, json!(["up since 2026-11-23 10:00:50"]));
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn errors_that_are_too_long_ago_to_be_told_apart_are_counted() {
    in_browser(|browser, site| async move {
        let log = log_of((0..300).map(|minute| (minute * 60, 502)));
        fs::write(site.log("adaptive_persistent.csv"), log).unwrap();
        let (from, to) = (BEGIN_MS, BEGIN_MS + 599_999);
        browser.open(&format!("{}/?from={from}&to={to}", site.url())).await;
        // A range is of whole slots.
        browser.until(&format!("{} === '11 of 11'", text("errors-note"))).await;
        let verdict = browser.value(&text("verdict-text")).await;
        let verdict = verdict.as_str().unwrap();
        assert!(verdict.starts_with("100 % of requests failed. 95 % took"), "{verdict}");
        browser.until(CHARTS_DRAWN).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_range_is_selected_by_pointer_and_by_keyboard() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        let from = browser.place("#share-chart", [0.4, 0.4]).await;
        let to = browser.place("#share-chart", [0.6, 0.4]).await;
        browser.drag(from, to).await;
        browser.until("new URLSearchParams(location.search).has('from')").await;
        let length = "(([f, t]) => t - f + 1)(['from', 'to']
            .map((name) => Number(new URLSearchParams(location.search).get(name))))";
        let dragged = browser.value(length).await.as_i64().unwrap();
        assert!(dragged % 1000 == 0 && (8_000..18_000).contains(&dragged), "{dragged}");
        // The charts show it, although the pointer is over one of them.
        let chart = "document.getElementById('share-chart').textContent";
        browser.until(&format!("!{chart}.includes('10:00:55')")).await;
        browser.click("#live").await;
        browser.until(&format!("{} === '10 of 864'", text("errors-note"))).await;
        // The last second and the two before it, of which one has an outlier.
        browser.value("(document.getElementById('latency-chart').focus(), true)").await;
        browser.press("\u{e010}").await;
        browser.press("\u{e008}\u{e012}\u{e012}\u{e000}").await;
        browser.press("\u{e007}").await;
        browser.until(&format!("location.search === '?{}'", range(57, 59))).await;
        browser.until(&format!("{} === '0 of 45'", text("errors-note"))).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_error_tile_opens_what_happened_and_that_its_requests() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        let verdict = browser.value(&text("verdict-text")).await;
        let says = "1.2 % of requests failed, most of them 504 response_timeout";
        assert!(verdict.as_str().unwrap().starts_with(says), "{verdict}");
        browser.click("#errors-open").await;
        let incident = browser.value(&texts("#incidents-list button")).await;
        let told = "504 response_timeout × 10 b:8080 2026-11-23 10:00:20 – 10:00:21";
        assert_eq!(incident, json!([told]));
        assert_eq!(
            browser.value(&text("incidents-note")).await.as_str().unwrap().split(',').next(),
            Some("10 errors in 1 group")
        );
        // The focus is in the list, so the keyboard goes on from there.
        browser.press("\u{e007}").await;
        browser.until(&format!("{LISTED} === 10")).await;
        let kinds = format!("[...new Set({})]", texts("#latest-table tbody td:nth-child(3)"));
        assert_eq!(browser.value(&kinds).await, json!(["504"]));
        let query = browser.value("location.search").await;
        for part in
            ["errors=1", "status=504", "fault=response_timeout", "backend=http%3A%2F%2Fb%3A8080"]
        {
            assert!(query.as_str().unwrap().contains(part), "{query}");
        }
        // The charts show the time around it: ten seconds before and after.
        let note = browser.value(&text("range-text")).await;
        assert_eq!(note, "2026-11-23 10:00:10 – 10:00:31");
        browser.shoot("incident").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn requests_are_listed_by_error_slowness_backend_and_reason() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        assert_eq!(browser.value(LISTED).await, 30);
        browser.click("#filter-errors").await;
        browser.until(&format!("{LISTED} === 10")).await;
        browser.click("#filter-none").await;
        browser.until(&format!("{LISTED} === 30")).await;
        let choose = |name: &str, value: &str| {
            format!(
                "((list) => {{ list.value = '{value}';
                list.dispatchEvent(new Event('change', {{ bubbles: true }})); return true; }})
            (document.getElementById('filter-{name}'))"
            )
        };
        browser.value(&choose("slower", "5000")).await;
        browser.until(&format!("{LISTED} === 1")).await;
        assert_eq!(
            browser.value(&texts("#latest-table tbody td:nth-child(4)")).await,
            json!(["10,000"])
        );
        browser.value(&choose("slower", "")).await;
        browser.value(&choose("reason", "retry")).await;
        browser.until(&format!("{LISTED} === 8")).await;
        browser.value(&choose("backend", "http://b:8080")).await;
        browser.until(&format!("{LISTED} === 0")).await;
        assert_eq!(browser.value(&is_shown("latest-none")).await, true);
        // The address has the filters, so a link has them, too.
        let query = browser.value("location.search").await;
        assert_eq!(query, "?reason=retry&backend=http%3A%2F%2Fb%3A8080");
        browser.open(&format!("{}/?reason=retry", site.url())).await;
        browser.until(&format!("{LISTED} === 8")).await;
        assert_eq!(browser.value("document.getElementById('filter-reason').value").await, "retry");
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_request_tells_why_it_went_there_in_sentences() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "?slower=5000").await;
        browser.until(&format!("{LISTED} === 1")).await;
        browser.value("(document.querySelector('#latest-table tbody button').focus(), true)").await;
        browser.press("\u{e007}").await;
        browser.until(&is_shown("why")).await;
        assert_eq!(browser.value(&text("why-title")).await, "GET / at 10:00:55.000");
        let why = browser.value(&texts("#why-text li")).await;
        let sentences = [
            "It went to a:8080 (turn). It was the next in turn.",
            "Nothing else was in flight there.",
            "In that second, a:8080 answered in 1,008 ms on average (66.7 % of requests), b:8080 \
             in 19.0 ms (33.3 % of requests).",
            "The status was 200, after 10,000 ms: 9,999 until the first byte, 1.00 for the rest.",
        ];
        assert_eq!(why, json!(sentences));
        // What a request cost besides: another attempt, and a place in the queue.
        browser.open(&format!("{}/?reason=hedge", site.url())).await;
        browser.until(&format!("{LISTED} === 1")).await;
        browser.click("#latest-table tbody td.path").await;
        let why = browser.value(&texts("#why-text li")).await;
        let hedged = "It went to a:8080 (hedge). An attempt with another backend was silent, and \
            this one answered first.";
        assert_eq!(why[0], hedged);
        browser.click("#why-close").await;
        assert_eq!(browser.value(&is_shown("why")).await, false);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn what_a_decision_log_recorded_of_a_request_is_told_too() {
    in_browser(|browser, site| async move {
        with_choices(&site);
        open(&browser, &site, "?backend=http://b:8080").await;
        browser.until(&format!("{LISTED} === 100")).await;
        browser.click("#latest-table tbody td.path").await;
        browser.until(&is_shown("choices-area")).await;
        let table = "[...document.querySelectorAll('#choices-table tbody tr')]
            .map((row) => [...row.cells].slice(0, 3).map((cell) => cell.textContent))";
        let expected = json!([
            ["a:8080", "up", "12.1"],
            ["b:8080, chosen", "up", "22.1"],
            ["c:8080", "down: check failed", "–"],
        ]);
        assert_eq!(browser.value(table).await, expected);
        let note = browser.value(&text("choices-note")).await;
        assert!(note.as_str().unwrap().contains("c:8080 is down since"), "{note}");
        // Of another request nothing was recorded, and the page says so.
        browser.click("#latest-table tbody tr:nth-child(2) td.path").await;
        let note = format!(
            "{}.startsWith('The last 16 MiB of the decision log have no')",
            text("choices-note")
        );
        browser.until(&note).await;
        assert_eq!(browser.value(&is_shown("choices-area")).await, false);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn availability_is_told_by_keyboard_and_by_pointer() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        let strip = "#strips .strip:nth-child(2) .chart";
        let told = format!("document.querySelector('{strip}').ariaValueText");
        browser.value(&format!("(document.querySelector('{strip}').focus(), true)")).await;
        // From the end back to the beginning, one stretch after the other.
        let stretches = [
            ("", "b:8080: up, 2026-11-23 10:00:31 – 10:01:00 (29 s). 145 requests and no failure."),
            (
                "\u{e012}",
                "b:8080: probing, 2026-11-23 10:00:30 – 10:00:31 (1 s). 1 request to see \
                whether it is back, of which 0 failed.",
            ),
            (
                "\u{e012}",
                "b:8080: ejected, 2026-11-23 10:00:22 – 10:00:30 (8 s). It got no requests \
                after 10 failures.",
            ),
            (
                "\u{e012}",
                "b:8080: failing, 2026-11-23 10:00:20 – 10:00:22 (2 s). All of 10 requests \
                failed.",
            ),
            (
                "\u{e012}",
                "b:8080: up, 2026-11-23 10:00:00 – 10:00:20 (20 s). 100 requests and no \
                failure.",
            ),
        ];
        for (key, expected) in stretches {
            if !key.is_empty() {
                browser.press(key).await;
            }
            assert_eq!(browser.value(&told).await, expected);
        }
        assert_eq!(
            browser.value(&texts("#strips-legend span")).await,
            json!(["up", "failing", "ejected", "probing"])
        );
        let [x, y] = browser.place(strip, [0.5, 0.5]).await;
        browser.point_at(x, y).await;
        let tip = format!("document.querySelector('{strip} .tip')");
        browser
            .until(&format!("{tip}.checkVisibility() && {tip}.textContent.includes('b:8080: ')"))
            .await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn one_outlier_does_not_flatten_the_latencies() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        let marks = texts("#latency-chart .grid text");
        let linear = browser.value(&marks).await;
        assert_eq!(linear, json!(["0 ms", "10 ms", "20 ms", "30 ms"]));
        let above = "document.querySelector('#latency-chart .above-text')?.textContent ?? ''";
        assert_eq!(browser.value(above).await, "▲ above the axis, up to 10 s");
        browser.click("#scales label:nth-of-type(2)").await;
        browser.until(&format!("{marks}.includes('10 s')")).await;
        assert_eq!(browser.value(above).await, "");
        assert_eq!(browser.value("location.search").await, "?scale=log");
        browser.shoot("log-axis").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn switches_second_attempts_the_queue_and_the_parts_of_the_time_are_told() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        assert_eq!(
            browser.value(&texts("#latency-chart .switch-text")).await,
            json!(["adaptive → round-robin"])
        );
        let lines = "document.querySelectorAll('main .chart line.switch').length";
        assert!(browser.value(lines).await.as_u64().unwrap() >= 5);
        assert_eq!(
            browser.value(&text("hedges-text")).await,
            "2 requests got a second attempt; it answered first for 1 (50.0 %)."
        );
        assert_eq!(
            browser.value(&text("queue-text")).await,
            "3 requests waited in the queue (0.3 %), 25.0 ms on average and 25.0 ms at most."
        );
        let parts = browser.value(&texts("#parts-legend b")).await;
        assert_eq!((&parts[1], &parts[3]), (&json!("0 ms"), &json!("1 ms")));
        let reasons = browser.value(&texts("#reasons-legend .state-key")).await;
        assert_eq!(reasons, json!(["best", "turn", "trial", "hedge", "retry"]));
        let states = browser.value(&texts("#backends-table td.state-cell")).await;
        assert_eq!(states[1], "up since 2026-11-23 10:00:30");
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn nothing_moves_for_those_who_want_that_and_nothing_is_cut_off_on_a_telephone() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        browser.prefer("prefers-reduced-motion", "reduce").await;
        let moving = "document.getAnimations().filter((it) => it.playState === 'running').length";
        browser.until(&format!("{moving} === 0")).await;
        browser.resize(390, 2600).await;
        browser.click("#errors-open").await;
        browser.click("#latest-table tbody td.path").await;
        browser.until("document.documentElement.scrollWidth <= 390").await;
        let wide = "[...document.querySelectorAll('main *')].filter((it) => !it.closest('.scroll'))
            .filter((it) => it.getBoundingClientRect().right > innerWidth)
            .map((it) => it.outerHTML)";
        assert_eq!(browser.value(wide).await, json!([]));
        browser.shoot("telephone").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}
