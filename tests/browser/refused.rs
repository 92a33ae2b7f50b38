//! What the page says if it does not get what it asks for.

use serde_json::json;

use super::in_browser;
use super::page::{CHARTS_DRAWN, busy, state, text};

/// Makes the page get this answer from now on to what begins with `path`.
fn answers(path: &str, answer: &str) -> String {
    format!(
        "((real) => {{ window.fetch = (target, options) => String(target).startsWith('{path}')
            ? {answer} : real(target, options); return true; }})
        (window.real ??= window.fetch)"
    )
}

#[test]
fn what_the_dashboard_refuses_is_told_with_its_reason_and_what_to_do() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let refusal = |status: u16, told: &str| {
            let kind = "{ 'Content-Type': 'text/plain; charset=utf-8' }";
            let answer = format!("'{told}\\n', {{ status: {status}, headers: {kind} }}");
            format!("Promise.resolve(new Response({answer}))")
        };
        for (answer, shown, told) in [
            (
                refusal(421, "this dashboard does not answer for the host \"x\""),
                "refused",
                "The dashboard’s answer is 421: this dashboard does not answer for the host \
                 \"x\". Or open the page as localhost.",
            ),
            (
                refusal(400, "no such window"),
                "refused",
                "The dashboard’s answer is 400: no such window. Choose another time.",
            ),
            (
                "Promise.resolve(new Response(new Blob(['<p>']), { status: 503 }))".to_owned(),
                "refused",
                "The dashboard’s answer is 503. Trying again.",
            ),
            (
                "Promise.resolve(new Response('<p>'))".to_owned(),
                "refused",
                "What answers is not the dashboard. Trying again; if that does not help, reload \
                 the page.",
            ),
            (
                "Promise.reject(new TypeError())".to_owned(),
                "lost",
                "The dashboard does not answer. Trying again.",
            ),
        ] {
            browser.value(&answers("data", &answer)).await;
            browser.until(&format!("{} === {}", text("message"), json!(told))).await;
            browser.until(&state(shown)).await;
        }
        browser.shoot("refused").await;
        browser.value(&answers("nothing", "null")).await;
        browser.until(&state("live")).await;
        // A list that is refused is not taken for one of all requests, and the figures go on.
        let refused = refusal(400, "no such filter");
        browser.value(&answers("requests", &refused)).await;
        browser.click("#filter-errors").await;
        let none = "The dashboard’s answer is 400: no such filter. Clear the filters.";
        browser.until(&format!("{} === '{none}'", text("latest-none"))).await;
        let rows = "document.querySelectorAll('#latest-table tbody tr').length";
        assert_eq!(browser.value(rows).await, 0);
        browser.until(&state("live")).await;
        browser.click("#filter-none").await;
        browser.until(&format!("{rows} === 30")).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}

#[test]
fn a_link_asks_for_nothing_that_the_dashboard_refuses() {
    in_browser(|browser, site| async move {
        let _traffic = busy(&browser, &site).await;
        let most = 10_i64.pow(15) - 1;
        let query = format!("?from=0&to={most}&slower={most}&status={most}");
        browser.open(&format!("{}/{query}", site.url())).await;
        browser.until(&state("live")).await;
        browser.until(CHARTS_DRAWN).await;
        browser.expect_clean_console(&[]).await;
        browser
    });
}
