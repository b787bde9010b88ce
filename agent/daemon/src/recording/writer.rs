//! Writes a recording, a reading at a time.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use hostler_decide::{scene::HostFacts, signal::Reading};
use prost::Message as _;
use zstd::stream::{raw::CParameter, write::Encoder};

use super::{Moment, RecordingError, chunks, header, readings, schema};

/// How hard zstd tries, from 1 to 22. Of the reference load's readings more effort saves little.
const LEVEL: i32 = 3;

/// zstd looks back so many bytes, as a power of two: some minutes of the reference load.
pub(super) const WINDOW_LOG2: u32 = 21;

/// A recording that is being written. Without [`Writer::finish`] it has no end, which who reads it is
/// told; all readings are in it nevertheless.
pub struct Writer<W: Write = File> {
    recording: String,
    file: W,
    compressor: Encoder<'static, Vec<u8>>,
    last: Moment,
    written_bytes: u64,
}

impl Writer<File> {
    /// Begins a recording in a new file, which only its owner can read: it tells what runs on the host.
    /// A file that is there is left alone unless it may be replaced: then it is removed first, so that
    /// nobody who has it open, and no link, leads to the new one.
    pub fn create(
        path: &Path,
        may_replace: bool,
        facts: &HostFacts,
    ) -> Result<Self, RecordingError> {
        let recording = path.display().to_string();
        let removed = if may_replace { remove(path) } else { Ok(()) };
        let made = removed.and_then(|()| {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o600).open(path)
        });
        let file = made.map_err(|source| RecordingError::Io {
            recording: recording.clone(),
            what: "making it",
            offset: 0,
            source,
        })?;
        Self::new(recording, file, facts)
    }
}

/// Removes a file or a link, and nothing else.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(there) if there.is_file() || there.is_symlink() => fs::remove_file(path),
        Ok(_) => Err(io::Error::other("there is something that is no file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

impl<W: Write> Writer<W> {
    /// Begins a recording, which is called `recording` in errors.
    pub fn new(recording: String, file: W, facts: &HostFacts) -> Result<Self, RecordingError> {
        let compressor = Encoder::new(Vec::new(), LEVEL).and_then(|mut compressor| {
            compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG2))?;
            // Each chunk has one of its own.
            compressor.include_checksum(false)?;
            Ok(compressor)
        });
        let mut begun = Self {
            compressor: compressor.map_err(|source| RecordingError::Io {
                recording: recording.clone(),
                what: "compressing",
                offset: 0,
                source,
            })?,
            recording,
            file,
            last: Moment::default(),
            written_bytes: 0,
        };
        let header = header::message(facts).encode_to_vec();
        begun.write(|file| {
            let magic = chunks::begin(file)?;
            Ok(magic + chunks::write(file, &header)?)
        })?;
        Ok(begun)
    }

    /// Adds a reading that was taken at `wall_ms` since 1970, in UTC.
    pub fn add(&mut self, reading: &Reading, wall_ms: u64) -> Result<(), RecordingError> {
        let now = Moment {
            reading: reading.clone(),
            wall_ms,
        };
        let message = readings::changes(&self.last, &now);
        self.last = now;
        self.chunk(schema::chunk::What::Reading(message))
    }

    /// Ends the recording. Tells how many bytes it has.
    pub fn finish(mut self) -> Result<u64, RecordingError> {
        self.chunk(schema::chunk::What::End(schema::End {}))?;
        self.write(|file| file.flush().map(|()| 0))?;
        Ok(self.written_bytes)
    }

    /// Bytes that were written.
    pub fn written_bytes(&self) -> u64 {
        self.written_bytes
    }

    fn chunk(&mut self, what: schema::chunk::What) -> Result<(), RecordingError> {
        let message = schema::Chunk { what: Some(what) }.encode_length_delimited_to_vec();
        if message.len() > chunks::MAX_BYTES as usize {
            return self.write(|_| Err(io::Error::other(chunks::TOO_LARGE)));
        }
        let compressed = self
            .compressor
            .write_all(&message)
            .and_then(|()| self.compressor.flush())
            .map(|()| std::mem::take(self.compressor.get_mut()));
        self.write(|file| chunks::write(file, &compressed?))
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut W) -> io::Result<u64>,
    ) -> Result<(), RecordingError> {
        match write(&mut self.file) {
            Ok(bytes) => {
                self.written_bytes += bytes;
                Ok(())
            }
            Err(source) => Err(RecordingError::Io {
                recording: self.recording.clone(),
                what: "writing it",
                offset: self.written_bytes,
                source,
            }),
        }
    }
}
