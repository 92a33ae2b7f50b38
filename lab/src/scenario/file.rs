//! A scenario's file as it is written, and the checks of each table.

use serde::Deserialize;
use tidegate::balance::MAX_BACKENDS;
use toml::Spanned;

use super::load::{LoadTable, capacity};
use super::{Arena, Class, Focus, Group, Proxies, Run, Scenario};

/// More would be no focus.
const MOST_FOCUSES: usize = 64;

/// A file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    about: String,
    backend: Vec<Spanned<Group>>,
    #[serde(default)]
    class: Vec<Spanned<Class>>,
    load: Spanned<LoadTable>,
    #[serde(default)]
    proxies: Option<Spanned<Proxies>>,
    #[serde(default)]
    focus: Vec<Spanned<Focus>>,
    run: Spanned<Run>,
    #[serde(default)]
    arena: Option<Spanned<Arena>>,
}

/// Where a table begins that is wrong, and what is.
type Wrong = (std::ops::Range<usize>, String);

/// The value of a table that passes its check.
fn checked<T>(table: Spanned<T>, check: impl Fn(&T) -> Option<&'static str>) -> Result<T, Wrong> {
    match check(table.get_ref()) {
        Some(wrong) => Err((table.span(), wrong.to_owned())),
        None => Ok(table.into_inner()),
    }
}

fn all<T>(
    tables: Vec<Spanned<T>>,
    check: impl Fn(&T) -> Option<&'static str>,
) -> Result<Vec<T>, Wrong> {
    tables.into_iter().map(|table| checked(table, &check)).collect()
}

impl File {
    pub(super) fn check(self, load: Option<f64>) -> Result<Scenario, Wrong> {
        let run = checked(self.run, |run| {
            (run.length.is_zero() || run.seeds == 0).then_some("length and seeds are above 0")
        })?;
        let backends = all(self.backend, Group::wrong)?;
        let total: usize = backends.iter().map(|group| group.count).sum();
        let load_at = self.load.span();
        if total == 0 || total > MAX_BACKENDS {
            return Err((0..0, format!("{total} backends; give 1 to {MAX_BACKENDS}")));
        }
        let mut classes = all(self.class, |class| {
            let is_positive = class.share > 0.0 && class.cost > 0.0;
            (!is_positive).then_some("share and cost are above 0")
        })?;
        if classes.is_empty() {
            classes.push(Class { name: "all".to_owned(), share: 1.0, cost: 1.0, wait: None });
        }
        let names: Vec<&str> = classes.iter().map(|class| &*class.name).collect();
        let focus = all(self.focus, |focus| match (&focus.during, &focus.class) {
            (None, None) => Some("give during or class"),
            (_, Some(class)) if !names.contains(&&**class) => Some("there is no such class"),
            _ => None,
        })?;
        if focus.len() > MOST_FOCUSES {
            return Err((0..0, format!("{} focuses; give {MOST_FOCUSES} at most", focus.len())));
        }
        let proxies = match self.proxies {
            Some(proxies) => checked(proxies, |it| {
                let is_positive = it.count > 0 && it.workers > 0 && it.max_attempts > 0;
                let is_hedge = it.hedge <= 100 && (1..=3).contains(&it.hedge_attempts);
                match (is_positive, is_hedge) {
                    (false, _) => Some("count, workers and max-attempts are above 0"),
                    (_, false) => Some("hedge is 0 to 100, hedge-attempts 1 to 3"),
                    (true, true) => None,
                }
            })?,
            None => Proxies::default(),
        };
        let arena = match self.arena {
            Some(arena) => checked(arena, Arena::wrong)?,
            None => Arena::default(),
        };
        let mut table = self.load.into_inner();
        if load.is_some() {
            (table.load, table.rate, table.clients) = (load, None, None);
        }
        let load = table.check(capacity(&backends, &classes)).map_err(|what| (load_at, what))?;
        Ok(Scenario { about: self.about, backends, classes, load, proxies, focus, run, arena })
    }
}
