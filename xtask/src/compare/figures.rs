//! What the two commands printed, and how the one's figures stand to the other's.

use std::collections::BTreeMap;

use serde::Serialize;

/// The figures of one run, by name.
pub(super) type Figures = BTreeMap<String, f64>;

/// `NAME VALUE` lines; what else is printed is no figure.
pub(super) fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Figures {
    let figure = |line: &str| {
        let [name, value] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            return None;
        };
        let value: f64 = value.parse().ok()?;
        value.is_finite().then(|| (name.to_owned(), value))
    };
    lines.into_iter().filter_map(figure).collect()
}

/// Median, least and greatest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Spread {
    /// `None` if there are no values.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        Some(Self {
            median: if values.len().is_multiple_of(2) {
                f64::midpoint(*values.get(middle.checked_sub(1)?)?, values[middle])
            } else {
                values[middle]
            },
            least: *values.first()?,
            greatest: *values.last()?,
        })
    }
}

/// One figure of both commands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Comparison {
    pub(super) name: String,
    pub(super) a: Spread,
    pub(super) b: Spread,
    /// B's by A's, round by round.
    pub(super) ratio: Spread,
    /// Rounds in which B's was the lesser, and those in which they were not the same.
    pub(super) b_less: u32,
    pub(super) unequal: u32,
    /// How likely so lopsided a count is if the two don't differ (sign test, both sides).
    pub(super) p_value: f64,
}

impl Comparison {
    /// Whether the two differ, as far as the rounds can tell.
    pub(super) fn is_difference(&self) -> bool {
        self.p_value < 0.05
    }
}

/// Compares every figure that both commands gave in each round.
pub(super) fn compare(rounds: &[(Figures, Figures)]) -> Vec<Comparison> {
    let Some((first, _)) = rounds.first() else {
        return Vec::new();
    };
    first
        .keys()
        .filter_map(|name| of_name(name, rounds))
        .collect()
}

fn of_name(name: &str, rounds: &[(Figures, Figures)]) -> Option<Comparison> {
    let pairs: Option<Vec<(f64, f64)>> = rounds
        .iter()
        .map(|(a, b)| Some((*a.get(name)?, *b.get(name)?)))
        .collect();
    let pairs = pairs?;
    let count = |is: fn(f64, f64) -> bool| {
        let matching = pairs.iter().filter(|(a, b)| is(*a, *b)).count();
        u32::try_from(matching).unwrap_or(u32::MAX)
    };
    let b_less = count(|a, b| b < a);
    let unequal = b_less + count(|a, b| b > a);
    Some(Comparison {
        name: name.to_owned(),
        a: Spread::of(pairs.iter().map(|pair| pair.0).collect())?,
        b: Spread::of(pairs.iter().map(|pair| pair.1).collect())?,
        ratio: Spread::of(pairs.iter().map(|(a, b)| b / a).collect())?,
        b_less,
        unequal,
        p_value: sign_test(b_less, unequal),
    })
}

/// How likely a fair coin is to fall at least as unevenly as `heads` of `tosses`.
fn sign_test(heads: u32, tosses: u32) -> f64 {
    let fewer = heads.min(tosses - heads);
    // The terms of the binomial distribution, each from the one before it.
    let mut term = 0.5_f64.powi(i32::try_from(tosses).unwrap_or(i32::MAX));
    let mut tail = term;
    for taken in 1..=fewer {
        term *= f64::from(tosses - taken + 1) / f64::from(taken);
        tail += term;
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(value: f64) -> Figures {
        Figures::from([("round_trip_ns".to_owned(), value)])
    }

    #[test]
    fn only_lines_with_a_name_and_a_number_are_figures() {
        let text = "starting 3 things\nround_trip_ns 23.5\nready\nx nan\ncount 7\n";
        let expected = [
            ("count".to_owned(), 7.0),
            ("round_trip_ns".to_owned(), 23.5),
        ];
        assert_eq!(parse(text.lines()), Figures::from(expected));
    }

    #[test]
    fn a_difference_that_repeats_in_each_of_six_rounds_is_one() {
        let rounds: Vec<_> = (0..6)
            .map(|round| (figures(100.0 + f64::from(round)), figures(90.0)))
            .collect();
        let comparison = &compare(&rounds)[0];
        assert_eq!((comparison.b_less, comparison.unequal), (6, 6));
        assert!(comparison.is_difference());
        assert!((comparison.ratio.greatest - 0.9).abs() < 1e-9);
    }

    #[test]
    fn what_goes_to_and_fro_or_stays_the_same_is_no_difference() {
        let to_and_fro: Vec<_> = (0..6)
            .map(|round| (figures(100.0), figures(99.0 + 2.0 * f64::from(round % 2))))
            .collect();
        assert!(!compare(&to_and_fro)[0].is_difference());
        let same = vec![(figures(100.0), figures(100.0)); 9];
        assert!(!compare(&same)[0].is_difference());
    }

    #[test]
    fn a_figure_that_a_round_lacks_is_not_compared() {
        let rounds = [(figures(1.0), figures(1.0)), (figures(1.0), Figures::new())];
        assert!(compare(&rounds).is_empty());
    }

    #[test]
    fn the_sign_test_agrees_with_its_tables() {
        assert!((sign_test(0, 5) - 0.0625).abs() < 1e-9);
        assert!((sign_test(1, 10) - 0.021_484_375).abs() < 1e-9);
        assert!((sign_test(5, 10) - 1.0).abs() < 1e-9);
        assert!((sign_test(0, 0) - 1.0).abs() < 1e-9);
    }
}
