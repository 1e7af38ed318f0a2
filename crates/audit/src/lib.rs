//! Whether a language model knows facts in both directions, from the log probabilities that it gives
//! to answers. Nothing is trained.
//!
//! [`Plan`] lists the questions with their candidate answers; a [`Server`], a file or a model on this
//! machine fills [`Scores`], the last one also [`Generated`]; [`audit`] makes statistics of them.
//! [`Published`] results of single facts are summed up beside.

mod error;
mod generated;
mod plan;
mod published;
mod result;
mod scores;
mod server;
mod statistics;
mod tls;

pub use error::AuditError;
pub use generated::{Generated, Question};
pub use plan::{Asked, Plan, Request};
pub use published::{Measure, Published, PublishedResult};
pub use result::{AuditResult, FactResult, Known, RelationResult, Verdict, audit};
pub use scores::{Record, Score, Scores};
pub use server::{Limits, Server};
pub use statistics::p_of_sign_flips;
