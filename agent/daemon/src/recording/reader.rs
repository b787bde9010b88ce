//! Reads a recording, a reading at a time.

use std::{
    fs::File,
    io::{self, BufReader, Read, Write},
    path::Path,
};

use hostler_decide::{scene::HostFacts, signal::Reading};
use prost::Message as _;
use zstd::stream::{raw::DParameter, write::Decoder};

use super::{
    Damage, RecordingError,
    chunks::{Chunks, MAX_BYTES, Unreadable},
    header, readings,
    rows::Malformed,
    schema,
    writer::WINDOW_LOG2,
};

/// A reading, and when it was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The reading.
    pub reading: Reading,
    /// The time of day, in ms since 1970, in UTC.
    pub wall_ms: u64,
}

/// A recording that is being read.
pub struct Reader<R: Read = BufReader<File>> {
    recording: String,
    chunks: Chunks<R>,
    decompressor: Decoder<'static, Bounded>,
    facts: HostFacts,
    written_by: String,
    last: Moment,
    is_over: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a recording.
    pub fn open(path: &Path) -> Result<Self, RecordingError> {
        let recording = path.display().to_string();
        let file = File::open(path).map_err(|source| RecordingError::Io {
            recording: recording.clone(),
            what: "opening it",
            offset: 0,
            source,
        })?;
        Self::new(recording, BufReader::new(file))
    }
}

impl<R: Read> Reader<R> {
    /// Reads what a recording begins with; it is called `recording` in errors.
    pub fn new(recording: String, file: R) -> Result<Self, RecordingError> {
        let begun = Chunks::open(file).and_then(|mut chunks| {
            let began = chunks.offset();
            let body = chunks.next()?;
            let header = schema::Header::decode(&*body).map_err(|error| Damage::Corrupt {
                offset: began,
                what: error.to_string(),
            })?;
            header::check_sizes(&header)?;
            let decompressor = decompressor().map_err(Unreadable::Io)?;
            Ok((chunks, header, decompressor))
        });
        let (chunks, header, decompressor) =
            begun.map_err(|unreadable| named(&recording, 0, unreadable))?;
        Ok(Self {
            recording,
            chunks,
            decompressor,
            written_by: header.written_by.clone(),
            facts: header::facts(header),
            last: Moment::default(),
            is_over: false,
        })
    }

    /// What stayed as it was on the host while it was recorded.
    pub fn facts(&self) -> &HostFacts {
        &self.facts
    }

    /// The version of Hostler that wrote it.
    pub fn written_by(&self) -> &str {
        &self.written_by
    }

    /// What the recording is called.
    pub fn recording(&self) -> &str {
        &self.recording
    }

    /// How many bytes were read.
    pub fn read_bytes(&self) -> u64 {
        self.chunks.offset()
    }

    /// The next reading; `None` after the last one. After an error there is nothing more.
    pub fn read(&mut self) -> Result<Option<&Moment>, RecordingError> {
        if self.is_over {
            return Ok(None);
        }
        match self.advance() {
            Ok(true) => Ok(Some(&self.last)),
            Ok(false) => {
                self.is_over = true;
                Ok(None)
            }
            Err(unreadable) => {
                self.is_over = true;
                Err(named(&self.recording, self.chunks.offset(), unreadable))
            }
        }
    }

    fn advance(&mut self) -> Result<bool, Unreadable> {
        let began = self.chunks.offset();
        let corrupt = |what: String| Damage::Corrupt {
            offset: began,
            what,
        };
        let body = self.chunks.next()?;
        let bytes = self
            .decompress(&body)
            .map_err(|error| corrupt(error.to_string()))?;
        let mut rest = &*bytes;
        let chunk = schema::Chunk::decode_length_delimited(&mut rest)
            .map_err(|error| corrupt(error.to_string()))?;
        if !rest.is_empty() {
            return Err(corrupt("something follows its message".to_owned()).into());
        }
        match chunk.what {
            None => Err(corrupt("it holds nothing that is known".to_owned()).into()),
            Some(schema::chunk::What::Reading(message)) => {
                self.last = readings::apply(&self.last, message)
                    .map_err(|Malformed(what)| corrupt(what))?;
                Ok(true)
            }
            Some(schema::chunk::What::End(_)) => {
                if self.chunks.is_at_end().map_err(Unreadable::Io)? {
                    return Ok(false);
                }
                Err(corrupt("something follows the end".to_owned()).into())
            }
        }
    }

    fn decompress(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        self.decompressor.write_all(body)?;
        self.decompressor.flush()?;
        Ok(std::mem::take(&mut self.decompressor.get_mut().0))
    }
}

fn decompressor() -> io::Result<Decoder<'static, Bounded>> {
    let mut decompressor = Decoder::new(Bounded::default())?;
    decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG2))?;
    Ok(decompressor)
}

fn named(recording: &str, offset: u64, unreadable: Unreadable) -> RecordingError {
    let recording = recording.to_owned();
    match unreadable {
        Unreadable::Damaged(damage) => RecordingError::Damaged { recording, damage },
        Unreadable::Io(source) => RecordingError::Io {
            recording,
            what: "reading it",
            offset,
            source,
        },
    }
}

/// Takes no more than one message may have.
#[derive(Default)]
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_BYTES as usize {
            return Err(io::Error::other("it holds more than a reading can"));
        }
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
