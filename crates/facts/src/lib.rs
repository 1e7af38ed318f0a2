//! The data: vocabularies, sentences, splits.
//!
//! The four data sets of *Towards a Theoretical Understanding of the 'Reversal Curse' via Training
//! Dynamics* (Zhu et al., NeurIPS 2024), drawn with NumPy's legacy generator so that every token
//! equals the authors'; five more, harder or nearer to language; facts from a file; and
//! [recipes](recipe) that change the training sentences.
//!
//! ```
//! use retrodict_facts::{DataKind as _, ReversalConfig};
//!
//! let dataset = ReversalConfig::default().generate(1234)?;
//! assert_eq!(dataset.train[0], [247, 0, 303]);
//! assert_eq!((dataset.train.len(), dataset.held_out.len()), (340, 60));
//! # Ok::<(), retrodict_facts::FactsError>(())
//! ```

mod biographies;
mod chain;
mod config;
mod dataset;
mod error;
mod family;
mod file;
mod group;
mod hops;
mod icl;
mod kind;
mod limits;
mod numpy;
mod one_to_many;
mod query;
pub mod recipe;
mod related;
mod relations;
mod reversal;
mod table;
mod tuples;

pub use biographies::BiographiesConfig;
pub use chain::ChainConfig;
pub use config::DataConfig;
pub use dataset::{Dataset, Split};
pub use error::FactsError;
pub use family::FamilyConfig;
pub use file::{Content, FactsPath, FileConfig};
pub use group::{Group, Role, Step};
pub use hops::HopsConfig;
pub use icl::{HoldOut, IclConfig};
pub use kind::{DataKind, Structure};
pub use numpy::RandomState;
pub use one_to_many::OneToManyConfig;
pub use query::{Entity, EntityType, Query, Question, Token};
pub use recipe::{Recipe, RecipeError, Recipes, Sentence, TrainingSet, TrainingSetSize};
pub use related::RelatedConfig;
pub use relations::RelationsConfig;
pub use reversal::ReversalConfig;
pub use table::{FactTable, TableFact};
