//! A proxy in front of the dashboard that strips a prefix from paths and refuses paths without it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

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

/// Forwards one request, and its answer back.
fn pass_on(mut client: &TcpStream, upstream: &str, prefix: &str) -> io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let Some(path) = request.strip_prefix(&format!("GET {prefix}/")) else {
        return client.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let mut head = format!("GET /{path}\r\nHost: localhost\r\nConnection: close\r\n");
    for line in lines {
        let line = line?;
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if !matches!(&*name, "host" | "connection") {
            head.push_str(&line);
            head.push_str("\r\n");
        }
    }
    let mut server = TcpStream::connect(upstream)?;
    server.write_all(format!("{head}\r\n").as_bytes())?;
    let mut block = [0; 4096];
    loop {
        match server.read(&mut block)? {
            0 => return Ok(()),
            count => client.write_all(&block[..count])?,
        }
    }
}
