//! The table in a terminal, drawn again each second.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use super::backend::List;
use super::client::Client;
use super::error::CtlError;
use super::table;

/// Between two pictures.
const PAUSE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// What ends it: `q`, and Ctrl-C and Ctrl-D, which are keys like others here.
const QUIT: [u8; 4] = [b'q', b'Q', 3, 4];

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const TOP: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// Shows the backends, these at first, until the user or a signal ends it. A proxy that does not
/// answer any more is waited for.
pub(super) fn watch(client: &Client, first: List) -> Result<(), CtlError> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        flag::register(signal, Arc::clone(&ended))?;
    }
    let _terminal = Terminal::enter()?;
    let (mut list, mut trouble) = (first, String::new());
    loop {
        draw(&picture(&list, &trouble, size()))?;
        if wait_for_end()? || ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        match client.list() {
            Ok(new) => (list, trouble) = (new, String::new()),
            Err(error) => trouble = error.to_string(),
        }
    }
}

/// The terminal in the mode that this needs; dropped, it is as before.
struct Terminal(Termios);

impl Terminal {
    fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut keys = before.clone();
        // Each key is read at once, and none is shown or sends a signal.
        keys.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Now, &keys)?;
        let terminal = Self(before);
        draw(ENTER)?;
        Ok(terminal)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _ = draw(LEAVE);
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn draw(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Rows and columns; those of old if the terminal doesn't say.
fn size() -> (usize, usize) {
    let size = tcgetwinsize(io::stdout()).ok().map(|it| (it.ws_row.into(), it.ws_col.into()));
    size.filter(|(rows, columns)| *rows > 0 && *columns > 0).unwrap_or((24, 80))
}

/// Waits for a second, or for a key: whether it is time to end.
fn wait_for_end() -> io::Result<bool> {
    let stdin = io::stdin();
    let mut keys = [PollFd::new(&stdin, PollFlags::IN)];
    match poll(&mut keys, Some(&PAUSE)) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
        Ok(_) => {
            let mut typed = [0; 64];
            let count = stdin.lock().read(&mut typed)?;
            // Without a terminal there is nobody to look.
            Ok(count == 0 || typed[..count].iter().any(|key| QUIT.contains(key)))
        }
    }
}

/// What is drawn: as many lines as there is room for, each cut where the screen ends.
fn picture(list: &List, trouble: &str, (rows, columns): (usize, usize)) -> String {
    let mut lines = table::lines(list);
    let end = if trouble.is_empty() { "q ends" } else { trouble };
    let room = rows.saturating_sub(2).max(1);
    if lines.len() > room {
        let hidden = lines.len() - room + 1;
        lines.truncate(room - 1);
        lines.push(format!("and {hidden} more, which --once shows"));
    }
    lines.extend([String::new(), end.to_owned()]);
    let mut text = TOP.to_owned();
    let feeds = lines.len() - 1;
    for (number, line) in lines.iter().enumerate() {
        let shown = line.chars().map(|c| if c.is_control() { ' ' } else { c });
        let cut: String = shown.take(columns).collect();
        let (begin, behind) = if number == 2 { (BOLD, PLAIN) } else { ("", "") };
        let feed = if number < feeds { "\r\n" } else { "" };
        // Writing to a String can't fail.
        let _ = write!(text, "{begin}{cut}{behind}{CLEAR_LINE}{feed}");
    }
    text + CLEAR_REST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::backend::Queue;
    use crate::ctl::table::tests::backend;

    fn lines(backends: usize, trouble: &str, size: (usize, usize)) -> Vec<String> {
        let backends = (0..backends).map(|n| backend(&format!("{n}.0"), "http://a:1")).collect();
        let (policy, queue) = ("adaptive".to_owned(), Queue::default());
        let list = List { policy, queue, lately_seconds: 5.0, backends };
        let text = picture(&list, trouble, size);
        let codes = [TOP, CLEAR_LINE, CLEAR_REST, BOLD, PLAIN];
        let bare = codes.iter().fold(text, |text, code| text.replace(code, ""));
        bare.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_picture_is_no_larger_than_the_screen() {
        for (backends, rows, columns) in [(3, 24, 80), (1000, 24, 80), (50, 5, 20), (3, 1, 1)] {
            let lines = lines(backends, "", (rows, columns));
            assert!(lines.len() <= rows.max(3), "{lines:?}");
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{lines:?}");
        }
        let cut = lines(30, "", (24, 200));
        assert!(cut.contains(&"and 12 more, which --once shows".to_owned()), "{cut:?}");
        assert_eq!(cut.last().map(String::as_str), Some("q ends"));
    }

    #[test]
    fn what_is_wrong_stands_below() {
        let lines = lines(3, "no proxy answers", (24, 200));
        assert_eq!(lines.last().map(String::as_str), Some("no proxy answers"));
    }
}
