//! What the peers got, by the letter of the grammar.

use strict::{Ending, Reader, Request, Response};

/// The requests that `got` begins with, all of them valid as far as they go.
#[track_caller]
pub fn requests(got: &str) -> Vec<Request> {
    let requests = strict::requests(got.as_bytes());
    let faults: Vec<&String> = requests.iter().flat_map(|request| &request.faults).collect();
    assert!(faults.is_empty(), "{faults:?}");
    requests
}

/// The one whole request that `got` is.
#[track_caller]
pub fn request(got: &str) -> Request {
    let request = requests(got).pop().expect("a request");
    assert!(request.is_whole, "{got}");
    request
}

/// The one response to a `GET` that `got` is, and nothing behind it; none if it is not whole.
#[track_caller]
pub fn whole_response(got: &str) -> Option<Response> {
    let methods = [b"GET".to_vec()];
    let reader = Reader { methods: &methods, ending: Some(Ending::Finished), is_http10: false };
    let mut seen = strict::responses(got.as_bytes(), reader);
    assert!(seen.faults.is_empty(), "{:?}: {got}", seen.faults);
    assert_eq!(seen.surplus, b"", "{got}");
    seen.finals.pop().filter(|response| response.is_whole)
}

/// The response without its chunks, so that two can be compared that were cut differently. One that
/// is not whole loses only the chunks it has.
pub fn without_chunks(got: &str) -> String {
    let Some(head) = got.find("\r\n\r\n").map(|at| at + 4) else { return got.to_owned() };
    let mut faults = Vec::new();
    let read = strict::chunked::read(got.as_bytes(), head, &mut faults);
    let rest = read.end.map(|end| &got[end..]);
    format!("{}{}{:?}{rest:?}", &got[..head], read.body.escape_ascii(), read.trailers)
}
