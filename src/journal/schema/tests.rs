use super::*;
use proptest::prelude::*;

/// 2026-11-23T10:11:12.000345Z.
const TIMESTAMP_US: i64 = 1_795_428_672_000_345;

fn full_row() -> Row<'static> {
    Row {
        timestamp_us: TIMESTAMP_US,
        backend_url: Some("http://localhost:8081"),
        latency: Some(Duration::from_micros(12_345)),
        status: 200,
        routing_mode: "adaptive_ewma",
        connection: Some("persistent"),
        worker: Some(1),
        client: Some(SocketAddr::from(([127, 0, 0, 1], 50_000))),
        method: Some(b"GET"),
        path: Some(b"/index.html?q=1"),
        request_bytes: Some(78),
        response_bytes: Some(4_294_967_296),
        connect: Some(Duration::from_micros(90)),
        first_byte: Some(Duration::from_millis(11)),
        attempts: Some(2),
        fault: Some("upstream_reset"),
    }
}

fn bare_row() -> Row<'static> {
    Row {
        timestamp_us: TIMESTAMP_US,
        backend_url: None,
        latency: None,
        status: 400,
        routing_mode: "round-robin",
        connection: None,
        worker: None,
        client: None,
        method: None,
        path: None,
        request_bytes: None,
        response_bytes: None,
        connect: None,
        first_byte: None,
        attempts: None,
        fault: None,
    }
}

fn written(row: &Row<'_>) -> String {
    let mut out = Vec::new();
    RowWriter::default().write(row, &mut out);
    String::from_utf8(out).expect("a row is text")
}

fn reader(log: &str) -> RowReader<&[u8]> {
    RowReader::new(log.as_bytes()).expect("a header")
}

#[test]
fn the_header_is_the_contract() {
    assert_eq!(
        header(),
        "timestamp,backend_url,latency_ms,status_code,routing_mode,connection,worker,client,\
         method,path,request_bytes,response_bytes,connect_ms,first_byte_ms,attempts,fault\n"
    );
}

#[test]
fn a_row_is_written_just_so() {
    assert_eq!(
        written(&full_row()),
        "2026-11-23T10:11:12.000345Z,http://localhost:8081,12.345,200,adaptive_ewma,persistent,1,\
         127.0.0.1:50000,GET,/index.html?q=1,78,4294967296,0.090,11.000,2,upstream_reset\n"
    );
    assert_eq!(written(&bare_row()), "2026-11-23T10:11:12.000345Z,,,400,round-robin,,,,,,,,,,,\n");
}

#[test]
fn milliseconds_have_three_digits() {
    for (duration, text) in [
        (Duration::ZERO, ",0.000,"),
        (Duration::from_nanos(999), ",0.000,"),
        (Duration::from_micros(1), ",0.001,"),
        (Duration::from_micros(1_010), ",1.010,"),
        (Duration::from_millis(200), ",200.000,"),
        (Duration::from_secs(86_400), ",86400000.000,"),
        (Duration::MAX, ",18446744073709551.615,"),
    ] {
        let row = written(&Row { latency: Some(duration), ..bare_row() });
        assert!(row.contains(text), "{duration:?}: {row}");
    }
}

