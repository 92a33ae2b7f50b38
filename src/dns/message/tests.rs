//! Messages byte by byte.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).expect(text)
}

/// A record of an answer; its data is an address, or the name that the owner is an alias of.
pub(crate) fn record(owner: &str, ttl: u32, data: &str) -> Vec<u8> {
    let (kind, data) = match data.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => (Family::V4.kind(), address.octets().to_vec()),
        Ok(IpAddr::V6(address)) => (Family::V6.kind(), address.octets().to_vec()),
        Err(_) => (CNAME, name(data).wire().to_vec()),
    };
    let length = u16::try_from(data.len()).expect("short");
    let mut record = name(owner).wire().to_vec();
    record.extend([kind, INTERNET].map(u16::to_be_bytes).concat());
    record.extend(ttl.to_be_bytes());
    record.extend(length.to_be_bytes());
    record.extend(data);
    record
}

/// The answer to a question, with these flags beside that of an answer and these records.
pub(crate) fn answer(query: &[u8], flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = query.to_vec();
    message[2..4].copy_from_slice(&(IS_RESPONSE | RECURSION_DESIRED | flags).to_be_bytes());
    let count = u16::try_from(records.len()).expect("few");
    message[6..8].copy_from_slice(&count.to_be_bytes());
    message.extend(records.concat());
    message
}

/// A question for the addresses of `web.example`, and what an answer with these records says.
fn read_records(records: &[Vec<u8>]) -> Option<Reply> {
    let query = query(7, &name("web.example"), Family::V4);
    read(&answer(&query, 0, records), 7, &name("web.example"), Family::V4)
}

fn found(addresses: &[&str], ttl: u64) -> Reply {
    let addresses = addresses.iter().map(|text| text.parse().expect(text)).collect();
    Reply::Addresses(addresses, Duration::from_secs(ttl))
}

#[test]
fn a_question_is_written_as_the_standard_says() {
    let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x1c\x00\x01";
    assert_eq!(query(0x1234, &name("web"), Family::V6), expected);
}

#[test]
fn addresses_are_those_of_the_name_or_of_what_it_is_an_alias_of() {
    let own = |data| record("WEB.example", 60, data);
    let other = |data| record("other.example", 30, data);
    for (records, expected) in [
        (vec![own("10.0.0.2"), own("10.0.0.1")], Some(found(&["10.0.0.2", "10.0.0.1"], 60))),
        (vec![own("other.example"), other("10.0.0.1")], Some(found(&["10.0.0.1"], 30))),
        (vec![other("10.0.0.1"), own("other.example")], Some(found(&["10.0.0.1"], 30))),
        (vec![other("10.0.0.1")], Some(Reply::Absent)),
        (vec![own("::1")], Some(Reply::Absent)),
        (vec![own("other.example")], Some(Reply::Absent)),
        (vec![own("web.example")], Some(Reply::Absent)),
        (vec![], Some(Reply::Absent)),
        (vec![record("web.example", u32::MAX, "10.0.0.1")], Some(found(&["10.0.0.1"], 0))),
    ] {
        assert_eq!(read_records(&records), expected);
    }
}

#[test]
fn a_chain_of_aliases_has_an_end() {
    let chain = |links: usize| {
        let mut records = vec![record("web.example", 9, "0.example")];
        records.extend(
            (1..links)
                .map(|at| record(&format!("{}.example", at - 1), 9, &format!("{at}.example"))),
        );
        records.push(record(&format!("{}.example", links - 1), 9, "10.0.0.1"));
        records
    };
    assert_eq!(read_records(&chain(MAX_ALIASES)), Some(found(&["10.0.0.1"], 9)));
    assert_eq!(read_records(&chain(MAX_ALIASES + 1)), Some(Reply::Absent));
}

#[test]
fn names_may_refer_to_what_stands_in_front_of_them_and_to_nothing_else() {
    let (web, query) = (name("web.example"), query(7, &name("web.example"), Family::V4));
    let pointing = |owner: &[u8]| {
        let plain = record("web.example", 60, "10.0.0.1");
        let record = [owner, &plain[web.wire().len()..]].concat();
        read(&answer(&query, 0, &[record]), 7, &web, Family::V4)
    };
    assert_eq!(pointing(b"\xc0\x0c"), Some(found(&["10.0.0.1"], 60)), "the whole name");
    assert_eq!(pointing(b"\x03web\xc0\x10"), Some(found(&["10.0.0.1"], 60)), "its end");
    let own = u8::try_from(query.len()).expect("short");
    for circle in
        [&[0xc0, own][..], &[0xc0, own + 1], &[1, b'a', 0xc0, own], &[0xff, 0xff], &[0x80]]
    {
        assert_eq!(pointing(circle), None, "{circle:x?}");
    }
}

#[test]
fn what_a_server_refuses_and_what_it_cuts_is_known_by_its_flags() {
    let (web, query) = (name("web.example"), query(7, &name("web.example"), Family::V4));
    let read = |message: &[u8]| read(message, 7, &web, Family::V4);
    let records = [record("web.example", 60, "10.0.0.1")];
    assert_eq!(read(&answer(&query, 3, &[])), Some(Reply::Absent));
    assert_eq!(read(&answer(&query, IS_TRUNCATED, &records)), Some(Reply::Truncated));
    for (code, text) in
        [(1, "FORMERR"), (2, "SERVFAIL"), (4, "NOTIMP"), (5, "REFUSED"), (9, "error 9")]
    {
        let Some(Reply::Refused(rcode)) = read(&answer(&query, code, &records)) else {
            panic!("{code}");
        };
        assert_eq!(rcode.to_string(), text);
    }
    let mut without_question = answer(&query, 1, &[])[..HEADER].to_vec();
    without_question[5] = 0;
    assert_eq!(read(&without_question), Some(Reply::Refused(Rcode(1))));
}

#[test]
fn what_answers_another_question_is_no_answer() {
    let (web, asked) = (name("web.example"), query(7, &name("web.example"), Family::V4));
    let records = [record("web.example", 60, "10.0.0.1")];
    let read = |message: &[u8]| read(message, 7, &web, Family::V4);
    let whole = answer(&asked, 0, &records);
    assert_eq!(read(&whole), Some(found(&["10.0.0.1"], 60)));
    assert_eq!(read(&asked), None, "a question");
    assert_eq!(read(&answer(&query(8, &web, Family::V4), 0, &records)), None, "another id");
    assert_eq!(read(&answer(&query(7, &web, Family::V6), 0, &records)), None, "another type");
    let other = name("mail.example");
    assert_eq!(read(&answer(&query(7, &other, Family::V4), 0, &records)), None, "another name");
    assert_eq!(read(&answer(&asked, 0x2800, &records)), None, "another operation");
    for cut in 0..whole.len() {
        assert_eq!(read(&whole[..cut]), None, "{cut} bytes");
    }
}

proptest! {
    #[test]
    fn no_message_makes_it_panic(bytes in vec(any::<u8>(), 0..200), at in 0..60_usize) {
        let (web, query) = (name("web.example"), query(7, &name("web.example"), Family::V4));
        read(&bytes, 7, &web, Family::V4);
        let records = [record("web.example", 1, "other.example"), bytes.clone()];
        let mut message = answer(&query, 0, &records);
        read(&message, 7, &web, Family::V4);
        if let (Some(byte), Some(other)) = (message.get_mut(at), bytes.first()) {
            *byte = *other;
        }
        read(&message, 7, &web, Family::V4);
    }
}
