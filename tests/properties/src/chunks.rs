//! A chunked body means the same to the scanner as to the grammar, however it is cut.

use strict::{Faults, chunked};
use tidegate::http::{Chunks, FramingError, Headers, Part, rewrite_trailers};

const TRAILER_LIMIT: usize = 16 * 1024;
const MAX_TRAILERS: usize = 100;

/// What a scanner made of a stream.
#[derive(Debug, Default, PartialEq)]
struct Scanned {
    /// What a body that stays chunked keeps of it, without trailers.
    kept: Vec<u8>,
    data: Vec<u8>,
    trailers: Vec<u8>,
    /// Bytes up to the end of the body.
    taken: usize,
    is_whole: bool,
}

/// Checks it for `data` as a stream that begins with a body.
///
/// # Panics
/// If it does not hold.
pub fn check(data: &[u8]) {
    let whole = scan(data, usize::MAX);
    for size in [1, 2, 3, 7, 64] {
        let cut = scan(data, size);
        match (&whole, &cut) {
            (Ok(whole), Ok(cut)) => assert_eq!(cut, whole, "in pieces of {size}"),
            // How much was accepted before the fault depends on the cuts; the verdict does not.
            (whole, cut) => assert_eq!(cut.as_ref().err(), whole.as_ref().err(), "{size}"),
        }
    }
    match whole {
        Ok(scanned) => {
            assert!(scanned.data.len() <= scanned.kept.len() && scanned.kept.len() <= data.len());
            judge_accepted(data, &scanned);
        }
        Err(error) => judge_refused(data, error),
    }
}

/// Feeds the stream in pieces of `size` bytes.
fn scan(stream: &[u8], size: usize) -> Result<Scanned, FramingError> {
    let (mut chunks, mut scanned) = (Chunks::new(TRAILER_LIMIT), Scanned::default());
    for piece in stream.chunks(size.min(stream.len()).max(1)) {
        let mut rest = piece;
        while !rest.is_empty() {
            let (length, part) = chunks.next(rest)?;
            let (bytes, after) = rest.split_at(length);
            match part {
                Part::End => {
                    scanned.is_whole = true;
                    return Ok(scanned);
                }
                Part::Framing => scanned.kept.extend(bytes),
                Part::Data => {
                    scanned.kept.extend(bytes);
                    scanned.data.extend(bytes);
                }
                Part::Discard => {}
                Part::Trailer => scanned.trailers.extend(bytes),
            }
            assert!(length > 0, "{part:?} without progress");
            scanned.taken += length;
            rest = after;
        }
    }
    scanned.is_whole = chunks.next(b"") == Ok((0, Part::End));
    Ok(scanned)
}

/// What goes on is the same body in the plainest form, and the grammar finds no fault that was
/// overlooked.
fn judge_accepted(stream: &[u8], scanned: &Scanned) {
    let (received, faults) = read(stream);
    assert_eq!(received.body, scanned.data);
    if !scanned.is_whole {
        assert_eq!(received.end, None, "the grammar sees the end of the body");
        // The fields of a trailer section are judged once it is whole.
        assert!(faults.is_empty() || !scanned.trailers.is_empty(), "{faults:?}");
        return;
    }
    assert_eq!(received.end, Some(scanned.taken));
    let mut sent = scanned.kept.clone();
    if !scanned.trailers.is_empty() {
        let mut headers = Headers::new(MAX_TRAILERS);
        match rewrite_trailers(&mut sent, &scanned.trailers, &mut headers, b"") {
            Ok(()) => {}
            Err(_) if received.trailers.len() > MAX_TRAILERS => return,
            Err(error) => {
                assert!(!faults.is_empty(), "{error:?} though the grammar finds no fault");
                return;
            }
        }
    }
    assert!(faults.is_empty(), "{faults:?}");
    let (forwarded, faults) = read(&sent);
    assert!(faults.is_empty(), "what goes on: {faults:?}");
    assert_eq!((forwarded.body, forwarded.end), (received.body, Some(sent.len())));
    let is_received = |field| received.trailers.contains(field);
    assert!(forwarded.trailers.iter().all(is_received), "a trailer that was not received");
}

/// Whatever was refused is wrong, or larger than allowed.
fn judge_refused(stream: &[u8], error: FramingError) {
    let is_limit = matches!(
        error,
        FramingError::ChunkTooLarge
            | FramingError::ChunkLineTooLong
            | FramingError::ChunkOverhead
            | FramingError::TrailerTooLarge
    );
    let (received, faults) = read(stream);
    // A line that is wrong before its end was seen is not judged by the grammar yet.
    let is_whole = received.end.is_some() && faults.is_empty();
    assert!(is_limit || !is_whole, "{error:?} though the grammar finds no fault");
}

fn read(stream: &[u8]) -> (chunked::Chunked, Faults) {
    let mut faults = Faults::new();
    (chunked::read(stream, 0, &mut faults), faults)
}
