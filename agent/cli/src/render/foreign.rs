//! Names that came from elsewhere: whoever makes a cgroup or starts a program chooses its name,
//! and must not be able to steer the terminal of whoever looks at it.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` with everything escaped that is not a visible character or a space: control characters,
/// and those that turn the direction of text or have no width.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printable) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::new(), |mut escaped, character| {
        if is_printable(character) {
            escaped.push(character);
        } else {
            escaped.extend(character.escape_default());
        }
        escaped
    }))
}

/// Whether `character` shows as itself and moves the cursor on.
pub(super) fn is_printable(character: char) -> bool {
    // `None` for control characters, 0 for joiners, direction marks and combining characters.
    character.width().is_some_and(|width| width > 0)
        && !matches!(character, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `text`, shortened in the middle to at most `columns` terminal columns. More is kept of the end,
/// which tells the names of neighbours apart.
pub(super) fn shortened(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let head = room / 3;
    let start: String = taken(text.chars(), head);
    let end: String = taken(text.chars().rev(), room - head);
    Cow::Owned(format!("{start}…{}", end.chars().rev().collect::<String>()))
}

/// `text`, cut at its end to at most `columns` terminal columns.
pub(super) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if text.width() <= columns {
        return Cow::Borrowed(text);
    }
    match columns.checked_sub(1) {
        Some(room) => Cow::Owned(taken(text.chars(), room) + "…"),
        None => Cow::Borrowed(""),
    }
}

fn taken(characters: impl Iterator<Item = char>, columns: usize) -> String {
    let mut width = 0;
    characters
        .take_while(|character| {
            width += character.width().unwrap_or(0);
            width <= columns
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in [
            "/kubepods.slice/pod-1",
            r"dev-disk\x2droot.swap",
            "ägent 代理",
        ] {
            assert!(matches!(printable(name), Cow::Borrowed(_)), "{name}");
        }
    }

    #[test]
    fn what_would_steer_the_terminal_is_escaped() {
        assert_eq!(printable("a\x1b[2Jb"), r"a\u{1b}[2Jb");
        assert_eq!(printable("a\nb\tc\r"), r"a\nb\tc\r");
        assert_eq!(
            printable("\u{9b}31m\u{202e}cod\u{200b}"),
            r"\u{9b}31m\u{202e}cod\u{200b}"
        );
    }

    #[test]
    fn a_long_name_keeps_its_start_and_more_of_its_end() {
        assert_eq!(
            shortened("/kubepods.slice/pod-1/agent-17", 16),
            "/kube…1/agent-17"
        );
        assert_eq!(shortened("agent-17", 8), "agent-17");
        assert_eq!(shortened("agent-17", 1), "…");
        assert_eq!(shortened("agent-17", 0), "");
    }

    #[test]
    fn a_long_sentence_keeps_its_start() {
        assert_eq!(cut("waited for long", 8), "waited …");
        assert_eq!(cut("waited", 6), "waited");
        assert_eq!(cut("waited", 0), "");
    }

    proptest! {
        #[test]
        fn a_shortened_name_fits_and_a_printable_one_has_no_control_characters(
            name in any::<String>(),
            columns in 0_usize..40,
        ) {
            let name = printable(&name);
            prop_assert!(!name.chars().any(char::is_control));
            prop_assert!(shortened(&name, columns).width() <= columns);
        }
    }
}
