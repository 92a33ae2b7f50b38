use super::*;
use Part::{Data, Discard, Framing, Trailer};

const TRAILER_LIMIT: usize = 64;

/// The bytes of a stream by part; adjacent pieces of the same part are joined.
type Parts = Vec<(Part, Vec<u8>)>;

/// Scans `pieces` one after the other. Returns the parts, the bytes taken, and how it ended:
/// `Ok(true)` at the end of the body.
fn feed(pieces: &[&[u8]]) -> (Parts, usize, Result<bool, FramingError>) {
    let mut chunks = Chunks::new(TRAILER_LIMIT);
    let (mut parts, mut taken) = (Parts::new(), 0);
    for piece in pieces {
        let mut rest = *piece;
        loop {
            match chunks.next(rest) {
                Err(error) => return (parts, taken, Err(error)),
                Ok((0, Part::End)) => return (parts, taken, Ok(true)),
                Ok((0, Framing)) if rest.is_empty() => break,
                Ok((length, part)) => {
                    assert!(length > 0, "{part:?} without progress");
                    let (bytes, after) = rest.split_at(length);
                    match parts.last_mut() {
                        Some((last, joined)) if *last == part => joined.extend_from_slice(bytes),
                        _ => parts.push((part, bytes.to_vec())),
                    }
                    taken += length;
                    rest = after;
                }
            }
        }
    }
    assert_ne!(chunks.next(b""), Ok((0, Part::End)));
    (parts, taken, Ok(false))
}

