//! What the page shows, and what a user does on it.

use std::fs::{self, OpenOptions};
use std::io::Write;

use serde_json::{Value, json};

use super::browser::Browser;
use super::log::{Log, Traffic};
use super::{Site, in_browser};

/// The text of an element.
pub(crate) fn text(id: &str) -> String {
    format!("document.getElementById('{id}').textContent")
}

/// Whether the status bar shows this state.
pub(crate) fn state(state: &str) -> String {
    format!("document.getElementById('status').dataset.state === '{state}'")
}

pub(crate) const CHARTS_DRAWN: &str =
    "document.querySelectorAll('#latency-chart path.mean').length > 0
    && document.querySelectorAll('#share-chart path.stack').length > 0";

/// The colour of the first backend's line, which depends on the theme.
const FIRST_LINE: &str =
    "getComputedStyle(document.querySelector('#latency-chart path.mean')).stroke";
const BLUE_ON_LIGHT: &str = "rgb(11, 108, 184)";
const BLUE_ON_DARK: &str = "rgb(88, 174, 240)";

/// The number of the last slot of the charts.
const SLOTS: &str = "Number(document.getElementById('latency-chart').ariaValueMax)";

/// Opens the page over a log with 90 s of traffic and its description, and waits for the charts.
pub(crate) async fn busy(browser: &Browser, site: &Site) -> Traffic {
    busy_for(90, browser, site).await
}

/// The same with so many seconds of traffic.
async fn busy_for(seconds: i64, browser: &Browser, site: &Site) -> Traffic {
    let name = "adaptive_ewma_persistent.csv";
    let description = json!({ "format": 1, "policy": "adaptive_ewma", "backends": [],
        "parameters": { "alpha": 0.2 }, "failure_sample_ms": 10_000 });
    fs::write(site.log(&format!("{name}.meta.json")), description.to_string()).unwrap();
    let traffic = Log::create(&site.log(name), "adaptive_ewma").past(seconds).go_on();
    browser.resize(1440, 1320).await;
    browser.open(site.url()).await;
    browser.until(&state("live")).await;
    browser.until(CHARTS_DRAWN).await;
    // The first charts may show the log while it was still being read.
    let newest =
        "Date.parse(`1970-01-01T${document.querySelector('#latest-table tbody th').textContent}Z`)";
    browser.until(&format!("(Date.now() - {newest}) % 86400000 < 5000")).await;
    traffic
}

