//! What a program says to the person who runs it, without ever waiting for that person.
//!
//! A terminal that was stopped and a pipe that nobody reads take no more bytes, and a write to them
//! waits. So everything is put into a queue of limited size, and a thread of its own, one for each
//! stream, does the writing and the waiting. What finds the queue full is dropped. The streams stay
//! blocking: other programs share their open files.
//!
//! It knows nothing of what is said.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

/// What may wait to be printed.
const ROOM_BYTES: usize = 1024 * 1024;

/// The part of it that is left to what is said rarely and matters more.
const RESERVE_BYTES: usize = ROOM_BYTES / 2;

/// A pipe takes this much in one piece (`PIPE_BUF`, pipe(7)), so that lines of several programs
/// don't mix.
const CHUNK_BYTES: usize = 4096;

/// How long the end of a program waits for each stream to take the last words.
const PATIENCE: Duration = Duration::from_millis(250);

static STDOUT: LazyLock<Printer> = LazyLock::new(|| Printer::start("stdout", io::stdout()));
static STDERR: LazyLock<Printer> = LazyLock::new(|| Printer::start("stderr", io::stderr()));

/// Where a program speaks.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    notices: &'static Printer,
    complaints: &'static Printer,
}

impl Console {
    /// Notices go to standard output, complaints to standard error.
    #[must_use]
    pub fn standard() -> Self {
        Self { notices: &STDOUT, complaints: &STDERR }
    }

    /// Both go to standard error, for standard output is in use for something else.
    #[must_use]
    pub fn on_stderr() -> Self {
        Self { notices: &STDERR, complaints: &STDERR }
    }

    /// Says a notice.
    pub fn say(&self, text: &str) {
        self.notices.put(&lines(text), ROOM_BYTES);
    }

    /// Says what comes often and can be missed: whole lines, as many of the first as there is room
    /// for.
    pub fn offer(&self, lines: &[u8]) {
        self.notices.put(lines, ROOM_BYTES - RESERVE_BYTES);
    }

    /// Says that something is wrong.
    pub fn complain(&self, text: &str) {
        self.complaints.put(&lines(text), ROOM_BYTES);
    }

    /// Waits until all that was said is written, for half a second at most. To be called before the
    /// program ends.
    pub fn finish(&self) {
        self.notices.finish();
        self.complaints.finish();
    }
}

/// Complaints as a writer, of which each write is to be a whole line.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.complaints.put(bytes, ROOM_BYTES);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn lines(text: &str) -> Vec<u8> {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    [text, end].concat().into_bytes()
}

/// The queue of one stream, and its thread.
#[derive(Debug)]
struct Printer(Arc<Desk>);

struct Desk {
    out: Box<dyn AsFd + Send + Sync>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Queue {
    text: Vec<u8>,
    printer: State,
}

/// What a printer's thread is doing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// It waits for something to be said.
    #[default]
    Idle,
    /// It writes, and has taken what it writes out of the queue.
    Writing,
    /// The system gives no thread.
    Missing,
}

impl Printer {
    fn start(name: &str, out: impl AsFd + Send + Sync + 'static) -> Self {
        let (queue, changed) = Default::default();
        let desk = Arc::new(Desk { out: Box::new(out), queue, changed });
        let shared = Arc::clone(&desk);
        let thread = thread::Builder::new().name(name.to_owned());
        if thread.spawn(move || shared.print()).is_err() {
            desk.lock().printer = State::Missing;
        }
        Self(desk)
    }

    /// Queues the lines that fit into `room`.
    fn put(&self, lines: &[u8], room: usize) {
        let mut queue = self.0.lock();
        let free = room.saturating_sub(queue.text.len());
        let fitting = match lines.get(..free) {
            Some(first) => memchr::memrchr(b'\n', first).map_or(0, |at| at + 1),
            None => lines.len(),
        };
        if fitting > 0 {
            queue.text.extend_from_slice(&lines[..fitting]);
            self.0.changed.notify_all();
        }
    }

