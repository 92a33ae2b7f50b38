//! How the body of a request is delimited, and which attempts to confuse that are refused.

use super::*;

#[test]
fn a_length_is_digits_and_occurs_once() {
    for (lines, length) in [
        ("Content-Length: 0", 0),
        ("content-LENGTH:5", 5),
        ("Content-Length: 0005", 5),
        ("Content-Length:\t 42 \t", 42),
        ("Content-Length: 9223372036854775807", i64::MAX as u64),
    ] {
        assert_eq!(accepted(with(lines)).head.framing, Framing::Length(length), "{lines}");
    }
    for value in [
        "",
        " ",
        "+5",
        "-5",
        "a5",
        "5a",
        "5.0",
        "5;x",
        "5 5",
        "0x5",
        "5_0",
        "\u{a0}5",
        "\"5\"",
        "5,",
        ",5",
        "5,,5",
        "5, 6",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551621",
        "99999999999999999999",
    ] {
        refused(with(&format!("Content-Length: {value}")), HeadError::BadLength);
    }
    refused(with("Content-Length: 5\nContent-Length: 6"), HeadError::BadLength);
    refused(with("Content-Length: 0\nContent-Length: 31"), HeadError::BadLength);
    refused(with("Content-Length:\nContent-Length: 5"), HeadError::BadLength);
    refused(with("Content-Length: 5\nContent-Length: 5"), HeadError::DuplicateLength);
    refused(with("Content-Length: 5, 5"), HeadError::DuplicateLength);
    refused(with("Content-Length: 5, 05"), HeadError::DuplicateLength);
}

#[test]
fn the_only_transfer_coding_is_chunked_once() {
    for value in ["chunked", "Chunked", "CHUNKED", " \tchunked\t "] {
        let parsed = accepted(with(&format!("transfer-ENCODING: {value}")));
        assert_eq!(parsed.head.framing, Framing::Chunked, "{value}");
    }
    for value in ["identity", "foo", "gzip", "gzip, chunked", "xchunked", "chunkedchunked", "chunk"]
    {
        refused(with(&format!("Transfer-Encoding: {value}")), HeadError::UnknownCoding);
    }
    for value in [
        "",
        ",chunked",
        "chunked,",
        "chunked,,",
        ", chunked",
        "gzip,,chunked",
        "chunked, chunked",
        "chunked, identity",
        "chunked, gzip",
        "chunked;q=1",
        "chunked chunked",
        "\"chunked\"",
        "\u{a0}chunked",
        "\u{ff}chunked",
        "chunked\u{a0}",
    ] {
        refused(with(&format!("Transfer-Encoding: {value}")), HeadError::BadCoding);
    }
    refused(with("Transfer-Encoding: chunked\nTransfer-Encoding: chunked"), HeadError::BadCoding);
    refused(with("Transfer-Encoding: chunked\nTransfer-Encoding:"), HeadError::BadCoding);
    refused(with("Transfer-Encoding: gzip\nTransfer-Encoding: chunked"), HeadError::UnknownCoding);
    refused(head("GET / HTTP/1.0", "Transfer-Encoding: chunked"), HeadError::CodingInHttp10);
    refused(head("GET / HTTP/1.0", "Transfer-Encoding: gzip"), HeadError::CodingInHttp10);
}

#[test]
fn a_length_beside_a_coding_is_refused_whatever_they_say() {
    for coding in ["chunked", "xchunked", "", "identity", "\u{ff}chunked", ",chunked"] {
        for length in ["0", "6", "", "x"] {
            let (te, cl) =
                (format!("Transfer-Encoding: {coding}"), format!("Content-Length: {length}"));
            refused(with(&format!("{te}\n{cl}")), HeadError::LengthAndCoding);
            refused(with(&format!("{cl}\nX: y\n{te}")), HeadError::LengthAndCoding);
        }
    }
}