#[test]
fn numbers_move_while_rows_are_appended() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        assert_eq!(browser.value(&text("mode")).await, "adaptive_ewma");
        assert_eq!(browser.value(&text("connection")).await, "persistent");
        let rows = browser.value(&text("facts")).await;
        browser.until(&format!("{} !== {rows}", text("facts"))).await;
        browser.until("parseFloat(document.getElementById('rate').textContent) > 50").await;
        let names = browser
            .value(
                "[...document.querySelectorAll('#backends-table th.backend')]
                    .map(e => e.textContent)",
            )
            .await;
        assert_eq!(names, json!(["localhost:8081", "localhost:8082", "localhost:8083"]));
        let latest =
            browser.value("document.querySelectorAll('#latest-table tbody tr').length").await;
        assert_eq!(latest, 30);
        browser.prefer_colours("light").await;
        browser.shoot("light").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn rows_of_the_tables_are_kept_while_their_text_changes() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let first = "document.querySelector('#latest-table tbody tr')";
        browser
            .value(&format!("(window.kept = {first}, window.was = kept.textContent, true)"))
            .await;
        browser.until(&format!("{first}.textContent !== was")).await;
        assert_eq!(browser.value(&format!("{first} === kept")).await, true);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_pointer_shows_values_and_holds_the_lines_still() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let [x, y] = browser.place("#latency-chart", [0.6, 0.5]).await;
        browser.point_at(x - 5.0, y).await;
        browser.point_at(x, y).await;
        browser.until("document.querySelector('#latency-chart .tip').checkVisibility()").await;
        let said = "[...document.querySelectorAll('#latency-chart .tip tr')]
            .map((row) => [...row.cells].map((cell) => cell.textContent))";
        let said = browser.value(said).await;
        assert_eq!(said[0], json!(["", "mean", "p50", "p95", "max", "requests"]));
        let names: Vec<_> = (1..4).map(|row| said[row][0].as_str().unwrap()).collect();
        assert_eq!(names, ["localhost:8081", "localhost:8082", "localhost:8083"]);
        // The other charts have the cursor, too, and nothing moves below it.
        let cursors = "document.querySelectorAll('main .chart .cursor line').length";
        assert!(browser.value(cursors).await.as_u64().unwrap() >= 5);
        assert_eq!(browser.value("document.getElementById('held').hidden").await, false);
        let line = "document.querySelector('#latency-chart path.mean').getAttribute('d')";
        let (was, facts) = (browser.value(line).await, browser.value(&text("facts")).await);
        browser.until(&format!("{} !== {facts}", text("facts"))).await;
        assert_eq!(browser.value(line).await, was);
        browser.shoot("hover").await;
        browser.point_at(5.0, 5.0).await;
        browser.until("document.getElementById('held').hidden").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_window_is_switched_by_pointer_and_by_keyboard() {
    in_browser(|browser, site| async move {
        let _traffic = busy_for(300, &browser, &site).await;
        let requests = |above: u32| {
            format!(
                "parseInt({}.split(' of ')[1].replaceAll(',', '')) > {above}",
                text("errors-note")
            )
        };
        browser.until(&format!("!({})", requests(15_000))).await;
        browser.click("#windows label:nth-of-type(2)").await;
        browser.until(&requests(50_000)).await;
        browser.until(&format!("{SLOTS} > 250")).await;
        assert_eq!(browser.value("location.search").await, "?window=5m");
        let note = browser.value(&text("rate-note")).await;
        assert!(note.as_str().unwrap().contains("5 minutes"), "{note}");
        browser.shoot("five-minutes").await;
        // Arrow keys move within the group.
        browser.press("\u{e014}").await;
        browser.until("document.querySelector('input[value=all]').checked").await;
        assert_eq!(browser.value("location.search").await, "?window=all");
        browser.until(&format!("{}.includes('whole time')", text("rate-note"))).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_page_follows_the_systems_theme_or_the_chosen_one() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let page = "getComputedStyle(document.body).backgroundColor";
        let (light, dark) = ("rgb(244, 246, 247)", "rgb(13, 19, 24)");
        browser.prefer_colours("light").await;
        browser.until(&format!("{page} === '{light}'")).await;
        browser.prefer_colours("dark").await;
        browser.until(&format!("{page} === '{dark}'")).await;
        browser.until(&format!("{FIRST_LINE} === '{BLUE_ON_DARK}'")).await;
        browser.shoot("dark").await;
        browser.click("#theme").await;
        browser.until(&format!("{page} === '{light}'")).await;
        browser.until(&format!("{FIRST_LINE} === '{BLUE_ON_LIGHT}'")).await;
        // The choice is remembered.
        browser.open(site.url()).await;
        browser.until(&format!("{page} === '{light}'")).await;
        browser.click("#theme").await;
        browser.click("#theme").await;
        assert_eq!(browser.value(&text("theme-name")).await, "auto");
        browser.until(&format!("{page} === '{dark}'")).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_narrow_page_has_all_its_figures_and_is_not_wider_than_the_screen() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        browser.resize(390, 2600).await;
        browser.until("document.documentElement.scrollWidth <= 390").await;
        browser.until("document.querySelector('#latency-chart svg').clientWidth < 380").await;
        // A narrow chart has fewer marks on its axis.
        let marks =
            "document.querySelectorAll('#share-chart .grid text[text-anchor=middle]').length";
        browser.until(&format!("{marks} > 0 && {marks} <= 4")).await;
        for (scheme, blue) in [("light", BLUE_ON_LIGHT), ("dark", BLUE_ON_DARK)] {
            browser.prefer_colours(scheme).await;
            browser.until(&format!("{FIRST_LINE} === '{blue}'")).await;
            browser.shoot(&format!("narrow-{scheme}")).await;
        }
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_paused_page_does_not_change_until_it_continues() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        browser.click("#pause").await;
        browser.until(&state("paused")).await;
        let facts = browser.value(&text("facts")).await;
        // Once the dashboard has new figures, the page could have changed.
        let known =
            "fetch('/data').then(a => a.json()).then(d => { window.known = d.since.requests; })";
        browser.value(&format!("({known}, window.known = 0, true)")).await;
        browser.until("window.known > 0").await;
        let before = browser.value("window.known").await;
        browser.until(&format!("({known}, window.known > {before} + 200)")).await;
        assert_eq!(browser.value(&text("facts")).await, facts);
        browser.click("#pause").await;
        browser.until(&state("live")).await;
        browser.until(&format!("{} !== {facts}", text("facts"))).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn what_is_wrong_with_the_source_is_said() {
    in_browser(|browser, site| async move {
        browser.resize(1440, 900).await;
        browser.open(site.url()).await;
        browser.until(&state("waiting")).await;
        assert_eq!(browser.value(&text("welcome-message")).await, "Waiting for a log in logs/.");
        browser.shoot("empty").await;

        let path = site.log("round-robin_persistent.csv");
        let log = Log::create(&path, "round-robin");
        browser.until(&state("empty")).await;
        // A log is live for three seconds after a row, and a page may be busy for longer.
        let traffic = log.go_on();
        browser.until(&state("live")).await;
        browser.until(CHARTS_DRAWN).await;
        drop(traffic);
        let broken = b"\xff,,nonsense\nhalf,a,row\n";
        OpenOptions::new().append(true).open(&path).unwrap().write_all(broken).unwrap();
        browser.until(&format!("{}.includes('2 broken')", text("facts"))).await;
        browser.until(&state("silent")).await;
        browser.until(&format!("/^No rows for \\d+ s/.test({})", text("message"))).await;
        browser.shoot("silent").await;

        fs::remove_file(&path).unwrap();
        browser.until(&state("deleted")).await;
        assert!(
            browser.value(&text("message")).await.as_str().unwrap().starts_with("Log file deleted")
        );
        assert!(browser.value(&text("announcer")).await.as_str().unwrap().starts_with("Deleted."));
        browser.shoot("deleted").await;

        // A newer run appears.
        Log::create(&site.log("adaptive_sma_persistent.csv"), "adaptive_sma").append(10);
        browser.until(&format!("{} === 'adaptive_sma'", text("mode"))).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_dashboard_that_ended_differs_from_a_silent_log() {
    in_browser(|browser, mut site| async move {
        let _traffic = busy(&browser, &site).await;
        site.stop();
        browser.until(&state("lost")).await;
        browser.shoot("lost").await;
        site.restart();
        browser.until(&state("live")).await;
        browser.expect_clean_console(&["net::ERR_"]).await;
        browser
    });
}

#[test]
fn markup_in_the_log_is_shown_as_text_and_does_nothing() {
    in_browser(|browser, site| async move {
        let hostile =
            "<script>document.title='owned'</script><img src=x onerror=\"window.owned=1\">";
        let quoted = format!("\"{}\"", hostile.replace('"', "\"\""));
        let header = tidegate::journal::header();
        let row = format!(
            "2026-11-23T10:11:12.000000Z,{quoted},1.500,200,{quoted},{quoted},0,127.0.0.1:1,GET,\
             {quoted},1,1,,1.2,1,{quoted}\n"
        );
        fs::write(site.log("hostile.csv"), header + &row.repeat(3)).unwrap();
        browser.resize(1440, 1320).await;
        browser.open(site.url()).await;
        browser.until(CHARTS_DRAWN).await;
        for window in [1, 2, 3] {
            browser.click(&format!("#windows label:nth-of-type({window})")).await;
        }
        browser.until(&format!("{}.includes('time up to')", text("rate-note"))).await;
        assert_eq!(browser.value(&text("mode")).await, hostile);
        let shown = "document.querySelector('#latest-table td.path').textContent";
        assert_eq!(browser.value(shown).await, format!("GET {hostile}"));
        let alien = "document.querySelectorAll('script:not([src]), main img, \
            :is(td, th) *:not(button), button :not(span, small)').length";
        assert_eq!(browser.value(alien).await, 0);
        assert_eq!(browser.value("window.owned ?? null").await, Value::Null);
        browser.shoot("hostile").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_page_is_accessible_to_screen_readers() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let nameless =
            "[...document.querySelectorAll('button, input, select, section, a, main [role]')]
            .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label')
                || e.getAttribute('aria-labelledby') || e.labels?.length))
            .map(e => e.outerHTML)";
        assert_eq!(browser.value(nameless).await, json!([]));
        // The keyboard opens the chart's lines as a table.
        browser.value("(document.querySelector('summary').focus(), true)").await;
        browser.press("\u{e007}").await;
        browser.until("document.querySelectorAll('#latency-table tbody tr').length === 30").await;
        let heads =
            browser.value("document.querySelector('#latency-table thead').textContent").await;
        assert!(heads.as_str().unwrap().contains("localhost:8081 p50"), "{heads}");
        // A slider has a value although nobody has moved it.
        let untold = "[...document.querySelectorAll('[role=slider]')]
            .filter((it) => it.checkVisibility())
            .filter((it) => it.ariaValueNow === null || !it.ariaValueText
                || Number(it.ariaValueNow) !== Number(it.ariaValueMax))
            .map((it) => it.outerHTML)";
        assert_eq!(browser.value(untold).await, json!([]));
        // Each column and each row of a table has a head.
        let headless = "[...document.querySelectorAll('main table')]
            .filter((it) => !it.closest('[aria-hidden]'))
            .flatMap((table) => [...table.rows].filter((row) => row.parentElement === table.tHead
                ? [...row.cells].some((it) => it.tagName !== 'TH' || it.scope !== 'col')
                : row.cells[0].tagName !== 'TH' || row.cells[0].scope !== 'row'))
            .map((it) => it.outerHTML)";
        assert_eq!(browser.value(headless).await, json!([]));
        // The button of a request tells whether what it opens is open.
        let open = "[...document.querySelectorAll('#latest-table [aria-expanded=true]')].length";
        assert_eq!(browser.value(open).await, 0);
        browser.value("(document.querySelector('#latest-table button').focus(), true)").await;
        browser.press("\u{e007}").await;
        browser.until(&format!("{open} === 1")).await;
        assert_eq!(browser.value("document.querySelector('[aria-selected]')").await, Value::Null);
        browser.value("(document.activeElement.blur(), true)").await;
        // What a screen reader announces does not change with every figure.
        let said = browser.value(&text("announcer")).await;
        let facts = browser.value(&text("facts")).await;
        browser.until(&format!("{} !== {facts}", text("facts"))).await;
        assert_eq!(browser.value(&text("announcer")).await, said);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_backend_is_hidden_in_the_chart_and_shown_again() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let lines = |count: u32| {
            let lines = "document.querySelectorAll('#latency-chart :is(path.mean, path.p95)')";
            format!("{lines}.length === {count}")
        };
        browser.until(&lines(6)).await;
        let pressed = "document.querySelector('#legend button').getAttribute('aria-pressed')";
        assert_eq!(browser.value(pressed).await, "true");
        browser.click("#legend button").await;
        browser.until(&lines(4)).await;
        assert_eq!(browser.value(pressed).await, "false");
        browser.click("#legend button").await;
        browser.until(&lines(6)).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn numbers_are_formatted() {
    in_browser(|browser, site| async move {
        browser.open(site.url()).await;
        for (call, text) in [
            ("millis(null)", "–"),
            ("millis(0.1234)", "0.123"),
            ("millis(9.876)", "9.88"),
            ("millis(200.96)", "201.0"),
            ("millis(12345.6)", "12,346"),
            ("count(1234567)", "1,234,567"),
            ("rate(0)", "0"),
            ("rate(0.01)", "< 0.1"),
            ("rate(4.25)", "4.3"),
            ("rate(41203.4)", "41,203"),
            ("percent(0)", "0 %"),
            ("percent(0.00001)", "< 0.1 %"),
            ("percent(1/3)", "33.3 %"),
            ("percent(1)", "100 %"),
            ("time(1500)", "00:00:01"),
            ("time(1500.25, true)", "00:00:01.500"),
            ("since(0)", "1970-01-01 00:00:00"),
            ("bytes(999)", "1 kB"),
            ("bytes(2115098112)", "2.12 GB"),
            ("span(0)", "0 ms"),
            ("span(9876.5)", "9.88 s"),
            ("span(90000)", "1.5 min"),
            ("many(1, 'row')", "1 row"),
            ("many(2000, 'row')", "2,000 rows"),
        ] {
            let told = browser.value(&format!("import('./format.js').then(f => f.{call})")).await;
            assert_eq!(told, text, "{call}");
        }
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn nothing_is_fetched_from_outside() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let foreign = "performance.getEntriesByType('resource').map(e => e.name)
            .filter(name => !name.startsWith(location.origin))";
        assert_eq!(browser.value(foreign).await, json!([]));
        browser
    });
}
