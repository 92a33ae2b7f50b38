//! Whether what the page says is true, in any number of windows and under any path.

use std::fs;

use serde_json::json;

use super::front::Front;
use super::in_browser;
use super::log::Log;
use super::page::{CHARTS_DRAWN, busy, state, text};

/// The cell with the reason of the newest request.
const FIRST_WHY: &str = "document.querySelector('#latest-table tbody tr td.why')";

/// Whether the first element of this selector is to be seen.
fn is_shown(selector: &str) -> String {
    format!("document.querySelector('{selector}').checkVisibility()")
}

#[test]
fn any_number_of_windows_gets_figures() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        // A browser opens at most six connections to one host; one window is open already.
        let mut windows = Vec::new();
        for _ in 0..6 {
            windows.push(browser.open_window(site.url()).await);
        }
        for window in windows {
            browser.turn_to(&window).await;
            assert_eq!(browser.value("document.visibilityState").await, "visible");
            browser.until(&state("live")).await;
            let rows = browser.value(&text("facts")).await;
            browser.until(&format!("{} !== {rows}", text("facts"))).await;
        }
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_table_and_the_chart_show_the_same_shares() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let shares = "(() => {
            const texts = (selector) =>
                [...document.querySelectorAll(selector)].map((it) => it.textContent).join();
            const column = texts('#backends-table tbody td.share');
            return column === texts('#legend small') ? column : 'not the same';
        })()";
        // The pointer stops the lines, but nothing else.
        let [x, y] = browser.place("#latency-chart", [0.5, 0.5]).await;
        browser.point_at(x, y).await;
        browser.until("!document.getElementById('held').hidden").await;
        let mut seen = browser.value(shares).await;
        for _ in 0..5 {
            browser.until(&format!("{shares} !== {seen}")).await;
            seen = browser.value(shares).await;
            assert_ne!(seen, "not the same");
        }
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn what_the_proxy_wrote_beside_its_log_is_shown_and_nothing_else() {
    in_browser(|browser, site| async move {
        let name = "adaptive_sma_persistent.csv";
        let urls = [8081, 8082, 8083, 8084].map(|port| format!("http://localhost:{port}"));
        let backends = urls.map(|url| json!({ "url": url }));
        let description = json!({ "format": 1, "policy": "adaptive_sma", "backends": backends,
            "parameters": { "window": 10 }, "failure_sample_ms": 10_000 });
        let _traffic = Log::create(&site.log(name), "adaptive_sma").past(90).go_on();
        browser.resize(1440, 1320).await;
        browser.open(site.url()).await;
        browser.until(&state("live")).await;
        browser.until(&format!("{}.includes('are not known')", text("policy"))).await;
        let beside = site.log(&format!("{name}.meta.json"));
        // After a reload it may be of a policy that has no request yet.
        fs::write(&beside, json!({ "policy": "round-robin" }).to_string()).unwrap();
        browser.until(&format!("{}.includes('is of round-robin')", text("policy"))).await;
        fs::write(&beside, description.to_string()).unwrap();
        browser.until(&format!("{}.includes('last 10 response times')", text("policy"))).await;
        let last = "document.querySelector('#backends-table tbody tr:last-child')";
        browser.until(&format!("{last}.cells[0].textContent === 'localhost:8084'")).await;
        assert_eq!(browser.value(&format!("{last}.cells[2].textContent")).await, "0");
        browser.until(CHARTS_DRAWN).await;
        // Averages would be a second opinion of what the rows tell.
        assert_eq!(browser.value(&is_shown("#latest-table .estimate")).await, false);
        assert_eq!(browser.value(&is_shown("#latest-table td.why")).await, true);
        let why = browser.value(&format!("{FIRST_WHY}.textContent")).await;
        let title = browser.value(&format!("{FIRST_WHY}.title")).await;
        let (why, title) = (why.as_str().unwrap(), title.as_str().unwrap());
        assert!(["best", "tie", "trial"].contains(&why), "{why}");
        assert!(title.starts_with("It was ") && title.contains("In flight there"), "{title}");
        let heads = "[...document.querySelector('#reasons-table thead tr').cells]
            .map((cell) => cell.textContent)";
        assert_eq!(browser.value(heads).await, json!(["Backend", "best", "tie", "trial"]));
        let count =
            "parseInt(document.querySelector('#reasons-table tbody tr').cells[1].textContent)";
        assert!(browser.value(count).await.as_u64().unwrap() > 0);
        browser.prefer_colours("light").await;
        browser.shoot("described").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn an_old_log_has_its_figures_and_the_page_says_when_they_end() {
    in_browser(|browser, site| async move {
        let row = "2026-11-23T10:00:00Z,http://a,1,200,adaptive_sma\n";
        let header = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";
        fs::write(site.log("x.csv"), format!("{header}{}", row.repeat(50))).unwrap();
        browser.resize(1440, 1320).await;
        browser.open(site.url()).await;
        browser.until(&state("silent")).await;
        let note = browser.value(&text("rate-note")).await;
        assert_eq!(note, "50 over the minute up to 2026-11-23 10:00:00");
        // A log of five columns tells no reasons.
        assert_eq!(browser.value(&is_shown("#latest-table td.why")).await, false);
        assert_eq!(browser.value(&is_shown("#latest-table .estimate")).await, true);
        let note = browser.value(&text("estimates-note")).await;
        let label = "SMA of 3 and EWMA of 0.2: recomputed from the log, the policy's parameters \
            are unknown";
        assert!(note.as_str().unwrap().ends_with(label), "{note}");
        browser.shoot("old").await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_row_without_the_column_of_the_reason_shows_nothing_there() {
    in_browser(|browser, site| async move {
        let header = "timestamp,backend_url,latency_ms,status_code,routing_mode,worker\n";
        let row = "2026-11-23T10:00:00Z,http://a,1,200,adaptive_sma,0\n";
        fs::write(site.log("x.csv"), format!("{header}{}", row.repeat(50))).unwrap();
        browser.resize(1440, 1320).await;
        browser.open(site.url()).await;
        browser.until(&state("silent")).await;
        assert_eq!(
            browser.value(&format!("{FIRST_WHY}.textContent + {FIRST_WHY}.title")).await,
            ""
        );
        assert_eq!(browser.value(&is_shown("#latest-table .estimate")).await, false);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn more_backends_than_can_be_told_apart_are_listed_and_the_busiest_have_lines() {
    in_browser(|browser, site| async move {
        let header = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";
        let row = |at| format!("2026-11-23T10:00:00Z,http://b{at:02},{at},200,round-robin\n");
        let rows = (0..40).chain(0..31).chain([39]).map(row).collect::<String>();
        fs::write(site.log("x.csv"), header.to_owned() + &rows).unwrap();
        browser.resize(1440, 1320).await;
        browser.open(site.url()).await;
        browser.until(CHARTS_DRAWN).await;
        let count = |selector: &str| format!("document.querySelectorAll('{selector}').length");
        assert_eq!(browser.value(&count("#backends-table tbody tr")).await, 40);
        assert_eq!(browser.value(&count("#legend button")).await, 32);
        let last = "document.querySelector('#legend button:last-child')";
        assert_eq!(browser.value(&format!("{last}.title")).await, "http://b39");
        // Wherever a backend is named it has the same colour.
        let listed = "document.querySelector('#backends-table tbody tr:last-child th')";
        let same = format!("{last}.dataset.colour === {listed}.dataset.colour");
        assert_eq!(browser.value(&same).await, true);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn the_page_works_behind_a_proxy_that_strips_a_prefix() {
    in_browser(|browser, site| async move {
        let _traffic = Log::create(&site.log("round-robin_persistent.csv"), "round-robin").go_on();
        let front = Front::start(site.url(), "/lb");
        browser.open(&format!("{}/lb/", front.url)).await;
        browser.until(&state("live")).await;
        browser.until(CHARTS_DRAWN).await;
        let rows = browser.value(&text("facts")).await;
        browser.until(&format!("{} !== {rows}", text("facts"))).await;
        let links = "[...document.links].map(link => new URL(link.href).pathname)
            .filter(path => !path.startsWith('/lb/'))";
        assert_eq!(browser.value(links).await, json!([]));
        browser.expect_clean_console(&[]).await;
        browser
    });
}