/// Scans a stream whole, cut in two anywhere and byte by byte; the parts and the verdict must not
/// depend on it.
fn scan(bytes: &[u8]) -> (Parts, usize, Result<bool, FramingError>) {
    let whole = feed(&[bytes]);
    for cut in 0..=bytes.len() {
        let (parts, taken, verdict) = feed(&[&bytes[..cut], &bytes[cut..]]);
        assert_eq!(verdict, whole.2, "cut at {cut}: {}", bytes.escape_ascii());
        if verdict.is_ok() {
            assert_eq!((&parts, taken), (&whole.0, whole.1), "cut at {cut}");
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    let (parts, taken, verdict) = feed(&single);
    assert_eq!(verdict, whole.2, "byte by byte: {}", bytes.escape_ascii());
    if verdict.is_ok() {
        assert_eq!((parts, taken), (whole.0.clone(), whole.1));
    }
    whole
}

fn kept(parts: &Parts, part: Part) -> Vec<u8> {
    parts.iter().filter(|(p, _)| *p == part).flat_map(|(_, bytes)| bytes.clone()).collect()
}

#[track_caller]
fn refused(stream: impl AsRef<[u8]>, error: FramingError) {
    let stream = stream.as_ref();
    assert_eq!(scan(stream).2, Err(error), "{}", stream.escape_ascii());
}

#[test]
fn a_body_is_divided_into_its_parts() {
    let stream = b"5\r\nhello\r\n3 \t;a=\"b\"\r\nabc\r\n0;c\r\nX-T: v\r\n\r\nGET /";
    let (parts, taken, end) = scan(stream);
    let expected: Parts = vec![
        (Framing, b"5\r\n".to_vec()),
        (Data, b"hello".to_vec()),
        (Framing, b"\r\n3".to_vec()),
        (Discard, b" \t;a=\"b\"".to_vec()),
        (Framing, b"\r\n".to_vec()),
        (Data, b"abc".to_vec()),
        (Framing, b"\r\n0".to_vec()),
        (Discard, b";c".to_vec()),
        (Framing, b"\r\n".to_vec()),
        (Trailer, b"X-T: v\r\n\r\n".to_vec()),
    ];
    assert_eq!(parts, expected);
    assert_eq!((taken, end), (stream.len() - 5, Ok(true)));
}

#[test]
fn an_empty_trailer_section_is_framing() {
    let (parts, taken, end) = scan(b"0\r\n\r\n\r\n");
    assert_eq!(parts, vec![(Framing, b"0\r\n\r\n".to_vec())]);
    assert_eq!((taken, end), (5, Ok(true)));
}

#[test]
fn data_comes_in_one_piece_and_may_be_anything() {
    let data: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let stream = [format!("{:X}\r\n", data.len()).as_bytes(), &data, b"\r\n0\r\n\r\n"].concat();
    let mut chunks = Chunks::new(TRAILER_LIMIT);
    assert_eq!(chunks.next(&stream), Ok((7, Framing)));
    assert_eq!(chunks.next(&stream[7..]), Ok((data.len(), Data)));
    assert_eq!(chunks.next(&stream[7 + data.len()..]), Ok((7, Framing)));
    assert_eq!(chunks.next(b"anything"), Ok((0, Part::End)));
    assert_eq!(chunks.next(b""), Ok((0, Part::End)));
    let (parts, _, end) = scan(b"a\r\n\r\n0\r\n\r\n\n\r0\r\n0\r\n\r\n");
    assert_eq!((kept(&parts, Data), end), (b"\r\n0\r\n\r\n\n\r0".to_vec(), Ok(true)));
}

#[test]
fn sizes_are_hexadecimal_in_either_case_with_any_zeros() {
    for (size, length) in
        [("a", 10), ("F", 15), ("1f", 31), ("000000000000000000000005", 5), ("00A", 10)]
    {
        let data = "z".repeat(length);
        let (parts, _, end) = scan(format!("{size}\r\n{data}\r\n000\r\n\r\n").as_bytes());
        assert_eq!((kept(&parts, Data), end), (data.into_bytes(), Ok(true)), "{size}");
    }
    for size in [
        "",
        " 5",
        "5 ",
        "5\t \t",
        "\t5",
        "0x5",
        "-5",
        "+5",
        "0_5",
        "5these-bytes",
        "\"5\"",
        "5.",
        "5,",
        "g",
        "5 5",
        "5 x",
        "\u{e9}",
    ] {
        refused(format!("{size}\r\nhello\r\n0\r\n\r\n"), FramingError::BadChunkSize);
    }
    refused("\r\n5\r\nhello\r\n0\r\n\r\n", FramingError::BadChunkSize);
    refused(";x\r\nhello", FramingError::BadChunkSize);
}

#[test]
fn sizes_past_the_largest_are_refused_before_they_wrap() {
    let (parts, _, end) = scan(b"7fffffffffffffff\r\nhello");
    assert_eq!((kept(&parts, Data), end), (b"hello".to_vec(), Ok(false)));
    let (_, _, end) = scan(b"100000005\r\nhello\r\n0\r\n\r\n");
    assert_eq!(end, Ok(false), "2^32 and more are to come");
    for size in
        ["8000000000000000", "FFFFFFFFFFFFFFFF", "10000000000000005", "00ffffffffffffffffff"]
    {
        refused(format!("{size}\r\nhello\r\n0\r\n\r\n"), FramingError::ChunkTooLarge);
    }
}

#[test]
fn lines_end_in_cr_lf_and_nothing_else() {
    for stream in ["5\nhello", "5\r\r;ABCD\r\nhello", "5\rhello", "5\r5\r\n", "5 \nhello", "0\n\n"]
    {
        refused(stream, FramingError::BadChunkSize);
    }
    for stream in [
        "3\r\nhello\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n",
        "5\r\nhello\rX",
        "5\r\nhello0",
    ] {
        refused(stream, FramingError::BadChunkEnd);
    }
    for stream in ["0\r\n\rX", "0\r\n\r\r\n"] {
        refused(stream, FramingError::BadChunkEnd);
    }
    for stream in
        ["0\r\n\n", "0\r\nX: y\n\r\n", "0\r\nX: y\rz\r\n", "0\r\nX: y\r\n\n", "0\r\nX: y\r\n\rz"]
    {
        refused(stream, FramingError::BadTrailer);
    }
    for stream in ["5;a\nhello", "5;a\0b\r\n", "5;\u{1}\r\n", "5;\u{7f}\r\n"] {
        refused(stream, FramingError::BadChunkExtension);
    }
    assert_eq!(scan(b"1;\ta\xff\r\nx\r\n0 ;\r\n\r\n").2, Ok(true));
}

#[test]
fn a_body_that_ends_early_is_never_complete() {
    let stream = b"5;x\r\nhello\r\n0\r\nX: y\r\n\r\n";
    for end in 0..stream.len() {
        assert_eq!(scan(&stream[..end]).2, Ok(false), "{end}");
    }
    assert_eq!(scan(stream).2, Ok(true));
}

#[test]
fn size_lines_and_trailers_are_bounded() {
    let line = |length: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "x".repeat(length - 2));
    assert_eq!(scan(line(4096).as_bytes()).2, Ok(true));
    refused(line(4097), FramingError::ChunkLineTooLong);
    let zeros = |length: usize| format!("{}1\r\nx\r\n0\r\n\r\n", "0".repeat(length - 1));
    assert_eq!(scan(zeros(4096).as_bytes()).2, Ok(true));
    refused(zeros(4097), FramingError::ChunkLineTooLong);
    let trailer = |length: usize| format!("0\r\nX: {}\r\n\r\n", "y".repeat(length - 7));
    assert_eq!(scan(trailer(TRAILER_LIMIT).as_bytes()).2, Ok(true));
    refused(trailer(TRAILER_LIMIT + 1), FramingError::TrailerTooLarge);
}

#[test]
fn framing_must_not_outweigh_its_data() {
    let body = |chunk: &str, times: usize| format!("{}0\r\n\r\n", chunk.repeat(times));
    let ends_well = |stream: String| feed(&[stream.as_bytes()]).2;
    assert_eq!(ends_well(body("1\r\nx\r\n", 100_000)), Ok(true), "a byte at a time");
    assert_eq!(ends_well(body("1;123456789012\r\nx\r\n", 100_000)), Ok(true), "18 of overhead");
    let one_more = body("1;1234567890123\r\nx\r\n", 100_000);
    assert_eq!(ends_well(one_more), Err(FramingError::ChunkOverhead));
    let long = format!("1;{}\r\nx\r\n", "x".repeat(4000));
    assert_eq!(ends_well(body(&long, 4)), Ok(true));
    assert_eq!(ends_well(body(&long, 5)), Err(FramingError::ChunkOverhead));
    let redeemed = format!("{}1000\r\n{}\r\n", long.repeat(4), "d".repeat(4096));
    assert_eq!(ends_well(body(&redeemed, 1)), Ok(true));
    assert_eq!(ends_well(body(&redeemed, 3)), Err(FramingError::ChunkOverhead));
}
