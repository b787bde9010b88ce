//! Reading a history, also while it is written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use hostler_decide::samples::{Numbers, Sample};
use redb::{
    Builder, ConcurrencyMode, ReadOnlyDatabase, ReadTransaction, ReadableDatabase as _,
    ReadableTable as _,
};

use super::{
    FILE, HistoryError, Resolution, Series, Trend,
    error::Trouble,
    rows::{chunk_of, decode},
    schema::Stretch,
    tables::{LAYOUT, MARKS, SERIES, stretch, stretches_in},
    trend::Point,
};

/// What may be kept in memory while it is read, in bytes.
const CACHE_BYTES: usize = 32 << 20;

/// A history that is being read.
pub struct History {
    path: PathBuf,
    database: ReadOnlyDatabase,
}

/// From when to when there is something, in ms since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    /// When the first stretch began.
    pub from_ms: u64,
    /// When the last one ended.
    pub to_ms: u64,
}

/// A part of a span of time, and in which resolution it is read.
type Section = (Resolution, u64, u64);

impl History {
    /// Opens the history in a folder; `None` if there is none.
    pub fn open(folder: &Path) -> Result<Option<Self>, HistoryError> {
        let path = folder.join(FILE);
        match open(&path) {
            Ok(database) => Ok(Some(Self { path, database })),
            Err(redb::Error::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::from(error).of(&path)),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All that have series, those of the host and the groups first.
    pub fn series(&self) -> Result<Vec<Series>, HistoryError> {
        self.read(|transaction| {
            let table = transaction.open_table(SERIES)?;
            let mut all = Vec::new();
            for entry in table.iter()? {
                let (number, bytes) = entry?;
                all.push(Series::decode(number.value(), bytes.value())?);
            }
            Ok(all)
        })
    }

    /// From when to when there is something in a resolution; `None` if there is nothing.
    pub fn covered(&self, resolution: Resolution) -> Result<Option<Covered>, HistoryError> {
        self.read(|transaction| covered(transaction, resolution))
    }

    /// From when to when there is something in any.
    pub fn whole(&self) -> Result<Option<Covered>, HistoryError> {
        self.read(|transaction| {
            let mut whole: Option<Covered> = None;
            for resolution in Resolution::ALL {
                if let Some(more) = covered(transaction, resolution)? {
                    let sum = whole.get_or_insert(more);
                    sum.from_ms = sum.from_ms.min(more.from_ms);
                    sum.to_ms = sum.to_ms.max(more.to_ms);
                }
            }
            Ok(whole)
        })
    }

    /// A trend of a span of time in about so many parts, of which nothing is known yet. There are fewer
    /// where the history does not tell so many apart.
    pub fn trend(&self, from_ms: u64, to_ms: u64, parts: usize) -> Result<Trend, HistoryError> {
        self.read(|transaction| {
            let trend = Trend::new(from_ms, to_ms, parts);
            let sections = sections(transaction, (from_ms, to_ms), trend.part_ms)?;
            let lengths = sections
                .iter()
                .map(|(resolution, ..)| resolution.length_ms());
            let coarsest_ms = lengths.max().unwrap_or(0);
            let most = (to_ms.saturating_sub(from_ms) / coarsest_ms.max(1)).max(1);
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            Ok(if trend.part_ms < coarsest_ms {
                Trend::new(from_ms, to_ms, most)
            } else {
                trend
            })
        })
    }

    /// Fills trends, one for each series, all of the same span and in the same parts. Each part of it is
    /// read in the coarsest resolution that tells its parts apart, as far as there is something; what is
    /// too old for that in a coarser one, and what is too new in a finer one.
    pub fn trends(&self, of: &[Series], empty: &Trend) -> Result<Vec<Trend>, HistoryError> {
        self.read(|transaction| {
            let mut trends = vec![empty.clone(); of.len()];
            let span = (empty.from_ms, empty.to_ms());
            for section in sections(transaction, span, empty.part_ms)? {
                fill(transaction, section, of, &mut trends)?;
            }
            Ok(trends)
        })
    }

    /// What happened to all that have series in a span of time, read as coarsely as a
    /// twenty-fourth of it.
    pub fn totals(&self, from_ms: u64, to_ms: u64) -> Result<BTreeMap<u32, Sample>, HistoryError> {
        self.read(|transaction| {
            let mut totals: BTreeMap<u32, Sample> = BTreeMap::new();
            let part_ms = to_ms.saturating_sub(from_ms) / 24;
            let mut length_us = 0_u64;
            for (resolution, from_ms, to_ms) in sections(transaction, (from_ms, to_ms), part_ms)? {
                let table = transaction.open_table(resolution.chunks())?;
                for (at_ms, stretch) in stretches_of(transaction, resolution, from_ms, to_ms)? {
                    length_us = length_us.saturating_add(stretch.length_us);
                    for chunk in &stretch.chunks {
                        let Some(bytes) = table.get((*chunk, at_ms))? else {
                            continue;
                        };
                        for (series, sample) in decode(bytes.value(), stretch.length_us)? {
                            totals.entry(series).or_default().append(&sample);
                        }
                    }
                }
            }
            // Who did nothing for a while has no samples of it, but the time has passed.
            for total in totals.values_mut() {
                total.numbers.length_us = length_us;
            }
            Ok(totals)
        })
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, Trouble>,
    ) -> Result<T, HistoryError> {
        let run = || {
            let transaction = self.database.begin_read()?;
            read(&transaction)
        };
        run().map_err(|trouble: Trouble| trouble.of(&self.path))
    }
}

/// A file that was not closed is put right first, if nobody writes it.
fn open(path: &Path) -> Result<ReadOnlyDatabase, redb::Error> {
    let mut builder = Builder::new();
    builder
        .set_cache_size(CACHE_BYTES)
        .set_concurrency_mode(ConcurrencyMode::SingleWriter);
    let database = match builder.open_read_only(path) {
        Err(redb::DatabaseError::RepairAborted) => {
            builder.open(path)?.close()?;
            builder.open_read_only(path)?
        }
        opened => opened?,
    };
    let transaction = database.begin_read()?;
    let (mark, layout) = LAYOUT;
    let found = transaction.open_table(MARKS)?.get(mark)?;
    if found.is_none_or(|found| found.value() != layout) {
        return Err(redb::Error::UpgradeRequired(0));
    }
    Ok(database)
}

fn covered(
    transaction: &ReadTransaction,
    resolution: Resolution,
) -> Result<Option<Covered>, Trouble> {
    let table = transaction.open_table(resolution.stretches())?;
    let (Some((first, _)), Some((last, value))) = (table.first()?, table.last()?) else {
        return Ok(None);
    };
    // The last stretch has gaps where nobody measured: it reaches as far as it could.
    let length_ms = (stretch(value.value())?.length_us / 1_000).max(resolution.length_ms());
    Ok(Some(Covered {
        from_ms: first.value(),
        to_ms: last.value().saturating_add(length_ms),
    }))
}

/// In which resolution each part of a span is read.
fn sections(
    transaction: &ReadTransaction,
    (from_ms, to_ms): (u64, u64),
    part_ms: u64,
) -> Result<Vec<Section>, Trouble> {
    let mut there = Vec::new();
    for resolution in Resolution::ALL {
        there.push((resolution, covered(transaction, resolution)?));
    }
    Ok(sections_of(&there, (from_ms, to_ms), part_ms))
}

/// The same of what is `there` in each resolution, the finest first.
fn sections_of(
    there: &[(Resolution, Option<Covered>)],
    (from_ms, to_ms): (u64, u64),
    part_ms: u64,
) -> Vec<Section> {
    let mut all = Resolution::ALL.iter();
    let best = all.rposition(|resolution| resolution.length_ms() <= part_ms);
    let best = best.unwrap_or(0);
    let order = (best..there.len()).chain((0..best).rev());
    let mut sections: Vec<Section> = Vec::new();
    let mut open = vec![(from_ms, to_ms)];
    for index in order {
        let (resolution, Some(covered)) = there[index] else {
            continue;
        };
        let mut rest = Vec::new();
        for (open_from, open_to) in open {
            let from = covered.from_ms.clamp(open_from, open_to);
            let mut to = covered.to_ms.clamp(from, open_to);
            if index > best && to < to_ms {
                // A stretch that reaches beyond would count twice.
                to -= to % resolution.length_ms();
            }
            if from < to {
                sections.push((resolution, from, to));
                rest.extend([(open_from, from), (to, open_to)]);
            } else {
                rest.push((open_from, open_to));
            }
        }
        rest.retain(|(from, to)| from < to);
        open = rest;
    }
    sections.sort_by_key(|(_, from, _)| *from);
    sections
}

fn stretches_of(
    transaction: &ReadTransaction,
    resolution: Resolution,
    from_ms: u64,
    to_ms: u64,
) -> Result<Vec<(u64, Stretch)>, Trouble> {
    let table = transaction.open_table(resolution.stretches())?;
    stretches_in(&table, from_ms, to_ms)
}

/// Samples of one series, by when their stretch of time began and how long it was.
type Found = Vec<(u64, u64, Option<Sample>)>;

/// Adds a section of time to trends.
fn fill(
    transaction: &ReadTransaction,
    (resolution, from_ms, to_ms): Section,
    of: &[Series],
    trends: &mut [Trend],
) -> Result<(), Trouble> {
    let stretches = stretches_of(transaction, resolution, from_ms, to_ms)?;
    let table = transaction.open_table(resolution.chunks())?;
    let mut found: Vec<Found> = vec![Vec::with_capacity(stretches.len()); of.len()];
    // Those of one chunk are read together.
    let mut chunks: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (index, series) in of.iter().enumerate() {
        let chunk = chunk_of(series.number);
        chunks.entry(chunk).or_default().push(index);
    }
    for (chunk, members) in chunks {
        for (at_ms, stretch) in &stretches {
            let bytes = table.get((chunk, *at_ms))?;
            let rows = bytes.map(|bytes| decode(bytes.value(), stretch.length_us));
            let rows = rows.transpose()?.unwrap_or_default();
            for &index in &members {
                let number = of[index].number;
                let row = rows.binary_search_by_key(&number, |(number, _)| *number);
                let sample = row.ok().map(|row| rows[row].1.clone());
                found[index].push((*at_ms, stretch.length_us, sample));
            }
        }
    }
    for ((series, trend), found) in of.iter().zip(trends).zip(found) {
        add(trend, series, found);
    }
    Ok(())
}

/// Adds what was found of a series to its trend. While it was there and did nothing, it did nothing.
fn add(trend: &mut Trend, series: &Series, found: Found) {
    let last = found.iter().rev().find(|(_, _, sample)| sample.is_some());
    let alive_to_ms = last.map_or(0, |(at_ms, ..)| *at_ms).max(series.last_ms);
    for (at_ms, length_us, sample) in found {
        let is_alive = (series.first_ms..=alive_to_ms).contains(&at_ms);
        let nothing = || {
            is_alive.then(|| Sample {
                numbers: Numbers {
                    length_us,
                    ..Numbers::default()
                },
                ..Sample::default()
            })
        };
        if let Some(sample) = sample.or_else(nothing) {
            trend.add(&Point { at_ms, sample });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    fn there(
        seconds: (u64, u64),
        minutes: (u64, u64),
        hours: (u64, u64),
    ) -> Vec<(Resolution, Option<Covered>)> {
        let covered =
            |(from_ms, to_ms): (u64, u64)| (to_ms > from_ms).then_some(Covered { from_ms, to_ms });
        vec![
            (Resolution::Seconds, covered(seconds)),
            (Resolution::Minutes, covered(minutes)),
            (Resolution::Hours, covered(hours)),
        ]
    }

    #[test]
    fn each_part_of_a_span_is_read_once_in_what_there_is_of_it() {
        let now = 100 * HOUR_MS + 90_500;
        let there = there(
            (now - 900_000, now),
            (60 * HOUR_MS, 100 * HOUR_MS + 60_000),
            (10 * HOUR_MS, 100 * HOUR_MS),
        );
        for part_ms in [1_000, 60_000, 900_000, HOUR_MS, 100 * HOUR_MS] {
            for from_ms in [0, 20 * HOUR_MS, 70 * HOUR_MS, now - 600_000] {
                let sections = sections_of(&there, (from_ms, now), part_ms);
                let first = sections.first().expect("there is something").1;
                assert_eq!(first, from_ms.max(10 * HOUR_MS), "{part_ms} {from_ms}");
                assert_eq!(sections.last().expect("there is something").2, now);
                for pair in sections.windows(2) {
                    assert!(pair[0].2 <= pair[1].1, "{sections:?}");
                    assert!(pair[1].1 - pair[0].2 < HOUR_MS, "{sections:?}");
                }
            }
        }
    }

    #[test]
    fn where_only_one_resolution_has_anything_it_is_read() {
        for (there, expected) in [
            (there((5, 50), (0, 0), (0, 0)), (Resolution::Seconds, 5, 50)),
            (there((0, 0), (7, 70), (0, 0)), (Resolution::Minutes, 7, 70)),
        ] {
            assert_eq!(sections_of(&there, (0, 100), HOUR_MS), [expected]);
        }
        assert_eq!(sections_of(&there((0, 0), (0, 0), (0, 0)), (0, 100), 1), []);
    }
}
