//! Causal evidence of a trained decoder: a logit lens behind each block, activation patching
//! between runs, and what each head and MLP adds to an answer.

mod measure;
mod questions;

use retrodict_engine::Parameter;
use retrodict_facts::{Dataset, FactsError};
use retrodict_models::{NotADecoder, Trainer};
use serde::Serialize;
use thiserror::Error;

use crate::experiment::Experiment;
use crate::run::{Stored, numbers};
use crate::spec::Precision;
use crate::store::{Checkpoint, Store, StoreError};
use measure::{attribution, lens, patching};
use questions::{asked, pairs};

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocateResult {
    /// The experiment.
    pub experiment: String,
    /// The hash of its spec.
    pub hash: String,
    /// The run's seed.
    pub seed: u64,
    /// Steps that the model was trained.
    pub step: u64,
    /// The measurements.
    #[serde(flatten)]
    pub located: Located,
}

/// Measurements in one trained model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Located {
    /// The places of the residual stream: the embeddings, then behind each block.
    pub places: Vec<String>,
    /// The logit lens, by group of questions.
    pub lens: Vec<Lens>,
    /// The patches, by kind of pair.
    pub patching: Vec<Patching>,
    /// The parts of the model that write into the stream, in order, and at last the norm's bias.
    pub parts: Vec<String>,
    /// The contribution of each to the margin, by group; none where the design knows no such sum.
    pub attribution: Vec<GroupAttribution>,
    /// Measurements that were not possible, in words.
    pub warnings: Vec<String>,
}

/// The logit lens on one group of questions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lens {
    /// The group's name in files.
    pub id: String,
    /// The group's name for people.
    pub name: String,
    /// Its questions.
    pub questions: usize,
    /// The candidates of a question, on average; chance ranks at (n + 1)/2.
    pub candidates: f64,
    /// Place by place.
    pub places: Vec<LensPoint>,
}

/// The head's reading of the stream at a place, a mean over questions. Of an answer of several
/// tokens it is the first that tells it from others of its type.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LensPoint {
    /// NLL of the right answer in the whole vocabulary.
    pub nll: f64,
    /// Its rank among the candidates, 1 the best.
    pub rank: f64,
    /// The same from 0 (first) to 1 (last), so that groups can be compared; chance is ½.
    pub relative_rank: Option<f64>,
    /// Its logit over the mean of the other candidates'.
    pub margin: Option<f64>,
}

/// Patches between pairs of runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Patching {
    /// The kind of pair, for files.
    pub id: String,
    /// The kind of pair, for people.
    pub title: String,
    /// How many there were.
    pub pairs: usize,
    /// The margin of the clean run's answer in the clean run, on average.
    pub clean_margin: f64,
    /// The same answer's margin in the corrupted run.
    pub corrupted_margin: f64,
    /// The token at each position.
    pub positions: Vec<String>,
    /// The recovered share `[place][position]`; 1 where the patch brings all of the answer.
    pub recovered: Vec<Vec<Option<f64>>>,
}

/// The contributions of the parts to the margin of a group's answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupAttribution {
    /// The group's name in files.
    pub id: String,
    /// The group's name for people.
    pub name: String,
    /// Its questions.
    pub questions: usize,
    /// The margin, on average: the sum of the parts.
    pub margin: f64,
    /// Part by part, on average.
    pub parts: Vec<f64>,
    /// The heads' shares of the parts that are a block's attention, `[block][head]`; empty where
    /// heads are parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heads: Vec<Vec<f64>>,
}

/// Why there is no result.
#[derive(Debug, Error)]
pub enum LocateError {
    /// No residual stream.
    #[error(transparent)]
    NotADecoder(#[from] NotADecoder),
    /// No questions.
    #[error(
        "data.kind has no groups of questions to ask: reversal, chain, related, relations, family, \
         hops, biographies, one-to-many and file have"
    )]
    NoGroups,
    /// The trained model would be thrown away.
    #[error("checkpoint.last is false, but the trained model is looked into: true would do")]
    NotKept,
    /// The trained model is not there.
    #[error(
        "{folder} is complete, but has no checkpoint of its last step {last}: it was trained with \
         checkpoint.last = false; delete the folder, and it is trained again"
    )]
    NoCheckpoint {
        /// The run.
        folder: String,
        /// The step.
        last: u64,
    },
    /// No such sentences.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Refuses what cannot be looked into, before anything is trained.
