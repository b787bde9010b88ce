//! Tables whose rows are ordered by key: which rows went, came and changed between two readings.

/// What is wrong with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

impl Malformed {
    pub(super) fn because(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

/// Rows that lie in order, as how many lie between one and the next.
#[derive(Default)]
pub(super) struct Gaps {
    pub(super) gaps: Vec<u32>,
    next: usize,
}

impl Gaps {
    /// Adds a row that comes after all others.
    pub(super) fn push(&mut self, row: usize) {
        let gap = row - self.next;
        self.gaps
            .push(u32::try_from(gap).expect("tables are small"));
        self.next = row + 1;
    }
}

/// The rows that [`Gaps`] stand for, of a table that has `rows`.
pub(super) fn rows_of(gaps: &[u32], rows: usize) -> Result<Vec<usize>, Malformed> {
    let mut next = 0_usize;
    gaps.iter()
        .map(|&gap| {
            let row = next.saturating_add(gap as usize);
            next = row.saturating_add(1);
            if row < rows {
                Ok(row)
            } else {
                Err(Malformed::because(format!(
                    "it tells of row {row} of {rows}"
                )))
            }
        })
        .collect()
}

/// A row of the table before, a row of the table now, or both, by key.
pub(super) enum Step<'a, T> {
    /// This row of the table before is not there any more.
    Gone(usize),
    /// This row is new.
    Came(usize, &'a T),
    /// This row was there before.
    Stayed(usize, &'a T, &'a T),
}

/// Walks along two tables that are ordered by key.
pub(super) fn steps<'a, T, K: Ord>(
    before: &'a [T],
    now: &'a [T],
    key: impl Fn(&T) -> K,
) -> Vec<Step<'a, T>> {
    let mut steps = Vec::with_capacity(now.len());
    let mut old = before.iter().enumerate().peekable();
    for (row, new) in now.iter().enumerate() {
        while let Some((gone, _)) = old.next_if(|(_, old)| key(old) < key(new)) {
            steps.push(Step::Gone(gone));
        }
        steps.push(match old.next_if(|(_, old)| key(old) == key(new)) {
            Some((_, old)) => Step::Stayed(row, old, new),
            None => Step::Came(row, new),
        });
    }
    steps.extend(old.map(|(gone, _)| Step::Gone(gone)));
    steps
}

/// The table that follows `before`: without the rows that are gone, and with those that came, which take
/// the place of one with the same key. At most `most` rows.
pub(super) fn follow<T: Clone, K: Ord>(
    before: &[T],
    gone: &[u32],
    came: Vec<T>,
    most: usize,
    key: impl Fn(&T) -> K,
) -> Result<Vec<T>, Malformed> {
    if !came.is_sorted_by(|left, right| key(left) < key(right)) {
        return Err(Malformed::because("new rows are not in order"));
    }
    let gone = rows_of(gone, before.len())?;
    let mut gone = gone.into_iter().peekable();
    let mut came = came.into_iter().peekable();
    let mut now = Vec::with_capacity(before.len());
    for (row, old) in before.iter().enumerate() {
        while let Some(new) = came.next_if(|new| key(new) < key(old)) {
            now.push(new);
        }
        let replaced = came.next_if(|new| key(new) == key(old));
        if gone.next_if_eq(&row).is_none() {
            now.push(replaced.unwrap_or_else(|| old.clone()));
        } else {
            now.extend(replaced);
        }
    }
    now.extend(came);
    if now.len() > most {
        return Err(Malformed::because(format!(
            "it has {} rows of a kind of which there are {most} at the most",
            now.len()
        )));
    }
    Ok(now)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn table() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::btree_set(any::<u8>(), 0..20).prop_map(|keys| keys.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_went_and_came_makes_the_one_table_of_the_other(before in table(), now in table()) {
            let (mut gone, mut came) = (Gaps::default(), Vec::new());
            let mut stayed = 0;
            for step in steps(&before, &now, |key| *key) {
                match step {
                    Step::Gone(row) => gone.push(row),
                    Step::Came(row, new) => {
                        prop_assert_eq!(now[row], *new);
                        came.push(*new);
                    }
                    Step::Stayed(row, old, new) => {
                        prop_assert!(old == new && now[row] == *new);
                        stayed += 1;
                    }
                }
            }
            prop_assert_eq!(stayed + came.len(), now.len());
            prop_assert_eq!(follow(&before, &gone.gaps, came, 256, |key| *key), Ok(now));
        }

        #[test]
        fn rows_are_told_by_the_gaps_between_them(rows in table()) {
            let mut gaps = Gaps::default();
            let rows: Vec<usize> = rows.into_iter().map(usize::from).collect();
            for &row in &rows {
                gaps.push(row);
            }
            prop_assert_eq!(rows_of(&gaps.gaps, 256), Ok(rows));
        }
    }

    #[test]
    fn rows_that_are_not_there_are_refused() {
        assert!(rows_of(&[2], 2).is_err());
        assert!(rows_of(&[u32::MAX, u32::MAX, u32::MAX], 2).is_err());
        let keys = |gone: &[u32], came| follow(&[1, 3], gone, came, 2, |key| *key);
        assert!(keys(&[], vec![5, 4]).is_err(), "not in order");
        assert!(keys(&[], vec![4]).is_err(), "too many");
        assert_eq!(keys(&[1], vec![4]), Ok(vec![1, 4]));
    }
}
