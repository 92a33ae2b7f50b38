use std::net::SocketAddr;

use proptest::prelude::*;

use super::super::batch::Batch;
use super::super::line::Splitter;
use super::*;

/// 2026-11-23T10:11:12.000345Z.
const TIMESTAMP_US: i64 = 1_795_428_672_000_345;

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn now() -> Instant {
    Instant::now()
}

/// A request of which all is known, and that ended at [`TIMESTAMP_US`].
struct Request<'a> {
    record: Record<'a>,
    run: Run,
}

impl<'a> Request<'a> {
    fn new(record: Record<'a>) -> Self {
        Self { record, run: Run::new("adaptive_ewma", "persistent") }
    }

    fn full() -> Self {
        let ended = now();
        Self::new(Record {
            ended,
            client: Client::Ip(SocketAddr::from(([127, 0, 0, 1], 50_000))),
            backend: Some("http://localhost:8081"),
            status: 200,
            method: b"GET",
            path: b"/index.html?q=1",
            request_bytes: 78,
            response_bytes: 4_294_967_296,
            latency: Some(Duration::from_micros(12_345)),
            connect: Some(Duration::from_micros(90)),
            first_byte: Some(Duration::from_millis(11)),
            attempts: 2,
            fault: Some("upstream_reset"),
            is_probe: true,
            dispatched: ended.checked_sub(Duration::from_micros(12_400)),
            in_flight: Some(17),
            reason: Some("retry"),
            queue: Some(Duration::from_micros(7_250)),
            hedge: Some(Hedge::Won),
            hedge_backend: "http://localhost:8082",
        })
    }

    /// One of which nothing is known but that it was refused.
    fn bare() -> Self {
        Self::new(Record { status: 400, ..Record::new(now()) })
    }

    fn with(self, change: impl FnOnce(&mut Record<'a>)) -> Self {
        let mut changed = self;
        change(&mut changed.record);
        changed
    }

    fn add_to(&self, batch: &mut Batch, timestamp_us: i64) {
        let (record, [backend, hedge_backend, method, path]) = self.record.split();
        let backend = record.backend.map(|_| backend);
        let clock = Clock::at(self.record.ended, timestamp_us);
        let run = &self.run;
        let (record, worker) = (&record, 1);
        batch.add(&Facts { record, backend, hedge_backend, method, path, worker, run, clock });
    }

    fn written_by(&self, batch: &mut Batch, timestamp_us: i64) -> String {
        batch.clear();
        self.add_to(batch, timestamp_us);
        String::from_utf8(batch.bytes().to_vec()).expect("a row is text")
    }

    fn written(&self) -> String {
        self.written_by(&mut Batch::default(), TIMESTAMP_US)
    }
}

/// What is read of [`Request::full`].
fn full_row() -> Row<'static> {
    Row {
        timestamp_us: TIMESTAMP_US,
        backend_url: Some("http://localhost:8081"),
        latency: Some(Duration::from_micros(12_345)),
        status: Some(200),
        routing_mode: "adaptive_ewma",
        connection: Some("persistent"),
        worker: Some(1),
        client: Some(Client::Ip(SocketAddr::from(([127, 0, 0, 1], 50_000)))),
        method: Some(b"GET"),
        path: Some(b"/index.html?q=1"),
        request_bytes: Some(78),
        response_bytes: Some(4_294_967_296),
        connect: Some(Duration::from_micros(90)),
        first_byte: Some(Duration::from_millis(11)),
        attempts: Some(2),
        fault: Some("upstream_reset"),
        probe: Some("health"),
        started_us: Some(TIMESTAMP_US - 12_400),
        in_flight: Some(17),
        reason: Some("retry"),
        queue: Some(Duration::from_micros(7_250)),
        hedge: Some("won"),
        hedge_backend_url: Some("http://localhost:8082"),
    }
}

/// What is read of [`Request::bare`].
fn bare_row() -> Row<'static> {
    Row {
        timestamp_us: TIMESTAMP_US,
        status: Some(400),
        routing_mode: "adaptive_ewma",
        connection: Some("persistent"),
        worker: Some(1),
        client: Some(Client::Unix),
        request_bytes: Some(0),
        response_bytes: Some(0),
        attempts: Some(0),
        ..Row::default()
    }
}

/// What is read of a row that says nothing but its time.
fn empty_row() -> Row<'static> {
    Row { timestamp_us: TIMESTAMP_US, ..Row::default() }
}

/// What reads the rows below a header.
struct Reader {
    splitter: Splitter,
    layout: Layout,
}

fn layout(header: &str) -> Option<Layout> {
    Splitter::new(b',').split(header.as_bytes()).ok().and_then(|line| Layout::find(&line))
}

fn reader(header: &str) -> Reader {
    Reader { splitter: Splitter::new(b','), layout: layout(header).expect("a header") }
}

/// The header of a log of other tools.
const FIVE_COLUMNS: &str = "timestamp,backend_url,latency_ms,status_code,routing_mode\n";

impl Reader {
    fn row<'a>(&'a mut self, line: &'a str) -> Result<Row<'a>, RowError> {
        Row::parse(&self.layout, self.splitter.split(line.as_bytes()).expect("fields"))
    }
}

