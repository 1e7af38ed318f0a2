//! Biographies: persons with several attributes in one sentence, and questions about them. A model
//! learns to answer questions about most persons; of the others only the biographies are trained.
//! After Allen-Zhu and Li, *Physics of Language Models*, parts 3.1 and 3.2 (arXiv 2309.14316,
//! 2309.14402): questions from the person to the attribute generalise, inverse search does not.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role, sentences};
use crate::kind::{DataKind, SIZE, Structure};
use crate::limits::{self, MAX_SENTENCES, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::{EntityType, Query, Token};
use crate::tuples::{draw_tokens, trained_of};
use crate::{Dataset, FactsError};

settings! {
    /// Settings of a data set of biographies.
    ///
    /// With k attributes, token j is the relation of attribute j in a biography, token k + j that of
    /// the question from the person to the attribute, and token 2k + j that of the inverse question.
    #[derive(Copy)]
    pub struct BiographiesConfig in "data" {
        /// Entity tokens to draw from, beside the relation tokens.
        pub vocab_size: usize = 800, SIZE;
        /// Number of persons; no two share the value of an attribute.
        pub persons: usize = 50, SIZE;
        /// Attributes per person.
        pub attributes: usize = 3, SIZE;
        /// Fraction of persons about whom questions are trained, rounded half to even.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

impl DataKind for BiographiesConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, persons, attributes, train_fraction } = *self;
        limits::vocab_at_most(vocab_size)?;
        at_least("persons", persons, 1, "there must be a person")?;
        at_least("attributes", attributes, 1, "a person has an attribute")?;
        at_most("persons", persons, MAX_VOCAB / 2, "larger vocabularies are not supported")?;
        let reason = format!("each of the {persons} persons has three sentences of each");
        at_most("attributes", attributes, (MAX_SENTENCES / 3 / persons).max(1), reason)?;
        let reason = format!("{persons} persons, each with {attributes} values, are drawn from it");
        at_least("vocab_size", vocab_size, persons * (attributes + 1), reason)?;
        limits::fraction(train_fraction)
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(self.reserved())
    }

    fn sentence_length(&self) -> usize {
        self.attributes.saturating_mul(2).saturating_add(1)
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let Self { vocab_size, persons, attributes, train_fraction } = *self;
        let count = persons * (attributes + 1);
        let tokens = draw_tokens(&mut random, vocab_size, count, self.reserved());
        let persons: Vec<&[Token]> = tokens.chunks(attributes + 1).collect();
        // The tokens stand in random order already.
        let (asked, rest) = persons.split_at(trained_of(train_fraction, persons.len()));

        let trained = Role::Trained("train_questions", "train person → value");
        let trained_reverse = Role::Trained("train_reverse_questions", "train value → person");
        let untrained = Role::Untrained("held_out_questions", "held-out person → value");
        let held_out = Role::HeldOut("held_out_reverse_questions", "held-out value → person");
        let group = |role, of: &[&[Token]], reverse| {
            Group::new(role, of.iter().flat_map(|person| questions(person, reverse)).collect())
        };
        let groups = vec![
            group(trained, asked, false),
            group(trained_reverse, asked, true),
            group(untrained, rest, false),
            group(held_out, rest, true),
        ];
        let mut train: Vec<_> = persons.iter().flat_map(|person| biographies(person)).collect();
        train.extend(sentences(&groups, Role::is_trained));
        let asks = |j: usize| [attributes + j, 2 * attributes + j].map(|token| token as Token);
        Ok(Dataset {
            weights: Vec::new(),
            train,
            held_out: sentences(&groups, Role::is_held_out),
            vocab: self.vocab(),
            reserved: self.reserved(),
            entity_length: 1,
            groups,
            inverses: (0..attributes).map(asks).collect(),
        })
    }

    fn structure(&self) -> Structure {
        Structure::INVERSES
    }
}

impl BiographiesConfig {
    /// The number of relation tokens.
    fn reserved(&self) -> usize {
        self.attributes.saturating_mul(3)
    }
}

/// The biography of a person (the token, then the values) once for each attribute, which comes last,
/// so that a loss on the last entity covers all of them.
fn biographies(person: &[Token]) -> Vec<Vec<Token>> {
    let (name, values) = (person[0], &person[1..]);
    let of_last = |last: usize| {
        let order = (1..=values.len()).map(|step| (last + step) % values.len());
        let attributes = order.flat_map(|j| [j as Token, values[j]]);
        [name].into_iter().chain(attributes).collect()
    };
    (0..values.len()).map(of_last).collect()
}

/// The questions about a person's attributes, or about their values.
fn questions(person: &[Token], reverse: bool) -> Vec<Query> {
    let (name, values) = (person[0], &person[1..]);
    let question = |(j, &value): (usize, &Token)| {
        let (kind, source, answer, answer_type) = match reverse {
            false => (1, name, value, EntityType::Y),
            true => (2, value, name, EntityType::X),
        };
        let relation = (kind * values.len() + j) as Token;
        Query { source: vec![source], relation, answer: vec![answer], answer_type }
    };
    values.iter().enumerate().map(question).collect()
}
