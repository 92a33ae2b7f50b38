//! Parses an address to listen on, followed by options.

use super::options::Options;
use crate::endpoint::Endpoint;
use crate::proxy::settings::Listen;

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

fn file_mode(digits: &str) -> Result<u32, String> {
    let octal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| octal && *mode <= 0o777);
    mode.ok_or_else(|| format!("`{digits}` is no mode; give octal digits such as mode=0660"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
