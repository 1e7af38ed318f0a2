//! What every data set is: sentences to train on, sentences held out, and the
//! groups of questions that its effective weights answer.

use std::collections::BTreeMap;
use std::io;

/// A number below [`Dataset::vocab`].
pub type Token = u32;

/// The tokens that together name one thing.
pub type Entity = Vec<Token>;

/// The type of an entity. Entities of different types share no token, but in
/// the *related* data, where only the first token tells the type. In a chain
/// A → B → C the types X, Y, Z are those of A, B, C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityType {
    /// Left entities of a forward sentence; A of a chain.
    X,
    /// Right entities of a forward sentence; B of a chain.
    Y,
    /// C of a chain.
    Z,
}

/// Which part of a data set a sentence belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Trained on.
    Train,
    /// Scored only.
    HeldOut,
}

impl Split {
    /// As the data files name it: `train` or `val`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::HeldOut => "val",
        }
    }
}

/// One question: `source relation` → `answer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The entity asked about.
    pub source: Entity,
    /// The relation token that follows it.
    pub relation: Token,
    /// The entity that is right.
    pub answer: Entity,
    /// The type of `answer`.
    pub answer_type: EntityType,
}

impl Query {
    /// The query with its answer.
    pub fn sentence(&self) -> Vec<Token> {
        [self.source.as_slice(), &[self.relation], &self.answer].concat()
    }

    /// The query as a model is asked it: the relation follows the source.
    pub fn question(&self) -> Question {
        Question {
            context: [self.source.as_slice(), &[self.relation]].concat(),
            answer: self.answer.clone(),
            answer_type: self.answer_type,
        }
    }
}

/// A sentence cut before its last entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The tokens before the answer.
    pub context: Vec<Token>,
    /// The entity that is right.
    pub answer: Entity,
    /// The type of `answer`.
    pub answer_type: EntityType,
}

/// Questions of one kind, a panel of an effective-weight figure: the queries are
/// its rows, their answers in the same order its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// A stable name for files, in snake case: `held_out_unseen`.
    pub id: &'static str,
    /// A name for people: `held-out, unseen direction`.
    pub name: &'static str,
    /// The questions; none where the data set has no such pairs.
    pub queries: Vec<Query>,
}

/// Sentences, each of which ends in the entity that is scored; of one length, but
/// in the *biographies*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The sentences to train on, in order; never empty.
    pub train: Vec<Vec<Token>>,
    /// The sentences to score only, in order; empty where everything is trained.
    pub held_out: Vec<Vec<Token>>,
    /// The size of the whole vocabulary, reserved tokens included. Uniform
    /// guessing has the NLL ln(`vocab`) a token.
    pub vocab: usize,
    /// How many tokens are reserved for relations: the first ones.
    pub reserved: usize,
    /// How many tokens the last entity of a sentence has.
    pub entity_length: usize,
    /// The panels of the paper's effective-weight figure, in its order.
    ///
    /// - *reversal*: `train_forward` (x → y), `train_backward` (y → x),
    ///   `held_out_seen`, `held_out_unseen`. In the last two, queries whose
    ///   answers have one type stand together, and the i-th query of the one is
    ///   the reverse of the i-th of the other.
    /// - *chain* and *related*: `train_a_to_b`, `train_b_to_c`, `train_a_to_c`,
    ///   `held_out_a_to_b`, `held_out_b_to_c`, `held_out_a_to_c`; the i-th
    ///   queries of the three of a kind belong to one chain.
    /// - *icl*: none.
    /// - *relations*: those of *reversal*, of all relations together, and before
    ///   the held-out ones `control_trained`, `control_unseen` and
    ///   `control_swapped`: the same questions as the unseen ones, with the answer
    ///   of a blind swap. No sentence says either.
    /// - *family*: `train_parent`, `train_child`, `train_children` (of a
    ///   grandparent, who has two), `train_sibling`, `train_grandparent`,
    ///   `held_out_composed` (unseen grandparents; no sentence says them),
    ///   `held_out_seen`, `held_out_unseen`.
    /// - *hops*: `train_direct`, `train_between`, `train_whole`, `held_out_direct`,
    ///   `held_out_between`, `held_out_whole`.
    /// - *biographies*: `train_questions`, `train_reverse_questions`,
    ///   `held_out_questions` (no sentence says them), `held_out_reverse_questions`.
    /// - *one-to-many*: those of *reversal*, and before the held-out ones
    ///   `forward_any`, one question of each x, to which several entities are
    ///   [right](Self::right_answers).
    ///
    /// The last group asks for the held-out sentences.
    pub groups: Vec<Group>,
    /// Relations that are each other's inverse; a symmetric one stands twice.
    pub inverses: Vec<[Token; 2]>,
}

impl Dataset {
    /// How many tokens the longest training sentence has; all have as many, but
    /// in the *biographies*.
    pub fn sentence_length(&self) -> usize {
        self.train.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// All entities that any sentence, trained or held out, answers the query
    /// with. There are several in the *one-to-many* data, and where a family's
    /// eldest is asked for a child.
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

    /// The relation that leads back from every answer of `relation`, if there is one.
    pub fn inverse(&self, relation: Token) -> Option<Token> {
        self.inverses.iter().find_map(|&[one, other]| {
            if one == relation { Some(other) } else { (other == relation).then_some(one) }
        })
    }

    /// The group of that [`Group::id`].
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    /// What the held-out sentences ask, those of the last group in its order.
    pub fn held_out_questions(&self) -> Vec<Question> {
        if let Some(group) = self.groups.last() {
            return group.queries.iter().map(Query::question).collect();
        }
        // In context, x is what is asked for.
        let cut = |sentence: &Vec<Token>| {
            let (context, answer) = sentence.split_at(sentence.len() - self.entity_length);
            let (context, answer) = (context.to_vec(), answer.to_vec());
            Question { context, answer, answer_type: EntityType::X }
        };
        self.held_out.iter().map(cut).collect()
    }

    /// The tokens of all entities that stand in a sentence: by the type of the
    /// entities that they are part of (the first type, if of several; all one
    /// type where there are no groups), then by number.
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
            // What is no answer anywhere is the beginning of chains.
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

    /// Writes a JSON object a line, `{"split":"train","tokens":[247,0,303]}`,
    /// without spaces. Hand over a buffered writer: many small pieces are written.
    ///
    /// # Errors
    /// What `out` fails with.
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
