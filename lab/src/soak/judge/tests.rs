use super::super::outages::Disturbance;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn claim(token: Token, seen: Seen) -> Claim {
    Claim {
        token,
        proxy: 0,
        kind: Kind::KeepAlive,
        can_be_resent: false,
        expected: Expected::Response(200),
        seen,
        from: SECOND,
        to: 2 * SECOND,
    }
}

fn entry(token: Token, status: u16, fault: &str) -> Entry {
    let fault = (!fault.is_empty()).then(|| fault.to_owned());
    Entry { token, proxy: 0, status, fault, backend: Some(0), attempts: 1, hedge: None }
}

/// Judges claims and rows in both orders, with backend 0 killed from 2 s to 3 s.
fn judge(claims: &[Claim], entries: &[Entry]) -> Tally {
    let mut outages = Outages::new(3);
    outages.begin(0, Disturbance::Killed, 2 * SECOND);
    outages.end(0, 3 * SECOND);
    let [first, second] = [true, false].map(|claims_first| {
        let mut judge = Judge::default();
        for is_claims_turn in [claims_first, !claims_first] {
            for claim in claims.iter().filter(|_| is_claims_turn) {
                judge.claim(claim.clone(), &outages);
            }
            for entry in entries.iter().filter(|_| !is_claims_turn) {
                judge.entry(entry.clone(), &outages);
            }
        }
        judge.close()
    });
    assert_eq!(first.findings.count, second.findings.count, "{first:?} {second:?}");
    assert_eq!((&first.kinds, &first.excused), (&second.kinds, &second.excused));
    first
}

/// The only finding there is.
fn finding(claims: &[Claim], entries: &[Entry]) -> String {
    let tally = judge(claims, entries);
    assert_eq!(tally.findings.count, 1, "{tally:?}");
    tally.findings.quoted[0].clone()
}

fn is_fine(claim: Claim, entry: Entry) -> bool {
    judge(&[claim], &[entry]).findings.count == 0
}

#[test]
fn a_request_and_its_row_agree() {
    let tally = judge(
        &[claim(0, Seen::Response(200)), claim(9, Seen::Response(200))],
        &[entry(9, 200, ""), entry(0, 200, "")],
    );
    assert_eq!(tally.findings.count, 0, "{tally:?}");
    assert_eq!((tally.rows, tally.statuses[&200]), (2, 2));
    let count = Count { requests: 2, as_expected: 2, ..Count::default() };
    assert_eq!(tally.kinds[&Kind::KeepAlive], count);
}

#[test]
fn the_response_of_another_request_is_found() {
    let wrong = claim(0, Seen::Wrong("got the response to request 7".to_owned()));
    assert!(finding(&[wrong], &[entry(0, 200, "")]).contains("the response to request 7"));
}

#[test]
fn a_missing_row_is_found() {
    for seen in [Seen::Response(200), Seen::Broken, Seen::Left { was_read: true }] {
        assert!(finding(&[claim(0, seen)], &[]).contains("has no row"));
    }
}

#[test]
fn a_doubled_row_is_found() {
    let row = entry(0, 200, "");
    let rows = [row.clone(), row];
    assert!(finding(&[claim(0, Seen::Response(200))], &rows).contains("a row too many"));
}

#[test]
fn a_row_without_a_request_is_found() {
    assert!(finding(&[], &[entry(0, 200, "")]).contains("which no client sent"));
    let ignored = claim(0, Seen::Ignored);
    assert!(finding(&[ignored], &[entry(0, 200, "")]).contains("a row too many"));
}

#[test]
fn a_row_in_another_log_or_with_another_status_is_found() {
    let stray = Entry { proxy: 1, ..entry(0, 200, "") };
    assert!(finding(&[claim(0, Seen::Response(200))], &[stray]).contains("another proxy"));
    let other = entry(0, 502, "upstream_closed");
    assert!(finding(&[claim(0, Seen::Response(200))], &[other]).contains("its row says 502"));
    let fault = entry(0, 200, "response_truncated");
    assert!(finding(&[claim(0, Seen::Response(200))], &[fault]).contains("a whole response with"));
}

#[test]
fn an_error_needs_a_reason() {
    let failed = claim(0, Seen::Response(502));
    let early = Claim { from: Duration::ZERO, to: SECOND, ..failed.clone() };
    let row = entry(0, 502, "upstream_closed");
    assert!(is_fine(failed.clone(), row.clone()));
    assert!(!is_fine(early, row.clone()), "the backend was up");
    assert!(!is_fine(failed.clone(), Entry { backend: Some(1), ..row }), "another was killed");
    assert!(!is_fine(failed, entry(0, 502, "response_bad_length")), "nothing excuses that");
    assert!(is_fine(claim(0, Seen::Broken), entry(0, 200, "response_truncated")));
    assert!(
        !is_fine(claim(0, Seen::Broken), entry(0, 200, "")),
        "broken, and the row has no fault"
    );
    let malformed = Claim { expected: Expected::Response(400), ..claim(0, Seen::Response(200)) };
    assert!(!is_fine(malformed, entry(0, 200, "")), "it must be refused");
}

#[test]
fn what_a_backend_was_told_to_do_excuses_only_itself() {
    let to = SECOND;
    let mute = Claim { expected: Expected::Response(502), to, ..claim(0, Seen::Response(502)) };
    assert!(is_fine(mute.clone(), entry(0, 502, "upstream_closed")));
    assert!(!is_fine(mute, entry(0, 502, "response_bad_length")));
    let cut = Claim { expected: Expected::Cut, to, ..claim(0, Seen::Broken) };
    assert!(is_fine(cut.clone(), entry(0, 200, "response_truncated")));
    assert!(!is_fine(cut.clone(), entry(0, 200, "response_timeout")));
    let whole = Claim { seen: Seen::Response(200), ..cut };
    assert!(!is_fine(whole, entry(0, 200, "")), "half a response was taken for a whole one");
}

#[test]
fn a_client_that_left_needs_a_row_only_if_it_was_read() {
    let tally = judge(&[claim(0, Seen::Left { was_read: false })], &[]);
    assert_eq!((tally.findings.count, tally.unread), (0, 1));
    for was_read in [true, false] {
        let left = claim(0, Seen::Left { was_read });
        for (status, fault) in [(200, ""), (499, "client_gone"), (400, "request_incomplete")] {
            assert!(is_fine(left.clone(), entry(0, status, fault)));
        }
        assert!(!is_fine(left, entry(0, 502, "response_bad_length")));
    }
}

#[test]
fn findings_are_counted_beyond_those_that_are_quoted() {
    let rows: Vec<Entry> = (0..1000).map(|token| entry(token, 200, "")).collect();
    let tally = judge(&[], &rows);
    assert_eq!((tally.findings.count, tally.findings.quoted.len()), (1000, QUOTED_FINDINGS));
}
