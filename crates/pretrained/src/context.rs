//! Contexts whose next tokens are asked for.

use std::collections::BTreeMap;

/// A context at some of whose positions next tokens are read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Context {
    /// The tokens.
    pub(crate) tokens: Vec<u32>,
    /// The positions, in their order.
    pub(crate) positions: Vec<usize>,
}

/// The next token at a position of a context, for a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// The number of the text.
    pub(crate) text: usize,
    pub(crate) token: u32,
}

/// Targets by position.
pub(crate) type Targets = BTreeMap<usize, Vec<Target>>;

/// The contexts that answer all texts, each with the targets at each of its positions. A text gives
/// its tokens and the number of the first one that is a target. A context that is the beginning of
/// another is read there: answers of one token are all read after their prompt.
pub(crate) fn contexts(texts: &[(Vec<u32>, usize)]) -> Vec<(Vec<u32>, Targets)> {
    let mut order: Vec<usize> = (0..texts.len()).collect();
    let input = |text: usize| &texts[text].0[..texts[text].0.len() - 1];
    order.sort_by(|a, b| input(*a).cmp(input(*b)));
    let mut contexts: Vec<(Vec<u32>, Targets)> = Vec::new();
    // From the last on, a beginning comes after all that it begins.
    for text in order.into_iter().rev() {
        let (tokens, first) = &texts[text];
        let longer = contexts.last().is_some_and(|(other, _)| other.starts_with(input(text)));
        if !longer {
            contexts.push((input(text).to_vec(), BTreeMap::new()));
        }
        let Some((_, targets)) = contexts.last_mut() else { continue };
        for (at, token) in tokens.iter().enumerate().skip(*first) {
            targets.entry(at - 1).or_default().push(Target { text, token: *token });
        }
    }
    contexts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_are_read_in_longer_contexts() {
        let texts = [
            (vec![1, 2, 7], 2),
            (vec![1, 2, 8, 9], 2),
            (vec![1, 2, 8, 9, 4], 2),
            (vec![1, 3, 5], 2),
            (vec![1, 2, 6, 1], 2),
        ];
        let found = contexts(&texts);
        let inputs: Vec<_> = found.iter().map(|(tokens, _)| tokens.clone()).collect();
        assert_eq!(inputs, [vec![1, 3], vec![1, 2, 8, 9], vec![1, 2, 6]]);
        let all: usize = found.iter().flat_map(|(_, t)| t.values()).map(Vec::len).sum();
        assert_eq!(all, 1 + 2 + 3 + 1 + 2);
        for (tokens, targets) in &found {
            for (position, target) in
                targets.iter().flat_map(|(p, t)| t.iter().map(move |t| (p, t)))
            {
                let (text, _) = &texts[target.text];
                assert_eq!(text[position + 1], target.token);
                assert_eq!(text[..=*position], tokens[..=*position]);
            }
        }
    }
}
