//! Messages on standard output and standard error that never block the program.
//!
//! A write to a stopped terminal, or to a pipe whose reader does not read, blocks. So messages go
//! into a queue of limited size, and a thread for each stream writes them. Messages that don't fit
//! into the queue are dropped. The streams stay blocking, because other programs share their open
//! file descriptions.
//!
//! It does not know what is printed.

use std::fmt;
use std::io::{self, Write};
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// How much may wait to be written.
const QUEUE_BYTES: usize = 1024 * 1024;

/// The part of it that frequent, less important messages must leave free.
const RESERVE_BYTES: usize = QUEUE_BYTES / 2;

/// A pipe accepts this much atomically (`PIPE_BUF`, pipe(7)), so that lines of several programs
/// don't mix.
const CHUNK_BYTES: usize = 4096;

/// How long a program that ends waits for each stream to accept the last messages.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often it does so again while the stream would accept them: then its thread is what is late,
/// because the machine is busy.
const REPETITIONS: u32 = 40;

static STDOUT: LazyLock<Printer> = LazyLock::new(|| Printer::start("stdout", io::stdout()));
static STDERR: LazyLock<Printer> = LazyLock::new(|| Printer::start("stderr", io::stderr()));

/// Where a program prints its messages. The threads start with the first one.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    notices: &'static LazyLock<Printer>,
    complaints: &'static LazyLock<Printer>,
}

impl Console {
    /// Notices go to standard output, errors to standard error.
    #[must_use]
    pub fn standard() -> Self {
        Self { notices: &STDOUT, complaints: &STDERR }
    }

    /// Both go to standard error, because standard output is used for something else.
    #[must_use]
    pub fn on_stderr() -> Self {
        Self { notices: &STDERR, complaints: &STDERR }
    }

    /// Prints a notice.
    pub fn say(&self, text: &str) {
        self.notices.put(&lines(text), QUEUE_BYTES);
    }

    /// Prints messages that are frequent and less important: of these lines, as many of the first
    /// as fit.
    pub fn offer(&self, lines: &[u8]) {
        self.notices.put(lines, QUEUE_BYTES - RESERVE_BYTES);
    }

    /// Prints an error.
    pub fn complain(&self, text: &str) {
        self.complaints.put(&lines(text), QUEUE_BYTES);
    }

    /// Waits until everything is written, for half a second at most where nobody reads. To be
    /// called before the program ends.
    pub fn finish(&self) {
        self.notices.finish();
        self.complaints.finish();
    }
}

/// Errors, as a writer; each write has to be a whole line.
impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.complaints.put(bytes, QUEUE_BYTES);
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
struct Printer(Arc<Shared>);

struct Shared {
    out: Box<dyn AsFd + Send + Sync>,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Queue {
    text: Vec<u8>,
    printer: State,
}

/// The state of a printer's thread.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// It waits for a message.
    #[default]
    Idle,
    /// It writes; what it writes is no longer in the queue.
    Writing,
    /// The system could not start a thread.
    Missing,
}

impl Printer {
    fn start(name: &str, out: impl AsFd + Send + Sync + 'static) -> Self {
        let (queue, changed) = Default::default();
        let printer = Arc::new(Shared { out: Box::new(out), queue, changed });
        let shared = Arc::clone(&printer);
        let thread = thread::Builder::new().name(name.to_owned());
        if thread.spawn(move || shared.print()).is_err() {
            printer.lock().printer = State::Missing;
        }
        Self(printer)
    }

    /// Queues the lines with which the queue stays within `limit` bytes.
    fn put(&self, lines: &[u8], limit: usize) {
        let mut queue = self.0.lock();
        let free = limit.saturating_sub(queue.text.len());
        let fitting = match lines.get(..free) {
            Some(first) => memchr::memrchr(b'\n', first).map_or(0, |at| at + 1),
            None => lines.len(),
        };
        if fitting > 0 {
            queue.text.extend_from_slice(&lines[..fitting]);
            self.0.changed.notify_all();
        }
    }

