//! Which backend is meant.

use super::backend::Backend;
use super::error::CtlError;
use crate::usage::or_nearest;

/// The backend that is called so: the one with this URL or id, else the only one with this host or
/// port, else the only one with this in its URL.
pub(super) fn find<'a>(backends: &'a [Backend], typed: &str) -> Result<&'a Backend, CtlError> {
    let kinds: [fn(&Backend, &str) -> bool; 3] = [
        |backend, typed| backend.url == typed || backend.id.as_deref() == Some(typed),
        |backend, typed| {
            let authority = backend.url.trim_start_matches("http://");
            let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
            [authority, host, port].contains(&typed)
        },
        |backend, typed| !typed.is_empty() && backend.url.contains(typed),
    ];
    let present = || backends.iter().filter(|backend| !backend.is_removed());
    for is_called in kinds {
        let found: Vec<_> = present().filter(|backend| is_called(backend, typed)).collect();
        match found.as_slice() {
            [] => {}
            [one] => return Ok(one),
            several => {
                let names = several
                    .iter()
                    .map(|it| format!("{} ({})", it.url, it.id.as_deref().unwrap_or("no address")));
                let names = names.collect::<Vec<_>>().join(", ");
                let why = format!("`{typed}` may be {names}; give more of the URL, or the id");
                return Err(CtlError::Misuse(why));
            }
        }
    }
    let urls = present().map(|backend| backend.url.as_str());
    let why = format!("no backend is called `{typed}`");
    Err(CtlError::Misuse(or_nearest(&why, typed, urls)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::table::tests::backend;

    fn found(urls: &[&str], typed: &str) -> Result<String, String> {
        let backends: Vec<Backend> =
            (0..).zip(urls).map(|(id, url)| backend(&format!("{id}.0"), url)).collect();
        find(&backends, typed).map(|it| it.name().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_backend_is_named_by_what_no_other_one_has() {
        let urls = ["http://a:8081", "http://a:18081", "http://b.example:80", "unix:/run/app.sock"];
        for (typed, id) in [
            ("http://a:8081", "0.0"),
            ("1.0", "1.0"),
            ("8081", "0.0"),
            ("18", "1.0"),
            ("a:18081", "1.0"),
            ("b.example", "2.0"),
            ("exa", "2.0"),
            ("app", "3.0"),
        ] {
            assert_eq!(found(&urls, typed).as_deref(), Ok(id), "{typed}");
        }
    }

    #[test]
    fn what_fits_several_or_none_is_refused() {
        let urls = ["http://a:8081", "http://a:8082", "http://a:8082"];
        for (typed, reason) in [
            ("a", "`a` may be http://a:8081 (0.0), http://a:8082 (1.0), http://a:8082 (2.0)"),
            ("http://a:8082", "http://a:8082 (1.0), http://a:8082 (2.0); give more"),
            ("http://a:8083", "no backend is called `http://a:8083`; did you mean http://a:8081"),
            ("", "no backend is called ``"),
        ] {
            let refusal = found(&urls, typed).expect_err(typed);
            assert!(refusal.contains(reason), "{refusal}");
        }
    }
}
