//! The runs that the report draws, kept below the output folder.

use std::path::Path;

use rayon::prelude::*;

use super::{SimulationError, TransferConfig, TransferResult, simulate};
use crate::experiment::{Experiment, ExperimentError};
use crate::spec::{Spec, SpecError, ready};
use crate::store::StoreError;
use crate::theory::{ReproduceError, stored};

/// The folder of these results below `theory/`.
const MODEL: &str = "transfer";

/// One of the runs.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its file's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What is trained.
    pub experiment: Experiment,
    /// What is measured, but for the seed.
    pub config: TransferConfig,
}

/// A case with what it gave, by seed from 0.
pub type Made = (Case, Vec<TransferResult>);

/// A ready spec that does not read.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// It cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// It failed.
    #[error(transparent)]
    Simulation(#[from] SimulationError),
    /// There is none of that name.
    #[error(transparent)]
    Unknown(#[from] crate::spec::UnknownReady),
}

/// Pairs with a free head in two depths and with a tied head, the latter also as the optimiser
/// weighs it; chains; then linearised windows over depth.
///
/// # Errors
/// [`CaseError`] if the program's own specs are wrong.
pub fn cases() -> Result<Vec<Case>, CaseError> {
    let case = |name, title, spec: &str, set: &[(&str, &str)], config: TransferConfig| {
        let experiment = Experiment::new(Spec::parse_with(ready(spec)?, spec, set)?, spec)?;
        Ok::<Case, CaseError>(Case { name, title, experiment, config })
    };
    let plain = TransferConfig::default();
    let weighed = TransferConfig { preconditioned: true, ..plain.clone() };
    let mut all = vec![
        case(
            "reversal",
            "pairs, 1 layer",
            "reversal-quick",
            &[("model.layers", "1")],
            plain.clone(),
        )?,
        case(
            "reversal-4",
            "pairs, 4 layers",
            "reversal-quick",
            &[("model.layers", "4")],
            plain.clone(),
        )?,
        case(
            "reversal-tied",
            "pairs, 1 layer, tied head",
            "reversal-quick",
            &[("model.layers", "1"), ("model.tie_head", "true")],
            plain.clone(),
        )?,
        case(
            "reversal-tied-adamw",
            "pairs, tied, AdamW's view",
            "reversal-quick",
            &[("model.layers", "1"), ("model.tie_head", "true")],
            weighed,
        )?,
        case("chain", "chains, 2 layers", "chain-quick", &[], plain)?,
    ];
    let window = |steps| TransferConfig {
        at: Some(vec![1, 10, 30, 100, 300]),
        window: Some(steps),
        ..TransferConfig::default()
    };
    let small = |layers| {
        [
            ("model.layers", layers),
            ("data.vocab_size", "24"),
            ("model.dim", "32"),
            ("model.dropout", "0"),
            ("train.batch_size", "\"full\""),
            ("train.epochs", "364"),
        ]
    };
    for (name, title, layers) in
        [("window-1", "1 layer", "1"), ("window-2", "2 layers", "2"), ("window-4", "4 layers", "4")]
    {
        all.push(case(name, title, "reversal-quick", &small(layers), window(64))?);
    }
    Ok(all)
}

/// Makes the results of so many seeds that are missing below `out`, telling `progress` of each,
/// and returns all.
///
/// # Errors
/// [`ReproduceError`] where one cannot be made, written or read.
pub fn reproduce(
    out: &Path,
    seeds: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Made>, ReproduceError> {
    let one = |case: &Case, seed: u32| {
        let config = TransferConfig { seed: u64::from(seed), ..case.config.clone() };
        let wanted = |kept: &TransferResult| is_of(case, &config, kept);
        let make =
            || simulate(&case.experiment, &config, &mut |_| ()).map_err(CaseError::Simulation);
        let result = stored::kept_or_made(out, MODEL, &name(case, seed), wanted, make)?;
        progress();
        Ok(result)
    };
    let all = |case: Case| {
        let results: Result<_, ReproduceError> =
            (0..seeds).into_par_iter().map(|seed| one(&case, seed)).collect();
        Ok((case, results?))
    };
    cases()?.into_iter().map(all).collect()
}

/// The results that lie below `out`, training nothing: of each case the seeds from 0 on.
///
/// # Errors
/// [`StoreError`] for a file that cannot be read.
pub fn stored(out: &Path) -> Result<Vec<Made>, StoreError> {
    let all = |case: Case| -> Result<Made, StoreError> {
        let mut results = Vec::new();
        for seed in 0.. {
            let config = TransferConfig { seed, ..case.config.clone() };
            let result = stored::read::<TransferResult>(out, MODEL, &name(&case, seed))?;
            let Some(result) = result.filter(|result| is_of(&case, &config, result)) else { break };
            results.push(result);
        }
        Ok((case, results))
    };
    // The program's own specs are tested to be right.
    let cases = cases().unwrap_or_default().into_iter();
    let all = cases.map(all).collect::<Result<Vec<Made>, StoreError>>()?;
    Ok(all.into_iter().filter(|(_, results)| !results.is_empty()).collect())
}

fn name(case: &Case, seed: impl std::fmt::Display) -> String {
    format!("{}-seed-{seed}", case.name)
}

fn is_of(case: &Case, config: &TransferConfig, result: &TransferResult) -> bool {
    result.config == *config && result.spec == case.experiment.spec.to_toml()
}
