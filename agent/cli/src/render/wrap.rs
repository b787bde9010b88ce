//! Sentences on several lines.

use unicode_width::UnicodeWidthStr;

/// `words`, joined by `gap`, on lines that are at most `columns` wide. A word that is longer has
/// a line of its own.
pub(super) fn wrapped<'a>(
    words: impl IntoIterator<Item = &'a str>,
    gap: &str,
    columns: usize,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.width() + gap.len() + word.width() <= columns => {
                line.push_str(gap);
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// What follows a number and must not begin a line.
const UNITS: [&str; 7] = ["%", "ns", "µs", "ms", "s", "min", "h"];

/// The words of a sentence, a number with its unit as one.
pub(super) fn phrases(sentence: &str) -> Vec<&str> {
    let mut phrases: Vec<&str> = Vec::new();
    let mut start = 0;
    for word in sentence.split(' ') {
        let end = start + word.len();
        let bare = word.trim_end_matches([',', '.', ';', ':', ')']);
        match phrases.last_mut() {
            Some(last) if UNITS.contains(&bare) && last.ends_with(|c: char| c.is_ascii_digit()) => {
                *last = &sentence[start - 1 - last.len()..end];
            }
            _ => phrases.push(word),
        }
        start = end + 1;
    }
    phrases
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_takes_as_many_words_as_fit() {
        let lines = wrapped("who waited for whom".split(' '), " ", 10);
        assert_eq!(lines, ["who waited", "for whom"]);
        assert_eq!(wrapped([], " ", 10), Vec::<String>::new());
    }

    #[test]
    fn a_number_keeps_its_unit() {
        assert_eq!(
            phrases("waited 4.07 s (68 %), often"),
            ["waited", "4.07 s", "(68 %),", "often"]
        );
        assert_eq!(phrases("a  s"), ["a", "", "s"]);
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_too_wide(
            words in prop::collection::vec("[a-zäµ]{1,9}", 0..30),
            columns in 9_usize..40,
        ) {
            let lines = wrapped(words.iter().map(String::as_str), " ", columns);
            prop_assert!(lines.iter().all(|line| line.width() <= columns));
            prop_assert_eq!(lines.join(" "), words.join(" "));
        }
    }
}
