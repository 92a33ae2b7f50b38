//! The dashboard's page in a real browser: Chromium, driven over `WebDriver`.
//!
//! Each test has a browser, a dashboard and a log of its own, and fails on anything the browser's
//! console calls an error. Screenshots are left in `target/screenshots/`. Where Chromium and
//! chromedriver are missing the tests fail, unless `TIDEGATE_SKIP_BROWSER` is set.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod browser;
mod front;
mod log;
mod page;
mod site;
mod truth;

use browser::Browser;
use site::Site;

/// Runs a test in a browser that is closed whatever happens, one test at a time: browsers are
/// heavy, and one that is starved looks like a page that is slow.
fn in_browser<F>(test: impl FnOnce(Browser, Site) -> F)
where
    F: Future<Output = Browser> + Send + 'static,
{
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    if std::env::var_os("TIDEGATE_SKIP_BROWSER").is_some() {
        return;
    }
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let browser = Browser::start().await;
        let browser = tokio::spawn(test(browser, Site::start())).await;
        browser.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic())).close().await;
    });
}
