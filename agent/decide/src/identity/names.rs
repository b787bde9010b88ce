//! Names of bounded length that stay apart.

/// How many characters an agent's name has at most.
pub const MAX_NAME_CHARACTERS: usize = 200;

/// `name` in at most [`MAX_NAME_CHARACTERS`]. What is too long ends in a number made from all of
/// it, since two agents whose names differ only at the end must not become one.
pub fn shortened(name: String) -> String {
    if name.len() <= MAX_NAME_CHARACTERS || name.chars().count() <= MAX_NAME_CHARACTERS {
        return name;
    }
    let ending = format!("…{:016x}", fingerprint(name.as_bytes()));
    let kept = MAX_NAME_CHARACTERS - ending.chars().count();
    name.chars().take(kept).chain(ending.chars()).collect()
}

/// FNV-1a: the same in each run and version, unlike the standard library's hash.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_is_left_alone() {
        assert_eq!(shortened("ü".repeat(200)), "ü".repeat(200));
    }

    #[test]
    fn long_names_that_differ_at_the_end_stay_different() {
        let left = shortened(format!("{}a", "ü".repeat(300)));
        let right = shortened(format!("{}b", "ü".repeat(300)));
        assert_ne!(left, right);
        assert_eq!(left.chars().count(), MAX_NAME_CHARACTERS);
    }

    #[test]
    fn a_shortened_name_is_the_same_in_every_version() {
        assert!(shortened("x".repeat(201)).ends_with("x…3631500d06f3bba7"));
    }
}
