//! The dashboard's page in a real browser: Chromium, driven over `WebDriver`.
//!
//! Each test has a browser, a dashboard and a log of its own, and fails on any error in the
//! browser's console. Screenshots are written to `target/screenshots/`. If Chromium or chromedriver
//! is missing, the tests fail, unless `TIDEGATE_SKIP_BROWSER` is set.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::{Mutex, PoisonError};

mod browser;
mod decisions;
mod front;
mod incidents;
mod log;
mod page;
mod picture;
mod questions;
mod refused;
mod site;
mod story;
mod truth;

use browser::Browser;
use site::Site;

/// Runs a test in a browser that is closed whatever happens. Two tests run at a time, because
/// browsers need much processor time, and without it a page looks slow. The next browser starts
/// meanwhile.
fn in_browser<F>(test: impl FnOnce(Browser, Site) -> F)
where
    F: Future<Output = Browser> + Send + 'static,
{
    static STARTED: Mutex<usize> = Mutex::new(0);
    static TURNS: [Mutex<()>; 2] = [const { Mutex::new(()) }; 2];
    if std::env::var_os("TIDEGATE_SKIP_BROWSER").is_some() {
        return;
    }
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    *started += 1;
    let browser = runtime.block_on(Browser::start());
    let turn = TURNS[*started % TURNS.len()].lock().unwrap_or_else(PoisonError::into_inner);
    drop(started);
    let ended = runtime.block_on(async { tokio::spawn(test(browser, Site::start())).await });
    drop(turn);
    let browser = ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    runtime.block_on(browser.close());
}
