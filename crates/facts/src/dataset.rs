//! The sentences of a data set, trained and held out, and the groups of questions that its effective
//! weights answer.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::group::{Group, Role, Step};
use crate::query::{Entity, EntityType, Query, Question, Token};

/// The part of a data set that a sentence belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Trained on.
    Train,
    /// Scored only.
    HeldOut,
}

impl Split {
    /// Its name in data files: `train` or `val`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "val",
        }
    }
}

/// Sentences, each of which ends in the entity that is scored. All have one length, except in the
/// *biographies*.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The sentences to train on, in order; never empty.
    pub train: Vec<Vec<Token>>,
    /// The weight of each training sentence in the loss; empty where all are 1.
    pub weights: Vec<f64>,
    /// The sentences to score only, in order; empty where everything is trained.
    pub held_out: Vec<Vec<Token>>,
    /// The size of the whole vocabulary, reserved tokens included. A uniform guess has an NLL of
    /// ln(`vocab`) per token.
    pub vocab: usize,
    /// The number of tokens reserved for relations, the first ones.
    pub reserved: usize,
    /// Tokens of the last entity of a sentence.
    pub entity_length: usize,
    /// The panels of the paper's effective-weight figure, in its order; no two have one
    /// [`Role`], and the last group is [`held_out_group`](Dataset::held_out_group).
    ///
    /// - *reversal*: `train_forward` (x → y), `train_backward` (y → x), `held_out_seen`,
    ///   `held_out_unseen`. In the last two, queries whose answers have one type stand together.
    /// - *chain* and *related*: `train_a_to_b`, `train_b_to_c`, `train_a_to_c`, `held_out_a_to_b`,
    ///   `held_out_b_to_c`, `held_out_a_to_c`.
    /// - *icl*: none.
    /// - *relations*: those of *reversal*, of all relations together, and before the held-out ones
    ///   `control_trained`, `control_unseen` and `control_swapped`, the same questions as the unseen
    ///   ones with the answer of a blind swap. No sentence holds either.
    /// - *family*: `train_parent`, `train_child`, `train_children` (of a grandparent, who has two),
    ///   `train_sibling`, `train_grandparent`, `held_out_composed` (grandparents that no sentence
    ///   holds), `held_out_seen`, `held_out_unseen`.
    /// - *hops*: `train_direct`, `train_between`, `train_whole`, `held_out_direct`,
    ///   `held_out_between`, `held_out_whole`.
    /// - *biographies*: `train_questions`, `train_reverse_questions`, `held_out_questions` (no
    ///   sentence holds them), `held_out_reverse_questions`.
    /// - *one-to-many*: those of *reversal*, and before the held-out ones `forward_any`, one question
    ///   of each x, to which several entities are [right](Self::right_answers).
    /// - *file*: those of *reversal*, of all relations together.
    pub groups: Vec<Group>,
    /// Relations that are each other's inverse; a symmetric one is listed twice.
    pub inverses: Vec<[Token; 2]>,
}

