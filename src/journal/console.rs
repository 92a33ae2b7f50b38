//! `-v` lines to standard output, without ever being held up by it.
//!
//! A terminal that was stopped or a pipe that nobody reads must not keep rows from the log. So the
//! console asks whether a write would be taken, waits a little for a slow reader, and drops the
//! rest. Standard output cannot be made non-blocking: other programs share its open file.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::feed::LINE_BYTES_MAX;

/// A pipe that polls as writable takes this much at once (`PIPE_BUF`, pipe(7)).
const CHUNK_BYTES: usize = 4096;

/// Every chunk ends with a line, so a line must fit one.
const _: () = assert!(LINE_BYTES_MAX < CHUNK_BYTES);

/// How often one call waits for a slow reader, a millisecond each time.
const WAITS_MAX: u32 = 20;

const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
const A_MILLISECOND: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// Where `-v` lines go. Ends itself when nothing can be written any more.
#[derive(Debug)]
pub(super) struct Console {
    out: Option<File>,
}

impl Console {
    /// Lines go to standard output, or nowhere if it is closed.
    pub(super) fn stdout() -> Self {
        Self { out: io::stdout().as_fd().try_clone_to_owned().ok().map(File::from) }
    }

    /// Writes whole lines, as many as are taken within [`WAITS_MAX`] milliseconds of waiting.
    pub(super) fn offer(&mut self, mut lines: &[u8]) {
        let mut waits = WAITS_MAX;
        while let (Some(out), false) = (self.out.as_mut(), lines.is_empty()) {
            while !takes(out, AT_ONCE) {
                if waits == 0 {
                    return;
                }
                waits -= 1;
                takes(out, A_MILLISECOND);
            }
            let chunk = &lines[..lines.len().min(CHUNK_BYTES)];
            let end = memchr::memrchr(b'\n', chunk).map_or(chunk.len(), |at| at + 1);
            match out.write_all(&lines[..end]) {
                Ok(()) => lines = &lines[end..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.out = None,
            }
        }
    }
}

/// Whether a write would be answered at once, be it with an error.
fn takes(out: &File, patience: Timespec) -> bool {
    let mut descriptors = [PollFd::new(out, PollFlags::OUT)];
    poll(&mut descriptors, Some(&patience)).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::thread;

    fn console_to_pipe() -> (Console, io::PipeReader) {
        let (reader, writer) = io::pipe().expect("a pipe");
        (Console { out: Some(File::from(std::os::fd::OwnedFd::from(writer))) }, reader)
    }

    fn numbered_lines(count: usize) -> Vec<u8> {
        (0..count).flat_map(|number| format!("line {number:>90}\n").into_bytes()).collect()
    }

    #[test]
    fn a_stalled_reader_gets_whole_lines_and_the_rest_is_dropped() {
        let (mut console, mut reader) = console_to_pipe();
        let lines = numbered_lines(10_000);
        console.offer(&lines);
        drop(console);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).expect("what fitted the pipe");
        assert!(lines.starts_with(&got) && got.ends_with(b"\n"), "whole lines from the first on");
        assert!(got.len() >= 4096 && got.len() < lines.len());
    }

    #[test]
    fn a_busy_reader_gets_everything() {
        let (mut console, mut reader) = console_to_pipe();
        let lines = numbered_lines(3_000);
        let copy = thread::spawn(move || {
            let mut got = Vec::new();
            reader.read_to_end(&mut got).map(|_| got)
        });
        // Offered until taken, for how soon the reader runs is not ours to say.
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            while !console.out.as_ref().is_some_and(|out| takes(out, A_MILLISECOND)) {}
            console.offer(line);
        }
        drop(console);
        assert_eq!(copy.join().expect("reader").expect("read"), lines);
    }

    #[test]
    fn a_gone_reader_ends_it() {
        let (mut console, reader) = console_to_pipe();
        drop(reader);
        console.offer(b"nobody hears this\n");
        assert!(console.out.is_none());
        console.offer(b"nor this\n");
    }
}
