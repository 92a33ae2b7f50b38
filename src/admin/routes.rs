//! What there is: each path and method, and how it is answered.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value as Json, json};

use super::answer::Answer;
use super::recent::Recent;
use super::request::{Request, unescaped};
use super::{backends, changes};
use crate::control::changes::Changes;
use crate::control::controller::Controller;
use crate::control::scraper::Scraper;
use crate::control::{describe, file};
use crate::http::Method;
use crate::proxy::CHOICES_KEPT;
use crate::proxy::metrics::exposition::Format;
use crate::proxy::observed::Occupancy;
use crate::usage::or_nearest;

/// What requests are answered from.
pub struct Service {
    pub(super) controller: Controller,
    scraper: Scraper,
    pub(super) reload: Reload,
    pub(super) changed: Changed,
    recent: Mutex<Recent>,
}

/// Reads the configuration file again: what that changed, or why nothing did.
type Reload = Box<dyn Fn() -> Result<Changes, String> + Send + Sync>;

/// Is told what the admin has changed.
type Changed = Box<dyn Fn(&Changes) + Send + Sync>;

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("controller", &self.controller).finish_non_exhaustive()
    }
}

impl Service {
    /// Answers for the proxy of this scraper, which counts here since `started`.
    #[must_use]
    pub fn new(
        scraper: Scraper,
        reload: impl Fn() -> Result<Changes, String> + Send + Sync + 'static,
        changed: impl Fn(&Changes) + Send + Sync + 'static,
        started: Instant,
    ) -> Self {
        let recent = Mutex::new(Recent::new(started));
        let (reload, changed) = (Box::new(reload), Box::new(changed));
        let controller = scraper.controller.clone();
        Self { controller, scraper, reload, changed, recent }
    }

    /// The backends as they are now.
    fn look(&self, now: Instant) -> Looked {
        let observed = self.controller.observe();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let lately = recent.ask(&observed.snapshot, now);
        let told = backends::describe(&observed, &lately);
        Looked { queue: observed.queue, window: backends::seconds(lately.time), backends: told }
    }
}

/// What there is at one moment.
struct Looked {
    queue: Occupancy,
    /// How many seconds "lately" is.
    window: f64,
    backends: Vec<Json>,
}

/// A request, and what it is answered from.
pub(super) struct Asked<'a> {
    pub(super) request: &'a Request,
    pub(super) service: &'a Service,
    /// The name in its path, if there is one.
    pub(super) name: &'a str,
    pub(super) now: Instant,
}

/// A path and a method.
#[derive(Debug)]
pub(super) struct Route {
    method: Method,
    /// One that ends with `*` has a name in its place.
    path: &'static str,
    pub(super) effect: Effect,
    /// What it is for, in a few words.
    says: &'static str,
    answer: fn(&Asked<'_>) -> Answer,
}

/// Whether a request changes something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Effect {
    /// No, and it is answered at once.
    Reads,
    /// No, but workers have to be waited for.
    Waits,
    /// Yes.
    Changes,
}

/// All there is.
const ROUTES: &[Route] = &[
    reads("/backends", "all backends, as they are now", list),
    reads("/backends/*", "one of them, by its id or its URL", one),
    changes(Method::Put, "/backends", "add one", changes::add),
    changes(Method::Patch, "/backends/*", "weight, limit, drain, eject", changes::set),
    changes(Method::Delete, "/backends/*", "remove one", changes::remove),
    reads("/config", "the settings in force, in TOML or JSON", config),
    changes(Method::Post, "/reload", "read the configuration file again", changes::reload),
    reads("/metrics", "all figures, for Prometheus", metrics),
    waits("/explain", "the last choices and why; ?n=20 says how many", explain),
    reads("/health", "200, or 503 once it is stopping", health),
];

const TEXT: &str = "text/plain; charset=utf-8";
const TOML: &str = "application/toml; charset=utf-8";

