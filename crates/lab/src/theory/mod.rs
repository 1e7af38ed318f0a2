//! The paper's two models of theory, simulated and held against their theorems, and the bridge from
//! them to the decoder: transfer. One folder each.

pub mod bilinear;
pub mod one_layer;
mod stored;
pub mod transfer;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::StoreError;

/// A simulation that could not be made or kept.
#[derive(Debug, Error)]
pub enum ReproduceError {
    /// The bilinear model could not be simulated.
    #[error(transparent)]
    Bilinear(#[from] bilinear::SimulationError),
    /// The one-layer transformer could not be simulated.
    #[error(transparent)]
    OneLayer(#[from] one_layer::SimulationError),
    /// Transfer could not be measured.
    #[error(transparent)]
    Transfer(#[from] transfer::CaseError),
    /// The result could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A theorem's bound beside what was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Theorem {
    /// Such as `theorem-1`.
    pub id: String,
    /// What is bounded, in words.
    pub claim: String,
    /// How the measured value has to stand to the bound: `<=` or `>=`.
    pub comparator: String,
    /// What the theorem promises.
    pub bound: f64,
    /// What came out; `None` where there is nothing to measure.
    pub measured: Option<f64>,
    /// Whether the promise was kept; `None` where nothing was measured.
    pub holds: Option<bool>,
}

impl Theorem {
    /// "At most `bound`."
    pub fn at_most(id: &str, claim: &str, bound: f64, measured: Option<f64>) -> Theorem {
        let holds = measured.map(|measured| measured <= bound);
        let (id, claim, comparator) = (id.to_owned(), claim.to_owned(), "<=".to_owned());
        Theorem { id, claim, comparator, bound, measured, holds }
    }

    /// "At least `bound`."
    pub fn at_least(id: &str, claim: &str, bound: f64, measured: Option<f64>) -> Theorem {
        let holds = measured.map(|measured| measured >= bound);
        let (id, claim, comparator) = (id.to_owned(), claim.to_owned(), ">=".to_owned());
        Theorem { id, claim, comparator, bound, measured, holds }
    }
}
