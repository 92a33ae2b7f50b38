use super::super::line::Splitter;
use super::*;
use proptest::prelude::*;

/// 2026-11-23T10:11:12.000345Z.
const TIMESTAMP_US: i64 = 1_795_428_672_000_345;

fn full_row() -> Row<'static> {
    Row {
        timestamp_us: TIMESTAMP_US,
        backend_url: Some("http://localhost:8081"),
        latency: Some(Duration::from_micros(12_345)),
        status: Some(200),
        routing_mode: "adaptive_ewma",
        connection: Some("persistent"),
        worker: Some(1),
        client: Some(Client::Ip(([127, 0, 0, 1], 50_000).into())),
        method: Some(b"GET"),
        path: Some(b"/index.html?q=1"),
        request_bytes: Some(78),
        response_bytes: Some(4_294_967_296),
        connect: Some(Duration::from_micros(90)),
        first_byte: Some(Duration::from_millis(11)),
        attempts: Some(2),
        fault: Some("upstream_reset"),
        probe: Some("health"),
    }
}

fn bare_row() -> Row<'static> {
    Row {
        timestamp_us: TIMESTAMP_US,
        backend_url: None,
        latency: None,
        status: Some(400),
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
        probe: None,
    }
}

fn written(row: &Row<'_>) -> String {
    let mut out = Vec::new();
    RowWriter::default().write(row, &mut out);
    String::from_utf8(out).expect("a row is text")
}

/// What reads the rows below a header.
struct Reader {
    splitter: Splitter,
    columns: Columns,
}

fn columns(header: &str) -> Option<Columns> {
    Splitter::new(b',').split(header.as_bytes()).ok().and_then(|line| Columns::find(&line))
}

fn reader(header: &str) -> Reader {
    Reader { splitter: Splitter::new(b','), columns: columns(header).expect("a header") }
}

impl Reader {
    fn row<'a>(&'a mut self, line: &'a str) -> Result<Row<'a>, RowError> {
        Row::parse(&self.columns, self.splitter.split(line.as_bytes()).expect("fields"))
    }
}

#[test]
fn the_header_is_the_contract() {
    assert_eq!(
        header(),
        "timestamp,backend_url,latency_ms,status_code,routing_mode,connection,worker,client,\
         method,path,request_bytes,response_bytes,connect_ms,first_byte_ms,attempts,fault,\
         probe\n"
    );
}

#[test]
fn a_row_is_written_just_so() {
    assert_eq!(
        written(&full_row()),
        "2026-11-23T10:11:12.000345Z,http://localhost:8081,12.345,200,adaptive_ewma,persistent,1,\
         127.0.0.1:50000,GET,/index.html?q=1,78,4294967296,0.090,11.000,2,upstream_reset,\
         health\n"
    );
    assert_eq!(written(&bare_row()), "2026-11-23T10:11:12.000345Z,,,400,round-robin,,,,,,,,,,,,\n");
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
        let line = String::from_utf8(out).expect("text");
        let read = reader(&header()).row(&line).map(|row| row.timestamp_us);
        assert_eq!(read, Ok(timestamp_us));
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
        probe: Some("i;j k"),
        ..bare_row()
    };
    assert_eq!(
        written(&row),
        "2026-11-23T10:11:12.000345Z,\"a,b\",,400,\"c\"\"d\",\"e f\",,,\
         \"G%0AT\",\"/%FF,%0D%00%7F\"\"%C3%BC%20\",,,,,,\"g%09h\",\"i;j k\"\n"
    );
}

#[test]
fn no_text_begins_a_formula_and_each_is_read_back() {
    for text in ["=1+1", "=HYPERLINK(\"http://a/\",1)", "+1", "-1", "@SUM(1)", "'", "'=1", "-"] {
        let row = Row {
            backend_url: Some(text),
            routing_mode: text,
            connection: Some(text),
            method: Some(text.as_bytes()),
            path: Some(text.as_bytes()),
            fault: Some(text),
            probe: Some(text),
            ..bare_row()
        };
        let line = written(&row);
        let cells = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let cells = { cells }.records().next().expect("a record").expect("cells");
        let marked = format!("'{text}");
        assert_eq!(cells.iter().filter(|cell| **cell == marked).count(), 7, "{line}");
        assert_eq!(reader(&header()).row(&line), Ok(row));
    }
}

#[test]
fn what_is_encoded_or_a_number_needs_no_mark() {
    let row = Row { method: Some(b"\t=1"), path: Some(b"\r\n+1"), ..bare_row() };
    assert!(written(&row).contains(",\"%09=1\",\"%0D%0A+1\","), "{}", written(&row));
}

