//! The runs that the report draws, stored below the output folder.

use std::path::Path;

use rayon::prelude::*;
use retrodict_lab::Experiment;
use retrodict_lab::spec::{Spec, ready};
use retrodict_lab::store::StoreError;

use super::{TransferConfig, TransferError, TransferResult, simulate};
use crate::{TheoryError, stored};

/// The folder of these results below `theory/`.
const MODEL: &str = "transfer";
/// The most seeds that are trained: every seed compares many sentences, and differs little from the
/// others.
const MOST_SEEDS: u32 = 3;

/// One of the runs.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its file's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// The experiment that is trained.
    pub experiment: Experiment,
    /// The settings of the measurement, but for the seed.
    pub config: TransferConfig,
}

/// A case with its results, by seed from 0.
pub type Made = (Case, Vec<TransferResult>);

/// Pairs with a free head in two depths and with a tied head, the latter also as the optimiser
/// weighs it; chains; then linearised windows over depth.
///
/// # Errors
/// [`TransferError`] if the program's own specs are wrong.
pub fn cases() -> Result<Vec<Case>, TransferError> {
    let case =
        |name: &'static str, title, spec: &str, set: &[(&str, &str)], config: &TransferConfig| {
            let experiment = Experiment::new(Spec::parse_with(ready(spec)?, spec, set)?, spec)?;
            Ok::<Case, TransferError>(Case { name, title, experiment, config: config.clone() })
        };
    let pairs = |name, title, set: &[_], config| case(name, title, "reversal-quick", set, config);
    let plain = &TransferConfig::default();
    let weighed = &TransferConfig { preconditioned: true, ..plain.clone() };
    let (shallow, deep) = (("model.layers", "1"), ("model.layers", "4"));
    let tied = &[shallow, ("model.tie_head", "true")];
    let mut all = vec![
        pairs("reversal", "pairs, 1 layer", &[shallow], plain)?,
        pairs("reversal-4", "pairs, 4 layers", &[deep], plain)?,
        pairs("reversal-tied", "pairs, 1 layer, tied head", tied, plain)?,
        pairs("reversal-tied-adamw", "pairs, tied, AdamW's view", tied, weighed)?,
        case("chain", "chains, 2 layers", "chain-quick", &[], plain)?,
    ];
    let at = Some(vec![1, 10, 30, 100, 300]);
    let window = &TransferConfig { at, window: Some(64), ..plain.clone() };
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
    for (name, title, layers) in [("window-1", "1 layer", "1"), ("window-4", "4 layers", "4")] {
        all.push(pairs(name, title, &small(layers), window)?);
    }
    Ok(all)
}

/// Makes the results that are missing below `out`, of so many seeds but at most three, calling
/// `progress` after each, and returns all.
///
/// # Errors
/// [`TheoryError`] where one cannot be made, written or read.
pub fn reproduce(
    out: &Path,
    seeds: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<Vec<Made>, TheoryError> {
    let one = |case: &Case, seed: u32| {
        let config = TransferConfig { seed, ..case.config.clone() };
        let wanted = |kept: &TransferResult| is_of(case, &config, kept);
        let make = || simulate(&case.experiment, &config, &mut |_| ());
        let result = stored::kept_or_made(out, MODEL, &name(case, seed), wanted, make)?;
        progress();
        Ok(result)
    };
    let all = |case: Case| {
        let results: Result<_, TheoryError> =
            (0..seeds.min(MOST_SEEDS)).into_par_iter().map(|seed| one(&case, seed)).collect();
        Ok((case, results?))
    };
    cases()?.into_iter().map(all).collect()
}

/// Reads the results below `out` without training: of each case the seeds from 0 on.
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
