//! Parses a backend: its URL, followed by options.

use std::net::Ipv6Addr;

use serde_json::{Map, Value as Json};

use super::format::{Format, between};
use super::options::Options;
use super::setting::as_text;
use crate::balance::{Admission, MAX_IN_FLIGHT, MAX_WEIGHT, Role, Tier};
use crate::endpoint::{UNIX, UnixName};
use crate::proxy::settings::{Address, Backend, Resolve};
use crate::usage::or_nearest;

const WEIGHT: &str = "weight";
const LIMIT: &str = "max-in-flight";
const BACKUP: &str = "backup";
const DRAINED: &str = "drained";
const RESOLVE: &str = "resolve";

/// The value of `resolve` with which each address is a backend by itself.
const ALL: &str = "all";

/// The key of the URL where a backend is an object.
const URL: &str = "url";

const FORM: &str = "give http://host, http://host:port or unix:/path/to/socket";

/// Parses `URL weight=N max-in-flight=N backup drained resolve=all`.
pub(super) fn parse(text: &str) -> Result<Backend, String> {
    let keys = [WEIGHT, LIMIT, RESOLVE];
    let Options { subject: url, pairs } = Options::read(text, &keys, &[BACKUP, DRAINED])?;
    let (mut role, mut resolve) = (Role::default(), Resolve::One);
    for (key, value) in pairs {
        let number = |most| {
            let number = between(1, most).read(value.unwrap_or_default());
            number.map_err(|reason| format!("{key}: {reason}"))
        };
        match key {
            WEIGHT => role.weight = number(MAX_WEIGHT)?,
            LIMIT => role.max_in_flight = Some(number(MAX_IN_FLIGHT)?),
            RESOLVE if value == Some(ALL) => resolve = Resolve::All,
            RESOLVE => return Err(format!("{RESOLVE}: give `{ALL}`, or leave it out")),
            BACKUP => role.tier = Tier::Backup,
            _ => role.admission = Admission::Drained,
        }
    }
    let address = address(url)?;
    if resolve == Resolve::All && matches!(address, Address::Unix(_)) {
        return Err(format!("{RESOLVE}: a Unix socket has no name that is looked up"));
    }
    let backend = Backend { url: url.to_owned(), address, role, resolve };
    if resolve == Resolve::All && backend.host_name().is_none() {
        return Err(format!("{RESOLVE}: `{url}` has an address, and no name that is looked up"));
    }
    Ok(backend)
}

/// The text that is parsed to this backend.
pub(super) fn show(backend: &Backend) -> String {
    let options = options(backend).into_iter().map(|(key, value)| match value {
        Json::Bool(_) => format!(" {key}"),
        value => format!(" {key}={}", as_text(&value)),
    });
    backend.url.clone() + &options.collect::<String>()
}

/// Reads a backend that is an object, with its URL and its options as members. A null stands for
/// the default.
pub(super) fn read(fields: &Map<String, Json>) -> Result<Backend, String> {
    let url = match fields.get(URL) {
        Some(Json::String(url)) if !url.contains(char::is_whitespace) => url,
        Some(_) => return Err(format!("{URL}: give a text without spaces")),
        None => return Err(format!("`{URL}` is missing; {FORM}")),
    };
    let mut text = url.clone();
    for (key, value) in fields.iter().filter(|(key, _)| *key != URL) {
        match (key.as_str(), value) {
            (WEIGHT | LIMIT | BACKUP | DRAINED | RESOLVE, Json::Null)
            | (BACKUP | DRAINED, Json::Bool(false)) => {}
            (BACKUP | DRAINED, Json::Bool(true)) => text.extend([" ", key]),
            (BACKUP | DRAINED, _) => return Err(format!("{key}: give true or false")),
            (WEIGHT | LIMIT, Json::Number(number)) => {
                text.extend([" ", key, "=", &number.to_string()]);
            }
            (WEIGHT | LIMIT, _) => return Err(format!("{key}: give a number, or null for none")),
            (RESOLVE, Json::String(value)) => text.extend([" ", key, "=", value]),
            (RESOLVE, _) => return Err(format!("{key}: give \"{ALL}\", or null for none")),
            _ => return Err(unknown(key, &[])),
        }
    }
    parse(&text)
}

/// Says that a member is none of a backend, and of nothing else of `more`.
pub(super) fn unknown(key: &str, more: &[&str]) -> String {
    let known = [&[URL, WEIGHT, LIMIT, BACKUP, DRAINED, RESOLVE], more].concat();
    let refusal = format!("there is no `{key}`; there are {}", known.join(", "));
    or_nearest(&refusal, key, known)
}

