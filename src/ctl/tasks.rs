//! What is asked of the proxy for each task.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value as Json, json};

use super::backend::Backend;
use super::client::{Client, escaped};
use super::error::CtlError;
use super::flags::{Flags, Task};
use super::names::find;
use super::{screen, table};

/// How often it is looked whether a backend has finished what it has.
const LOOK: Duration = Duration::from_millis(200);

/// Does what the command line says.
///
/// # Errors
/// See [`CtlError`].
pub fn run(flags: &Flags) -> Result<(), CtlError> {
    let client = Client::new(flags.address()?);
    let set = |backend: &str, fields: Json| -> Result<(), CtlError> {
        let path = path_of(&client, backend)?;
        tell(flags, &client.change("PATCH", &path, Some(&fields))?)
    };
    match &flags.task {
        Task::Backends { once } => backends(flags, &client, *once),
        Task::Add { url, options } => {
            let mut fields = members(options)?;
            fields.insert("url".to_owned(), url.as_str().into());
            tell(flags, &client.change("PUT", "/backends", Some(&fields.into()))?)
        }
        Task::Remove { backend } => {
            let path = path_of(&client, backend)?;
            tell(flags, &client.change("DELETE", &path, None)?)
        }
        Task::Set { backend, options } => set(backend, members(options)?.into()),
        Task::Drain { backend, wait: None } => set(backend, json!({ "drained": true })),
        Task::Drain { backend, wait: Some(limit) } => {
            let id = find(&client.list()?.backends, backend)?.name().to_owned();
            set(&id, json!({ "drained": true }))?;
            await_end(&client, &id, *limit)
        }
        Task::Undrain { backend } => set(backend, json!({ "drained": false })),
        Task::Eject { backend, duration } => set(backend, json!({ "eject": duration })),
        Task::Admit { backend } => set(backend, json!({ "eject": "off" })),
        Task::Config if flags.json => {
            print(&Client::done(client.ask("GET", "/config", None, "application/json")?)?)
        }
        Task::Config => print(&client.get("/config")?),
        Task::Reload => tell(flags, &client.change("POST", "/reload", None)?),
        Task::Explain { number } => explain(flags, &client, *number),
        Task::Metrics => print(&client.get("/metrics")?),
        Task::Health => health(flags, &client),
    }
}

/// The path of the one backend that is called so. The list has one for each address of a name
/// with `resolve=all`; the URL of such a name is left to the proxy.
fn path_of(client: &Client, backend: &str) -> Result<String, CtlError> {
    let list = client.list()?;
    let is_url = backend.starts_with("http://");
    match find(&list.backends, backend) {
        Ok(found) => Ok(format!("/backends/{}", escaped(found.name()))),
        Err(_) if is_url => Ok(format!("/backends/{}", escaped(backend))),
        Err(error) => Err(error),
    }
}

/// Options of a backend, `key=value` or a word, as members of an object.
fn members(options: &[String]) -> Result<Map<String, Json>, CtlError> {
    let mut members = Map::new();
    for option in options {
        let (key, value) = match option.split_once('=') {
            None => (option.as_str(), Json::Bool(true)),
            Some((key, "off")) => (key, Json::Null),
            Some((key, value)) => (key, serde_json::from_str(value).unwrap_or(value.into())),
        };
        if members.insert(key.to_owned(), value).is_some() {
            return Err(CtlError::Misuse(format!("`{key}` is given twice")));
        }
    }
    Ok(members)
}

/// Shows what was changed, in words or as it was sent.
fn tell(flags: &Flags, body: &str) -> Result<(), CtlError> {
    let parsed: Option<Json> = serde_json::from_str(body).ok();
    match parsed.as_ref().and_then(|it| it["changes"].as_str()) {
        Some(changes) if !flags.json => print(changes),
        _ => print(body),
    }
}

fn backends(flags: &Flags, client: &Client, once: bool) -> Result<(), CtlError> {
    if flags.json {
        return print(&client.get("/backends")?);
    }
    let list = client.list()?;
    if once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return print(&table::lines(&list).join("\n"));
    }
    screen::watch(client, list)
}

/// Waits until nothing is in flight at a backend.
fn await_end(client: &Client, id: &str, limit: Duration) -> Result<(), CtlError> {
    let mut left = limit;
    loop {
        let list = client.list()?;
        let busy = list.backends.iter().find(|it| it.name() == id).map_or(0, Backend::busy_with);
        if busy == 0 {
            return Ok(());
        }
        if left.is_zero() {
            let why = format!("{busy} requests are in flight at it still; it stays drained");
            return Err(CtlError::TooLate(why));
        }
        // Nothing tells when one ends.
        thread::park_timeout(LOOK.min(left));
        left = left.saturating_sub(LOOK);
    }
}

fn health(flags: &Flags, client: &Client) -> Result<(), CtlError> {
    let answer = client.ask("GET", "/health", None, "*/*")?;
    let parsed: Option<Json> = serde_json::from_str(&answer.body).ok();
    let status = parsed.as_ref().and_then(|it| it["status"].as_str()).unwrap_or("unknown");
    print(if flags.json { &answer.body } else { status })?;
    match answer.status {
        200 => Ok(()),
        _ => Err(CtlError::Refused(format!("the proxy is {status}"))),
    }
}

fn explain(flags: &Flags, client: &Client, number: usize) -> Result<(), CtlError> {
    let body = client.get(&format!("/explain?n={number}"))?;
    if flags.json {
        return print(&body);
    }
    match table::choices(&client.parsed(&body)?).as_slice() {
        [] => print("no choice was recorded yet"),
        lines => print(&lines.join("\n")),
    }
}

fn print(text: &str) -> Result<(), CtlError> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = io::stdout().lock();
    write!(out, "{text}{end}")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_members() {
        let options = ["weight=3", "max-in-flight=off", "backup", "drained=false", "x=y z"];
        let read = members(&options.map(str::to_owned)).expect("members");
        let expected = json!({
            "weight": 3, "max-in-flight": null, "backup": true, "drained": false, "x": "y z"
        });
        assert_eq!(Json::from(read), expected);
        let twice = ["weight=3", "weight=4"].map(str::to_owned);
        assert!(members(&twice).is_err_and(|error| error.to_string().contains("twice")));
    }
}
