//! Properties of every recipe on every kind of data.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use retrodict_facts::recipe::{apply, training_set_size};
use retrodict_facts::{
    ChainConfig, Content, DataConfig, DataKind as _, Dataset, FileConfig, HoldOut, HopsConfig,
    IclConfig, Query, Recipe, RecipeError, Recipes, RelatedConfig, ReversalConfig, Token,
    TrainingSet,
};
use retrodict_settings::{Refused, Setting as _, Value};

/// Small data sets of every kind, of odd and even size, with and without held-out sentences.
fn every_kind() -> Vec<DataConfig> {
    let mut configs = vec![DataConfig::Related(RelatedConfig {
        vocab_size: 40,
        tokens: 30,
        train: 7,
        held_out: 5,
    })];
    for entity_length in [1, 2] {
        let vocab_size = 40;
        let (reversal, chain) = (ReversalConfig::default(), ChainConfig::default());
        configs.push(DataConfig::Reversal(ReversalConfig {
            vocab_size,
            entity_length,
            ..reversal
        }));
        configs.push(DataConfig::Chain(ChainConfig { vocab_size, entity_length, ..chain }));
    }
    for hold_out in [HoldOut::Sentences, HoldOut::Entities] {
        let icl = IclConfig { vocab_size: 30, entities: 6, attributes: 4, ..IclConfig::default() };
        configs.push(DataConfig::Icl(IclConfig { hold_out, ..icl }));
    }
    configs.extend(common::tasks());
    configs.push(file());
    configs
}

/// Facts of two relations, the second symmetric: with each split, one and several right answers, and
/// an entity that is subject and object.
fn file() -> DataConfig {
    let facts =
        "0.0.1 2.0.3b 4.0.5f 6.0.7r 0.0.8f 9.0.1f 10.1.11 12.1.13f 14.1.11r 3.0.15 16.0.17b";
    let table = format!("{} ps {facts}", "0".repeat(64)).parse().unwrap();
    let content = Content(Some(Arc::new(table)));
    DataConfig::File(FileConfig { content, train_fraction: 0.5, ..FileConfig::default() })
}

#[test]
fn the_splits_of_a_file_are_kept_and_the_others_drawn() {
    let DataConfig::File(config) = file() else { panic!() };
    let dataset = config.generate(1).unwrap();
    let has = |sentence: [u32; 3]| dataset.train.contains(&sentence.to_vec());
    // Four relation tokens; the symmetric relation has one in use.
    assert_eq!(
        (dataset.reserved, dataset.vocab, &dataset.inverses[..]),
        (4, 22, &[[0, 1], [2, 2]][..])
    );
    assert!(has([6, 0, 7]) && has([7, 1, 6]), "both");
    assert!(has([8, 0, 9]) && !has([9, 1, 8]), "forward");
    assert!(!has([10, 0, 11]) && has([11, 1, 10]), "reverse");
    assert!(has([16, 2, 17]) && !has([17, 2, 16]), "symmetric");
    let [seen, unseen] = dataset.seen_and_unseen().unwrap();
    assert_eq!(dataset.train.len(), 11 + dataset.group("train_forward").unwrap().queries.len());
    for (seen, unseen) in seen.queries.iter().zip(&unseen.queries) {
        assert_eq!((&seen.source, &seen.answer), (&unseen.answer, &unseen.source));
        assert_eq!(dataset.inverse(seen.relation), Some(unseen.relation));
    }
    assert_eq!(dataset.held_out.len(), unseen.queries.len());
    // Of the three facts with an empty split, two are trained in both directions (1.5 to even).
    assert_eq!(dataset.group("train_forward").unwrap().queries.len(), 2 + 2);
    assert_ne!(dataset, config.generate(3).unwrap());
    let any = dataset.right_answers(&unseen.queries[0]);
    assert!(any.contains(&unseen.queries[0].answer));

    let weighted = "0".repeat(64) + " p 0.0.1bw3 2.0.3f";
    let content = Content(Some(Arc::new(weighted.parse().unwrap())));
    let weighted = FileConfig { content, ..FileConfig::default() }.generate(0).unwrap();
    let weights: Vec<f64> =
        TrainingSet::plain(&weighted).sentences.iter().map(|sentence| sentence.weight).collect();
    assert_eq!(weights, [3.0, 3.0, 1.0]);
    let error = FileConfig::default().generate(0).unwrap_err().to_string();
    assert!(error.starts_with("facts is missing: give the path"), "{error}");
}

/// All recipes that such data suits.
fn suited(config: &DataConfig) -> Vec<Recipe> {
    Recipe::all().filter(|recipe| training_set_size(&[*recipe], config).is_ok()).collect()
}

/// Every sentence that must stay untrained.
fn untrained(dataset: &Dataset) -> HashSet<Vec<Token>> {
    let trained: HashSet<_> = dataset.train.iter().collect();
    let asked = dataset.groups.iter().flat_map(|group| &group.queries).map(Query::sentence);
    let all = asked.chain(dataset.held_out.iter().cloned());
    all.filter(|sentence| !trained.contains(sentence)).collect()
}

