//! What becomes of a body's bytes, however they are cut.

use super::*;

/// What leaves of a body that arrives in pieces, whether it ended, and how many bytes it left.
fn play(
    framing: Framing,
    to: Version,
    pieces: &[&[u8]],
) -> Result<(Vec<u8>, bool, usize), BodyError> {
    let mut codec = BodyCodec::new(framing, BodyOut::new(framing, to), LIMIT).expect("a body");
    let mut headers = Headers::new(100);
    let mut rules = TrailerRules { headers: &mut headers, named: b"" };
    let (mut raw, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        raw.extend_from_slice(piece);
        loop {
            match codec.next(&raw, &mut rules)? {
                BodyStep::Commit(count) => out.extend(raw.drain(..count)),
                BodyStep::Discard(count) => drop(raw.drain(..count)),
                BodyStep::Chunk(count) => {
                    begin_chunk(&mut out, count);
                    out.extend(raw.drain(..count));
                    out.extend_from_slice(CHUNK_END);
                }
                BodyStep::More => break,
                BodyStep::End(trailers) => {
                    out.extend(trailers);
                    return Ok((out, true, raw.len()));
                }
            }
        }
    }
    out.extend_from_slice(codec.end_of_stream().unwrap_or_default());
    Ok((out, codec.end_of_stream().is_some(), raw.len()))
}

#[track_caller]
fn leaves(framing: Framing, to: Version, bytes: &[u8], expected: &[u8], rest: usize) {
    for cut in 0..=bytes.len() {
        let played = play(framing, to, &[&bytes[..cut], &bytes[cut..]]);
        // A cut behind the end leaves nothing, one before it what came with the end.
        let left = if cut >= bytes.len() - rest { cut + rest - bytes.len() } else { rest };
        assert_eq!(played, Ok((expected.to_vec(), true, left)), "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(play(framing, to, &bytes), Ok((expected.to_vec(), true, 0)));
}

#[test]
fn a_length_is_counted_and_what_follows_is_left() {
    leaves(Framing::Length(5), Version::Http11, b"hellonext", b"hello", 4);
    assert_eq!(play(Framing::Length(0), Version::Http11, &[b"next"]), Ok((Vec::new(), true, 4)));
    assert_eq!(
        play(Framing::Length(6), Version::Http10, &[b"hello"]),
        Ok((b"hello".to_vec(), false, 0))
    );
}

#[test]
fn chunks_lose_their_extensions_or_all_of_their_framing() {
    let bytes = b"5;x=y\r\nhello\r\n0\r\nEtag: z\r\nHost: a\r\n\r\nnext";
    let kept = b"5\r\nhello\r\n0\r\nEtag: z\r\n\r\n";
    leaves(Framing::Chunked, Version::Http11, bytes, kept, 4);
    leaves(Framing::Chunked, Version::Http10, bytes, b"hello", 4);
    leaves(Framing::Chunked, Version::Http11, b"0\r\n\r\n", b"0\r\n\r\n", 0);
}

#[test]
fn a_body_up_to_the_end_is_chunked_for_who_can_tell_its_end_by_that() {
    let played = play(Framing::UntilClose, Version::Http11, &[b"hello", b"", b"world!"]);
    let chunks = b"5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n";
    assert_eq!(played, Ok((chunks.to_vec(), true, 0)));
    leaves(Framing::UntilClose, Version::Http10, b"hello", b"hello", 0);
    for bytes in [1, 9, 10, 15, 16, 255, 256, 65_536, 0x0abc_def0] {
        let mut out = Vec::new();
        begin_chunk(&mut out, bytes);
        assert_eq!(String::from_utf8(out).unwrap(), format!("{bytes:x}\r\n"));
    }
}

#[test]
fn what_breaks_a_body_is_told_from_what_is_wrong_with_its_trailers() {
    let play = |bytes: &[u8]| play(Framing::Chunked, Version::Http11, &[bytes]);
    assert_eq!(play(b"x"), Err(BodyError::Framing(FramingError::BadChunkSize)));
    assert_eq!(play(b"0\r\nX Y: z\r\n\r\n"), Err(BodyError::Trailers(HeadError::BadField)));
    let framing = Framing::None;
    let out = BodyOut::new(framing, Version::Http11);
    assert!(BodyCodec::new(framing, out, LIMIT).is_none());
}

#[test]
fn only_bytes_of_chunks_are_counted() {
    let mut headers = Headers::new(100);
    let mut rules = TrailerRules { headers: &mut headers, named: b"" };
    let mut codec = BodyCodec::new(Framing::Chunked, BodyOut::Chunked, LIMIT).expect("a body");
    assert_eq!(codec.next(b"3\r\nabc", &mut rules), Ok(BodyStep::Commit(3)));
    assert_eq!(codec.next(b"abc", &mut rules), Ok(BodyStep::Commit(3)));
    assert_eq!(codec.chunked_data_bytes(), 3);
}