impl Dataset {
    /// Tokens of the longest training sentence; all have as many, except in the *biographies*.
    pub fn sentence_length(&self) -> usize {
        self.train.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// The answers to the query in all sentences, trained or held out. There are several in the
    /// *one-to-many* data, and for the children of a family's eldest.
    pub fn right_answers(&self, query: &Query) -> Vec<Entity> {
        let context = [query.source.as_slice(), &[query.relation]].concat();
        let answer = |sentence: &[Token]| {
            let answer = sentence.strip_prefix(context.as_slice())?;
            (answer.len() == query.answer.len()).then(|| answer.to_vec())
        };
        let mut answers: Vec<Entity> =
            self.sentences().filter_map(|(_, sentence)| answer(sentence)).collect();
        answers.sort_unstable();
        answers.dedup();
        answers
    }

    /// The inverse of a relation, if it has one.
    pub fn inverse(&self, relation: Token) -> Option<Token> {
        self.inverses.iter().find_map(|&[one, other]| {
            if one == relation { Some(other) } else { (other == relation).then_some(one) }
        })
    }

    /// The group with that [`Group::id`].
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id() == id)
    }

    /// The group with that role.
    pub fn group_of(&self, role: Role) -> Option<&Group> {
        self.groups.iter().find(|group| group.role == role)
    }

    /// The questions of the held-out sentences, in the order of their group; none in the *icl* data.
    pub fn held_out_group(&self) -> Option<&Group> {
        self.groups.iter().find(|group| group.role.is_held_out())
    }

    /// The trained and the held-out direction of pairs trained in one direction.
    pub fn seen_and_unseen(&self) -> Option<[&Group; 2]> {
        Some([self.group_of(Role::Seen)?, self.group_of(Role::Unseen)?])
    }

    /// A → B, B → C and A ⇝ C of chains of two steps: of those trained whole, or of those of which
    /// A ⇝ C is held out.
    pub fn chains(&self, whole: bool) -> Option<[&Group; 3]> {
        let [first, second, indirect] =
            Step::ALL.map(|step| self.group_of(Role::Chain { whole, step }));
        Some([first?, second?, indirect?])
    }

    /// The trained questions about held-out pairs and about held-out chains of two steps.
    pub fn trained_of_held_out(&self) -> impl Iterator<Item = &Group> {
        let link = |step| Role::Chain { whole: false, step };
        let roles = [Role::Seen, link(Step::First), link(Step::Second)];
        roles.into_iter().filter_map(|role| self.group_of(role))
    }

    /// The held-out sentences as questions, in the order of the
    /// [`held_out_group`](Self::held_out_group).
    pub fn held_out_questions(&self) -> Vec<Question> {
        if let Some(group) = self.held_out_group() {
            return group.queries.iter().map(Query::question).collect();
        }
        // In context, the answer is x.
        let cut = |sentence: &Vec<Token>| {
            let (context, answer) = sentence.split_at(sentence.len() - self.entity_length);
            let (context, answer) = (context.to_vec(), answer.to_vec());
            Question { context, answer, answer_type: EntityType::X }
        };
        self.held_out.iter().map(cut).collect()
    }

    /// The entities that answer some question, by type; where there are no groups, all entities that
    /// end a sentence, as type X.
    pub fn entities(&self) -> BTreeMap<EntityType, BTreeSet<Entity>> {
        let mut entities: BTreeMap<EntityType, BTreeSet<Entity>> = BTreeMap::new();
        for query in self.groups.iter().flat_map(|group| &group.queries) {
            entities.entry(query.answer_type).or_default().insert(query.answer.clone());
        }
        if self.groups.is_empty() {
            let last = |(_, s): (Split, &[Token])| s[s.len() - self.entity_length..].to_vec();
            entities.insert(EntityType::X, self.sentences().map(last).collect());
        }
        entities
    }

    /// The tokens of all entities in sentences: by the type of their entities (the first type, if of
    /// several; all one type where there are no groups), then by number.
    pub fn entity_tokens(&self) -> Vec<Token> {
        let mut types = BTreeMap::new();
        for query in self.groups.iter().flat_map(|group| &group.queries) {
            for &token in &query.answer {
                let first = types.entry(token).or_insert(query.answer_type);
                *first = query.answer_type.min(*first);
            }
        }
        let in_sentences = self.sentences().flat_map(|(_, sentence)| sentence);
        for &token in in_sentences.filter(|token| **token as usize >= self.reserved) {
            // An entity that is no answer begins a chain.
            types.entry(token).or_insert(EntityType::X);
        }
        let mut tokens: Vec<Token> = types.keys().copied().collect();
        tokens.sort_by_key(|token| types[token]);
        tokens
    }

    /// All sentences, those to train on first.
    pub fn sentences(&self) -> impl Iterator<Item = (Split, &[Token])> {
        let train = self.train.iter().map(|sentence| (Split::Train, sentence.as_slice()));
        let held_out = self.held_out.iter().map(|sentence| (Split::HeldOut, sentence.as_slice()));
        train.chain(held_out)
    }

    /// Writes one JSON object per line, `{"split":"train","tokens":[247,0,303]}`, without spaces. The
    /// writer should be buffered: it gets many small pieces.
    ///
    /// # Errors
    /// The errors of `out`.
    pub fn write_jsonl(&self, out: &mut impl io::Write) -> io::Result<()> {
        for (split, tokens) in self.sentences() {
            write!(out, r#"{{"split":"{}","tokens":["#, split.label())?;
            for (place, token) in tokens.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                write!(out, "{comma}{token}")?;
            }
            writeln!(out, "]}}")?;
        }
        Ok(())
    }
}
