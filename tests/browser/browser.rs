//! A browser: started for one test, driven over `WebDriver`, and ended with all its processes.

use std::io::{BufRead, BufReader, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is checked while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How often the driver is started until it gets a port.
const DRIVER_TRIES: usize = 20;

const MISSING: &str = "the browser tests need Chromium and its driver: run scripts/test, which \
    installs them, or set TIDEGATE_SKIP_BROWSER to leave these tests out";

pub(crate) struct Browser {
    client: Client,
    driver: Driver,
    _profile: TempDir,
}

/// The driver's process, and the browser's, which are in one group.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

impl Driver {
    /// Starts one, and returns its address. It chooses a port that is free in IPv6, and ends if
    /// that is taken in IPv4; then another one is started.
    fn start() -> (Self, String) {
        let mut said = Vec::new();
        for _ in 0..DRIVER_TRIES {
            let mut command = Command::new("chromedriver");
            command.arg("--port=0").process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
            let mut driver = match command.spawn() {
                Ok(child) => Self(child),
                Err(error) if error.kind() == ErrorKind::NotFound => panic!("{MISSING}"),
                Err(error) => panic!("chromedriver: {error}"),
            };
            for line in BufReader::new(driver.0.stdout.take().unwrap()).lines() {
                let line = line.unwrap();
                if let Some((_, port)) = line.split_once("started successfully on port ") {
                    let port = port.trim_end_matches('.');
                    return (driver, format!("http://127.0.0.1:{port}"));
                }
                said.push(line);
            }
        }
        panic!("chromedriver does not start: {said:#?}");
    }
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let chromium = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];
        let chromium = chromium.into_iter().find(|path| Path::new(path).exists()).expect(MISSING);
        let (driver, address) = Driver::start();
        let profile = tempfile::tempdir().unwrap();
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(chromium, profile.path()));
        let client = builder.connect(&address).await.expect("a browser session");
        Self { client, driver, _profile: profile }
    }

    pub(crate) async fn close(self) {
        self.client.close().await.unwrap();
        drop(self.driver);
    }

    pub(crate) async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Opens a page in a further window, which is then the current one, and returns its handle.
    pub(crate) async fn open_window(&self, url: &str) -> WindowHandle {
        let window = self.client.new_window(false).await.unwrap().handle;
        self.turn_to(&window).await;
        self.open(url).await;
        window
    }

    /// Makes another window the current one.
    pub(crate) async fn turn_to(&self, window: &WindowHandle) {
        self.client.switch_to_window(window.clone()).await.unwrap();
    }

    /// Makes the page this large, in CSS pixels: a window cannot be as narrow as a telephone.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1,
            "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Makes the system prefer `light` or `dark`.
    pub(crate) async fn prefer_colours(&self, scheme: &str) {
        self.prefer("prefers-color-scheme", scheme).await;
    }

    /// Makes the system have a preference.
    pub(crate) async fn prefer(&self, name: &str, value: &str) {
        let media = json!({ "features": [{ "name": name, "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Has the memory freed of what the page does not refer to any more.
    pub(crate) async fn collect_garbage(&self) {
        self.devtools("HeapProfiler.collectGarbage", json!({})).await;
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        self.client.execute(&format!("return {expression};"), Vec::new()).await.unwrap()
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let waiting = async {
            while self.value(expression).await != Value::Bool(true) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            self.shoot("failed").await;
            let page = self.value("document.body.innerText").await;
            panic!("not true in time: {expression}\n{page}");
        }
    }

    pub(crate) async fn click(&self, selector: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// Presses keys in the element that has the focus.
    pub(crate) async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Moves the pointer to a point of the page.
    pub(crate) async fn point_at(&self, x: f64, y: f64) {
        let event = json!({ "type": "mouseMoved", "x": x, "y": y });
        self.devtools("Input.dispatchMouseEvent", event).await;
    }

    /// A point in an element, by its shares of the width and the height, once it is in view.
    pub(crate) async fn place(&self, selector: &str, shares: [f64; 2]) -> [f64; 2] {
        let element = format!("document.querySelector('{selector}')");
        self.value(&format!("({element}.scrollIntoView({{ block: 'center' }}), true)")).await;
        let rect = self.value(&format!("{element}.getBoundingClientRect()")).await;
        let at = |begin: &str, length: &str, share: f64| {
            rect[begin].as_f64().unwrap() + rect[length].as_f64().unwrap() * share
        };
        [at("x", "width", shares[0]), at("y", "height", shares[1])]
    }

    /// Presses the button of the pointer in one point and lets it go in another.
    pub(crate) async fn drag(&self, from: [f64; 2], to: [f64; 2]) {
        let steps = [
            ("mouseMoved", from),
            ("mousePressed", from),
            ("mouseMoved", to),
            ("mouseReleased", to),
        ];
        for (kind, [x, y]) in steps {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": 1,
                "clickCount": 1 });
            self.devtools("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Writes a screenshot of the page to `target/screenshots/`.
    pub(crate) async fn shoot(&self, name: &str) {
        keep(&self.client.screenshot().await.unwrap(), name);
    }

    /// Writes a screenshot of one element to `target/screenshots/`.
    pub(crate) async fn shoot_part(&self, selector: &str, name: &str) {
        let part = self.client.find(Locator::Css(selector)).await.unwrap();
        keep(&part.screenshot().await.unwrap(), name);
    }

    /// Fails if the console has an error or a warning that `tolerated` does not name.
    pub(crate) async fn expect_clean_console(&self, tolerated: &[&str]) {
        let path = "se/log";
        let entries = self.issue(path, json!({ "type": "browser" })).await;
        let complaints = entries.as_array().unwrap().iter().filter(|entry| {
            let message = entry["message"].as_str().unwrap();
            !tolerated.iter().any(|known| message.contains(known))
        });
        let complaints: Vec<_> = complaints.collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.issue("goog/cdp/execute", body).await
    }

    async fn issue(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Own { path, body }).await.unwrap()
    }
}

fn keep(picture: &[u8], name: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    let path: PathBuf = folder.join(name).with_extension("png");
    std::fs::write(path, picture).unwrap();
}

fn capabilities(chromium: &str, profile: &Path) -> Capabilities {
    let profile = format!("--user-data-dir={}", profile.display());
    let arguments = json!([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        profile,
    ]);
    let capabilities = json!({
        "browserName": "chrome",
        "timeouts": { "pageLoad": 30_000, "script": 30_000 },
        "goog:chromeOptions": { "binary": chromium, "args": arguments },
        "goog:loggingPrefs": { "browser": "WARNING" },
    });
    let Value::Object(capabilities) = capabilities else { unreachable!() };
    capabilities
}

/// A command that only Chromium's driver has.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
}
