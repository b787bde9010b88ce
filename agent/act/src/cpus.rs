//! Sets of CPUs, written as the kernel writes them: `0-3,8`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// The highest number of a CPU that is read: above what the kernel can be built for (8,192 CPUs).
const HIGHEST: u32 = 65_535;

/// A set of CPUs, as ranges: however few letters name however many CPUs, it takes no more room than they.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuList {
    /// The first and the last CPU of each, in order; between two ranges at least one CPU is missing.
    ranges: Vec<(u32, u32)>,
}

/// What is no list of CPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no list of CPUs such as 0-3,8")]
pub struct CpuListError {
    /// What was written.
    pub text: String,
}

impl CpuList {
    /// The CPUs, in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.ranges.iter().flat_map(|&(first, last)| first..=last)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The CPUs that are in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        let both = self.ranges.iter().flat_map(|&(first, last)| {
            let others = other.ranges.iter();
            others.map(move |&(from, to)| (first.max(from), last.min(to)))
        });
        Self::of(both.filter(|(first, last)| first <= last).collect())
    }

    fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match joined.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => {
                    before.1 = before.1.max(last);
                }
                _ => joined.push((first, last)),
            }
        }
        Self { ranges: joined }
    }
}

impl FromIterator<u32> for CpuList {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        Self::of(cpus.into_iter().map(|cpu| (cpu, cpu)).collect())
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gap = "";
        for (first, last) in &self.ranges {
            if first == last {
                write!(text, "{gap}{first}")?;
            } else {
                write!(text, "{gap}{first}-{last}")?;
            }
            gap = ",";
        }
        Ok(())
    }
}

impl FromStr for CpuList {
    type Err = CpuListError;

    fn from_str(text: &str) -> Result<Self, CpuListError> {
        let wrong = || CpuListError {
            text: text.chars().take(80).collect(),
        };
        let number =
            |word: &str| -> Option<u32> { word.trim().parse().ok().filter(|&cpu| cpu <= HIGHEST) };
        let mut ranges = Vec::new();
        for part in text.trim().split(',').filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = number(first).zip(number(last));
            let range = range.filter(|(first, last)| first <= last);
            ranges.push(range.ok_or_else(wrong)?);
        }
        Ok(Self::of(ranges))
    }
}

impl Serialize for CpuList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CpuList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_is_written_as_the_kernel_writes_it() {
        let cpus: CpuList = [8, 0, 1, 2, 3].into_iter().collect();
        assert_eq!(cpus.to_string(), "0-3,8");
        assert_eq!(CpuList::default().to_string(), "");
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["a", "1-", "3-1", "-1", "0-99999999", "1;2"] {
            assert!(text.parse::<CpuList>().is_err(), "{text}");
        }
        assert_eq!(
            " 0-1\n".parse(),
            Ok([0, 1].into_iter().collect::<CpuList>())
        );
    }

    proptest! {
        #[test]
        fn a_list_is_read_as_it_was_written(cpus in prop::collection::btree_set(0_u32..9_000, 0..60)) {
            let list: CpuList = cpus.iter().copied().collect();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), cpus.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(list.to_string().parse(), Ok(list));
        }

        #[test]
        fn what_two_have_in_common_is_in_both(
            one in prop::collection::btree_set(0_u32..60, 0..40),
            other in prop::collection::btree_set(0_u32..60, 0..40),
        ) {
            let both: Vec<u32> = one.intersection(&other).copied().collect();
            let [one, other]: [CpuList; 2] = [one, other].map(|cpus| cpus.into_iter().collect());
            prop_assert_eq!(one.common(&other).iter().collect::<Vec<_>>(), both);
        }
    }
}