/// The same for the log's description.
pub(super) fn describe(backend: &Backend) -> Map<String, Json> {
    let mut described = Map::from_iter([(URL.to_owned(), Json::from(backend.url.as_str()))]);
    described.extend(options(backend).into_iter().map(|(key, value)| (key.to_owned(), value)));
    described
}

/// The options that differ from the defaults. One that is a word is true.
fn options(backend: &Backend) -> Vec<(&'static str, Json)> {
    let Backend { role, resolve, .. } = backend;
    let weight = Some(role.weight).filter(|weight| *weight != Role::default().weight);
    let weight = weight.map(|weight| (WEIGHT, weight.into()));
    let limit = role.max_in_flight.map(|limit| (LIMIT, limit.into()));
    let backup = (role.tier == Tier::Backup).then_some((BACKUP, true.into()));
    let drained = (role.admission == Admission::Drained).then(|| (DRAINED, true.into()));
    let resolve = (*resolve == Resolve::All).then(|| (RESOLVE, ALL.into()));
    [weight, limit, backup, drained, resolve].into_iter().flatten().collect()
}

/// Parses `http://host[:port]`, with the default port 80, or `unix:/path`.
fn address(url: &str) -> Result<Address, String> {
    if let Some(path) = url.strip_prefix(UNIX) {
        UnixName::new(path.as_ref()).map_err(|error| error.to_string())?;
        if let Some(odd) = path.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!("the path of a backend's socket can't contain {odd:?}"));
        }
        return Ok(Address::Unix(path.into()));
    }
    let Some(authority) = url.strip_prefix("http://") else {
        return Err(if url.starts_with("https://") {
            "TLS towards backends is not supported, give an http:// URL".to_owned()
        } else {
            format!("it must start with http:// or unix:; {FORM}")
        });
    };
    if authority.starts_with(UNIX) {
        return Err(format!("a Unix socket has no http:// in front; {FORM}"));
    }
    if let Some(at) = authority.find(['/', '?', '#']) {
        return Err(format!(
            "`{}` can't be part of it, requests keep their own path; {FORM}",
            &authority[at..]
        ));
    }
    if authority.contains('@') {
        return Err(format!("user names are not supported; {FORM}"));
    }
    let (host, port) = host_and_port(authority)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if host.is_empty() || !host.chars().all(plain) {
        return Err(format!("`{host}` is no host name; {FORM}"));
    }
    let number = port.parse::<u16>().ok().filter(|number| *number > 0);
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    let port = number.filter(|_| digits).ok_or_else(|| format!("`{port}` is no port; {FORM}"))?;
    Ok(Address::Tcp { host, port })
}

