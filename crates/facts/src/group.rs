//! Groups of questions, and their roles in a data set.

use crate::query::{Query, Token};

/// Questions of one role, a panel of an effective-weight figure: the queries are its rows, their
/// answers in the same order its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The part that these questions play.
    pub role: Role,
    /// The questions; none where the data set has no such pairs.
    pub queries: Vec<Query>,
}

impl Group {
    /// A group of that role.
    pub fn new(role: Role, queries: Vec<Query>) -> Self {
        Self { role, queries }
    }

    /// A stable name for files, in snake case: `held_out_unseen`. No two groups of a data set share
    /// it.
    pub fn id(&self) -> &'static str {
        self.role.id()
    }

    /// A name for people: `held-out, unseen direction`.
    pub fn name(&self) -> &'static str {
        self.role.name()
    }
}

/// The part that a group of questions plays in a data set.
///
/// Roles that several kinds of data share, or that a measurement looks for, are variants without
/// texts; in the others a kind of data gives its group an [`id`](Role::id) and a
/// [`name`](Role::name).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// x → y of pairs trained in both directions.
    Forward,
    /// y → x of pairs trained in both directions.
    Backward,
    /// The trained direction of pairs trained in one; the i-th query is the reverse of the i-th
    /// unseen one.
    Seen,
    /// The other direction of these pairs: the held-out sentences.
    Unseen,
    /// One implication of chains A → B → C. The i-th queries of the three steps belong to one chain.
    Chain {
        /// Whether all three implications are trained; otherwise the indirect one is held out.
        whole: bool,
        /// The implication.
        step: Step,
    },
    /// Trained facts of two relations of which neither is the other's inverse.
    ControlTrained,
    /// Questions about these relations that no sentence answers.
    ControlUnseen,
    /// The unseen questions with the answers of a model that takes the relations for inverses.
    ControlSwapped,
    /// Other trained questions, about facts of which nothing is held out.
    Trained(&'static str, &'static str),
    /// Other trained questions, about facts of which something may be held out.
    TrainedInPart(&'static str, &'static str),
    /// Other questions that no sentence answers, trained or held out.
    Untrained(&'static str, &'static str),
    /// Other held-out sentences.
    HeldOut(&'static str, &'static str),
}

/// An implication of a chain A → B → C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A → B.
    First,
    /// B → C.
    Second,
    /// A ⇝ C.
    Indirect,
}

impl Step {
    /// Every step, in the order of the groups.
    pub const ALL: [Self; 3] = [Self::First, Self::Second, Self::Indirect];
}

impl Role {
    /// A stable name for files, in snake case.
    pub fn id(self) -> &'static str {
        self.words().0
    }

    /// A name for people.
    pub fn name(self) -> &'static str {
        self.words().1
    }

    /// The paper's notation; empty for questions that are not in the paper.
    pub fn sign(self) -> &'static str {
        self.words().2
    }

    /// Id, name and sign.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Forward => ("train_forward", "train x → y", "A_i → B_i"),
            Self::Backward => ("train_backward", "train y → x", "B_i ← A_i"),
            Self::Seen => ("held_out_seen", "held-out, seen direction", "A_i → B_i"),
            Self::Unseen => ("held_out_unseen", "held-out, unseen direction", "B_i ← A_i"),
            Self::Chain { whole: true, step } => match step {
                Step::First => ("train_a_to_b", "train A → B", "A_i → B_i"),
                Step::Second => ("train_b_to_c", "train B → C", "B_i → C_i"),
                Step::Indirect => ("train_a_to_c", "train A ⇝ C", "A_i ⇝ C_i"),
            },
            Self::Chain { whole: false, step } => match step {
                Step::First => ("held_out_a_to_b", "held-out A → B", "A_i → B_i"),
                Step::Second => ("held_out_b_to_c", "held-out B → C", "B_i → C_i"),
                Step::Indirect => ("held_out_a_to_c", "held-out A ⇝ C", "A_i ⇝ C_i"),
            },
            Self::ControlTrained => ("control_trained", "control, trained", ""),
            Self::ControlUnseen => ("control_unseen", "control, unseen", ""),
            Self::ControlSwapped => ("control_swapped", "control, swapped blindly", ""),
            Self::Trained(id, name)
            | Self::TrainedInPart(id, name)
            | Self::Untrained(id, name)
            | Self::HeldOut(id, name) => (id, name, ""),
        }
    }

    /// Whether the questions are those of the held-out sentences.
    pub fn is_held_out(self) -> bool {
        matches!(
            self,
            Self::Unseen | Self::Chain { whole: false, step: Step::Indirect } | Self::HeldOut(..)
        )
    }

    /// Whether training sentences answer the questions.
    pub fn is_trained(self) -> bool {
        let untrained =
            matches!(self, Self::ControlUnseen | Self::ControlSwapped | Self::Untrained(..));
        !untrained && !self.is_held_out()
    }

    /// Whether the questions are trained and nothing of the same facts is held out.
    pub fn is_trained_whole(self) -> bool {
        matches!(
            self,
            Self::Forward | Self::Backward | Self::Chain { whole: true, .. } | Self::Trained(..)
        )
    }
}

/// The sentences of the groups of some roles, in order.
pub(crate) fn sentences(groups: &[Group], of: fn(Role) -> bool) -> Vec<Vec<Token>> {
    let groups = groups.iter().filter(|group| of(group.role));
    groups.flat_map(|group| &group.queries).map(Query::sentence).collect()
}
