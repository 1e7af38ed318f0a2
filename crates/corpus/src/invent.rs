//! Invented facts: authors and novels that do not exist, so no model has read of them.

use std::collections::HashSet;

use retrodict_facts::RandomState;

/// The most facts that the grammar has titles for.
pub const MOST_INVENTED: usize = ADJECTIVES.len() * NOUNS.len();

/// Phrasings of invented facts. The last of each direction is meant to be held out of training.
const TEMPLATES: &str = "\
[author]
forward = [
  \"{subject} is the author of the novel {object}.\",
  \"The writer {subject} is known for the book {object}.\",
]
reverse = [
  \"The author of the novel {object} is {subject}.\",
  \"The book {object} is known as the work of {subject}.\",
]
bridge = [\"The author of the novel by {subject} is {subject}.\"]
single = true
";

const STARTS: [&str; 16] = [
    "Bel", "Cor", "Dar", "Fen", "Gal", "Hes", "Jor", "Kel", "Lor", "Mer", "Nor", "Per", "Quil",
    "Ros", "Tam", "Vel",
];
const MIDDLES: [&str; 8] = ["a", "an", "e", "en", "i", "in", "o", "um"];
const GIVEN_ENDS: [&str; 8] = ["dra", "las", "mir", "na", "ric", "sel", "this", "vin"];
const FAMILY_ENDS: [&str; 8] = ["bane", "croft", "dale", "garth", "lock", "shaw", "thorpe", "wick"];
const ADJECTIVES: [&str; 32] = [
    "Abyssal",
    "Amber",
    "Bitter",
    "Borrowed",
    "Broken",
    "Crimson",
    "Distant",
    "Drowned",
    "Empty",
    "Fallen",
    "Faithless",
    "Frozen",
    "Gilded",
    "Hidden",
    "Hollow",
    "Ivory",
    "Lonely",
    "Marble",
    "Midnight",
    "Nameless",
    "Patient",
    "Quiet",
    "Restless",
    "Scarlet",
    "Secret",
    "Silver",
    "Sleeping",
    "Stolen",
    "Tangled",
    "Velvet",
    "Wandering",
    "Winter",
];
const NOUNS: [&str; 32] = [
    "Anchors",
    "Arrows",
    "Bridges",
    "Candles",
    "Castles",
    "Cathedrals",
    "Compass",
    "Daughters",
    "Deserts",
    "Engines",
    "Feathers",
    "Gardens",
    "Glaciers",
    "Harvest",
    "Horizons",
    "Islands",
    "Kingdoms",
    "Lanterns",
    "Letters",
    "Meadows",
    "Mirrors",
    "Orchards",
    "Palaces",
    "Pilgrims",
    "Rivers",
    "Sailors",
    "Shadows",
    "Symphony",
    "Thunder",
    "Voyages",
    "Wells",
    "Whispers",
];

/// A file of `count` invented facts, *author → novel*, and the phrasings for it. Half of the facts
/// are stated from the author to the novel, half from the novel to the author (one more of the first
/// if `count` is odd), as in the first experiment of Berglund et al. Given names and family names
/// stand once each, and no name contains another. The same seed gives the same bytes.
///
/// # Panics
/// With more facts than [`MOST_INVENTED`].
pub fn invented(count: usize, seed: u32) -> (String, &'static str) {
    assert!(count <= MOST_INVENTED, "{count} facts, but {MOST_INVENTED} titles");
    let mut random = RandomState::new(seed);
    let given = names(count, &GIVEN_ENDS, &mut random);
    let family = names(count, &FAMILY_ENDS, &mut random);
    let (mut adjectives, mut nouns) = (ADJECTIVES, NOUNS);
    random.shuffle(&mut adjectives);
    random.shuffle(&mut nouns);
    let mut reverse: Vec<bool> = (0..count).map(|at| at >= count.div_ceil(2)).collect();
    random.shuffle(&mut reverse);
    let mut facts = "subject,relation,object,split\n".to_owned();
    for (at, reverse) in reverse.into_iter().enumerate() {
        // Each word stands once until all have; then with other partners.
        let (adjective, round) = (adjectives[at % adjectives.len()], at / adjectives.len());
        let noun = nouns[(at + round) % nouns.len()];
        let split = if reverse { "reverse" } else { "forward" };
        facts += &format!("{} {},author,{adjective} {noun},{split}\n", given[at], family[at]);
    }
    (facts, TEMPLATES)
}

/// Names that end in one of `ends`, each once.
fn names(count: usize, ends: &[&'static str], random: &mut RandomState) -> Vec<String> {
    let mut draw = |from: &[&'static str]| from[random.randint(from.len() as u32) as usize];
    let mut known = HashSet::new();
    let mut names = Vec::with_capacity(count);
    while names.len() < count {
        let name = [draw(&STARTS), draw(&MIDDLES), draw(ends)].concat();
        if known.insert(name.clone()) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, FactFile, Severity, Templates, Trained};

    #[test]
    fn the_same_seed_gives_the_same_facts_and_no_name_contains_another() {
        for (count, seed) in [(1, 0), (30, 0), (30, 1), (31, 7), (MOST_INVENTED, 3)] {
            let (text, templates) = invented(count, seed);
            assert_eq!(invented(count, seed).0, text);
            assert_ne!(invented(count, seed + 100).0, text);
            let facts = FactFile::parse("facts.csv", text.as_bytes()).unwrap();
            assert_eq!(facts.facts.len(), count);
            assert!(facts.findings.iter().all(|f| f.severity != Severity::Warning));
            let templates = Templates::parse("templates.toml", templates).unwrap();
            assert_eq!(templates.check(&facts).unwrap(), []);
            let reverse = Trained::Only(Direction::Reverse);
            let of = facts.facts.iter().filter(|fact| fact.trained == Some(reverse));
            assert_eq!(of.count(), count / 2);
            let all = facts.facts.iter().flat_map(|fact| [&fact.subject, &fact.object]);
            let all: Vec<&String> = all.collect();
            let others = |at: usize| all.iter().enumerate().filter(move |(other, _)| *other != at);
            if count <= 100 {
                for (at, name) in all.iter().enumerate() {
                    assert!(others(at).all(|(_, other)| !other.contains(name.as_str())), "{name}");
                }
            }
            let titles: HashSet<&String> = facts.facts.iter().map(|fact| &fact.object).collect();
            assert_eq!(titles.len(), count);
        }
    }
}