    /// Waits for all that is queued to be written, but not for long.
    fn finish(&self) {
        let queue = self.0.lock();
        if queue.printer == State::Missing {
            // A program that gets no thread serves nobody, and has to say why it ends.
            let _ = write_all(self.0.out.as_fd(), &queue.text);
            return;
        }
        let is_busy = |queue: &mut Queue| !queue.text.is_empty() || queue.printer == State::Writing;
        // Whether it was written or not, there is nothing left to be done about it.
        let _ = self.0.changed.wait_timeout_while(queue, PATIENCE, is_busy);
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints what is queued, for ever.
    fn print(&self) {
        let mut text = Vec::new();
        loop {
            let mut queue = self.lock();
            queue.printer = State::Idle;
            self.changed.notify_all();
            let waiting = self.changed.wait_while(queue, |queue| queue.text.is_empty());
            let mut queue = waiting.unwrap_or_else(PoisonError::into_inner);
            queue.printer = State::Writing;
            text.clear();
            mem::swap(&mut text, &mut queue.text);
            drop(queue);
            // Nobody is left to tell when this cannot be written.
            let _ = write_all(self.out.as_fd(), &text);
        }
    }
}

/// Writes whole lines, at most [`CHUNK_BYTES`] at once, however long it takes.
fn write_all(out: BorrowedFd<'_>, mut text: &[u8]) -> Result<(), Errno> {
    while !text.is_empty() {
        let chunk = &text[..text.len().min(CHUNK_BYTES)];
        let end = memchr::memrchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
        match rustix::io::write(out, &text[..end]) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => text = &text[count..],
            Err(Errno::INTR) => {}
            // A program that shares the open file has made it non-blocking.
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&out, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Read};

    use rustix::fs::{OFlags, fcntl_setfl};

    fn printer_to_pipe() -> (Printer, PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (Printer::start("test", writer), reader)
    }

    fn numbered_lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("line {number:>90}\n").into_bytes()).collect()
    }

    /// Reads so many bytes.
    fn take(reader: &mut PipeReader, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        reader.read_exact(&mut bytes).expect("bytes");
        bytes
    }

    #[test]
    fn all_that_is_said_is_written_in_order() {
        let (printer, mut reader) = printer_to_pipe();
        let lines = numbered_lines(300);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            printer.put(line, ROOM_BYTES);
        }
        printer.finish();
        assert_eq!(take(&mut reader, lines.len()), lines);
    }

    #[test]
    fn a_stalled_reader_holds_up_nobody_and_gets_the_first_whole_lines() {
        let (printer, mut reader) = printer_to_pipe();
        let lines = numbered_lines(2000);
        printer.put(&lines, ROOM_BYTES);
        while !printer.0.lock().text.is_empty() {
            thread::yield_now();
        }
        // More than a pipe holds: the thread has it, and waits for the reader.
        for _ in 0..20 {
            printer.put(&lines, ROOM_BYTES - RESERVE_BYTES);
        }
        printer.put(b"a complaint\n", ROOM_BYTES);
        printer.finish();
        let queued = printer.0.lock().text.clone();
        assert!(queued.len() <= ROOM_BYTES - RESERVE_BYTES + b"a complaint\n".len());
        assert!(queued.ends_with(b"\na complaint\n"), "what matters more has room");
        for _ in 0..2 {
            assert_eq!(take(&mut reader, lines.len()), lines, "from the first on");
        }
    }

    #[test]
    fn a_reader_that_is_gone_is_no_trouble() {
        let (printer, reader) = printer_to_pipe();
        drop(reader);
        printer.put(b"nobody hears this\n", ROOM_BYTES);
        printer.finish();
        printer.put(b"nor this\n", ROOM_BYTES);
        printer.finish();
        assert_eq!(printer.0.lock().printer, State::Idle);
    }

    #[test]
    fn a_stream_that_another_program_made_non_blocking_is_waited_for_all_the_same() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        fcntl_setfl(&writer, OFlags::NONBLOCK).expect("flags");
        let printer = Printer::start("test", writer);
        let lines = numbered_lines(2000);
        printer.put(&lines, ROOM_BYTES);
        assert_eq!(take(&mut reader, lines.len()), lines);
    }

    #[test]
    fn a_text_ends_with_a_line() {
        assert_eq!((lines("a"), lines("a\n")), (b"a\n".to_vec(), b"a\n".to_vec()));
    }
}
