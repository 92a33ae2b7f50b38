//! Common programs as clients.

use std::path::Path;
use std::process::{Command, Output};

use support::http::field;
use support::origin::{Origin, ok};
use support::process::{Backend, Process, Proxy};

fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the program is installed, see scripts/setup");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An origin that answers with the size of the body that it received.
fn weighing() -> Origin {
    Origin::serve(|mut connection| {
        while let Some(head) = connection.head() {
            if field(&head, "expect").is_some() {
                connection.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            let body = connection.body(&head);
            let kind = head.split(' ').next().unwrap();
            connection.send(ok(&format!("{kind} {}", body.len())));
        }
    })
}

#[test]
fn curl_gets_posts_and_reuses_a_connection() {
    let origin = weighing();
    let proxy = Proxy::start(&[origin.address], &[]);
    let url = format!("http://{}/", proxy.address());
    let curl = || {
        let mut command = Command::new("curl");
        command.args(["-q", "--silent", "--show-error", "--fail", "--noproxy", "*"]);
        command
    };
    assert_eq!(stdout(&run(curl().arg(&url))), "GET 0");
    assert!(stdout(&run(curl().args(["--head", &url]))).starts_with("HTTP/1.1 200 OK\r\n"));
    // So large that curl waits for a 100 before it sends the body.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("body");
    std::fs::write(&file, vec![b'x'; 2 << 20]).unwrap();
    let upload = format!("@{}", file.display());
    let sized = run(curl().args(["--data-binary", &upload, "-H", "Expect: 100-continue", &url]));
    assert_eq!(stdout(&sized), "POST 2097152");
    let chunked = run(curl()
        .args(["--upload-file", "-", &url, "-H"])
        .arg("Transfer-Encoding: chunked")
        .stdin(std::fs::File::open(&file).unwrap()));
    assert_eq!(stdout(&chunked), "PUT 2097152");
    let twice = run(curl().args(["--write-out", " %{num_connects};", &url, &url]));
    assert_eq!(stdout(&twice), "GET 0 1;GET 0 0;");
    assert_eq!(stdout(&run(curl().args(["--http1.0", &url]))), "GET 0");
    let upgrade = run(curl().args(["--http2", &url]));
    assert_eq!(stdout(&upgrade), "GET 0", "an offer of h2c is ignored");
}

#[test]
fn pythons_http_client_keeps_its_connection() {
    const SCRIPT: &str = "
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], timeout=30)
connection.request('GET', '/a')
response = connection.getresponse()
print(response.status, response.read().decode(), response.getheader('Connection'))
sock = connection.sock
connection.request('POST', '/b', body=iter([b'x' * 1000] * 50), encode_chunked=True,
                   headers={'Transfer-Encoding': 'chunked'})
print(connection.getresponse().read().decode())
connection.request('HEAD', '/c')
print(connection.getresponse().read())
print(connection.sock is sock)
";
    let origin = weighing();
    let proxy = Proxy::start(&[origin.address], &[]);
    let address = proxy.address().to_string();
    let output = run(Command::new("python3").args(["-c", SCRIPT, &address]));
    // This origin answers a HEAD with a body, which must not reach the client.
    assert_eq!(stdout(&output), "200 GET 0 None\nPOST 50000\nb''\nTrue\n");
}

#[test]
fn a_browser_shows_a_page_and_what_its_script_fetched() {
    const CHROMIUM: &str = "/usr/bin/chromium";
    const PAGE: &str = "<!doctype html><title>t</title><body><p id=a>no script ran</p>\
        <script>fetch('/data', {method: 'POST', body: 'x'.repeat(100000)})\
        .then(r => r.text()).then(t => { document.getElementById('a').textContent = t; });\
        </script></body>";
    if !Path::new(CHROMIUM).exists() {
        println!("skipped: there is no {CHROMIUM}");
        return;
    }
    let origin = Origin::serve(|mut connection| {
        while let Some((head, body)) = connection.request() {
            let page = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n{PAGE}",
                PAGE.len()
            );
            let is_data = head.starts_with("POST /data ");
            connection.send(if is_data { ok(&format!("got {}", body.len())) } else { page });
        }
    });
    let proxy = Proxy::start(&[origin.address], &[]);
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Process::spawn(Command::new(CHROMIUM).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--no-proxy-server",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--virtual-time-budget=5000",
        "--dump-dom",
        &format!("--user-data-dir={}", folder.path().display()),
        &format!("http://{}/", proxy.address()),
    ]));
    let status = browser.ended();
    assert!(status.success(), "{status}: {}", browser.stderr());
    let page = browser.stdout();
    assert!(page.contains("<p id=\"a\">got 100000</p>"), "{page}\n{}", browser.stderr());
}

#[test]
fn the_test_backends_greeting_is_forwarded() {
    let backend = Backend::start(&["--id", "Ä", "--profile", "0"]);
    let proxy = Proxy::start(&[backend.address], &[]);
    let answer = support::http::get(proxy.address(), "/");
    assert_eq!(answer.text(), "Hello from Ä – simulated 0ms");
    assert!(field(&answer.head, "content-type").unwrap().contains("utf-8"));
}