#[test]
fn a_timestamp_is_right_whatever_second_came_before_it() {
    let mut writer = RowWriter::default();
    for (timestamp_us, text) in [
        (TIMESTAMP_US, "2026-11-23T10:11:12.000345Z"),
        (TIMESTAMP_US + 999_654, "2026-11-23T10:11:12.999999Z"),
        (TIMESTAMP_US + 999_655, "2026-11-23T10:11:13.000000Z"),
        (TIMESTAMP_US, "2026-11-23T10:11:12.000345Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ] {
        let mut out = Vec::new();
        writer.write(&Row { timestamp_us, ..bare_row() }, &mut out);
        assert!(out.starts_with(format!("{text},").as_bytes()), "{text}");
        let log = header() + &String::from_utf8(out).expect("text");
        let read = reader(&log).next_row().expect("a row").map(|row| row.timestamp_us);
        assert_eq!(read, Some(timestamp_us));
    }
}

#[test]
fn every_text_column_is_escaped() {
    let row = Row {
        backend_url: Some("a,b"),
        routing_mode: "c\"d",
        connection: Some("e f"),
        method: Some(b"G\nT"),
        path: Some(b"/\xff,\r\0\x7f\"\xc3\xbc%20"),
        fault: Some("g\th"),
        ..bare_row()
    };
    assert_eq!(
        written(&row),
        "2026-11-23T10:11:12.000345Z,\"a,b\",,400,\"c\"\"d\",\"e f\",,,\
         \"G%0AT\",\"/%FF,%0D%00%7F\"\"%C3%BC%20\",,,,,,\"g%09h\"\n"
    );
}

#[test]
fn ipv6_clients_have_brackets() {
    let client = "[2001:db8::1]:443".parse().ok();
    assert!(written(&Row { client, ..bare_row() }).contains(",[2001:db8::1]:443,"));
}

#[test]
fn a_written_row_is_read_back() {
    for row in [full_row(), bare_row()] {
        let log = header() + &written(&row);
        let mut reader = reader(&log);
        assert_eq!(reader.next_row().expect("a row"), Some(row));
        assert_eq!(reader.next_row().expect("the end"), None);
    }
}

/// What a reader gets for bytes that were written.
fn encoded(bytes: &[u8]) -> Vec<u8> {
    let encode = |byte: &u8| match byte {
        b' '..=b'~' => vec![*byte],
        _ => format!("%{byte:02X}").into_bytes(),
    };
    bytes.iter().flat_map(encode).collect()
}

proptest! {
    #[test]
    fn any_bytes_stay_in_their_field_and_line(
        method in prop::collection::vec(any::<u8>(), 0..20),
        path in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let row = Row { method: Some(&method), path: Some(&path), ..full_row() };
        let line = written(&row);
        let (end, rest) = line.as_bytes().split_last().expect("a line");
        prop_assert_eq!(*end, b'\n');
        prop_assert!(rest.iter().all(|byte| (b' '..=b'~').contains(byte)));

        let log = header() + &line;
        let mut reader = reader(&log);
        let (method, path) = (encoded(&method), encoded(&path));
        let expected = Row {
            method: Some(&method[..]).filter(|method| !method.is_empty()),
            path: Some(&path[..]).filter(|path| !path.is_empty()),
            ..full_row()
        };
        prop_assert_eq!(reader.next_row().expect("a row"), Some(expected));
    }
}

#[test]
fn the_five_columns_of_other_tools_are_read() {
    let log = "timestamp,backend_url,latency_ms,status_code,routing_mode\r\n\
               2026-11-23 10:11:12,http://localhost:8083,250,200,round-robin\r\n\
               2026-11-23T10:11:12.000345,,,503,adaptive_sma\r\n\
               2026-11-23T12:11:12+02:00,b,0.5,200,x\r\n";
    let mut reader = reader(log);
    let mut next = || {
        let row = reader.next_row().expect("a row").expect("not the end");
        (row.timestamp_us, row.backend_url.map(str::to_owned), row.latency, row.status)
    };
    let whole_second = TIMESTAMP_US - 345;
    let quarter = Some(Duration::from_millis(250));
    assert_eq!(next(), (whole_second, Some("http://localhost:8083".to_owned()), quarter, 200));
    assert_eq!(next(), (TIMESTAMP_US, None, None, 503));
    assert_eq!(next(), (whole_second, Some("b".to_owned()), Some(Duration::from_micros(500)), 200));
}

#[test]
fn columns_are_found_by_name_after_the_five() {
    let log = "timestamp,backend_url,latency_ms,status_code,routing_mode,new,fault,worker\n\
               2026-11-23T10:11:12Z,b,1,200,x,what,reset,7\n";
    let mut reader = reader(log);
    let row = reader.next_row().expect("a row").expect("not the end");
    assert_eq!((row.fault, row.worker, row.path), (Some("reset"), Some(7), None));
}

#[test]
fn what_has_not_the_five_columns_first_is_no_log() {
    for header in [
        "",
        "\n",
        "timestamp,backend_url,latency_ms,status_code\n",
        "backend_url,timestamp,latency_ms,status_code,routing_mode\n",
        "id,timestamp,backend_url,latency_ms,status_code,routing_mode\n",
        "\u{0}\u{1}\u{2}",
    ] {
        let refused = RowReader::new(header.as_bytes()).err();
        assert!(matches!(refused, Some(ReadError::NoHeader)), "{header:?}: {refused:?}");
    }
}

#[test]
fn a_bad_field_is_named_and_the_rows_after_it_are_read() {
    let good = "2026-11-23T10:11:12Z,b,1.5,200,x";
    for (bad, message) in [
        ("yesterday,b,1.5,200,x", "row 2: `yesterday` is no timestamp"),
        (",b,1.5,200,x", "row 2: `` is no timestamp"),
        ("2026-11-23T10:11:12Z,b,-1,200,x", "row 2: `-1` is no latency_ms"),
        ("2026-11-23T10:11:12Z,b,NaN,200,x", "row 2: `NaN` is no latency_ms"),
        ("2026-11-23T10:11:12Z,b,1e400,200,x", "row 2: `1e400` is no latency_ms"),
        ("2026-11-23T10:11:12Z,b,1.5,OK,x", "row 2: `OK` is no status_code"),
        ("2026-11-23T10:11:12Z,b,1.5,70000,x", "row 2: `70000` is no status_code"),
        ("2026-11-23T10:11:12Z", "row 2: `` is no status_code"),
    ] {
        let log = [COLUMNS[..CONTRACT_COLUMNS].join(",").as_str(), good, bad, good].join("\n");
        let mut reader = reader(&log);
        assert!(reader.next_row().expect("good").is_some());
        assert_eq!(reader.next_row().expect_err(bad).to_string(), message);
        assert!(reader.next_row().expect("good again").is_some());
        assert!(reader.next_row().expect("the end").is_none());
    }
}

#[test]
fn errors_are_4xx_5xx_and_faults() {
    for (status, fault, is_error) in [
        (200, None, false),
        (399, None, false),
        (400, None, true),
        (503, None, true),
        (200, Some("truncated"), true),
    ] {
        assert_eq!(Row { status, fault, ..bare_row() }.is_error(), is_error);
    }
}
