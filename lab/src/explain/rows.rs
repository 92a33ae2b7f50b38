//! Requests in a CSV log.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use tidegate::decision::plain;
use tidegate::journal::{Row, Tail, meta_path};

use super::{ExplainError, TOLD_MAX};

/// Which requests are meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wanted {
    /// Those whose name begins so: `started/worker/client`.
    Name(String),
    /// The one in this row of the CSV log, the first being 1.
    Row(u64),
    /// Those that asked for this path.
    Path(String),
}

impl Wanted {
    /// A number is a row, what begins with a slash is a path.
    pub(super) fn of(text: &str) -> Self {
        match text.parse() {
            Ok(row) => Self::Row(row),
            Err(_) if text.starts_with('/') => Self::Path(text.to_owned()),
            Err(_) => Self::Name(text.to_owned()),
        }
    }
}

/// What a row tells of a request.
#[derive(Clone, Debug)]
pub(super) struct Told {
    /// Its name, if the log has the columns that it is made of and it was sent to a backend.
    pub(super) id: Option<String>,
    pub(super) policy: String,
    pub(super) backend: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) in_flight: Option<u32>,
    asked: String,
    came_to: String,
}

impl Told {
    fn of(row: &Row<'_>, id: Option<String>) -> Self {
        let text = |bytes: Option<&[u8]>| bytes.map(|it| String::from_utf8_lossy(it).into_owned());
        let asked = [text(row.method), text(row.path)].into_iter().flatten();
        let asked = asked.collect::<Vec<_>>().join(" ");
        let status = row.status.map_or("no status".to_owned(), |status| status.to_string());
        let latency = row.latency.map(|it| format!("in {:.3} ms", it.as_secs_f64() * 1e3));
        let backend = row.backend_url.map(|url| format!("from {url}"));
        let fault = row.fault.map(|fault| format!("({fault})"));
        let attempts = row.attempts.filter(|attempts| *attempts > 1);
        let attempts = attempts.map(|attempts| format!("after {attempts} attempts"));
        let queue =
            row.queue.map(|it| format!("after {:.3} ms in the queue", it.as_secs_f64() * 1e3));
        let hedge = row.hedge.map(|hedge| format!("with a hedge that {hedge}"));
        let words = [Some(status), fault, latency, backend, queue, attempts, hedge];
        Self {
            id,
            policy: row.routing_mode.to_owned(),
            backend: row.backend_url.map(str::to_owned),
            reason: row.reason.map(str::to_owned),
            in_flight: row.in_flight,
            asked,
            came_to: words.into_iter().flatten().collect::<Vec<_>>().join(" "),
        }
    }

    /// The request and what became of it.
    pub(super) fn line(&self) -> String {
        let name = self.id.as_deref().unwrap_or("(no name)");
        plain(&format!("{name}  {}: {}", self.asked, self.came_to))
    }
}

/// `started/worker/client`, as the decision log has it.
fn id(row: &Row<'_>) -> Option<String> {
    let started = Timestamp::from_microsecond(row.started_us?).ok()?;
    let started = started.strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
    Some(format!("{started}/{}/{}", row.worker?, row.client?))
}

/// The first requests that are wanted, and how many more there are.
pub(super) fn find(path: &Path, wanted: &Wanted) -> Result<(Vec<Told>, usize), ExplainError> {
    let mut log = Tail::open(path, None).map_err(|why| ExplainError::unreadable(path, &why))?;
    let (mut found, mut more, mut count) = (Vec::new(), 0, 0);
    while log.read_on().map_err(|why| ExplainError::unreadable(path, &why))? > 0 {
        while let Some(row) = log.next_row() {
            count += 1;
            let Ok(row) = row else { continue };
            let is_wanted = match wanted {
                Wanted::Row(number) => *number == count,
                Wanted::Path(path) => row.path == Some(path.as_bytes()),
                // The name begins with the time, so that is compared before a name is made.
                Wanted::Name(name) => id(&row).is_some_and(|id| id.starts_with(name.as_str())),
            };
            if is_wanted && found.len() < TOLD_MAX {
                found.push(Told::of(&row, id(&row)));
            } else if is_wanted {
                more += 1;
            }
        }
    }
    Ok((found, more))
}

/// The decision log that the description beside a log names, if it is there.
pub(super) fn decisions_beside(log: &Path) -> Option<PathBuf> {
    let meta: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(meta_path(log)).ok()?).ok()?;
    let named = PathBuf::from(meta["settings"]["decisions"].as_str()?);
    named.is_file().then_some(named)
}
