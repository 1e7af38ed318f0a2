//! A fact, and its two directions.

use serde::Serialize;

/// A fact: a line of a file of facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// Its line in the file, counted from 1; the row of a Parquet file.
    pub line: usize,
    /// The entity that a forward question is about.
    pub subject: String,
    /// The relation from the subject to the object.
    pub relation: String,
    /// The answer of a forward question.
    pub object: String,
    /// The directions that are trained; `None` where the split is drawn.
    pub trained: Option<Trained>,
    /// Facts of one group are drawn to the same side of the split.
    pub group: Option<String>,
    /// Its weight in training: above 0, 1 unless given.
    pub weight: f64,
}

impl Fact {
    /// The entity that a question of this direction is about.
    pub fn source(&self, direction: Direction) -> &str {
        match direction {
            Direction::Forward => &self.subject,
            Direction::Reverse => &self.object,
        }
    }

    /// The answer of that question.
    pub fn answer(&self, direction: Direction) -> &str {
        self.source(direction.other())
    }
}

/// The direction in which a fact is stated or asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the subject to the object.
    Forward,
    /// From the object to the subject.
    Reverse,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Forward, Self::Reverse];

    /// The opposite direction.
    pub fn other(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }

    /// `forward` or `reverse`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

/// The directions of a fact that are trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trained {
    /// Both.
    Both,
    /// This one; the other is held out.
    Only(Direction),
}

impl Trained {
    /// The words of the column `split`.
    pub const WORDS: &'static str = "both, forward, reverse or empty";

    /// The value of the column `split`.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "both" => Some(Self::Both),
            "forward" => Some(Self::Only(Direction::Forward)),
            "reverse" => Some(Self::Only(Direction::Reverse)),
            _ => None,
        }
    }

    /// Whether a direction is trained.
    pub fn includes(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::Only(only) => only == direction,
        }
    }

    /// The same of a fact whose subject and object are exchanged.
    pub fn swapped(self) -> Self {
        match self {
            Self::Both => Self::Both,
            Self::Only(direction) => Self::Only(direction.other()),
        }
    }
}

/// One direction of one fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Directed {
    /// The index of the fact in its file.
    pub fact: usize,
    /// The direction.
    pub direction: Direction,
}
