//! The answer to `/requests`: those of the remembered requests that are asked for.

use jiff::Timestamp;
use serde::Serialize;

use super::estimate::Averages;
use super::model::Model;
use super::requests::{Filter, Request};
use super::rounding::{millis, rounded};

/// How many are listed at most.
const LISTED_MAX: usize = 200;

/// How long the name of a backend may be.
const NAME_BYTES_MAX: usize = 2_048;

/// See the module.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    /// How many are remembered and match.
    matching: usize,
    /// How many are remembered.
    remembered: usize,
    /// The newest of those that match.
    requests: Vec<Entry>,
}

/// One request, as the page and `/data` tell it.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    time_ms: f64,
    backend: Option<String>,
    method: String,
    path: String,
    status: Option<u16>,
    error: bool,
    fault: String,
    latency_ms: Option<f64>,
    connect_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    /// How long it waited because all backends were full; null if it did not.
    queue_ms: Option<f64>,
    started_ms: Option<f64>,
    /// What it is called in the decision log; null if the row does not tell.
    name: Option<String>,
    attempts: Option<u32>,
    worker: Option<usize>,
    /// Why its backend was chosen; null if the log does not say.
    reason: Option<String>,
    in_flight: Option<u32>,
    /// What became of its second attempt, and where that went; null if it had none.
    hedge: Option<String>,
    hedge_backend: Option<String>,
    #[serde(flatten)]
    averages: Averages,
}

impl Entry {
    pub(super) fn of(model: &Model, request: &Request) -> Self {
        let told = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let ms = |us: Option<u64>| us.map(|us| millis(us as f64));
        Self {
            time_ms: millis(request.timestamp_us as f64),
            backend: request.backend.map(|at| model.backends[at].name.clone()),
            method: request.method.clone(),
            path: request.path.clone(),
            status: request.status,
            error: request.is_error,
            fault: request.fault.clone(),
            latency_ms: ms(request.latency_us),
            connect_ms: ms(request.connect_us),
            first_byte_ms: ms(request.first_byte_us),
            queue_ms: ms(request.queue_us),
            started_ms: request.started_us.map(|us| millis(us as f64)),
            name: name(request),
            attempts: request.attempts,
            worker: request.worker,
            reason: told(&request.reason),
            in_flight: request.in_flight,
            hedge: told(&request.hedge),
            hedge_backend: told(&request.hedge_backend),
            averages: rounded(request.averages),
        }
    }
}

impl Listed {
    pub(super) fn new(model: &Model, filter: &Filter) -> Self {
        let is_backend = |at: usize| filter.backend.as_ref() == Some(&model.backends[at].name);
        let matching = || model.each.matching(filter, is_backend);
        Self {
            matching: matching().count(),
            remembered: model.each.matching(&Filter::default(), |_| true).count(),
            requests: matching().take(LISTED_MAX).map(|it| Entry::of(model, it)).collect(),
        }
    }
}

/// Its name in the decision log: the cells `started`, `worker` and `client` of its row.
fn name(request: &Request) -> Option<String> {
    let started = Timestamp::from_microsecond(request.started_us?).ok()?;
    let started = started.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
    Some(format!("{started}/{}/{}", request.worker?, request.client?))
}

/// Reads the query of `/explain`: `request=NAME`.
pub(super) fn request(query: &str) -> Option<String> {
    query.strip_prefix("request=").and_then(decoded).filter(|name| !name.is_empty())
}

/// Reads the query: `errors=1`, `slower=MS`, `backend=NAME`, `status=N`, `fault=WORD`,
/// `reason=WORD`, `from=MS` and `to=MS`, of which each may be missing.
pub(super) fn filter(query: &str) -> Result<Filter, UnknownFilter> {
    let mut filter = Filter::default();
    for field in query.split('&').filter(|field| !field.is_empty()) {
        let (name, value) = field.split_once('=').ok_or(UnknownFilter)?;
        let number = || value.parse::<u32>().map_err(|_| UnknownFilter);
        let micros = || {
            let ms = value.parse::<i64>().map_err(|_| UnknownFilter)?;
            ms.checked_mul(1_000).ok_or(UnknownFilter)
        };
        match name {
            "errors" => filter.is_error = value == "1",
            "slower" => filter.slow_us = Some(u64::from(number()?) * 1_000),
            "backend" => filter.backend = Some(decoded(value).ok_or(UnknownFilter)?),
            "status" => filter.status = Some(value.parse().map_err(|_| UnknownFilter)?),
            "fault" => filter.fault = Some(decoded(value).ok_or(UnknownFilter)?),
            "reason" => filter.reason = Some(decoded(value).ok_or(UnknownFilter)?),
            "from" => filter.from_us = Some(micros()?),
            // To the end of that millisecond.
            "to" => filter.to_us = Some(micros()?.saturating_add(999)),
            _ => return Err(UnknownFilter),
        }
    }
    Ok(filter)
}

/// Text with `%2F` and the like in it.
fn decoded(text: &str) -> Option<String> {
    if text.len() > 3 * NAME_BYTES_MAX {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// A filter that there is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no such filter; ask for errors=1, slower=MS, backend=NAME, status=N, fault=WORD, \
     reason=WORD, from=MS and to=MS"
)]
pub(super) struct UnknownFilter;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::tests::row;
    use super::*;
    use crate::journal::Row;

    #[test]
    fn a_query_is_a_filter() {
        let all = "errors=1&slower=250&backend=http%3A%2F%2Fa%3A1&status=504&fault=reset\
            &reason=best&from=5&to=7";
        let expected = Filter {
            is_error: true,
            slow_us: Some(250_000),
            backend: Some("http://a:1".to_owned()),
            status: Some(504),
            fault: Some("reset".to_owned()),
            reason: Some("best".to_owned()),
            from_us: Some(5_000),
            to_us: Some(7_999),
        };
        assert_eq!(filter(all), Ok(expected));
        assert_eq!(filter(""), Ok(Filter::default()));
        for wrong in
            ["x=1", "status=x", "slower=-1", "slower=x", "backend=%2", "backend=%FF", "from=", "to"]
        {
            assert_eq!(filter(wrong), Err(UnknownFilter), "{wrong}");
        }
        let long = format!("backend={}", "x".repeat(9_999));
        assert_eq!(filter(&long), Err(UnknownFilter));
    }

    #[test]
    fn those_that_match_are_listed_with_what_is_known_of_them() {
        let mut model = Model::new(None);
        for second in 0..300 {
            let row = Row {
                reason: Some("best"),
                first_byte: Some(Duration::from_millis(4)),
                worker: Some(1),
                ..row(second * 1_000_000, "http://a", Duration::from_millis(5))
            };
            model.feed(Ok(row));
        }
        let listed = |query: &str| {
            serde_json::to_value(Listed::new(&model, &filter(query).unwrap())).unwrap()
        };
        let all = listed("backend=http://a");
        assert_eq!((&all["matching"], &all["remembered"]), (&json!(300), &json!(300)));
        assert_eq!(all["requests"].as_array().unwrap().len(), LISTED_MAX);
        let newest = &all["requests"][0];
        assert_eq!((&newest["time_ms"], &newest["reason"]), (&json!(299_000.0), &json!("best")));
        assert_eq!((&newest["first_byte_ms"], &newest["worker"]), (&json!(4.0), &json!(1)));
        assert_eq!(listed("backend=http://b")["matching"], 0);
        assert_eq!(listed("slower=6")["matching"], 0);
        assert_eq!(listed("from=1000&to=2000")["matching"], 2);
    }
}
