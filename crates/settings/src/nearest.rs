//! The nearest right word to a wrong one, for messages that say "did you mean".

/// The choice nearest to `word` by edit distance (insert, delete, replace,
/// swap), if one is near enough to be what was meant: at most a third of the
/// longer word's letters, rounded up. Ties go to the first choice.
pub fn nearest<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, choice) = choices
        .into_iter()
        .map(|choice| (strsim::osa_distance(word, choice), choice))
        .min_by_key(|(distance, _)| *distance)?;
    let longer = word.chars().count().max(choice.chars().count());
    (distance <= longer.div_ceil(3)).then_some(choice)
}

/// `a, b and c`, with `last` as the last conjunction.
pub fn join<'a>(words: impl Iterator<Item = &'a str>, last: &str) -> String {
    let words: Vec<_> = words.collect();
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let choices = ["layers", "heads", "dim"];
        assert_eq!(nearest("layer", choices), Some("layers"));
        assert_eq!(nearest("haeds", choices), Some("heads"));
        assert_eq!(nearest("dimm", choices), Some("dim"));
        assert_eq!(nearest("momentum", choices), None);
        assert_eq!(nearest("x", []), None);
    }
}
