//! The pictures of docs/explain.md: what the page shows of the logs that `scripts/incidents` keeps.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::browser::Browser;
use super::page::{CHARTS_DRAWN, state, text};
use super::{Site, in_browser};

/// A log, and what is looked at in it.
struct Look {
    /// The folder of the scenario, and the log there.
    log: [&'static str; 2],
    /// Which requests are listed.
    query: &'static str,
    /// What is clicked on, one after the other.
    clicks: &'static [&'static str],
    /// Which parts of the page are pictures, each with its name.
    pictures: &'static [(&'static str, &'static str)],
}

const WIDTH: u32 = 1200;

/// The load ends with two seconds for the last answers; then clients leave.
const END_MS: i64 = 4_000;

const FIRST_REQUEST: &str = "#latest-table tbody td.path";

const LOOKS: [Look; 6] = [
    Look {
        log: ["fails-fast-3s", "round-robin"],
        query: "",
        clicks: &["#errors-open"],
        pictures: &[("section:has(#verdict)", "fails-fast")],
    },
    Look {
        log: ["fails-fast-3s", "round-robin"],
        query: "&reason=trial&errors=1",
        clicks: &[FIRST_REQUEST],
        pictures: &[("#why", "fails-fast-why")],
    },
    Look {
        log: ["slow-phase-8", "round-robin"],
        query: "&slower=500",
        clicks: &[FIRST_REQUEST],
        pictures: &[(".card.latency", "slow"), ("#why", "slow-why")],
    },
    Look {
        log: ["slow-phase-8", "adaptive"],
        query: "",
        clicks: &[],
        pictures: &[(".card.latency", "slow-adaptive")],
    },
    Look {
        log: ["uneven", "adaptive_sma"],
        query: "&slower=500",
        clicks: &[FIRST_REQUEST],
        pictures: &[(".card.latency", "herding"), ("#choices", "herding-choices")],
    },
    Look {
        log: ["uneven", "adaptive"],
        query: "",
        clicks: &[],
        pictures: &[(".card.latency", "herding-adaptive")],
    },
];

/// What the page says in sentences.
const SENTENCES: [&str; 5] = ["verdict", "time-text", "incidents-list", "why-there-text", "why"];

impl Look {
    /// The time that is shown: all but the end, where the clients left.
    fn range(&self, site: &Site) -> String {
        let log = fs::read_to_string(site.log(&format!("{}.csv", self.log[1]))).unwrap();
        let times = log.lines().skip(1).map(|row| {
            let time: Timestamp = row.split(',').next().unwrap().parse().unwrap();
            time.as_millisecond()
        });
        let times: Vec<_> = times.collect();
        let (first, last) = (times[0], times[times.len() - 1]);
        format!("?from={first}&to={}{}", last - END_MS, self.query)
    }

    /// Puts the log, its description and its choices where the dashboard looks.
    fn lay(&self, folder: &Path, site: &Site) {
        let [scenario, policy] = self.log;
        for end in ["csv", "csv.meta.json", "jsonl"] {
            let name = format!("{policy}.{end}");
            let from = folder.join(scenario).join(&name);
            fs::copy(&from, site.log(&name))
                .unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
    }

    async fn take(&self, browser: &Browser, site: &Site) {
        browser.open(&format!("{}/{}", site.url(), self.range(site))).await;
        browser.until(CHARTS_DRAWN).await;
        // The whole log has been read.
        browser.until(&state("ended")).await;
        for selector in self.clicks {
            browser.until(&format!("document.querySelector('{selector}') !== null")).await;
            browser.click(selector).await;
        }
        let is_told = "document.getElementById('why').hidden
            || !document.getElementById('choices-note').hidden";
        browser.until(is_told).await;
        // All of it fits, so that nothing scrolls.
        let height = browser.value("document.documentElement.scrollHeight").await;
        browser.resize(WIDTH, height.as_u64().unwrap().try_into().unwrap()).await;
        for (part, name) in self.pictures {
            browser.shoot_part(part, &format!("explain-{name}")).await;
        }
        println!("\n{} {}", self.log.join(" "), self.query);
        for id in SENTENCES {
            println!("  {id}: {}", browser.value(&text(id)).await);
        }
    }
}

#[test]
#[ignore = "needs logs of real runs: ./scripts/incidents"]
fn incidents_are_seen() {
    let folder = std::env::var_os("TIDEGATE_INCIDENTS").map(PathBuf::from).expect("a folder");
    for look in LOOKS {
        let folder = folder.clone();
        in_browser(|browser, site| async move {
            browser.resize(WIDTH, 1200).await;
            browser.prefer_colours("light").await;
            look.lay(&folder, &site);
            look.take(&browser, &site).await;
            browser.expect_clean_console(&[]).await;
            browser
        });
    }
}
