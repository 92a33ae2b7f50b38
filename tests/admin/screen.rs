//! The live table, in a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use support::clock::until;
use support::unix;

use crate::ctl::ctl;
use crate::scene::{Scene, answering, url};

/// A terminal in which the program runs.
struct Terminal {
    keyboard: File,
    /// The end that the program has.
    screen: OwnedFd,
    shown: Arc<Mutex<String>>,
    program: Child,
}

impl Terminal {
    fn start(admin: &str) -> Self {
        let keyboard = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let name = ptsname(&keyboard, Vec::new()).unwrap();
        let screen = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let size = Winsize { ws_row: 20, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&keyboard, size).unwrap();
        let end = || Stdio::from(screen.try_clone().unwrap());
        let mut command = ctl(admin, &["backends"]);
        let program = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(keyboard);
        let shown = Arc::new(Mutex::new(String::new()));
        let (mut from, into) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut block) {
                into.lock().unwrap().push_str(&String::from_utf8_lossy(&block[..count]));
            }
        });
        Self { keyboard, screen, shown, program }
    }

    fn until_shown(&self, words: &str) {
        until(words, || self.shown.lock().unwrap().contains(words).then_some(()));
    }

    fn is_raw(&self) -> bool {
        !tcgetattr(&self.screen).unwrap().local_modes.contains(LocalModes::ICANON)
    }

    /// Waits for its end: that has left the terminal as it was.
    fn ends_well(mut self) {
        let status = until("its end", || self.program.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.shown.lock().unwrap());
        assert!(!self.is_raw());
        self.until_shown("\u{1b}[?25h\u{1b}[?1049l");
    }
}

#[test]
fn the_table_is_drawn_again_until_a_key_or_a_signal_ends_it() {
    let (first, second) = (answering("x"), answering("x"));
    let scene = Scene::start(&[first.address, second.address], &[]);
    let admin = unix::name(&scene.socket());
    let terminals = [(); 3].map(|()| Terminal::start(&admin));
    for terminal in &terminals {
        terminal.until_shown(&url(first.address));
        assert!(terminal.is_raw());
    }
    scene.change("PATCH", "/backends/0.0", r#"{ "drained": true }"#);
    for terminal in &terminals {
        terminal.until_shown("drained (admin)");
    }
    let [mut by_key, mut by_interrupt, by_signal] = terminals;
    by_key.keyboard.write_all(b"xq").unwrap();
    by_interrupt.keyboard.write_all(&[3]).unwrap();
    let id = Pid::from_child(&by_signal.program);
    kill_process(id, Signal::TERM).unwrap();
    for terminal in [by_key, by_interrupt, by_signal] {
        terminal.ends_well();
    }
}

#[test]
fn a_proxy_that_is_gone_is_waited_for() {
    let scene = Scene::start(&[answering("x").address], &[]);
    let mut terminal = Terminal::start(&unix::name(&scene.socket()));
    terminal.until_shown("q ends");
    drop(scene);
    terminal.until_shown("no proxy answers");
    terminal.keyboard.write_all(b"q").unwrap();
    terminal.ends_well();
}
