//! Text from the host, made fit to be shown on one line.

/// `text` with each character that could move the cursor, break the line or turn the direction of
/// writing replaced by U+FFFD: programs and containers choose their own names, and a terminal must
/// not obey them.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
                char::REPLACEMENT_CHARACTER
            }
            _ if character.is_control() => char::REPLACEMENT_CHARACTER,
            _ => character,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(printable("a\x1b[31m\nb"), "a\u{fffd}[31m\u{fffd}b");
        assert_eq!(
            printable("a\u{202e}b\u{85}\u{7f}"),
            "a\u{fffd}b\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn letters_of_any_language_are_kept() {
        assert_eq!(printable("größe 東京 \\x2d"), "größe 東京 \\x2d");
    }
}
