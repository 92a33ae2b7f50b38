//! The language of requests and replies in the case files: bytes, and what happens between them.
//!
//! One character is one byte (Latin-1). `{{token}}` is an instruction:
//!
//! | token | for | meaning |
//! |---|---|---|
//! | `rep:TEXT:N` | both | TEXT, N times |
//! | `sleep:MS` | both | a pause |
//! | `drip:TEXT:MS` | both | TEXT one byte at a time, with pauses |
//! | `fin`, `rst` | both | end the stream in order; reset the connection |
//! | `wait` | client | until one more final response is complete, or the stream ends |
//! | `wait100` | client | until any response; after a final one, skip to `else` |
//! | `else` | client | where `wait100` skips to |
//! | `next` | backend | the reply to the next request follows |
//! | `on-head` | backend | first in a reply: do not wait for the body |
//! | `close` | backend | close the connection |
//! | `noreply` | backend | nothing at all |
//! | `echo` | backend | send back whatever is received |
//! | `refuse` | backend | for the whole case: there is no listener |
//! | `accept-close`, `accept-rst` | backend | the same: each connection is closed, or reset |

use std::time::Duration;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    Drip(Vec<u8>, Duration),
    Finish,
    Reset,
    AwaitResponse,
    AwaitContinue,
    Else,
    OnHead,
    Close,
    Echo,
    Hold,
    Refuse,
    AcceptClose,
    AcceptReset,
}

/// The steps of a script. Adjacent bytes are one step, so that they are sent at once.
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = text;
    while let Some((before, (token, after))) =
        rest.split_once("{{").map(|(before, rest)| (before, rest.split_once("}}").expect("}}")))
    {
        add_bytes(&mut steps, latin1(before));
        match token.split_once(':') {
            Some(("rep", rest)) => {
                let (text, count) = argument(rest);
                add_bytes(&mut steps, latin1(text).repeat(count));
            }
            Some(("drip", rest)) => {
                let (text, pause) = argument(rest);
                steps.push(Step::Drip(latin1(text), Duration::from_millis(pause as u64)));
            }
            Some(("sleep", pause)) => {
                steps.push(Step::Pause(Duration::from_millis(pause.parse().expect("a number"))));
            }
            _ => steps.push(simple(token)),
        }
        rest = after;
    }
    add_bytes(&mut steps, latin1(rest));
    steps
}

fn simple(token: &str) -> Step {
    match token {
        "noreply" => Step::Hold,
        "fin" => Step::Finish,
        "rst" => Step::Reset,
        "wait" => Step::AwaitResponse,
        "wait100" => Step::AwaitContinue,
        "else" => Step::Else,
        "on-head" => Step::OnHead,
        "close" => Step::Close,
        "echo" => Step::Echo,
        "refuse" => Step::Refuse,
        "accept-close" => Step::AcceptClose,
        "accept-rst" => Step::AcceptReset,
        _ => panic!("no such token: {token}"),
    }
}

fn argument(text: &str) -> (&str, usize) {
    let (text, number) = text.rsplit_once(':').expect("two arguments");
    (text, number.parse().expect("a number"))
}

fn add_bytes(steps: &mut Vec<Step>, bytes: Vec<u8>) {
    match steps.last_mut() {
        _ if bytes.is_empty() => {}
        Some(Step::Send(last)) => last.extend(bytes),
        _ => steps.push(Step::Send(bytes)),
    }
}

/// The bytes of a text in Latin-1.
pub fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).expect("a character is a byte")).collect()
}

/// All bytes that these steps send, except those sent one at a time with pauses.
pub fn bytes_sent(steps: &[Step]) -> Vec<u8> {
    let sent = steps.iter().filter_map(|step| match step {
        Step::Send(bytes) => Some(bytes.as_slice()),
        _ => None,
    });
    sent.collect::<Vec<_>>().concat()
}

#[test]
fn a_script_is_bytes_and_tokens() {
    let ms = Duration::from_millis;
    assert_eq!(steps(""), []);
    assert_eq!(steps("a\r\n\u{ff}"), [Step::Send(b"a\r\n\xff".to_vec())]);
    assert_eq!(steps("a{{rep:b::2}}c"), [Step::Send(b"ab:b:c".to_vec())]);
    let both = [Step::Send(b"a".to_vec()), Step::Pause(ms(5)), Step::Send(b"b".to_vec())];
    assert_eq!(steps("a{{sleep:5}}b"), both);
    assert_eq!(steps("{{drip:x y:7}}{{fin}}"), [Step::Drip(b"x y".to_vec(), ms(7)), Step::Finish]);
    assert_eq!(bytes_sent(&steps("a{{wait}}b{{drip:c:1}}")), b"ab");
}

#[test]
#[should_panic(expected = "no such token: fine")]
fn a_token_must_be_known() {
    steps("{{fine}}");
}
