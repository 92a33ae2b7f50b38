//! Look-ups of a server on this host.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::Duration;

use super::*;
use crate::dns::tests::{answer, record};

/// The flag of an answer that is longer than a datagram.
const TRUNCATED: u16 = 0x0200;

/// How a server answers a question.
type Answers = fn(&[u8]) -> Vec<u8>;

/// A server for datagrams and, with `over_tcp`, for connections, at one port.
fn server(over_udp: Answers, over_tcp: Option<Answers>) -> SocketAddr {
    let (udp, tcp) = loop {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        // That port may be taken for the other protocol.
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")) {
            break (udp, tcp);
        }
    };
    let address = udp.local_addr().expect("an address");
    thread::spawn(move || {
        let mut message = [0; 512];
        while let Ok((count, from)) = udp.recv_from(&mut message) {
            let _ = udp.send_to(&over_udp(&message[..count]), from);
        }
    });
    if let Some(over_tcp) = over_tcp {
        thread::spawn(move || {
            while let Ok((mut stream, _)) = tcp.accept() {
                let mut length = [0; 2];
                stream.read_exact(&mut length).expect("a length");
                let mut message = vec![0; u16::from_be_bytes(length).into()];
                stream.read_exact(&mut message).expect("a message");
                stream.write_all(&framed(&over_tcp(&message))).expect("written");
            }
        });
    }
    address
}

fn is_ipv4(question: &[u8]) -> bool {
    question.ends_with(&[0, 1, 0, 1])
}

/// The name that is asked for is `app`, or `a` and a digit.
fn name(question: &[u8]) -> String {
    let length = usize::from(question[12]);
    String::from_utf8(question[13..13 + length].to_vec()).expect("a text")
}

fn one_address(question: &[u8]) -> Vec<u8> {
    let records = [record(&name(question), 60, "10.0.0.1")];
    answer(question, 0, if is_ipv4(question) { &records } else { &[] })
}

fn many_addresses(question: &[u8]) -> Vec<u8> {
    let record = |n| record(&name(question), 60, &format!("10.0.{}.{}", n / 250, n % 250));
    let records: Vec<_> = (0..3000).map(record).collect();
    answer(question, 0, if is_ipv4(question) { &records } else { &[] })
}

fn look_up(names: &[&str], server: SocketAddr) -> Vec<(String, Outcome)> {
    let mut asker = Asker::new(&[server]).expect("an asker");
    for name in names {
        asker.begin(name);
    }
    let mut answers = Vec::new();
    while answers.len() < names.len() {
        answers.extend(asker.turn().expect("a turn").answers);
    }
    assert!(asker.running.is_empty() && asker.sockets.is_empty());
    answers
}

fn addresses(outcome: &Outcome) -> usize {
    let Outcome::Found(found) = outcome else { panic!("{outcome:?}") };
    found.addresses.len()
}

#[test]
fn a_server_is_asked_by_datagrams() {
    let found = look_up(&["app."], server(one_address, None));
    let expected =
        Found::new(vec!["10.0.0.1".parse().expect("it")], Some(Duration::from_mins(1)), None);
    assert_eq!(found, [("app.".to_owned(), Outcome::Found(expected))]);
}

#[test]
fn a_long_answer_comes_over_a_connection() {
    let cut: Answers = |question| answer(question, TRUNCATED, &[]);
    let found = look_up(&["app."], server(cut, Some(many_addresses)));
    assert_eq!(addresses(&found[0].1), 1024, "no more are taken");
    let found = look_up(&["app."], server(cut, Some(|_| b"nonsense".to_vec())));
    assert!(matches!(found[0].1, Outcome::Failed(_)), "{found:?}");
}

#[test]
fn more_names_than_can_be_asked_for_at_once_are_all_found() {
    let names: Vec<String> = (0..3 * MAX_LOOKUPS).map(|n| format!("a{n}.")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = look_up(&names, server(one_address, None));
    assert!(found.iter().all(|(_, outcome)| addresses(outcome) == 1));
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("it");
    let found = look_up(&["app."], gone);
    let Outcome::Failed(failure) = &found[0].1 else { panic!("{found:?}") };
    assert_eq!(failure.to_string(), format!("the name server {gone} can't be reached"));
}

#[test]
fn who_gives_up_has_an_outcome_for_every_name() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut asker = Asker::new(&[silent.local_addr().expect("an address")]).expect("an asker");
    let names: Vec<String> = (0..2 * MAX_LOOKUPS).map(|n| format!("a{n}.")).collect();
    for name in &names {
        asker.begin(name);
    }
    asker.give_up();
    let answers = asker.turn().expect("a turn").answers;
    assert_eq!(answers.len(), names.len());
    assert!(answers.iter().all(|(_, outcome)| matches!(outcome, Outcome::Failed(_))));
}

#[test]
fn what_is_in_the_hosts_file_is_asked_of_nobody() {
    let gone = UdpSocket::bind("127.0.0.1:0").expect("a socket").local_addr().expect("it");
    assert!(addresses(&look_up(&["localhost"], gone)[0].1) > 0);
}
