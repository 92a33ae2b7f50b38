//! The bytes of a log, unpacked where the file is compressed with gzip.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// The first bytes of a file that is compressed with gzip (RFC 1952 §2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A file, and the position up to which it was read.
#[derive(Debug)]
pub(super) struct Input {
    file: File,
    /// It shares the position in the file with `file`.
    unpacker: Option<Box<MultiGzDecoder<File>>>,
    offset: u64,
}

impl Input {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let mut magic = [0; GZIP.len()];
        let is_packed = file.read_at(&mut magic, 0)? == GZIP.len() && magic == GZIP;
        let unpacker = if is_packed { Some(unpacker(&file)?) } else { None };
        Ok(Self { file, unpacker, offset: 0 })
    }

    pub(super) fn is_packed(&self) -> bool {
        self.unpacker.is_some()
    }

    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    /// Up to where the file was read. For a packed file this is not the number of unpacked bytes.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads on; 0 at the end.
    pub(super) fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.unpacker {
            Some(unpacker) => unpacker.read(space).map_err(broken)?,
            None => self.file.read_at(space, self.offset)?,
        };
        self.offset = match self.unpacker {
            Some(_) => self.file.stream_position()?,
            None => self.offset + count as u64,
        };
        Ok(count)
    }

    /// Reads on until `space` is full or the file ends.
    pub(super) fn fill(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        while length < space.len() {
            match self.read(&mut space[length..])? {
                0 => break,
                count => length += count,
            }
        }
        Ok(length)
    }

    /// Moves to `place`, counted in unpacked bytes.
    pub(super) fn go_to(&mut self, place: u64) -> io::Result<()> {
        if self.is_packed() {
            let mut unpacker = unpacker(&self.file)?;
            io::copy(&mut (&mut unpacker).take(place), &mut io::sink()).map_err(broken)?;
            self.unpacker = Some(unpacker);
        }
        self.offset = place;
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it maps an error")]
fn broken(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("its gzip data is broken or cut off: {error}"))
}

fn unpacker(mut file: &File) -> io::Result<Box<MultiGzDecoder<File>>> {
    file.rewind()?;
    Ok(Box::new(MultiGzDecoder::new(file.try_clone()?)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tempfile::NamedTempFile;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn input(bytes: &[u8]) -> Input {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        Input::open(file.path()).unwrap()
    }

    fn rest(input: &mut Input) -> Vec<u8> {
        let mut space = vec![0; 1 << 20];
        let length = input.fill(&mut space).unwrap();
        space.truncate(length);
        space
    }

    #[test]
    fn what_is_packed_reads_like_what_is_not() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        // Several files packed one by one are one when they are put together.
        let (a, b) = text.split_at(12_345);
        for bytes in [text.clone(), packed(&text), [packed(a), packed(b)].concat()] {
            let mut input = input(&bytes);
            assert_eq!(rest(&mut input), text);
            assert_eq!(input.offset(), bytes.len() as u64);
            for place in [0, 1, 300_000, text.len()] {
                input.go_to(place as u64).unwrap();
                assert_eq!(rest(&mut input), text[place..], "from {place} on");
            }
        }
    }

    #[test]
    fn what_is_packed_and_cut_off_can_not_be_read() {
        let bytes = packed(&[7; 1000]);
        let mut input = input(&bytes[..bytes.len() - 4]);
        let read = input.fill(&mut [0; 4000]);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn nothing_is_not_packed() {
        for bytes in [&b""[..], &GZIP[..1]] {
            assert_eq!(rest(&mut input(bytes)), bytes);
        }
    }
}
