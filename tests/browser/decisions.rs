//! What the page tells of a decision log that lies beside the log, and without one.

use std::fs;

use serde_json::json;

use super::in_browser;
use super::questions::{is_shown, open, texts, with_choices};
use super::story::minute;

#[test]
fn a_decision_log_tells_what_the_policy_expected_and_where_its_choices_fell() {
    in_browser(|browser, site| async move {
        with_choices(&site);
        open(&browser, &site, "").await;
        browser.until(&is_shown("expected")).await;
        // The time to the first byte is in the same chart.
        assert_eq!(browser.value(&is_shown("first-byte")).await, false);
        let kinds = "[...document.querySelectorAll('#expected-chart .plot path')]
            .filter((path) => path.getAttribute('d') !== '')
            .map((path) => `${path.getAttribute('class')} ${path.dataset.colour}`)";
        let expected =
            ["measured 0", "mean 0", "dots 0", "measured 1", "mean 1", "dots 1"].map(str::to_owned);
        browser.until(&format!("{kinds}.length === 6")).await;
        assert_eq!(browser.value(kinds).await, json!(expected));
        // Each choice has a marker at the backend that it fell on.
        let dots = "[...document.querySelectorAll('#expected-chart path.dots')]
            .map((path) => path.getAttribute('d').split('M').length - 1)";
        assert_eq!(browser.value(dots).await, json!([8, 52, 0]));
        let chart = "document.getElementById('expected-chart')";
        browser.value(&format!("({chart}.focus(), true)")).await;
        browser.press("\u{e011}").await;
        let told = "2026-11-23 10:00:00. a:8080: expected 9.00 ms, first byte 9.00 ms, 0 choices; \
            b:8080: expected 19.0 ms, first byte 19.0 ms, 1 choices; c:8080: expected – ms, first \
            byte – ms, 0 choices";
        assert_eq!(browser.value(&format!("{chart}.ariaValueText")).await, told);
        let tip = "[...document.querySelectorAll('#expected-chart .tip tr')]
            .map((row) => [...row.cells].map((cell) => cell.textContent))";
        let tip = browser.value(tip).await;
        assert_eq!(tip[0], json!(["", "estimate", "first byte", "score", "in flight", "choices"]));
        assert_eq!(tip[2], json!(["b:8080", "19.0", "19.0", "22.1", "1.0", "1"]));
        // The same as a table.
        browser.click("#expected-details summary").await;
        let rows = "document.querySelectorAll('#expected-table tbody tr').length";
        browser.until(&format!("{rows} === 30")).await;
        let first = "[...document.querySelector('#expected-table tbody tr').cells].slice(0, 4)
            .map((cell) => cell.textContent)";
        assert_eq!(browser.value(first).await, json!(["10:00:59", "9.00", "9.00", "12.1"]));
        browser.click("#expected-details summary").await;
        for (scheme, name) in [("light", "expected"), ("dark", "expected-dark")] {
            browser.prefer_colours(scheme).await;
            browser.shoot(name).await;
        }
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn without_a_decision_log_the_page_shows_what_rows_tell() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        assert_eq!(browser.value(&is_shown("expected")).await, false);
        assert_eq!(browser.value(&is_shown("first-byte")).await, true);
        // It comes while the page is open.
        with_choices(&site);
        browser.until(&is_shown("expected")).await;
        assert_eq!(browser.value(&is_shown("first-byte")).await, false);
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_decision_log_tells_what_a_backend_was_and_why() {
    in_browser(|browser, site| async move {
        with_choices(&site);
        open(&browser, &site, "").await;
        browser.until("document.querySelectorAll('#strips .strip').length === 3").await;
        let stretches = |strip: u32| {
            format!(
                "((strip) => [...strip.querySelectorAll('rect.state')]
                    .map((it) => it.dataset.colour))
                (document.querySelector('#strips .strip:nth-child({strip})'))"
            )
        };
        browser.until(&format!("{}.length === 2", stretches(3))).await;
        assert_eq!(browser.value(&stretches(3)).await, json!(["drained", "down"]));
        let b = json!(["up", "failing", "ejected", "probing", "up"]);
        assert_eq!(browser.value(&stretches(2)).await, b);
        // Where the pointer is, from the begin of the strip's first stretch on.
        let hovered = [
            (2, 25.5 / 20.0, "b:8080: ejected, because it failed several times in a row"),
            (3, 50.5 / 40.0, "c:8080: down, because its check failed"),
            (3, 20.5 / 40.0, "c:8080: drained"),
        ];
        for (strip, share, title) in hovered {
            let chart = format!("#strips .strip:nth-child({strip}) .chart");
            let [x, y] = browser.place(&format!("{chart} rect.state"), [share, 0.5]).await;
            browser.point_at(x, y).await;
            let tip = format!("document.querySelector('{chart} .tip strong')?.textContent");
            browser.until(&format!("{tip} === '{title}'")).await;
        }
        browser.shoot("availability").await;
        let source = "document.querySelector('#strips .strip:nth-child(3) .tip').textContent";
        let told = browser.value(source).await;
        assert!(told.as_str().unwrap().ends_with("40 recorded choices found it so."), "{told}");
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn strips_of_backends_that_are_gone_are_dropped() {
    in_browser(|browser, site| async move {
        open(&browser, &site, "").await;
        let strips = "document.querySelectorAll('#strips .strip').length";
        browser.until(&format!("{strips} === 2")).await;
        let last = "document.querySelector('#strips .strip:last-child .chart')";
        browser.value(&format!("(window.gone = new WeakRef({last}), true)")).await;
        let other = minute().replace("http://b:8080", "http://d:8080");
        fs::write(site.log("adaptive_persistent.csv"), &other[..other.len() - 1]).unwrap();
        browser.until(&format!("{}.includes('d:8080')", texts("#strips .strip > .backend"))).await;
        let is_gone = "window.gone.deref() === undefined";
        for _ in 0..200 {
            browser.collect_garbage().await;
            if browser.value(is_gone).await == true {
                break;
            }
        }
        assert_eq!(browser.value(is_gone).await, true);
        browser.expect_clean_console(&[]).await;
        browser
    });
}