const fn reads(path: &'static str, says: &'static str, answer: fn(&Asked<'_>) -> Answer) -> Route {
    Route { method: Method::Get, path, effect: Effect::Reads, says, answer }
}

const fn waits(path: &'static str, says: &'static str, answer: fn(&Asked<'_>) -> Answer) -> Route {
    Route { method: Method::Get, path, effect: Effect::Waits, says, answer }
}

const fn changes(
    method: Method,
    path: &'static str,
    says: &'static str,
    answer: fn(&Asked<'_>) -> Answer,
) -> Route {
    Route { method, path, effect: Effect::Changes, says, answer }
}

impl Route {
    /// The route of a request, and the name in its path.
    pub(super) fn of(request: &Request) -> Result<(&'static Self, String), Answer> {
        let there = ROUTES.iter().filter_map(|route| Some((route, route.name_in(&request.path)?)));
        let there: Vec<(&Self, &str)> = there.collect();
        if there.is_empty() {
            let why = format!("there is no {}; there are\n{}", request.path, listing());
            return Err(Answer::of(404, TEXT, why));
        }
        let method = if request.method == Method::Head { Method::Get } else { request.method };
        let Some((route, name)) = there.iter().find(|(route, _)| route.method == method) else {
            let methods: Vec<&str> = there.iter().map(|(route, _)| route.method_name()).collect();
            let methods = methods.join(", ");
            let why = format!("{} takes {methods}", request.path);
            return Err(Answer::error(405, &why).allowing(methods));
        };
        if route.effect == Effect::Changes && !request.may_change {
            let why =
                "nothing can be changed over TCP; ask over the Unix socket that --admin names";
            return Err(Answer::error(403, why));
        }
        Ok((route, unescaped(name)))
    }

    pub(super) fn answer(&self, asked: &Asked<'_>) -> Answer {
        (self.answer)(asked)
    }

    /// The name in a path that is this route's.
    fn name_in<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path.strip_suffix('*') {
            Some(begin) => path.strip_prefix(begin).filter(|name| !name.is_empty()),
            None => (path == self.path).then_some(""),
        }
    }

    fn method_name(&self) -> &'static str {
        match self.method {
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Post => "POST",
            _ => "GET, HEAD",
        }
    }
}

fn listing() -> String {
    let line = |route: &Route| {
        let path = route.path.replace('*', "BACKEND");
        format!("{:<10} {path:<20} {}\n", route.method_name(), route.says)
    };
    ROUTES.iter().map(line).collect()
}

fn list(asked: &Asked<'_>) -> Answer {
    let Looked { queue, window, backends } = asked.service.look(asked.now);
    let policy = asked.service.controller.plan().settings.policy.name();
    let list = json!({
        "policy": policy,
        "queue": { "length": queue.now, "limit": queue.most },
        "lately_seconds": window,
        "backends": backends,
    });
    Answer::json(200, &list)
}

fn one(asked: &Asked<'_>) -> Answer {
    let Looked { backends, .. } = asked.service.look(asked.now);
    if let Some(backend) = backends::find(&backends, asked.name) {
        return Answer::json(200, backend);
    }
    let known = backends.iter().filter_map(|backend| backend["url"].as_str());
    let why = format!("there is no backend {}", asked.name);
    Answer::error(404, &or_nearest(&why, asked.name, known))
}

fn config(asked: &Asked<'_>) -> Answer {
    let plan = asked.service.controller.plan();
    if asked.request.accept.contains("json") {
        return Answer::json(200, &describe::json(&plan).into());
    }
    Answer::of(200, TOML, file::print(&plan))
}

fn metrics(asked: &Asked<'_>) -> Answer {
    let format = Format::of_accept(&asked.request.accept);
    Answer::of(200, format.content_type(), asked.service.scraper.text(format))
}

fn explain(asked: &Asked<'_>) -> Answer {
    /// Without a number.
    const FEW: &str = "20";
    let count = asked.request.parameter("n").unwrap_or(FEW).parse().ok();
    let Some(count) = count.filter(|count| (1..=CHOICES_KEPT).contains(count)) else {
        return Answer::error(400, &format!("n: give a number from 1 to {CHOICES_KEPT}"));
    };
    let choices = asked.service.controller.explain(count);
    let choices: Vec<Json> = choices.iter().map(backends::explain).collect();
    Answer::json(200, &json!({ "choices": choices }))
}

fn health(asked: &Asked<'_>) -> Answer {
    if asked.service.controller.is_stopping() {
        Answer::json(503, &json!({ "status": "stopping" }))
    } else {
        Answer::json(200, &json!({ "status": "serving" }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, path: &str, may_change: bool) -> Request {
        let (query, body) = (String::new(), Vec::new());
        Request { method, path: path.to_owned(), query, accept: String::new(), body, may_change }
    }

    fn routed(method: Method, path: &str) -> Result<(&'static str, String), u16> {
        let found = Route::of(&asked(method, path, true));
        found.map(|(route, name)| (route.path, name)).map_err(|answer| answer.status)
    }

    #[test]
    fn a_path_and_a_method_are_a_route() {
        for (method, path, route, name) in [
            (Method::Get, "/backends", "/backends", ""),
            (Method::Head, "/backends", "/backends", ""),
            (Method::Patch, "/backends/3.0", "/backends/*", "3.0"),
            (Method::Delete, "/backends/http://a:1", "/backends/*", "http://a:1"),
            (Method::Get, "/backends/http%3A%2F%2Fa%3A1", "/backends/*", "http://a:1"),
            (Method::Post, "/reload", "/reload", ""),
        ] {
            assert_eq!(routed(method, path), Ok((route, name.to_owned())), "{path}");
        }
        for path in ["/", "/backend", "/backends/", "/health/", "//health", "*"] {
            assert_eq!(routed(Method::Get, path), Err(404), "{path}");
        }
        for (method, path) in [
            (Method::Post, "/backends"),
            (Method::Get, "/reload"),
            (Method::Other, "/health"),
            (Method::Options, "/backends/3.0"),
        ] {
            assert_eq!(routed(method, path), Err(405), "{path}");
        }
    }

    #[test]
    fn what_changes_something_is_refused_where_it_may_not() {
        for route in ROUTES {
            let path = route.path.replace('*', "3.0");
            let found = Route::of(&asked(route.method, &path, false));
            assert_eq!(found.is_ok(), route.effect != Effect::Changes, "{path}");
            assert_eq!(found.is_ok(), route.method == Method::Get, "{path}");
        }
    }
}
