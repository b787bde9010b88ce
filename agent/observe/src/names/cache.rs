//! Names that were looked up, so that files are read rarely.

use std::collections::BTreeMap;

use super::Found;

/// How many answers are kept: twice as many as there are slots for agents.
const CAPACITY: usize = 16_384;

/// After how many ns a name is looked up again: containers are renamed now and then.
const NAME_LASTS_NS: u64 = 300_000_000_000;

/// After how many ns that there is no name, or only a provisional one, is looked up again: the
/// files are written a moment after the cgroup is made.
const NO_NAME_LASTS_NS: u64 = 10_000_000_000;

/// Answers by id.
pub(super) struct Cache {
    answers: BTreeMap<String, Answer>,
    capacity: usize,
    /// Counts uses, so that the answers that are used least are known.
    uses: u64,
}

/// What was found, if anything: that there is no name is an answer, too.
pub(super) struct Answer {
    pub(super) found: Option<Found>,
    since_ns: u64,
    last_use: u64,
}

impl Default for Cache {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Cache {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            answers: BTreeMap::new(),
            capacity,
            uses: 0,
        }
    }

    /// What was answered for `id`, unless that is too long ago.
    pub(super) fn get(&mut self, id: &str, now_ns: u64) -> Option<&Answer> {
        let answer = self.answers.get_mut(id)?;
        let lasts_ns = match &answer.found {
            Some(found) if !found.provisional => NAME_LASTS_NS,
            _ => NO_NAME_LASTS_NS,
        };
        if now_ns.saturating_sub(answer.since_ns) >= lasts_ns {
            return None;
        }
        self.uses += 1;
        answer.last_use = self.uses;
        Some(answer)
    }

    /// Keeps an answer.
    pub(super) fn insert(&mut self, id: &str, found: Option<Found>, now_ns: u64) {
        if self.answers.len() >= self.capacity && !self.answers.contains_key(id) {
            self.drop_half();
        }
        self.uses += 1;
        let answer = Answer {
            found,
            since_ns: now_ns,
            last_use: self.uses,
        };
        self.answers.insert(id.to_owned(), answer);
    }

    /// Drops the half that was used least recently: all at once, since finding one to drop costs
    /// as much.
    fn drop_half(&mut self) {
        let mut uses: Vec<u64> = self
            .answers
            .values()
            .map(|answer| answer.last_use)
            .collect();
        uses.sort_unstable();
        let middle = uses.get(uses.len() / 2).copied().unwrap_or_default();
        self.answers.retain(|_, answer| answer.last_use > middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, provisional: bool) -> Found {
        Found {
            name: name.into(),
            provisional,
            ..Found::default()
        }
    }

    /// Whether `id` has an answer, and the name in it.
    fn answer(cache: &mut Cache, id: &str, now_ns: u64) -> (bool, String) {
        let answer = cache.get(id, now_ns);
        let found = answer.and_then(|answer| answer.found.as_ref());
        let name = found.map(|found| found.name.to_string());
        (answer.is_some(), name.unwrap_or_default())
    }

    const NONE: (bool, String) = (false, String::new());

    #[test]
    fn a_name_is_kept_longer_than_the_lack_of_one() {
        let mut cache = Cache::default();
        cache.insert("named", Some(found("web", false)), 0);
        cache.insert("provisional", Some(found("job", true)), 0);
        cache.insert("unnamed", None, 0);
        let (soon, later) = (NO_NAME_LASTS_NS - 1, NO_NAME_LASTS_NS);
        assert_eq!(answer(&mut cache, "unnamed", soon), (true, String::new()));
        assert_eq!(
            answer(&mut cache, "provisional", soon),
            (true, "job".into())
        );
        assert_eq!(answer(&mut cache, "unnamed", later), NONE);
        assert_eq!(answer(&mut cache, "provisional", later), NONE);
        assert_eq!(answer(&mut cache, "named", later), (true, "web".into()));
        assert_eq!(answer(&mut cache, "named", NAME_LASTS_NS), NONE);
    }

    #[test]
    fn a_full_cache_forgets_what_was_used_least_recently() {
        let mut cache = Cache::with_capacity(4);
        for id in ["a", "b", "c", "d"] {
            cache.insert(id, None, 0);
        }
        cache.get("a", 0);
        cache.insert("e", None, 0);
        assert!(cache.answers.len() <= 4);
        assert!(cache.get("a", 0).is_some());
        assert!(cache.get("e", 0).is_some());
        assert!(cache.get("b", 0).is_none());
    }

    #[test]
    fn however_many_ids_there_are_the_cache_stays_bounded() {
        let mut cache = Cache::with_capacity(8);
        for id in 0..1_000 {
            cache.insert(&id.to_string(), None, 0);
            assert!(cache.answers.len() <= 8);
        }
    }
}
