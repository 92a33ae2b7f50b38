use super::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream as Client};
use std::thread;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

/// A relay on a thread that ends with the process.
struct Running {
    address: SocketAddr,
}

impl Running {
    fn to(upstreams: &[SocketAddr]) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into();
        let upstreams = upstreams.iter().copied().map(Endpoint::from).collect();
        let relay = Relay::bind(&any, upstreams).expect("bound");
        let Endpoint::Tcp(address) = *relay.endpoint() else { panic!("another kind") };
        thread::spawn(|| relay.run());
        Self { address }
    }

    fn connect(&self) -> Client {
        patient(Client::connect(self.address).expect("connected"))
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bound");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

fn patient(stream: Client) -> Client {
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

fn accept(listener: &TcpListener) -> Client {
    patient(listener.accept().expect("accepted").0)
}

fn read(stream: &mut Client, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("bytes");
    bytes
}

fn rest(mut stream: Client) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end");
    bytes
}

#[test]
fn bytes_go_both_ways_as_they_come() {
    let (listener, address) = listen();
    let relay = Running::to(&[address]);
    let mut client = relay.connect();
    let mut upstream = accept(&listener);
    for round in 0..3_u8 {
        client.write_all(&[round, b'?']).expect("sent");
        assert_eq!(read(&mut upstream, 2), [round, b'?']);
        upstream.write_all(&[round, b'!']).expect("sent");
        assert_eq!(read(&mut client, 2), [round, b'!']);
    }
}

#[test]
fn each_direction_ends_by_itself() {
    let (listener, address) = listen();
    let relay = Running::to(&[address]);
    let mut client = relay.connect();
    let mut upstream = accept(&listener);
    client.write_all(b"all").expect("sent");
    client.shutdown(Shutdown::Write).expect("finished");
    let mut asked = Vec::new();
    upstream.read_to_end(&mut asked).expect("the client's end");
    assert_eq!(asked, b"all");
    upstream.write_all(b"answer").expect("the other direction is open");
    drop(upstream);
    assert_eq!(rest(client), b"answer");
}

#[test]
fn more_than_any_buffer_holds_arrives_whole_however_late_it_is_read() {
    const BYTES: usize = 32 << 20;
    let sent: Vec<u8> = (0..BYTES).map(|index| u8::try_from(index % 251).expect("small")).collect();
    let (listener, address) = listen();
    let relay = Running::to(&[address]);
    let client = relay.connect();
    let mut upstream = accept(&listener);
    let copy = sent.clone();
    let writer = thread::spawn(move || upstream.write_all(&copy).expect("sent in the end"));
    // A second pair goes on while the first one is stuck on its reader.
    let mut second = relay.connect();
    let mut other = accept(&listener);
    second.write_all(b"x").expect("sent");
    assert_eq!(read(&mut other, 1), b"x");
    assert!(rest(client) == sent, "the bytes differ");
    writer.join().expect("no panic");
}

#[test]
fn connections_go_to_each_upstream_in_turn() {
    let (listeners, addresses): (Vec<_>, Vec<_>) = (0..3).map(|_| listen()).unzip();
    let relay = Running::to(&addresses);
    let mut pairs = Vec::new();
    for name in 0..6_u8 {
        let mut client = relay.connect();
        client.write_all(&[name]).expect("sent");
        // The next is made only when this one's upstream is known.
        let mut upstream = accept(&listeners[usize::from(name % 3)]);
        assert_eq!(read(&mut upstream, 1), [name]);
        pairs.push((client, upstream));
    }
}

#[test]
fn a_client_without_an_upstream_is_closed() {
    let (listener, address) = listen();
    drop(listener);
    let relay = Running::to(&[address]);
    let mut client = relay.connect();
    // Either the end or the reset that the refusal became.
    assert!(matches!(client.read(&mut [0; 8]), Ok(0) | Err(_)));
}