#[test]
fn the_header_is_the_contract() {
    assert_eq!(
        header(),
        "timestamp,backend_url,latency_ms,status_code,routing_mode,connection,worker,client,\
         method,path,request_bytes,response_bytes,connect_ms,first_byte_ms,attempts,fault,\
         probe,started,in_flight,reason,queue_ms,hedge,hedge_backend_url\n"
    );
}

#[test]
fn a_row_is_written_just_so() {
    assert_eq!(
        Request::full().written(),
        "2026-11-23T10:11:12.000345Z,http://localhost:8081,12.345,200,adaptive_ewma,persistent,1,\
         127.0.0.1:50000,GET,/index.html?q=1,78,4294967296,0.090,11.000,2,upstream_reset,\
         health,2026-11-23T10:11:11.987945Z,17,retry,7.250,won,http://localhost:8082\n"
    );
    assert_eq!(
        Request::bare().written(),
        "2026-11-23T10:11:12.000345Z,,,400,adaptive_ewma,persistent,1,unix:,,,0,0,,,0,,,,,,,,\n"
    );
}

#[test]
fn each_column_says_in_a_sentence_what_it_is() {
    for column in COLUMNS {
        let says = column.says;
        assert!(says.ends_with('.') && says.starts_with(|c: char| c.is_uppercase() || c == '`'));
        assert!(!says.contains("  ") && !says.contains('|'), "{says}");
    }
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
        let row = Request::bare().with(|record| record.latency = Some(duration)).written();
        assert!(row.contains(text), "{duration:?}: {row}");
    }
}

#[test]
fn numbers_have_their_digits_and_no_others() {
    for number in (0..2000).chain([9_999, 10_000, u32::MAX.into(), u64::MAX]) {
        let row = Request::bare().with(|record| record.request_bytes = number).written();
        assert!(row.contains(&format!(",unix:,,,{number},0,")), "{row}");
    }
}

#[test]
fn a_timestamp_is_right_whatever_second_came_before_it() {
    let mut batch = Batch::default();
    for (timestamp_us, text) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (TIMESTAMP_US, "2026-11-23T10:11:12.000345Z"),
        (TIMESTAMP_US + 999_654, "2026-11-23T10:11:12.999999Z"),
        (TIMESTAMP_US + 999_655, "2026-11-23T10:11:13.000000Z"),
        (TIMESTAMP_US, "2026-11-23T10:11:12.000345Z"),
        (TIMESTAMP_US + 5_000_000, "2026-11-23T10:11:17.000345Z"),
        (TIMESTAMP_US, "2026-11-23T10:11:12.000345Z"),
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
    ] {
        let line = Request::bare().written_by(&mut batch, timestamp_us);
        assert!(line.starts_with(&format!("{text},")), "{text}: {line}");
        let read = reader(&header()).row(&line).map(|row| row.timestamp_us);
        assert_eq!(read, Ok(timestamp_us));
    }
}

#[test]
fn the_seconds_of_both_times_may_be_far_apart() {
    let mut batch = Batch::default();
    for seconds in [0, 1, 3600, 1, 0, 86_400] {
        let span = Duration::from_secs(seconds);
        let request =
            Request::bare().with(|record| record.dispatched = record.ended.checked_sub(span));
        let line = request.written_by(&mut batch, TIMESTAMP_US);
        let mut reader = reader(&header());
        let row = reader.row(&line).expect("a row");
        assert_eq!(row.started_us, Some(TIMESTAMP_US - 1_000_000 * seconds.cast_signed()));
    }
}

#[test]
fn every_text_column_is_escaped() {
    let request = Request {
        run: Run::new("c\"d", "e f"),
        record: Record {
            backend: Some("a,b"),
            status: 400,
            method: b"G\nT",
            path: b"/\xff,\r\0\x7f\"\xc3\xbc%20",
            fault: Some("g\th"),
            reason: Some("i;j k"),
            hedge: Some(Hedge::Lost),
            hedge_backend: "=n",
            ..Record::new(now())
        },
    };
    assert_eq!(
        request.written(),
        "2026-11-23T10:11:12.000345Z,\"a,b\",,400,\"c\"\"d\",\"e f\",1,unix:,\
         \"G%0AT\",\"/%FF,%0D%00%7F\"\"%C3%BC%20\",0,0,,,0,\"g%09h\",,,,\"i;j k\",,lost,\"'=n\"\n"
    );
}

#[test]
fn no_text_begins_a_formula_and_each_is_read_back() {
    for text in ["=1+1", "=HYPERLINK(\"http://a/\",1)", "+1", "-1", "@SUM(1)", "'", "'=1", "-"] {
        let request = Request {
            run: Run::new(text, text),
            record: Record {
                backend: Some(text),
                status: 400,
                method: text.as_bytes(),
                path: text.as_bytes(),
                fault: Some(text),
                reason: Some(text),
                ..Record::new(now())
            },
        };
        let line = request.written();
        let cells = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let cells = { cells }.records().next().expect("a record").expect("cells");
        let marked = format!("'{text}");
        assert_eq!(cells.iter().filter(|cell| **cell == marked).count(), 7, "{line}");
        let row = Row {
            backend_url: Some(text),
            routing_mode: text,
            connection: Some(text),
            method: Some(text.as_bytes()),
            path: Some(text.as_bytes()),
            fault: Some(text),
            reason: Some(text),
            ..bare_row()
        };
        assert_eq!(reader(&header()).row(&line), Ok(row));
    }
}

