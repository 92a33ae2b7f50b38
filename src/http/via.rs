//! The hops that a request has passed, as `Via` lists them (RFC 9110 §7.6.3).

use super::headers::Headers;
use super::list::{elements, is_blank};
use super::name::Name;

/// Whether a request was received before by the hop of this name, so that it loops.
#[must_use]
pub fn has_passed(head: &[u8], headers: &Headers, pseudonym: &str) -> bool {
    // A comma within a comment splits it in two. Only a client that knows the name could use that.
    let is_ours = |entry: &[u8]| {
        let mut words = entry.split(|byte| is_blank(*byte)).filter(|word| !word.is_empty());
        let received_by = words.nth(1).unwrap_or_default();
        received_by.eq_ignore_ascii_case(pseudonym.as_bytes())
    };
    headers.has(Name::Via) && headers.values(head, Name::Via).flat_map(elements).any(is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse_request;

    fn passed(fields: &str) -> bool {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let mut headers = Headers::new(10);
        parse_request(head.as_bytes(), &mut headers).expect("a request");
        has_passed(head.as_bytes(), &headers, "me-1")
    }

    #[test]
    fn an_own_entry_is_found_wherever_it_is() {
        for fields in [
            "Via: 1.1 me-1\r\n",
            "via: 1.0 ME-1 (a comment, with a comma)\r\n",
            "Via: 1.0 a, HTTP/1.1\t me-1 , 2 b\r\n",
            "Via: 1.1 a (x, y)\r\nVia:\r\nVia: ,1.1 me-1\r\n",
            "Connection: via\r\nVia: 1.1 me-1\r\n",
        ] {
            assert!(passed(fields), "{fields}");
        }
    }

    #[test]
    fn other_entries_are_not_taken_for_an_own_one() {
        for fields in [
            "",
            "Via:\r\n",
            "Via: me-1\r\n",
            "Via: 1.1 me-10, 1.1 me-, 1.1 me-1:80\r\n",
            "Via: 1.1 a (me-1), 1.1 b me-1\r\n",
            "X-Via: 1.1 me-1\r\n",
        ] {
            assert!(!passed(fields), "{fields}");
        }
    }
}
