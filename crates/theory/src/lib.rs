//! The theory: the paper's bilinear model and one-layer transformer, simulated and checked against
//! their theorems, and the transfer between sentences in a decoder. One folder for each, with its
//! configuration, dynamics, closed form, study and verdict.

pub mod bilinear;
mod integrator;
mod matrix;
pub mod one_layer;
mod power_law;
mod stored;
mod threads;
pub mod transfer;

pub use threads::with_threads;

use clap::{Args, Command};
use retrodict_lab::store::StoreError;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A study that could not be made or stored.
#[derive(Debug, Error)]
pub enum TheoryError {
    /// The bilinear model could not be simulated.
    #[error(transparent)]
    Bilinear(#[from] bilinear::BilinearError),
    /// The one-layer transformer could not be simulated.
    #[error(transparent)]
    OneLayer(#[from] one_layer::OneLayerError),
    /// Transfer could not be measured.
    #[error(transparent)]
    Transfer(#[from] transfer::TransferError),
    /// The result could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A configuration as the command line gives it where no option is typed.
fn defaults<A: Args>() -> A {
    let parsed = A::augment_args(Command::new("defaults")).get_matches_from(["defaults"]);
    A::from_arg_matches(&parsed)
        .unwrap_or_else(|error| panic!("every option has a default: {error}"))
}

/// An option's whole number. (clap's own message would name 2⁶⁴ − 1 as the largest.)
fn whole_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a whole number, or far too large".to_owned())
}

/// A theorem's bound and the measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Theorem {
    /// The id, such as `theorem-1`.
    pub id: String,
    /// The bounded quantity, in words.
    pub claim: String,
    /// The result that would refute the claim, in a sentence.
    pub refuted_by: String,
    /// The relation of the measured value to the bound: `<=` or `>=`.
    pub comparator: String,
    /// The bound.
    pub bound: f64,
    /// The measured value; `None` where there is nothing to measure.
    pub measured: Option<f64>,
    /// Whether the bound holds; `None` where nothing was measured.
    pub holds: Option<bool>,
}

impl Theorem {
    /// "At most `bound`."
    pub fn at_most(
        id: &str,
        claim: &str,
        refuted_by: &str,
        bound: f64,
        measured: Option<f64>,
    ) -> Theorem {
        Theorem {
            id: id.to_owned(),
            claim: claim.to_owned(),
            refuted_by: refuted_by.to_owned(),
            comparator: "<=".to_owned(),
            bound,
            measured,
            holds: measured.map(|measured| measured <= bound),
        }
    }

    /// "At least `bound`."
    pub fn at_least(
        id: &str,
        claim: &str,
        refuted_by: &str,
        bound: f64,
        measured: Option<f64>,
    ) -> Theorem {
        let theorem = Theorem::at_most(id, claim, refuted_by, bound, measured);
        let holds = measured.map(|measured| measured >= bound);
        Theorem { comparator: ">=".to_owned(), holds, ..theorem }
    }
}
