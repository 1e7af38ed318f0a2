//! Families: a relation and its inverse (parent, child), a symmetric one (sibling) and a composed one
//! (grandparent), all of the same persons. With such a graph Kim et al. (arXiv 2509.21993) find that
//! learned relations can be bilinear, and that inverses then follow.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role, sentences};
use crate::kind::{DataKind, SIZE, Structure};
use crate::limits::{self, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::{EntityType, Query, Token};
use crate::tuples::{draw_tokens, trained_of};
use crate::{Dataset, FactsError};

/// From a person to the parent.
const PARENT: Token = 0;
/// From a parent to the child.
const CHILD: Token = 1;
/// From one of two siblings to the other.
const SIBLING: Token = 2;
/// From a person to the parent's parent.
const GRANDPARENT: Token = 3;
/// The four tokens above.
const RESERVED: usize = 4;
/// A grandparent, two siblings, a child of each.
const PERSONS: usize = 5;

settings! {
    /// Settings of a family data set.
    #[derive(Copy)]
    pub struct FamilyConfig in "data" {
        /// Entity tokens to draw from, beside the four relation tokens.
        pub vocab_size: usize = 800, SIZE;
        /// Number of families, of five persons each.
        pub families: usize = 30, SIZE;
        /// Fraction of children with a trained parent-to-child sentence, and, drawn apart, with a
        /// trained grandparent; rounded half to even.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

/// Three generations, each the only child of the one before; the grandparent has two lines.
#[derive(Debug, Clone, Copy)]
struct Line {
    child: Token,
    parent: Token,
    grandparent: Token,
    /// The parent's sibling.
    sibling: Token,
}

impl Line {
    /// The two lines of a family.
    fn both(family: &[Token]) -> [Self; 2] {
        let line = |child, parent, sibling| Line {
            child: family[child],
            parent: family[parent],
            grandparent: family[0],
            sibling: family[sibling],
        };
        [line(3, 1, 2), line(4, 2, 1)]
    }

    fn parent(self) -> Query {
        query(self.child, PARENT, self.parent, EntityType::Y)
    }

    fn child(self) -> Query {
        query(self.parent, CHILD, self.child, EntityType::X)
    }

    fn grandparent(self) -> Query {
        query(self.child, GRANDPARENT, self.grandparent, EntityType::Z)
    }
}

fn query(source: Token, relation: Token, answer: Token, answer_type: EntityType) -> Query {
    Query { source: vec![source], relation, answer: vec![answer], answer_type }
}

impl DataKind for FamilyConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, families, train_fraction } = *self;
        limits::vocab_at_most(vocab_size)?;
        at_least("families", families, 1, "there must be a family")?;
        at_most(
            "families",
            families,
            MAX_VOCAB / PERSONS,
            "larger vocabularies are not supported",
        )?;
        let reason = format!("{families} families of {PERSONS} are drawn from it");
        at_least("vocab_size", vocab_size, PERSONS * families, reason)?;
        limits::fraction(train_fraction)
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let count = PERSONS * self.families;
        let persons = draw_tokens(&mut random, self.vocab_size, count, RESERVED);
        let mut lines: Vec<Line> = persons.chunks(PERSONS).flat_map(Line::both).collect();
        let trained = trained_of(self.train_fraction, lines.len());
        // Always trained: the rest follows from these.
        let eldest = |line: &Line| query(line.parent, PARENT, line.grandparent, EntityType::Z);
        let children = |line: &Line| query(line.grandparent, CHILD, line.parent, EntityType::Y);
        let sibling = |line: &Line| query(line.parent, SIBLING, line.sibling, EntityType::Y);
        let eldest: Vec<Query> = lines.iter().map(eldest).collect();
        let children: Vec<Query> = lines.iter().map(children).collect();
        let siblings: Vec<Query> = lines.iter().map(sibling).collect();

        random.shuffle(&mut lines);
        let grandparents = lines.iter().copied().map(Line::grandparent);
        let mut composed: Vec<Query> = grandparents.collect();
        let composed_unseen = composed.split_off(trained);
        random.shuffle(&mut lines);
        let (whole, partial) = lines.split_at(trained);
        let parent = |of: &[Line]| of.iter().copied().map(Line::parent).collect::<Vec<_>>();
        let child = |of: &[Line]| of.iter().copied().map(Line::child).collect();

        let trained = |id, name, queries| Group::new(Role::Trained(id, name), queries);
        let untrained = Role::Untrained("held_out_composed", "held-out child ⇝ grandparent");
        let groups = vec![
            trained("train_parent", "train child → parent", [parent(whole), eldest].concat()),
            trained("train_child", "train parent → only child", child(whole)),
            trained("train_children", "train grandparent → either child", children),
            trained("train_sibling", "train sibling → sibling", siblings),
            trained("train_grandparent", "train child ⇝ grandparent", composed),
            Group::new(untrained, composed_unseen),
            Group::new(Role::Seen, parent(partial)),
            Group::new(Role::Unseen, child(partial)),
        ];
        Ok(Dataset {
            weights: Vec::new(),
            train: sentences(&groups, Role::is_trained),
            held_out: sentences(&groups, Role::is_held_out),
            vocab: self.vocab(),
            reserved: RESERVED,
            entity_length: 1,
            groups,
            inverses: vec![[PARENT, CHILD], [SIBLING, SIBLING]],
        })
    }

    fn structure(&self) -> Structure {
        Structure { inverses: true, ..Structure::CHAINS }
    }
}
