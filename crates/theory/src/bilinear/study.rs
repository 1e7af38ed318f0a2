//! The simulations that the report draws, stored below the output folder.

use std::path::Path;

use retrodict_lab::store::StoreError;

use super::sweep::{Sweep, SweepConfig, sweep};
use super::{BilinearConfig, BilinearResult, Embeddings, probability, simulate};
use crate::{Theorem, TheoryError, stored};

/// The folder of this model's results below `theory/`, and the sweep's name there.
const MODEL: &str = "bilinear";
const NAME: &str = "sweep";

/// One simulation whose effective weights the report draws over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    /// Its file's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its settings.
    pub config: BilinearConfig,
}

/// Few dimensions, many, and the limit of infinitely many, which orthonormal embeddings are.
pub fn examples() -> [Example; 3] {
    let few = BilinearConfig::default();
    let many = BilinearConfig { dim: 10_000, ..few };
    let limit = BilinearConfig { embeddings: Embeddings::Orthonormal, ..few };
    let example = |name, title, config| Example { name, title, config };
    [
        example("gaussian-100", "d = 100", few),
        example("gaussian-10000", "d = 10000", many),
        example("orthonormal", "orthonormal embeddings", limit),
    ]
}

/// The content of the report's section on the bilinear model.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Many draws.
    pub sweep: Sweep,
    /// One result for each of [`examples`].
    pub examples: Vec<(Example, BilinearResult)>,
}

impl Study {
    /// The claims of the theorems and of our law of ε, with the measured values.
    pub fn theorems(&self) -> Vec<Theorem> {
        let closed_form = |theorem: &&Theorem| theorem.id == "closed-form";
        let of_examples = self.examples.iter().flat_map(|(_, result)| &result.theorems);
        let closed_form = of_examples.filter(closed_form).cloned();
        probability::theorems(&self.sweep).into_iter().chain(closed_form).collect()
    }
}

/// Makes what is missing below `out`, and returns all. `progress` is called after each draw.
///
/// # Errors
/// [`TheoryError`] where something cannot be made or written.
pub fn reproduce(
    out: &Path,
    config: &SweepConfig,
    progress: &(dyn Fn() + Sync),
) -> Result<Study, TheoryError> {
    let wanted = |kept: &Sweep| kept.config == *config;
    let sweep = stored::kept_or_made(out, MODEL, NAME, wanted, || sweep(config, progress))?;
    let one = |example: Example| {
        let wanted = |kept: &BilinearResult| kept.config == example.config;
        let make = || simulate(&example.config, &mut |_| ());
        Ok((example, stored::kept_or_made(out, MODEL, example.name, wanted, make)?))
    };
    let examples = examples().into_iter().map(one).collect::<Result<_, TheoryError>>()?;
    Ok(Study { sweep, examples })
}

/// Reads the study below `out` without simulating; `None` if any of it is missing.
///
/// # Errors
/// [`StoreError`] for a file that cannot be read.
pub fn stored(out: &Path) -> Result<Option<Study>, StoreError> {
    let Some(sweep) = stored::read::<Sweep>(out, MODEL, NAME)? else { return Ok(None) };
    let mut all = Vec::new();
    for example in examples() {
        let kept = stored::read::<BilinearResult>(out, MODEL, example.name)?;
        let Some(kept) = kept.filter(|kept| kept.config == example.config) else { return Ok(None) };
        all.push((example, kept));
    }
    Ok(Some(Study { sweep, examples: all }))
}
