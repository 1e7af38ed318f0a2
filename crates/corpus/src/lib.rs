//! Your own facts: files of facts, phrasings for them, training text made of both, and a search
//! for sentences that state what is held out.
//!
//! ```
//! use retrodict_corpus::{FactFile, Templates};
//!
//! let facts = FactFile::parse("facts.csv", b"subject,relation,object\nFrance,capital,Paris\n")?;
//! let templates = "[capital]\n\
//!     forward = [\"The capital of {subject} is {object}.\"]\n\
//!     reverse = [\"{object} is the capital of {subject}.\"]";
//! let templates = Templates::parse("templates.toml", templates)?;
//! assert_eq!(facts.facts[0].object, "Paris");
//! let sentence = templates.get("capital").unwrap().forward[0].sentence("France", "Paris");
//! assert_eq!(sentence.text(), "The capital of France is Paris.");
//! # Ok::<(), retrodict_corpus::CorpusError>(())
//! ```

pub mod augment;
mod check;
mod error;
mod fact;
mod file;
mod ids;
mod invent;
pub mod leak;
mod matcher;
mod pairs;
mod questions;
mod read;
mod sentence;
mod templates;

pub use check::{Finding, Severity};
pub use error::CorpusError;
pub use fact::{Directed, Direction, Fact, Trained};
pub use file::FactFile;
pub use invent::{MOST_INVENTED, invented};
pub use pairs::{Pair, QuestionFiles};
pub use questions::{Question, questions};
pub use sentence::{Sentence, Unit};
pub use templates::{Phrasings, Template, Templates};
