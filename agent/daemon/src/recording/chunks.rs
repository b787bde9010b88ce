//! Chunks: how the parts of a recording lie in its file.

use std::io::{self, Read, Write};

use super::{Damage, MAGIC, VERSION};

/// The longest body of a chunk, and the longest message in it, in bytes: some ten times the first reading
/// of the reference load. What it makes of memory is bounded by it: the smallest part of a message takes
/// two bytes, and some hundred when it is read.
pub(super) const MAX_BYTES: u32 = 8 << 20;

/// Of what is longer.
pub(super) const TOO_LARGE: &str = "a reading is larger than a recording can hold";

/// Begins a recording.
pub(super) fn begin(file: &mut impl Write) -> io::Result<u64> {
    file.write_all(&MAGIC)?;
    file.write_all(&VERSION.to_le_bytes())?;
    Ok((MAGIC.len() + size_of_val(&VERSION)) as u64)
}

/// Writes a chunk at once, so that it is whole or cut at its end. Tells how long it is.
pub(super) fn write(file: &mut impl Write, body: &[u8]) -> io::Result<u64> {
    let length = u32::try_from(body.len())
        .ok()
        .filter(|&length| length <= MAX_BYTES)
        .ok_or_else(|| io::Error::other(TOO_LARGE))?;
    let mut chunk = Vec::with_capacity(HEAD_BYTES + body.len());
    chunk.extend(length.to_le_bytes());
    chunk.extend(crc32fast::hash(body).to_le_bytes());
    chunk.extend(body);
    file.write_all(&chunk)?;
    Ok(chunk.len() as u64)
}

const HEAD_BYTES: usize = 8;

/// Why the next part could not be had.
pub(super) enum Unreadable {
    /// The system says so.
    Io(io::Error),
    /// It is not right.
    Damaged(Damage),
}

impl From<Damage> for Unreadable {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

/// A recording's file, read from its beginning to its end.
pub(super) struct Chunks<R> {
    file: R,
    offset: u64,
}

impl<R: Read> Chunks<R> {
    /// Looks whether it is a recording that can be read.
    pub(super) fn open(file: R) -> Result<Self, Unreadable> {
        let mut chunks = Self { file, offset: 0 };
        let mut magic = [0; MAGIC.len()];
        if chunks.fill(&mut magic)? < MAGIC.len() || magic != MAGIC {
            return Err(Damage::NotARecording.into());
        }
        let mut version = [0; 4];
        chunks.fill_whole(&mut version)?;
        match u32::from_le_bytes(version) {
            1..=VERSION => Ok(chunks),
            0 => Err(Damage::NotARecording.into()),
            version => Err(Damage::Newer {
                version,
                newest: VERSION,
            }
            .into()),
        }
    }

    /// Where the next chunk begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The body of the next chunk. The end of the file is never where one is expected.
    pub(super) fn next(&mut self) -> Result<Vec<u8>, Unreadable> {
        let began = self.offset;
        let mut head = [0; HEAD_BYTES];
        self.fill_whole(&mut head)?;
        let [l0, l1, l2, l3, c0, c1, c2, c3] = head;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        let corrupt = |what: &str| Damage::Corrupt {
            offset: began,
            what: what.to_owned(),
        };
        if length > MAX_BYTES {
            return Err(corrupt("its length is impossible").into());
        }
        // Not reserved at once: a length that is wrong must not take memory that is not there to fill.
        let mut body = Vec::new();
        let mut rest = (&mut self.file).take(length.into());
        let read = rest.read_to_end(&mut body).map_err(Unreadable::Io)?;
        self.offset += read as u64;
        if read < length as usize {
            return Err(self.truncated());
        }
        if crc32fast::hash(&body) != u32::from_le_bytes([c0, c1, c2, c3]) {
            return Err(corrupt("its checksum is another").into());
        }
        Ok(body)
    }

    /// Whether the file ends here.
    pub(super) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(self.file.read(&mut [0])? == 0)
    }

    fn truncated(&self) -> Unreadable {
        Damage::Truncated {
            offset: self.offset,
        }
        .into()
    }

    fn fill_whole(&mut self, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let filled = self.fill(buffer)?;
        if filled < buffer.len() {
            return Err(self.truncated());
        }
        Ok(())
    }

    /// Reads as much as there is, up to the buffer's length.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Unreadable> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Unreadable::Io(error)),
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }
}