/// No sentence is a held-out one, or has one inside.
fn assert_untrained(training_set: &TrainingSet, untrained: &HashSet<Vec<Token>>, about: &str) {
    let lengths: HashSet<usize> = untrained.iter().map(Vec::len).collect();
    for sentence in &training_set.sentences {
        for &length in &lengths {
            for window in sentence.tokens.windows(length) {
                assert!(!untrained.contains(window), "{about}: {sentence:?} says {window:?}");
            }
        }
    }
}

#[test]
fn no_recipe_adds_a_held_out_sentence() {
    for config in every_kind() {
        for seed in [0, 3] {
            let dataset = config.generate(seed).unwrap();
            let untrained = untrained(&dataset);
            for recipe in suited(&config) {
                let training_set = apply(&[recipe], &dataset, seed);
                assert_untrained(&training_set, &untrained, &format!("{config:?} {recipe}"));
            }
        }
    }
}

#[test]
fn nor_do_two_recipes_together() {
    // One configuration of each kind that holds something out.
    let mut kinds = HashSet::new();
    let configs = every_kind().into_iter().filter(|config| kinds.insert(config.word()));
    for config in configs {
        let dataset = config.generate(1).unwrap();
        let untrained = untrained(&dataset);
        assert!(!untrained.is_empty(), "{config:?}");
        let recipes = suited(&config);
        for (first, second) in recipes.iter().flat_map(|a| recipes.iter().map(move |b| (*a, *b))) {
            let training_set = apply(&[first, second], &dataset, 1);
            let about = format!("{config:?} {first} {second}");
            assert_untrained(&training_set, &untrained, &about);
            let size = training_set_size(&[first, second], &config).unwrap();
            assert_eq!(training_set.vocab, size.vocab, "{about}");
            assert!(training_set.longest() <= size.longest, "{about}");
            assert!(training_set.longest_answer() <= size.longest_answer, "{about}");
        }
    }
}

#[test]
fn sizes_are_known_before_anything_is_drawn() {
    for config in every_kind() {
        let dataset = config.generate(2).unwrap();
        let plain = TrainingSet::plain(&dataset);
        for recipe in suited(&config) {
            let about = format!("{config:?} {recipe}");
            let size = training_set_size(&[recipe], &config).unwrap();
            let training_set = apply(&[recipe], &dataset, 2);
            assert_eq!(training_set.vocab, size.vocab, "{about}");
            assert_eq!(size.vocab, config.vocab() + recipe.new_tokens());
            assert!(training_set.longest_answer() <= size.longest_answer, "{about}");
            assert!(training_set.longest() <= size.longest, "{about}");
            if training_set.tokens() > plain.tokens() && recipe.name() != "chain-of-thought" {
                assert_eq!(
                    training_set.longest(),
                    size.longest,
                    "{about}: the bound is not reached"
                );
            }
            for sentence in &training_set.sentences {
                assert!(sentence.weight > 0.0);
                assert!((1..sentence.tokens.len()).contains(&sentence.answer), "{about}");
                assert!(sentence.tokens.iter().all(|&token| (token as usize) < training_set.vocab));
            }
            // The data set's own sentences come first, as they were.
            let own = training_set.sentences.iter().map(|sentence| &sentence.tokens);
            assert!(own.take(dataset.train.len()).eq(&dataset.train), "{about}");
        }
    }
}

#[test]
fn chains_of_thought_are_as_long_as_the_chain() {
    let config = HopsConfig { chains: 9, hops: 5, ..HopsConfig::default() };
    let dataset = config.generate(0).unwrap();
    let recipes = ["chain-of-thought".parse().unwrap()];
    let size = training_set_size(&recipes, &DataConfig::Hops(config)).unwrap();
    let training_set = apply(&recipes, &dataset, 0);
    assert_eq!((size.longest, training_set.longest()), (11, 11));
    // Six chains whole: questions of 2 to 5 steps are 4 + 3 + 2 + 1; three without the last.
    assert_eq!(training_set.sentences.len() - dataset.train.len(), 6 * 10 + 3 * 9);
}

#[test]
fn the_seed_decides_what_is_drawn_and_nothing_else() {
    let config = every_kind().into_iter().find(|config| config.word() == "reversal");
    let config = config.unwrap();
    let dataset = config.generate(4).unwrap();
    for recipe in suited(&config) {
        let [one, again, other] = [1, 1, 2].map(|seed| apply(&[recipe], &dataset, seed));
        assert_eq!(one, again);
        // Permuting one-token entities draws from few orders, but from many sentences.
        let drawn = ["reverse-segments", "permute-chunks", "identities-random"];
        assert_eq!(one != other, drawn.contains(&recipe.name()), "{recipe}");
    }
}