#[test]
fn one_mark_is_taken_from_texts_of_other_tools_too() {
    let mut reader = reader(&COLUMNS[..CONTRACT_COLUMNS].join(","));
    for (cell, text) in [("'=b", Some("=b")), ("''b", Some("'b")), ("'", None), ("b'", Some("b'"))]
    {
        let line = format!("2026-11-23T10:11:12Z,{cell},1,200,x\n");
        assert_eq!(reader.row(&line).map(|row| row.backend_url), Ok(text));
    }
}

#[test]
fn ipv6_clients_have_brackets() {
    let client = "[2001:db8::1]:443".parse().ok();
    assert!(written(&Row { client, ..bare_row() }).contains(",[2001:db8::1]:443,"));
}

#[test]
fn a_written_row_is_read_back() {
    for row in [full_row(), bare_row()] {
        assert_eq!(reader(&header()).row(&written(&row)), Ok(row));
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

        let mut reader = reader(&header());
        let (method, path) = (encoded(&method), encoded(&path));
        let expected = Row {
            method: Some(&method[..]).filter(|method| !method.is_empty()),
            path: Some(&path[..]).filter(|path| !path.is_empty()),
            ..full_row()
        };
        prop_assert_eq!(reader.row(&line), Ok(expected));
    }
}

#[test]
fn the_five_columns_of_other_tools_are_read() {
    let mut reader = reader(&COLUMNS[..CONTRACT_COLUMNS].join(","));
    for (line, micros, backend_url, latency_us, status) in [
        ("2026-11-23 10:11:12.000345,http://b:1,250,200,x\n", 0, Some("http://b:1"), 250_000, 200),
        ("2026-11-23T12:11:12+02:00,b,0.5,503,x\r\n", -345, Some("b"), 500, 503),
    ] {
        let latency = Some(Duration::from_micros(latency_us));
        let timestamp_us = TIMESTAMP_US + micros;
        let routing_mode = "x";
        let status = Some(status);
        let row = Row { timestamp_us, backend_url, latency, status, routing_mode, ..bare_row() };
        assert_eq!(reader.row(line), Ok(row));
    }
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let header = "new,fault,status_code,latency_ms,timestamp,routing_mode,worker,backend_url\n";
    let mut reader = reader(header);
    let row = reader.row("what,reset,200,1,2026-11-23T10:11:12Z,x,7,b\n").expect("a row");
    assert_eq!((row.fault, row.worker, row.path), (Some("reset"), Some(7), None));
    assert_eq!((row.status, row.backend_url, row.routing_mode), (Some(200), Some("b"), "x"));
}

#[test]
fn without_all_columns_of_the_contract_a_line_is_no_header() {
    for header in ["", "\n", "timestamp,backend_url,latency_ms,status_code\n", "\u{0}\u{1}\u{2}"] {
        assert_eq!(columns(header), None, "{header:?}");
    }
}

#[test]
fn a_row_without_a_time_is_none() {
    let mut reader = reader(&header());
    for (bad, message) in [
        ("yesterday,b,1.5,200,x", "`yesterday` is no timestamp"),
        (",b,1.5,200,x", "`` is no timestamp"),
        ("", "`` is no timestamp"),
    ] {
        assert_eq!(reader.row(bad).expect_err(bad).to_string(), message);
    }
}

#[test]
fn what_can_not_be_read_is_missing_and_its_request_stays() {
    let mut reader = reader(&header());
    for bad in ["", "NaN", "None", "-", "inf", "-1", "what", "\u{e9}"] {
        let cells = [bad; 5].join(",");
        let line = format!("2026-11-23T10:11:12.000345Z,b,{bad},{bad},x,,{bad},{bad},,,{cells}");
        let expected =
            Row { backend_url: Some("b"), status: None, routing_mode: "x", ..bare_row() };
        assert_eq!(reader.row(&line), Ok(expected), "{bad}");
    }
    for word in ["NaN", "None", " - ", "null", "<NA>"] {
        let line =
            format!("2026-11-23T10:11:12.000345Z,{word},,400,{word},{word},,,,,,,,,,{word},{word}");
        assert_eq!(reader.row(&line), Ok(Row { routing_mode: "", ..bare_row() }), "{word}");
    }
    assert_eq!(reader.row("2026-11-23T10:11:12Z").map(|row| row.status), Ok(None), "a short row");
}

#[test]
fn a_status_is_read_as_a_data_frame_writes_it() {
    let mut reader = reader(&header());
    for (cell, status) in [
        ("503.0", Some(503)),
        (" 200", Some(200)),
        ("200 OK", Some(200)),
        ("0", None),
        ("70000", None),
        ("2", None),
    ] {
        let line = format!("2026-11-23T10:11:12Z,b,1,{cell},x");
        let row = reader.row(&line).expect("a row");
        assert_eq!(row.status, status, "{cell}");
        assert_eq!(row.is_error(), status != Some(200), "{cell}");
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
        let row = Row { status: Some(status), fault, ..bare_row() };
        assert_eq!(row.is_error(), is_error);
    }
}
