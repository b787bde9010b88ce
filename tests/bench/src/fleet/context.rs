//! What agents remember: text that compresses as transcripts of real agents do.
//!
//! Such transcripts are prose, commands with their output, and JSON around them. Page by page of
//! 4 KiB, lz4 makes about half of them, which matters to whatever compresses memory.

use fastrand::Rng;

/// Bytes of a page.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Words that a transcript has to choose from.
const VOCABULARY: usize = 1_500;

const SYLLABLES: [&str; 32] = [
    "a", "be", "con", "de", "er", "fi", "ga", "hand", "in", "jo", "ka", "le", "ment", "na", "or",
    "pre", "qui", "re", "st", "tion", "un", "ver", "wa", "ex", "ly", "zi", "port", "ser", "log",
    "ing", "ed", "mem",
];

const FRAMES: [(&str, &str); 5] = [
    ("{\"role\": \"assistant\", \"content\": \"", "\"}\n"),
    (
        "{\"role\": \"tool\", \"name\": \"bash\", \"output\": \"",
        "\"}\n",
    ),
    ("$ grep -rn ", "\n"),
    ("  File \"/srv/app/", ".py\", line 42, in main\n"),
    ("DISCUSSION\n", "\n\n"),
];

/// `pages` pages of text; the same for the same seed.
pub(crate) fn text(seed: u64, pages: u32) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    let words: Vec<String> = (0..VOCABULARY).map(|_| word(&mut random)).collect();
    let length = pages as usize * PAGE_BYTES;
    let mut text = Vec::with_capacity(length + PAGE_BYTES);
    while text.len() < length {
        let (before, after) = FRAMES[random.usize(..FRAMES.len())];
        text.extend_from_slice(before.as_bytes());
        for _ in 0..random.usize(4..40) {
            if random.u32(..16) == 0 {
                text.extend_from_slice(format!("0x{:08x} ", random.u32(..)).as_bytes());
            }
            // Few words are frequent, many are rare.
            let rank = (0..1).fold(random.usize(..VOCABULARY), |rank, _| random.usize(..=rank));
            text.extend_from_slice(words[rank].as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(after.as_bytes());
        quote(&mut random, &mut text);
    }
    text.truncate(length);
    text
}

/// Transcripts repeat what was said: each frame is followed by a piece of the page before it.
fn quote(random: &mut Rng, text: &mut Vec<u8>) {
    let length = random.usize(60..180);
    let page = text.len().saturating_sub(PAGE_BYTES / 2);
    if page + length < text.len() {
        let from = random.usize(page..text.len() - length);
        text.extend_from_within(from..from + length);
    }
}

fn word(random: &mut Rng) -> String {
    let syllables = random.usize(1..4);
    (0..syllables)
        .map(|_| SYLLABLES[random.usize(..SYLLABLES.len())])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_compresses_as_those_of_real_transcripts_do() {
        let text: Vec<u8> = (1..9).flat_map(|seed| text(seed, 64)).collect();
        let ratios = text
            .chunks(PAGE_BYTES)
            .map(|page| page.len() as f64 / lz4_flex::block::compress(page).len() as f64);
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        let (least, median) = (ratios[ratios.len() / 20], ratios[ratios.len() / 2]);
        let most = ratios[ratios.len() * 19 / 20];
        assert!(
            least > 1.7 && most < 2.2,
            "{least:.2} {median:.2} {most:.2}"
        );
    }

    #[test]
    fn a_context_is_as_long_as_asked_for() {
        assert_eq!(text(1, 0).len(), 0);
        assert_eq!(text(1, 3).len(), 3 * PAGE_BYTES);
    }
}
