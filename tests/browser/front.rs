//! A proxy in front of the dashboard that strips a prefix from paths and refuses paths without it.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use strict::Messages;

pub(crate) struct Front {
    pub(crate) url: String,
}

impl Front {
    /// Starts one in front of the server at `url`. It ends with the process.
    pub(crate) fn start(url: &str, prefix: &'static str) -> Self {
        let upstream = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let upstream = upstream.clone();
                // A client may close its connection at any time.
                thread::spawn(move || drop(pass_on(&client, &upstream, prefix)));
            }
        });
        Self { url }
    }
}

/// Forwards one request, and its response back.
fn pass_on(mut client: &TcpStream, upstream: &str, prefix: &str) -> io::Result<()> {
    let Ok(head) = Messages::new(client).head() else { return Ok(()) };
    let Some(path) = head.text().strip_prefix(&format!("GET {prefix}/")) else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let (line, fields) = path.split_once("\r\n").unwrap();
    let is_ours = |line: &&str| {
        let name = line.split(':').next().unwrap().to_ascii_lowercase();
        !matches!(&*name, "host" | "connection")
    };
    let fields: String = fields.split_inclusive("\r\n").filter(is_ours).collect();
    let mut server = TcpStream::connect(upstream)?;
    write!(server, "GET /{line}\r\nHost: localhost\r\nConnection: close\r\n{fields}")?;
    io::copy(&mut server, &mut client).map(drop)
}
