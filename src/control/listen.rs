//! Parses an address to listen on, for clients or for the admin, followed by options.

use super::options::Options;
use crate::endpoint::Endpoint;
use crate::proxy::settings::{AdminListen, Exposure, Listen};

/// The option of a Unix socket that says which users may connect to it.
const MODE: &str = "mode";

/// Parses `ADDR:PORT` or `unix:PATH mode=0660`.
pub(super) fn parse(text: &str) -> Result<Listen, String> {
    let Options { subject, pairs } = Options::read(text, &[MODE], &[])?;
    let endpoint: Endpoint = subject.parse().map_err(|error| format!("{error}"))?;
    let mut listen = Listen::from(endpoint);
    for (_, mode) in pairs {
        if listen.file().is_none() {
            return Err("only the file of a Unix socket has a mode".to_owned());
        }
        listen.mode = file_mode(mode.unwrap_or_default())?;
    }
    Ok(listen)
}

/// The options of the admin's address.
const EXPOSED: &str = "exposed";
const HOST: &str = "host";

/// Parses `unix:PATH` or `ADDR:PORT exposed host=NAME`.
pub(super) fn parse_admin(text: &str) -> Result<AdminListen, String> {
    let Options { subject, pairs } = Options::read(text, &[HOST], &[EXPOSED])?;
    let endpoint: Endpoint = subject.parse().map_err(|error| format!("{error}"))?;
    let mut admin = AdminListen { endpoint, exposure: Exposure::Local, host: None };
    for (_, value) in pairs {
        match value {
            None => admin.exposure = Exposure::Exposed,
            Some(name) => admin.host = Some(host_name(name)?),
        }
    }
    let has_options = admin.exposure == Exposure::Exposed || admin.host.is_some();
    match &admin.endpoint {
        Endpoint::Unix(_) if has_options => {
            Err("a Unix socket has no options here; its file has mode 0600".to_owned())
        }
        Endpoint::Unix(name) if name.path().is_none() => {
            Err("an abstract socket has no owner and no mode; give a path".to_owned())
        }
        Endpoint::Tcp(address)
            if !address.ip().to_canonical().is_loopback() && admin.exposure == Exposure::Local =>
        {
            Err(format!(
                "other hosts could read there what this proxy does; give 127.0.0.1:{0}, or \
                 '{address} {EXPOSED}' if they may",
                address.port()
            ))
        }
        _ => Ok(admin),
    }
}

/// The text that is parsed to this address.
pub(super) fn show_admin(AdminListen { endpoint, exposure, host }: &AdminListen) -> String {
    let exposed =
        if *exposure == Exposure::Exposed { format!(" {EXPOSED}") } else { String::new() };
    let host = host.as_ref().map_or_else(String::new, |name| format!(" {HOST}={name}"));
    format!("{endpoint}{exposed}{host}")
}

fn host_name(name: &str) -> Result<String, String> {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = !name.is_empty() && name.bytes().all(is_part);
    if is_name { Ok(name.to_owned()) } else { Err(format!("`{name}` is no name of a host")) }
}

fn file_mode(digits: &str) -> Result<u32, String> {
    let octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o777);
    mode.ok_or_else(|| format!("`{digits}` is no mode; give octal digits such as mode=0660"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_listens_at_a_unix_socket_or_at_the_loopback_if_no_more_is_asked_for() {
        for text in [
            "unix:/run/tidegate/admin.sock",
            "127.0.0.1:9091",
            "127.9.9.9:1",
            "[::1]:9091",
            "127.0.0.1:0 host=proxy",
            "0.0.0.0:9091 exposed host=tidegate.example",
        ] {
            let shown = parse_admin(text).map(|admin| show_admin(&admin));
            assert_eq!(shown.as_deref(), Ok(text));
        }
        for (text, reason) in [
            ("0.0.0.0:9091", "give 127.0.0.1:9091, or '0.0.0.0:9091 exposed'"),
            ("192.0.2.1:9091", "other hosts"),
            ("[::]:1", "other hosts"),
            ("9091", "an address and a port"),
            ("unix:@admin", "no owner"),
            ("unix:/a exposed", "mode 0600"),
            ("unix:/a mode=0660", "`mode` is not an option"),
            ("127.0.0.1:1 exposd", "did you mean exposed?"),
            ("127.0.0.1:1 host=", "no name of a host"),
            ("127.0.0.1:1 host=a/b", "`a/b`"),
        ] {
            let refusal = parse_admin(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }

    #[test]
    fn a_listener_is_an_address_or_a_unix_socket_with_a_mode() {
        for (text, shown) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("unix:/run/a.sock", "unix:/run/a.sock mode=0666"),
            ("unix:/run/a.sock mode=0660", "unix:/run/a.sock mode=0660"),
            ("unix:/run/a.sock  mode=777", "unix:/run/a.sock mode=0777"),
            ("unix:@a", "unix:@a"),
        ] {
            assert_eq!(parse(text).map(|listen| listen.to_string()).as_deref(), Ok(shown));
        }
        for (text, reason) in [
            ("9090", "127.0.0.1:9090"),
            ("", "an address"),
            ("unix:", "missing"),
            ("unix:/a mode=0888", "`0888` is no mode"),
            ("unix:/a mode=1777", "`1777` is no mode"),
            ("unix:/a mode=+7", "`+7` is no mode"),
            ("unix:/a mode=", "no mode"),
            ("unix:/a mode=0660 mode=0666", "twice"),
            (
                "unix:/a mod=0660",
                "`mod` is not an option; the options are mode; did you mean mode?",
            ),
            ("unix:/a b", "`b` is not key=value"),
            ("127.0.0.1:80 mode=0660", "only the file of a Unix socket"),
            ("unix:@a mode=0660", "only the file of a Unix socket"),
        ] {
            let refusal = parse(text).expect_err(text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
    }
}