    /// Waits until the queue is written, and no longer than [`PATIENCE`] for a stream that accepts
    /// nothing.
    fn finish(&self) {
        let mut queue = self.0.lock();
        if queue.printer == State::Missing {
            // A program that can't start a thread has to print why it ends.
            let _ = write_all(self.0.out.as_fd(), &queue.text);
            return;
        }
        let is_busy = |queue: &mut Queue| !queue.text.is_empty() || queue.printer == State::Writing;
        for _ in 0..=REPETITIONS {
            let waited = self.0.changed.wait_timeout_while(queue, PATIENCE, is_busy);
            let (still, result) = waited.unwrap_or_else(PoisonError::into_inner);
            // If the stream does not accept it, nothing more can be done.
            if !result.timed_out() || !self.0.accepts() {
                return;
            }
            queue = still;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a write would not block.
    fn accepts(&self) -> bool {
        let out = self.out.as_fd();
        let mut polled = [PollFd::new(&out, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut polled, Some(&now)).is_ok() && polled[0].revents().contains(PollFlags::OUT)
    }

    /// Writes what is queued, forever.
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
            // There is no other place to report that this can't be written.
            let _ = write_all(self.out.as_fd(), &text);
        }
    }
}

/// Writes whole lines, at most [`CHUNK_BYTES`] at a time, however long it takes.
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
    fn all_messages_are_written_in_order() {
        let (printer, mut reader) = printer_to_pipe();
        let lines = numbered_lines(300);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            printer.put(line, QUEUE_BYTES);
        }
        printer.finish();
        assert_eq!(take(&mut reader, lines.len()), lines);
    }

    #[test]
    fn a_stalled_reader_blocks_no_writer_and_gets_the_first_whole_lines() {
        let (printer, mut reader) = printer_to_pipe();
        let lines = numbered_lines(2000);
        printer.put(&lines, QUEUE_BYTES);
        while !printer.0.lock().text.is_empty() {
            thread::yield_now();
        }
        // More than a pipe holds: the thread has it, and waits for the reader.
        for _ in 0..20 {
            printer.put(&lines, QUEUE_BYTES - RESERVE_BYTES);
        }
        printer.put(b"a complaint\n", QUEUE_BYTES);
        printer.finish();
        let queued = printer.0.lock().text.clone();
        assert!(queued.len() <= QUEUE_BYTES - RESERVE_BYTES + b"a complaint\n".len());
        assert!(queued.ends_with(b"\na complaint\n"), "what is more important fits");
        for _ in 0..2 {
            assert_eq!(take(&mut reader, lines.len()), lines, "from the first on");
        }
    }

    /// A pipe whose thread is slow to begin, as on a busy machine.
    struct Late(io::PipeWriter);

    impl AsFd for Late {
        #[expect(clippy::disallowed_methods, reason = "being late takes time")]
        fn as_fd(&self) -> BorrowedFd<'_> {
            if thread::current().name() == Some("late") {
                thread::sleep(2 * PATIENCE);
            }
            self.0.as_fd()
        }
    }

    #[test]
    fn a_thread_that_is_late_is_waited_for_while_its_stream_would_take_the_messages() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let printer = Printer::start("late", Late(writer));
        printer.put(b"the last message\n", QUEUE_BYTES);
        printer.finish();
        fcntl_setfl(&reader, OFlags::NONBLOCK).expect("flags");
        assert_eq!(take(&mut reader, 17), b"the last message\n");
    }

    #[test]
    fn a_reader_that_closed_causes_no_error() {
        let (printer, reader) = printer_to_pipe();
        drop(reader);
        printer.put(b"lost\n", QUEUE_BYTES);
        printer.finish();
        printer.put(b"lost, too\n", QUEUE_BYTES);
        printer.finish();
        assert_eq!(printer.0.lock().printer, State::Idle);
    }

    #[test]
    fn a_stream_that_another_program_made_non_blocking_is_waited_for() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        fcntl_setfl(&writer, OFlags::NONBLOCK).expect("flags");
        let printer = Printer::start("test", writer);
        let lines = numbered_lines(2000);
        printer.put(&lines, QUEUE_BYTES);
        assert_eq!(take(&mut reader, lines.len()), lines);
    }

    #[test]
    fn a_text_ends_with_a_line() {
        assert_eq!((lines("a"), lines("a\n")), (b"a\n".to_vec(), b"a\n".to_vec()));
    }
}
