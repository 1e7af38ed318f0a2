//! Recipes that put the words of a sentence in another order.

use retrodict_facts::Recipe;

use super::builder::Builder;
use crate::sentence::{Sentence, Unit};

/// The word before a sentence whose words are in reverse.
const MARKER: &str = "[reversed]";

/// Applies the recipe, if it is one of these.
pub(super) fn apply(builder: &mut Builder<'_>, recipe: &Recipe) -> bool {
    match recipe.name() {
        "reverse-tokens" => builder.rewrite(|_, sentence| vec![reversed_words(sentence, None)]),
        "reverse-tokens-marked" => {
            builder.rewrite(|_, sentence| vec![reversed_words(sentence, Some(MARKER))]);
        }
        "reverse-entities" => builder.rewrite(|_, sentence| {
            vec![Sentence::reordered(sentence.units.iter().rev().cloned(), &sentence.end)]
        }),
        "reverse-segments" => {
            let longest = recipe.argument().map_or(1, |n| n.min(f64::from(u32::MAX)) as u32);
            builder.rewrite(|builder, sentence| {
                let words = words(sentence);
                let (mut segments, mut rest) = (Vec::new(), &words[..]);
                while !rest.is_empty() {
                    let length = 1 + builder.random.randint(longest) as usize;
                    let segment;
                    (segment, rest) = rest.split_at(length.min(rest.len()));
                    segments.push(segment);
                }
                segments.reverse();
                vec![Sentence::reordered(segments.concat(), &sentence.end)]
            });
        }
        "permute-chunks" => builder.rewrite(|builder, sentence| {
            let mut chunks: Vec<&[Unit]> = chunks(sentence);
            chunks.reverse();
            let reversed = Sentence::reordered(chunks.concat(), &sentence.end);
            chunks.reverse();
            builder.random.shuffle(&mut chunks);
            vec![reversed, Sentence::reordered(chunks.concat(), &sentence.end)]
        }),
        "all-orders" => builder.rewrite(|_, sentence| all_orders(sentence)),
        _ => return false,
    }
    true
}

/// The words, of which those of a name know it.
fn words(sentence: &Sentence) -> Vec<Unit> {
    let word = |unit: &Unit, text: &str| Unit { text: text.to_owned(), ..unit.clone() };
    let of = |unit: &Unit| unit.text.split_whitespace().map(|text| word(unit, text)).collect();
    sentence.units.iter().flat_map::<Vec<Unit>, _>(of).collect()
}

fn reversed_words(sentence: &Sentence, marker: Option<&str>) -> Sentence {
    let marker = marker.map(|text| Unit { gap: String::new(), text: text.to_owned(), name: None });
    let reversed = words(sentence).into_iter().rev();
    Sentence::reordered(marker.into_iter().chain(reversed), &sentence.end)
}

/// Names, and the words between them.
fn chunks(sentence: &Sentence) -> Vec<&[Unit]> {
    sentence.units.chunk_by(|a, b| a.name == b.name).collect()
}

/// The orders of a sentence with two names that end in a name; its other words are the relation.
fn all_orders(sentence: &Sentence) -> Vec<Sentence> {
    let chunks = chunks(sentence);
    let names: Vec<&[Unit]> = chunks.iter().copied().filter(|c| c[0].name.is_some()).collect();
    let &[source, answer] = &names[..] else { return Vec::new() };
    let relation = chunks.iter().copied().filter(|chunk| chunk[0].name.is_none());
    let relation = relation.collect::<Vec<_>>().concat();
    let relation = &relation[..];
    [[relation, source, answer], [answer, relation, source], [relation, answer, source]]
        .map(|order| Sentence::reordered(order.concat(), &sentence.end))
        .to_vec()
}
