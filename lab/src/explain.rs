//! Tells why requests went where they went, from the decision log, the CSV log, or both.

mod choices;
mod rows;

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use tidegate::decision::{Logged, tell, tell_reason};

use rows::{Told, Wanted};

/// So many requests are told of.
pub const TOLD_MAX: usize = 20;

/// Where it is looked for.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    /// The CSV log.
    pub rows: Option<PathBuf>,
    /// The decision log. If it is not named, the description beside the CSV log may name it.
    pub decisions: Option<PathBuf>,
}

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// A log can't be read.
    #[error("can't read the log {}: {why}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// There is nothing to look in.
    #[error("name a log: --log FILE for the rows, --decisions FILE for the choices, or both")]
    NoLog,
    /// This is asked of rows, and there is no log of them.
    #[error("a row or a path is found in the CSV log only; name it with --log")]
    NeedsRows,
    /// There is no such request.
    #[error("no request `{0}` in {1}")]
    NotFound(String, String),
}

impl ExplainError {
    fn unreadable(path: &std::path::Path, why: &impl ToString) -> Self {
        Self::Unreadable { path: path.to_owned(), why: why.to_string() }
    }
}

/// Sentences about the requests that are wanted.
///
/// # Errors
/// See [`ExplainError`].
pub fn explain(wanted: &str, logs: &Logs) -> Result<String, ExplainError> {
    let asked = Wanted::of(wanted);
    let named = logs.rows.as_deref().and_then(rows::decisions_beside);
    let decisions = logs.decisions.clone().or(named);
    let (requests, more) = match &logs.rows {
        Some(path) => rows::find(path, &asked)?,
        None if decisions.is_none() => return Err(ExplainError::NoLog),
        None => (Vec::new(), 0),
    };
    let choices = match (&decisions, &logs.rows, &asked) {
        (None, ..) => Vec::new(),
        (Some(path), Some(_), _) => {
            choices::find(path, |id| requests.iter().any(|it| it.id.as_deref() == Some(id)))?
        }
        (Some(path), None, Wanted::Name(name)) => choices::find(path, |id| id.starts_with(name))?,
        (Some(_), None, _) => return Err(ExplainError::NeedsRows),
    };
    if requests.is_empty() && choices.is_empty() {
        let places = [&logs.rows, &decisions].into_iter().flatten();
        let places = places.map(|path| path.display().to_string()).collect::<Vec<_>>();
        return Err(ExplainError::NotFound(wanted.to_owned(), places.join(" and ")));
    }
    let mut text = String::new();
    for request in &requests {
        let own: Vec<_> =
            choices.iter().filter(|it| request.id.as_deref() == Some(&it.request)).collect();
        of_row(&mut text, request, &own, decisions.is_some());
    }
    if logs.rows.is_none() {
        of_choices(&mut text, &choices);
    }
    if more > 0 {
        // Writing to a String can't fail.
        let _ = writeln!(text, "and {more} more requests, which a longer name would tell apart");
    }
    Ok(text)
}

/// A request with its choices; if none was recorded, what the row knows, and what it can't.
fn of_row(text: &mut String, row: &Told, choices: &[&Logged<'_>], has_decisions: bool) {
    let _ = writeln!(text, "{}", row.line());
    for choice in choices {
        let _ = writeln!(text, "  {}", sentence(choice));
    }
    if !choices.is_empty() {
        return;
    }
    let Told { policy, backend, reason, in_flight, .. } = row;
    let missing = if has_decisions {
        "No choice was recorded of it, because it was none of every --decision-sample and nothing \
         was unusual, or because its client was bound to the backend"
    } else {
        "There is no decision log (--decisions)"
    };
    let _ = match (backend, reason) {
        (None, _) => writeln!(text, "  It was sent to no backend."),
        (Some(_), None) => writeln!(text, "  This log has no column that says why. {missing}."),
        (Some(backend), Some(reason)) => writeln!(
            text,
            "  {} {missing}; so the other backends, and what was expected of each, are not known.",
            tell_reason(policy, backend, reason, *in_flight)
        ),
    };
}

/// Choices of which there are no rows: each request with its own.
fn of_choices(text: &mut String, choices: &[Logged<'_>]) {
    let mut requests: Vec<&str> = Vec::new();
    for choice in choices {
        if !requests.contains(&&*choice.request) {
            requests.push(&choice.request);
        }
    }
    for request in requests.iter().take(TOLD_MAX) {
        let _ = writeln!(text, "{request}");
        for choice in choices.iter().filter(|choice| choice.request == *request) {
            let _ = writeln!(text, "  {}", sentence(choice));
        }
    }
    let _ = writeln!(
        text,
        "What became of them is in the CSV log (--log): status, latency, fault, method and path."
    );
}

fn sentence(choice: &Logged<'_>) -> String {
    let at = choice.time.parse::<Timestamp>().ok();
    let clock = at.map_or(choice.time.to_string(), |at| at.strftime("%H:%M:%S.%3f").to_string());
    format!("{clock} {}", tell(&choice.decision, at))
}

/// What the system says of a file.
fn io_error(path: &std::path::Path) -> impl Fn(io::Error) -> ExplainError + '_ {
    |error| ExplainError::unreadable(path, &error)
}

#[cfg(test)]
mod tests;