///
/// # Errors
/// [`LocateError`] says what would be right.
pub fn check(experiment: &Experiment, seed: u64) -> Result<(), LocateError> {
    if !matches!(experiment.network, retrodict_models::Network::Decoder(_)) {
        return Err(NotADecoder.into());
    }
    if !experiment.spec.checkpoint.last {
        return Err(LocateError::NotKept);
    }
    if experiment.dataset(seed)?.groups.iter().all(|group| group.queries.is_empty()) {
        return Err(LocateError::NoGroups);
    }
    Ok(())
}

/// Looks into the trained model of a run that is complete.
///
/// # Errors
/// [`LocateError`] if it cannot be looked into or read.
pub fn locate(
    experiment: &Experiment,
    store: &Store,
    seed: u64,
    threads: usize,
) -> Result<LocateResult, LocateError> {
    check(experiment, seed)?;
    let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
    let last = folder.read_manifest()?.last_step;
    let checkpoint = folder.newest_checkpoint()?.filter(|found| found.state.step == last);
    let checkpoint = checkpoint.ok_or_else(|| LocateError::NoCheckpoint {
        folder: folder.path().display().to_string(),
        last,
    })?;
    let dataset = experiment.dataset(seed)?;
    match experiment.spec.precision {
        Precision::F32 | Precision::Bf16 => {
            let mut trainer = experiment.trainer::<f32>(seed, &dataset, threads);
            look(experiment, seed, &dataset, &checkpoint, &mut trainer)
        }
        Precision::F64 => {
            let mut trainer = experiment.trainer::<f64>(seed, &dataset, threads);
            look(experiment, seed, &dataset, &checkpoint, &mut trainer)
        }
    }
}

fn look<T: Stored>(
    experiment: &Experiment,
    seed: u64,
    dataset: &Dataset,
    checkpoint: &Checkpoint,
    trainer: &mut Trainer<T>,
) -> Result<LocateResult, LocateError> {
    restore(trainer, checkpoint)?;
    let blocks = trainer.decoder()?.layers;
    let mut result = Located { places: places(blocks), ..Located::default() };
    for group in dataset.groups.iter().filter(|group| !group.queries.is_empty()) {
        let questions = asked(group);
        let (id, name) = (group.id().to_owned(), group.name().to_owned());
        result.lens.push(lens(trainer, id.clone(), name.clone(), &questions)?);
        match attribution(trainer, &questions) {
            Ok(Some((parts, sums))) => {
                result.parts = parts;
                let (margin, questions) = (sums.iter().sum(), questions.len());
                result.attribution.push(GroupAttribution {
                    id,
                    name,
                    questions,
                    margin,
                    parts: sums,
                    heads: Vec::new(),
                });
            }
            Ok(None) => {}
            Err(error) => result.warnings = vec![format!("no attribution: {error}")],
        }
    }
    for pairs in pairs(dataset) {
        result.patching.push(patching(trainer, &pairs)?);
    }
    Ok(LocateResult {
        experiment: experiment.spec.name.clone(),
        hash: experiment.hash.to_string(),
        seed,
        step: checkpoint.state.step,
        located: result,
    })
}

/// The names of the places of the residual stream of a model of so many blocks.
pub fn places(blocks: usize) -> Vec<String> {
    let after = (1..=blocks).map(|block| format!("block {block}"));
    ["embeddings".to_owned()].into_iter().chain(after).collect()
}

/// The model's numbers, as a checkpoint has them.
fn restore<T: Stored>(trainer: &mut Trainer<T>, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let parameters: Vec<Parameter> = trainer.parameters().iter().map(|(p, _)| p.clone()).collect();
    for (i, p) in parameters.iter().enumerate() {
        let saved = checkpoint.model.get(&p.name, &p.shape())?;
        let saved: &[T] = numbers(saved, checkpoint)?;
        trainer.parameters_mut().values_mut(i).copy_from_slice(saved);
    }
    Ok(())
}
