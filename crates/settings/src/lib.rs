//! Keys of a spec, each declared once.
//!
//! A struct of settings is declared with [`settings!`]: each field is a key of a section, with its
//! type, default, range and one line of documentation. An enum declared with [`choice!`] is a key
//! whose value selects a struct of further settings. Reading, writing, hashing, documentation and
//! the refusal of keys that would have no effect all follow from these declarations.
//!
//! ```
//! use retrodict_settings::{NOT_NEGATIVE, POSITIVE, Reader, Settings, choice, settings};
//!
//! settings! {
//!     /// Gradient descent.
//!     pub struct Sgd in "train" {
//!         /// Momentum.
//!         pub momentum: f64 = 0.0, NOT_NEGATIVE;
//!     }
//! }
//!
//! settings! {
//!     /// Adam.
//!     pub struct Adam in "train" {}
//! }
//!
//! choice! {
//!     /// An optimizer.
//!     pub enum Optimizer: "train"."optimizer" = "adam" {
//!         /// Adam.
//!         Adam(Adam) = "adam",
//!         /// Gradient descent.
//!         Sgd(Sgd) = "sgd",
//!     }
//! }
//!
//! settings! {
//!     /// Training.
//!     pub struct Train in "train" {
//!         pub optimizer: Optimizer;
//!         /// Learning rate.
//!         pub lr: f64 = 0.001, POSITIVE;
//!     }
//! }
//!
//! assert_eq!(Train::default().lr, 0.001);
//! let keys: Vec<_> = retrodict_settings::keys_of::<Train>().iter().map(|key| key.path()).collect();
//! assert_eq!(keys, ["train.optimizer", "train.momentum", "train.lr"]);
//! ```

mod condition;
mod error;
mod key;
mod keyword;
mod macros;
mod nearest;
mod reader;
mod setting;
mod value;
mod writer;

pub use condition::Condition;
pub use error::{Located, Location, Problem, SpecError};
pub use key::{Key, keys_of, one_line, path};
pub use keyword::Keyword;
pub use nearest::{join, nearest};
pub use reader::{Entry, Place, Reader, is_section, section_hint};
#[doc(hidden)]
pub use reader::{describe, describe_choice};
#[doc(hidden)]
pub use setting::parse_keyword;
pub use setting::{
    BELOW_ONE, Bound, FINITE, FRACTION, NOT_NEGATIVE, Options, POSITIVE, PROPORTION, Refused,
    Setting,
};
pub use value::Value;
pub use writer::{Line, Writer};

/// Settings of an experiment: a struct whose fields are keys of a spec, or a choice among such.
pub trait Settings: Sized {
    /// Appends every key that may be read, those of variants that are not chosen included. `when`
    /// holds the conditions under which these settings are read at all.
    fn keys(when: &[Condition], out: &mut Vec<Key>);

    /// Takes the keys from `reader`; what is not given has its default. Problems are gathered by
    /// the reader.
    fn read(reader: &mut Reader) -> Self;

    /// Writes every key with its value.
    fn write(&self, out: &mut Writer);
}
