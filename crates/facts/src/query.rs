//! Questions about entities.

/// A number below [`Dataset::vocab`](crate::Dataset::vocab).
pub type Token = u32;

/// The tokens that together name one thing.
pub type Entity = Vec<Token>;

/// The type of an entity. Entities of different types share no token, except in the *related* data,
/// where only the first token differs by type. In a chain A → B → C the types X, Y, Z are those of
/// A, B, C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntityType {
    /// Left entities of a forward sentence; A of a chain.
    X,
    /// Right entities of a forward sentence; B of a chain.
    Y,
    /// C of a chain.
    Z,
}

/// One question with its answer: `source relation` → `answer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// The entity that the question is about.
    pub source: Entity,
    /// The relation token that follows it.
    pub relation: Token,
    /// The right answer.
    pub answer: Entity,
    /// The type of `answer`.
    pub answer_type: EntityType,
}

impl Query {
    /// The query with its answer.
    pub fn sentence(&self) -> Vec<Token> {
        [self.source.as_slice(), &[self.relation], &self.answer].concat()
    }

    /// The query as a context for a model: the relation follows the source.
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
    /// The right answer.
    pub answer: Entity,
    /// The type of `answer`.
    pub answer_type: EntityType,
}