fn host_and_port(authority: &str) -> Result<(String, &str), String> {
    const DEFAULT_PORT: &str = "80";
    if let Some((address, rest)) = authority.strip_prefix('[').and_then(|it| it.split_once(']')) {
        let address: Ipv6Addr =
            address.parse().map_err(|_| format!("`{address}` is no IPv6 address"))?;
        let port = rest.strip_prefix(':').or(rest.is_empty().then_some(DEFAULT_PORT));
        return Ok((address.to_string(), port.ok_or_else(|| FORM.to_owned())?));
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => {
            Err("an IPv6 address needs brackets: http://[::1]:8081".to_owned())
        }
        Some((host, port)) => Ok((host.to_owned(), port)),
        None => Ok((authority.to_owned(), DEFAULT_PORT)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("http://localhost:8081", "localhost", 8081),
            ("http://10.0.0.1", "10.0.0.1", 80),
            ("http://[::1]:8081", "::1", 8081),
            ("http://[::1]", "::1", 80),
            ("http://my_service.internal:1", "my_service.internal", 1),
        ] {
            let parsed = parse(text).expect(text);
            let address = Address::Tcp { host: host.to_owned(), port };
            assert_eq!((parsed.url.as_str(), parsed.address), (text, address));
        }
    }

    #[test]
    fn an_upstream_is_a_unix_socket() {
        for path in ["/run/app.sock", "app.sock", "@app", "/run/a=b"] {
            let text = format!("unix:{path}");
            let parsed = parse(&text).expect(path);
            assert_eq!((parsed.url, parsed.address), (text, Address::Unix(path.into())));
        }
    }

    #[test]
    fn an_upstream_has_a_weight_a_limit_and_may_be_a_backup() {
        let plain = Role::default();
        for (text, role) in [
            ("http://a weight=3", Role { weight: 3, ..plain }),
            ("http://a max-in-flight=8", Role { max_in_flight: Some(8), ..plain }),
            ("http://a backup", Role { tier: Tier::Backup, ..plain }),
            (
                "unix:/a weight=1000 max-in-flight=1000000 backup",
                Role { weight: 1000, max_in_flight: Some(1_000_000), tier: Tier::Backup, ..plain },
            ),
            ("http://a drained", Role { admission: Admission::Drained, ..plain }),
        ] {
            let parsed = parse(text).expect(text);
            assert_eq!((parsed.role, show(&parsed)), (role, text.to_owned()));
        }
        let described = describe(&parse("http://a weight=3 backup").expect("both"));
        let expected = json!({ "url": "http://a", "weight": 3, "backup": true });
        assert_eq!(Json::from(described), expected);
        let reordered = parse("http://a backup weight=1").expect("any order");
        assert_eq!(show(&reordered), "http://a backup");
    }

    #[test]
    fn each_address_of_a_name_may_be_an_upstream() {
        let text = "http://pods:8080 weight=2 resolve=all";
        let parsed = parse(text).expect(text);
        assert_eq!((parsed.resolve, show(&parsed)), (Resolve::All, text.to_owned()));
        let described = json!({ "url": "http://pods:8080", "weight": 2, "resolve": "all" });
        assert_eq!(Json::from(describe(&parsed)), described);
        assert_eq!(parse("http://pods:8080").expect("a name").resolve, Resolve::One);
    }

    #[test]
    fn a_backend_is_read_from_the_object_that_describes_it() {
        for text in
            ["http://a", "unix:/a weight=3 max-in-flight=8 backup drained", "http://a resolve=all"]
        {
            let backend = parse(text).expect(text);
            assert_eq!(read(&describe(&backend)), Ok(backend));
        }
        let fields = |object: Json| object.as_object().cloned().expect("an object");
        let plain = json!({ "url": "http://a", "weight": null, "backup": false, "drained": null });
        assert_eq!(read(&fields(plain)), parse("http://a"));
        for (object, reason) in [
            (json!({}), "`url` is missing; give http://"),
            (json!({ "url": 1 }), "url: give a text"),
            (json!({ "url": "http://a weight=3" }), "without spaces"),
            (json!({ "url": "a" }), "it must start with http://"),
            (json!({ "url": "http://a", "weight": 0 }), "weight: give a number from 1 to 1000"),
            (json!({ "url": "http://a", "weight": 1.5 }), "weight: give a number from 1 to 1000"),
            (json!({ "url": "http://a", "weight": "3" }), "weight: give a number, or null"),
            (
                json!({ "url": "http://a", "max-in-flight": 0 }),
                "max-in-flight: give a number from 1",
            ),
            (json!({ "url": "http://a", "backup": 1 }), "backup: give true or false"),
            (
                json!({ "url": "http://a", "wight": 1 }),
                "url, weight, max-in-flight, backup, drained, resolve; did you mean weight?",
            ),
        ] {
            let refusal = read(&fields(object)).expect_err(reason);
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn an_upstream_that_is_none_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "http://"),
            ("https://a", "TLS"),
            ("localhost:8081", "http://"),
            ("http://a/", "`/`"),
            ("http://a:80/api", "`/api`"),
            ("http://a?x", "`?x`"),
            ("http://", "host name"),
            ("http://:80", "host name"),
            ("http://a:0", "`0` is no port"),
            ("http://a:65536", "no port"),
            ("http://a:+80", "no port"),
            ("http://a:", "no port"),
            ("http://u@a", "user"),
            ("http://::1", "brackets"),
            ("http://[::1", "brackets"),
            ("http://[::1]x", "http://host"),
            ("http://a,b", "host name"),
            ("http://a b", "`b` is not key=value"),
            ("http://a wight=3", "did you mean weight?"),
            ("http://a weight=0", "weight: give a number from 1 to 1000"),
            ("http://a weight=", "weight: give a number from 1 to 1000"),
            ("http://a max-in-flight=0", "max-in-flight: give a number from 1 to 1000000"),
            ("http://a backup=yes", "`backup` has no value"),
            ("http://a resolve=one", "resolve: give `all`, or leave it out"),
            ("http://a resolve", "`resolve` is not key=value"),
            ("unix:/a resolve=all", "a Unix socket has no name"),
            ("http://10.0.0.1 resolve=all", "`http://10.0.0.1` has an address, and no name"),
            ("http://[::1]:80 resolve=all", "`http://[::1]:80` has an address, and no name"),
            ("unix:", "missing"),
            ("unix:/a b", "`b` is not key=value"),
            ("unix:/ä", "'ä'"),
            ("http://unix:/run/app.sock", "no http:// in front"),
            ("/run/app.sock", "unix:/path/to/socket"),
        ] {
            let refusal = parse(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