#[test]
fn the_longest_row_is_written_however_many_are_before_it() {
    let (bytes, name) = (vec![0xff; 100_000], "\u{fc}".repeat(50_000));
    let request = Request {
        run: Run::new(&name, &name),
        record: Record {
            backend: Some(&name),
            status: u16::MAX,
            method: &bytes,
            path: &bytes,
            request_bytes: u64::MAX,
            response_bytes: u64::MAX,
            latency: Some(Duration::MAX),
            connect: Some(Duration::MAX),
            first_byte: Some(Duration::MAX),
            attempts: u32::MAX,
            fault: Some("a fault, of which there is none"),
            in_flight: Some(u32::MAX),
            reason: Some("a reason, of which there is none"),
            dispatched: Some(now()),
            ..Record::new(now())
        },
    };
    let row = request.written();
    assert!(row.len() > 3 * (BACKEND_BYTES_MAX + METHOD_BYTES_MAX + PATH_BYTES_MAX));
    let mut batch = Batch::default();
    (0..100).for_each(|_| request.add_to(&mut batch, TIMESTAMP_US));
    assert_eq!((batch.rows(), batch.bytes()), (100, row.repeat(100).as_bytes()));
}

#[test]
fn what_is_encoded_or_a_number_needs_no_mark() {
    let request = Request::bare().with(|record| {
        (record.method, record.path) = (b"\t=1", b"\r\n+1");
    });
    assert!(request.written().contains(",\"%09=1\",\"%0D%0A+1\","), "{}", request.written());
}

#[test]
fn one_mark_is_taken_from_texts_of_other_tools_too() {
    let mut reader = reader(FIVE_COLUMNS);
    for (cell, text) in [("'=b", Some("=b")), ("''b", Some("'b")), ("'", None), ("b'", Some("b'"))]
    {
        let line = format!("2026-11-23T10:11:12Z,{cell},1,200,x\n");
        assert_eq!(reader.row(&line).map(|row| row.backend_url), Ok(text));
    }
}

#[test]
fn ipv6_clients_have_brackets_and_unix_clients_a_name_of_their_own() {
    let client = Client::Ip("[2001:db8::1]:443".parse().expect("an address"));
    let row = Request::bare().with(|record| record.client = client).written();
    assert!(row.contains(",[2001:db8::1]:443,"), "{row}");
    assert_eq!([client, Client::Unix].map(|it| it.to_string()), ["[2001:db8::1]:443", "unix:"]);
    assert_eq!(reader(&header()).row(&row).map(|row| row.client), Ok(Some(client)));
}

#[test]
fn a_written_row_is_read_back() {
    assert_eq!(reader(&header()).row(&Request::full().written()), Ok(full_row()));
    assert_eq!(reader(&header()).row(&Request::bare().written()), Ok(bare_row()));
    let (older, line) = (header().replace("queue_ms,", ""), Request::full().written());
    let row = Row { queue: None, ..full_row() };
    assert_eq!(reader(&older).row(&line.replace(",7.250,", ",")), Ok(row), "of an older proxy");
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
        let line = Request::full().with(|record| {
            (record.method, record.path) = (&method, &path);
        }).written();
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
    let mut reader = reader(FIVE_COLUMNS);
    for (line, micros, backend_url, latency_us, status) in [
        ("2026-11-23 10:11:12.000345,http://b:1,250,200,x\n", 0, Some("http://b:1"), 250_000, 200),
        ("2026-11-23T12:11:12+02:00,b,0.5,503,x\r\n", -345, Some("b"), 500, 503),
    ] {
        let latency = Some(Duration::from_micros(latency_us));
        let timestamp_us = TIMESTAMP_US + micros;
        let routing_mode = "x";
        let status = Some(status);
        let row = Row { timestamp_us, backend_url, latency, status, routing_mode, ..empty_row() };
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
        assert_eq!(layout(header), None, "{header:?}");
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
        let line = format!(
            "2026-11-23T10:11:12.000345Z,b,{bad},{bad},x,,{bad},{bad},,,{cells},,,at {bad},{bad},"
        );
        let expected = Row { backend_url: Some("b"), routing_mode: "x", ..empty_row() };
        assert_eq!(reader.row(&line), Ok(expected), "{bad}");
    }
    for word in ["NaN", "None", " - ", "null", "<NA>"] {
        let line = format!(
            "2026-11-23T10:11:12.000345Z,{word},,400,{word},{word},,,,,,,,,,{word},{word},,,{word}"
        );
        assert_eq!(reader.row(&line), Ok(Row { status: Some(400), ..empty_row() }), "{word}");
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
        let row = Row { status: Some(status), fault, ..empty_row() };
        assert_eq!(row.is_error(), is_error);
    }
}
