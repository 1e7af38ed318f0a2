//! Lists of seeds: a count, some numbers, or a half-open range.

use thiserror::Error;

/// The largest number of seeds of one experiment.
pub const MOST_SEEDS: u64 = 100_000;

/// The largest seed: data sets are drawn as by NumPy's `RandomState`, which takes 32 bits.
pub const LARGEST_SEED: u64 = u32::MAX as u64;

/// Why a text is not a list of seeds.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SeedsError {
    /// Neither a count nor a list nor a range.
    #[error("`{text}` is no list of seeds; write a count (10), a list (1,2,7) or a range (5..8)")]
    Unreadable {
        /// The text in place of a number.
        text: String,
    },
    /// A count of 0, or an empty range.
    #[error("`{text}` names no seed; at least one is needed")]
    None {
        /// The list as given.
        text: String,
    },
    /// More than [`MOST_SEEDS`].
    #[error("{count} seeds are too many; at most {MOST_SEEDS} make one experiment")]
    TooMany {
        /// The number of seeds given.
        count: u64,
    },
    /// Beyond [`LARGEST_SEED`].
    #[error("seed {seed} is too large; the largest is {LARGEST_SEED}")]
    TooLarge {
        /// The seed as given.
        seed: u64,
    },
    /// A seed that is given twice.
    #[error("seed {seed} is named twice")]
    Twice {
        /// The seed.
        seed: u64,
    },
}

/// The seeds that `text` names, in its order: `10` is a count (0 to 9), `1,2,7`
/// a list, `5..8` a half-open range (5, 6, 7).
pub fn parse_seeds(text: &str) -> Result<Vec<u64>, SeedsError> {
    if let Some((from, to)) = text.split_once("..") {
        let (from, to) = (number(from, text)?, number(to, text)?);
        if from >= to {
            return Err(SeedsError::None { text: text.to_owned() });
        }
        check_count(to - from, text)?;
        check_seed(to - 1)?;
        Ok((from..to).collect())
    } else if text.contains(',') {
        let seeds =
            text.split(',').map(|part| number(part, text)).collect::<Result<Vec<_>, _>>()?;
        check_list(seeds)
    } else {
        count(number(text, text)?)
    }
}

/// Seeds `0` to `count - 1`.
pub(crate) fn count(count: u64) -> Result<Vec<u64>, SeedsError> {
    check_count(count, &count.to_string())?;
    Ok((0..count).collect())
}

/// `seeds`, if no two are equal and each is small enough.
pub(crate) fn check_list(seeds: Vec<u64>) -> Result<Vec<u64>, SeedsError> {
    check_count(seeds.len() as u64, "[]")?;
    let mut sorted = seeds.clone();
    sorted.sort_unstable();
    for pair in sorted.windows(2) {
        if pair[0] == pair[1] {
            return Err(SeedsError::Twice { seed: pair[0] });
        }
    }
    check_seed(sorted[sorted.len() - 1])?;
    Ok(seeds)
}

fn check_count(count: u64, text: &str) -> Result<(), SeedsError> {
    match count {
        0 => Err(SeedsError::None { text: text.to_owned() }),
        1..=MOST_SEEDS => Ok(()),
        _ => Err(SeedsError::TooMany { count }),
    }
}

fn check_seed(seed: u64) -> Result<(), SeedsError> {
    if seed > LARGEST_SEED {
        return Err(SeedsError::TooLarge { seed });
    }
    Ok(())
}

fn number(part: &str, whole: &str) -> Result<u64, SeedsError> {
    let digits = part.trim();
    // `parse` alone would accept a sign.
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(unreadable(whole));
    }
    digits.parse().map_err(|_| unreadable(whole))
}

fn unreadable(text: &str) -> SeedsError {
    SeedsError::Unreadable { text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_a_list_and_a_range() {
        assert_eq!(parse_seeds("3").unwrap(), [0, 1, 2]);
        assert_eq!(parse_seeds("1,2,7").unwrap(), [1, 2, 7]);
        assert_eq!(parse_seeds(" 7, 1 ").unwrap(), [7, 1]);
        assert_eq!(parse_seeds("5..8").unwrap(), [5, 6, 7]);
        assert_eq!(parse_seeds("4294967295..4294967296").unwrap(), [4294967295]);
        assert_eq!(parse_seeds("100000").unwrap().len(), 100_000);
    }

    #[test]
    fn what_names_no_seeds_is_refused() {
        let none = |text: &str| SeedsError::None { text: text.into() };
        assert_eq!(parse_seeds("0"), Err(none("0")));
        assert_eq!(parse_seeds("8..5"), Err(none("8..5")));
        assert_eq!(parse_seeds("5..5"), Err(none("5..5")));
        for text in ["", "ten", "-1", "+3", "1.5", "1,,2", "1,", "5..", "..", "1..2..3", "5-8"] {
            assert_eq!(parse_seeds(text), Err(unreadable(text)), "{text:?}");
        }
        assert_eq!(parse_seeds("100001"), Err(SeedsError::TooMany { count: 100_001 }));
        assert_eq!(
            parse_seeds("0..18446744073709551615"),
            Err(SeedsError::TooMany { count: u64::MAX })
        );
        assert_eq!(parse_seeds("1,4294967296"), Err(SeedsError::TooLarge { seed: 1 << 32 }));
        assert_eq!(parse_seeds("3,1,3"), Err(SeedsError::Twice { seed: 3 }));
    }
}
