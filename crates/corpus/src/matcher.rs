//! Names found in text: whole words, without regard to case and punctuation, the longest name first.

use std::collections::{HashMap, HashSet};

/// The words of a text: runs of letters and digits, in lower case.
pub(crate) fn words(text: &str) -> Vec<String> {
    tokens(text).into_iter().map(|token| token.word).collect()
}

/// The words, with a space around each, so that one text contains another only at whole words.
pub(crate) fn padded(text: &str) -> String {
    format!(" {} ", words(text).join(" "))
}

/// A word, and whether a sentence ends before it.
#[derive(Debug, Clone, PartialEq)]
struct Token {
    word: String,
    /// A full stop, an exclamation mark or a line break stands before it. A question and its answer
    /// belong together.
    begins: bool,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let (mut word, mut begins) = (String::new(), false);
    for letter in text.chars().chain([' ']) {
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
            continue;
        }
        if !word.is_empty() {
            tokens.push(Token { word: std::mem::take(&mut word), begins });
            begins = false;
        }
        begins |= matches!(letter, '.' | '!' | '\n' | '。' | '！');
    }
    tokens
}

/// A name found in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mention {
    /// The index of the name.
    pub(crate) name: usize,
    /// The number of the sentence in the text.
    pub(crate) sentence: usize,
}

/// Finds names in text.
#[derive(Debug, Clone)]
pub(crate) struct Matcher {
    /// The names that begin with a word, longest first: their words and their indexes.
    by_first: HashMap<String, Vec<(Vec<String>, usize)>>,
}

impl Matcher {
    pub(crate) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let mut by_first: HashMap<String, Vec<(Vec<String>, usize)>> = HashMap::new();
        for (index, name) in names.enumerate() {
            let words = words(name);
            let Some(first) = words.first().cloned() else { continue };
            by_first.entry(first).or_default().push((words, index));
        }
        for names in by_first.values_mut() {
            names.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        Self { by_first }
    }

    /// Every name in a text, those within others too.
    pub(crate) fn all(&self, text: &str) -> HashSet<usize> {
        let words = words(text);
        let mut found = HashSet::new();
        for at in 0..words.len() {
            let names = self.by_first.get(&words[at]).into_iter().flatten();
            found
                .extend(names.filter(|(name, _)| words[at..].starts_with(name)).map(|(_, at)| *at));
        }
        found
    }

    /// The names in a text, in order; none within another.
    pub(crate) fn mentions(&self, text: &str) -> Vec<Mention> {
        let tokens = tokens(text);
        let (mut mentions, mut at, mut sentence) = (Vec::new(), 0, 0);
        while at < tokens.len() {
            sentence += usize::from(tokens[at].begins);
            let fits = |words: &[String]| {
                let found = tokens[at..].iter().map(|token| &token.word);
                words.len() <= tokens.len() - at && words.iter().eq(found.take(words.len()))
            };
            let names = self.by_first.get(&tokens[at].word);
            let found = names.into_iter().flatten().find(|(words, _)| fits(words));
            let length = found.map_or(1, |(words, _)| words.len());
            let of_length = names
                .into_iter()
                .flatten()
                .filter(|(w, _)| found.is_some() && w.len() == length && fits(w));
            mentions.extend(of_length.map(|(_, name)| Mention { name: *name, sentence }));
            at += length;
        }
        mentions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_name_is_found_at_whole_words() {
        let names = ["Georgia", "South Georgia", "St. Louis", "Rome"];
        let matcher = Matcher::new(names.into_iter());
        let found = |text: &str| -> Vec<_> {
            matcher.mentions(text).into_iter().map(|m| (names[m.name], m.sentence)).collect()
        };
        assert_eq!(found("SOUTH georgia's king"), [("South Georgia", 0)]);
        assert_eq!(matcher.all("South Georgia's king").len(), 2);
        assert_eq!(found("in Georgia; Romeo"), [("Georgia", 0)]);
        assert_eq!(found("St. Louis. Rome!"), [("St. Louis", 0), ("Rome", 1)]);
        assert_eq!(found("What of Rome? Georgia."), [("Rome", 0), ("Georgia", 0)]);
    }
}
