//! The middle and the ends of what was measured several times.

use serde::Serialize;

/// Median, least and greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (least, greatest) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self {
            median,
            least,
            greatest,
        })
    }
}

/// The value that a tenth of the values do not exceed.
pub(crate) fn tenth(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 10).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_median_is_the_middle_value_or_lies_between_the_two_middle_ones() {
        let median = |values: &[f64]| Spread::of(values.iter().copied()).map(|it| it.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn a_tenth_of_the_values_lies_below_the_tenth() {
        let values = (0..100).rev().map(f64::from).collect();
        assert_eq!(tenth(values), Some(10.0));
        assert_eq!(tenth(vec![3.0]), Some(3.0));
        assert_eq!(tenth(Vec::new()), None);
    }

    proptest! {
        #[test]
        fn as_many_values_lie_below_the_median_as_above_it(
            values in proptest::collection::vec(-1e6_f64..1e6, 1..40),
        ) {
            let spread = Spread::of(values.iter().copied()).expect("there are values");
            let below = values.iter().filter(|&&value| value < spread.median).count();
            let above = values.iter().filter(|&&value| value > spread.median).count();
            prop_assert!(below <= values.len() / 2 && above <= values.len() / 2);
            prop_assert!(spread.least <= spread.median && spread.median <= spread.greatest);
        }
    }
}
