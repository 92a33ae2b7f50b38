//! What a proxy changes in heads: hop-by-hop fields go, and where the request came from is added.

use hyper::HeaderMap;
use hyper::Version;
use hyper::header::{
    CONNECTION, Entry, HOST, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
    UPGRADE, VIA,
};
use hyper::http::{request, response};

use crate::shared::Peer;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Hop-by-hop whether `Connection` names them or not. `Transfer-Encoding` stays, for hyper frames
/// the body anew by it and answers for what it writes.
const HOP_BY_HOP: [HeaderName; 6] =
    [KEEP_ALIVE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, PROXY_CONNECTION, TE, UPGRADE];

/// Makes a client's head the one to send to a backend. The target is left to whoever sends it.
pub(crate) fn rewrite_request(head: &mut request::Parts, peer: &Peer) {
    strip(&mut head.headers);
    let via = match head.version {
        Version::HTTP_10 => HeaderValue::from_static("1.0 rival-hyper"),
        _ => HeaderValue::from_static("1.1 rival-hyper"),
    };
    let host = head.headers.get(HOST).cloned().or_else(|| {
        // An absolute target names the host; an HTTP/1.0 client may leave out the field.
        HeaderValue::from_str(head.uri.authority()?.as_str()).ok()
    });
    if let Some(host) = host {
        head.headers.insert(HOST, host.clone());
        head.headers.insert(X_FORWARDED_HOST, host);
    }
    head.headers.append(X_FORWARDED_FOR, peer.ip.clone());
    head.headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
    head.headers.append(VIA, via);
    head.version = Version::HTTP_11;
}

/// Makes a backend's head the one to send to the client. hyper adds the date.
pub(crate) fn rewrite_response(head: &mut response::Parts, close: bool) {
    strip(&mut head.headers);
    head.version = Version::HTTP_11;
    if close {
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = match headers.entry(CONNECTION) {
        Entry::Vacant(_) => Vec::new(),
        Entry::Occupied(entry) => {
            let options = entry.iter().filter_map(|value| value.to_str().ok());
            let options = options.flat_map(|value| value.split(',')).map(str::trim);
            let named = options.filter(|option| !matches!(*option, "close" | "keep-alive"));
            let named = named.filter_map(|option| option.parse().ok()).collect();
            entry.remove();
            named
        }
    };
    for name in named.iter().chain(&HOP_BY_HOP) {
        if !is_ours(name) {
            headers.remove(name);
        }
    }
}

/// `Connection` has no say in where a request goes and how its body is delimited.
fn is_ours(name: &HeaderName) -> bool {
    ["host", "content-length", "transfer-encoding"].contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn peer() -> Peer {
        let ip = HeaderValue::from_static("10.0.0.1");
        Peer { address: "10.0.0.1:1".parse().expect("an address"), ip }
    }

    fn rewritten(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut request = Request::builder().uri("/").body(()).expect("a request");
        for (name, value) in fields {
            request.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        let (mut head, ()) = request.into_parts();
        rewrite_request(&mut head, &peer());
        head.headers
    }

    #[test]
    fn hop_by_hop_fields_go_and_the_others_stay() {
        let headers = rewritten(&[
            ("host", "a"),
            ("connection", "Keep-Alive, X-Secret"),
            ("connection", "host, content-length"),
            ("x-secret", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ]);
        for gone in ["connection", "x-secret", "keep-alive", "te", "upgrade"] {
            assert!(!headers.contains_key(gone), "{gone}");
        }
        for (kept, value) in [("host", "a"), ("content-length", "3"), ("accept", "*/*")] {
            assert_eq!(headers[kept], value);
        }
    }

    #[test]
    fn the_way_is_appended_to_and_the_hop_overwritten() {
        let headers = rewritten(&[
            ("host", "a"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "b"),
        ]);
        let way: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        assert_eq!(way, ["1.1.1.1", "10.0.0.1"]);
        assert_eq!(headers[X_FORWARDED_PROTO], "http");
        assert_eq!(headers[X_FORWARDED_HOST], "a");
        assert_eq!(headers[VIA], "1.1 rival-hyper");
    }
}
