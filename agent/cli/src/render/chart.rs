//! Charts of characters: a column for each value, in eighths of a line.

/// A column's end, by eighths of a line.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A chart of `values`, `height` lines high, the upper line first; `most` fills it. Where there is no
/// value the column is empty, and a zero is drawn as the least that can be.
pub(super) fn chart(values: &[Option<f64>], most: f64, height: usize) -> Vec<String> {
    let eighths_of = |value: &Option<f64>| match value {
        None => 0,
        Some(value) => eighths(*value, most, height).max(1),
    };
    let columns: Vec<usize> = values.iter().map(eighths_of).collect();
    (0..height)
        .rev()
        .map(|line| {
            let columns = columns.iter();
            columns
                .map(|eighths| EIGHTHS[eighths.saturating_sub(line * 8).min(8)])
                .collect()
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what there is"
)]
fn eighths(value: f64, most: f64, height: usize) -> usize {
    let all = (height * 8) as f64;
    if most > 0.0 {
        (value / most * all).round().clamp(0.0, all) as usize
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_columns_and_what_is_not_known_is_a_gap() {
        let values = [Some(0.0), Some(1.0), None, Some(4.0), Some(8.0)];
        assert_eq!(chart(&values, 8.0, 1), ["▁▁ ▄█"]);
        assert_eq!(chart(&values, 8.0, 2), ["    █", "▁▂ ██"]);
        assert_eq!(chart(&[Some(0.0)], 0.0, 1), ["▁"]);
    }

    proptest! {
        #[test]
        fn a_chart_has_its_size_whatever_the_values_are(
            values in prop::collection::vec(prop::option::of(any::<f64>()), 0..50),
            most in any::<f64>(),
            height in 1_usize..10,
        ) {
            let lines = chart(&values, most, height);
            prop_assert_eq!(lines.len(), height);
            for line in lines {
                prop_assert_eq!(line.chars().count(), values.len());
            }
        }
    }
}