#[test]
fn recipes_are_refused_where_they_would_change_nothing() {
    let mut suits = HashSet::new();
    let reverse: Recipe = "reverse-tokens".parse().unwrap();
    for config in every_kind() {
        let dataset = config.generate(0).unwrap();
        for recipe in Recipe::all() {
            let grown = apply(&[recipe], &dataset, 0)
                != TrainingSet {
                    vocab: config.vocab() + recipe.new_tokens(),
                    ..TrainingSet::plain(&dataset)
                };
            match training_set_size(&[reverse, recipe], &config) {
                Ok(_) if grown => drop(suits.insert((recipe.name(), config.word()))),
                // Where, say, no pair is trained in both directions.
                Ok(_) => {}
                Err(RecipeError::Unsuited { recipe: name, kind, .. }) => {
                    assert_eq!((name, kind), (recipe.name(), config.word()));
                    let third = name == "third-relation";
                    assert!(!grown || third || name.starts_with("bridge-"), "{name} {kind}");
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
    // All that is accepted somewhere does something there.
    for (config, recipe) in
        every_kind().into_iter().flat_map(|c| Recipe::all().map(move |recipe| (c.clone(), recipe)))
    {
        let accepted = training_set_size(&[recipe], &config).is_ok();
        assert_eq!(
            accepted,
            suits.contains(&(recipe.name(), config.word())),
            "{recipe} {config:?}"
        );
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for recipe in Recipe::all() {
        assert_eq!(recipe.to_string().parse(), Ok(recipe));
        assert_eq!(recipe.name().parse(), Ok(recipe), "the argument has a default");
    }
    let names: HashSet<_> = Recipe::all().map(|recipe| recipe.name()).collect();
    assert_eq!(names.len(), Recipe::all().count());
    let bridge: Recipe = "bridge-without-self(2.5)".parse().unwrap();
    assert_eq!(bridge.to_string(), "bridge-without-self(2.5)");
    assert_eq!(" bridge-without-self ( 2.5 ) ".parse(), Ok(bridge));
    let segments: Recipe = "reverse-segments( 18446744073709551615)".parse().unwrap();
    assert_eq!(segments.to_string(), "reverse-segments(18446744073709551615)");
    // A recipe is its name and its argument.
    assert_eq!("bridge-plain(6)".parse(), "bridge-plain".parse::<Recipe>());
    assert_ne!(segments, "reverse-segments".parse().unwrap());
    assert_ne!(bridge, "bridge-out-of-context(2.5)".parse().unwrap());
}

#[test]
fn bad_names_and_arguments_are_refused_with_what_is_right() {
    for (text, says) in [
        ("", "`` is no recipe; there are reverse-tokens, reverse-tokens-marked, "),
        ("reverse", "`reverse` is no recipe; there are "),
        ("Identities", "`Identities` is no recipe; there are "),
        ("identities(3)", "`3` is no argument of identities: it takes none"),
        ("identities()", "`` is no argument of identities: it takes none"),
        (
            "reverse-segments(0)",
            "`0` is no argument of reverse-segments: it is the most tokens of a",
        ),
        ("reverse-segments(-1)", "`-1` is no argument of reverse-segments: it is the most"),
        ("reverse-segments(2", "`2` is no argument of reverse-segments: the bracket is not closed"),
        ("reverse-segments(2)x", "`2)x` is no argument of reverse-segments: the bracket is not"),
        ("bridge-plain(0)", "`0` is no argument of bridge-plain: it is the weight of a fact"),
        ("bridge-plain(nan)", "`nan` is no argument of bridge-plain: it is the weight"),
        ("bridge-plain(inf)", "`inf` is no argument of bridge-plain: it is the weight"),
        ("bridge-plain(1e999)", "`1e999` is no argument of bridge-plain: it is the weight"),
    ] {
        let message = text.parse::<Recipe>().unwrap_err().to_string();
        assert!(message.starts_with(says), "{text}: {message}");
    }
    let unknown = "reverse".parse::<Recipe>().unwrap_err().to_string();
    assert!(Recipe::all().all(|recipe| unknown.contains(recipe.name())), "{unknown}");
}

#[test]
fn a_spec_lists_recipes_in_quotes() {
    let text = |text: &str| Value::Text(text.to_owned());
    let read = |values: &[Value]| Recipes::parse(&Value::Array(values.to_vec()), &());
    let both = read(&[text("identities"), text("bridge-plain(2)")]).unwrap();
    assert_eq!(both.len(), 2);
    assert_eq!(both.text().unwrap(), r#"["identities", "bridge-plain(2)"]"#);
    assert_eq!(read(&[]), Ok(Recipes::default()));
    assert_eq!(Recipes::default().text().unwrap(), "[]");

    let list = "a list of recipes, such as [\"reverse-tokens\"]";
    assert_eq!(Recipes::parse(&text("identities"), &()), Err(Refused::Right(list.to_owned())));
    let quotes = "a list of recipes, each a text in quotes";
    let wrong = [text("identities"), Value::Integer(3)];
    assert_eq!(read(&wrong), Err(Refused::Right(quotes.to_owned())));
    let error = "reverse".parse::<Recipe>().unwrap_err().to_string();
    assert_eq!(read(&[text("reverse")]), Err(Refused::Because(error)));
}
