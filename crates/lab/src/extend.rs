//! Starts a run from a finished one with fewer epochs. At a constant learning rate, training does
//! not depend on the number of epochs, so the shorter run is the start of the longer one, bit for
//! bit.

use retrodict_models::LrDecay;

use crate::experiment::{Experiment, Steps};
use crate::probe::EFFECTIVE_WEIGHTS;
use crate::spec::Spec;
use crate::store::{Manifest, RunDir, RunWriter, Store, StoreError};

/// Copies into `run`, which has no checkpoint yet, the longest finished run that its spec extends,
/// and records that run's hash in `manifest`. Copies nothing where there is none. The checkpoints
/// come last: a run killed while copying resumes from what is there.
pub(crate) fn extend(
    experiment: &Experiment,
    store: &Store,
    run: &RunWriter,
    steps: Steps,
    manifest: &mut Manifest,
) -> Result<(), StoreError> {
    if experiment.spec.train.schedule != LrDecay::Constant {
        return Ok(());
    }
    let mut shorter: Vec<(u64, RunDir)> = Vec::new();
    for other in store.runs_with_seed(&run.experiment, run.seed)? {
        let epochs = finished_epochs(&other, steps, manifest);
        let fewer = epochs.filter(|epochs| (1..experiment.spec.train.epochs).contains(epochs));
        if let Some(epochs) = fewer.filter(|&epochs| with_epochs(experiment, epochs) == other.hash)
        {
            shorter.push((epochs, other));
        }
    }
    shorter.sort_by_key(|(epochs, _)| *epochs);
    while let Some((epochs, other)) = shorter.pop() {
        match copy(experiment, &other, run, epochs, steps, manifest) {
            Ok(true) => return Ok(()),
            // It lacks a checkpoint that this run needs, or one of its files is damaged.
            Ok(false) | Err(StoreError::Damaged { .. }) => {}
            Err(other) => return Err(other),
        }
    }
    manifest.continued_from = None;
    Ok(())
}

/// The epochs of a finished run that this program would repeat bit for bit.
fn finished_epochs(run: &RunDir, steps: Steps, own: &Manifest) -> Option<u64> {
    let manifest = run.is_complete().then(|| run.read_manifest().ok()).flatten()?;
    let same = manifest.version == own.version
        && manifest.commit == own.commit
        && manifest.machine.isa == own.machine.isa
        && manifest.parts.is_empty();
    same.then(|| manifest.last_step / steps.per_epoch)
}

fn with_epochs(experiment: &Experiment, epochs: u64) -> crate::spec::SpecHash {
    let mut spec: Spec = experiment.spec.clone();
    spec.train.epochs = epochs;
    spec.hash()
}

fn copy(
    experiment: &Experiment,
    from: &RunDir,
    to: &RunWriter,
    epochs: u64,
    steps: Steps,
    manifest: &mut Manifest,
) -> Result<bool, StoreError> {
    let spec = &experiment.spec;
    let last = epochs * steps.per_epoch;
    let mut wanted: Vec<u64> = spec.checkpoint.at.to_vec();
    if let Some(every) = spec.checkpoint.every {
        wanted.extend((1..=epochs / every).map(|n| n * every * steps.per_epoch));
    }
    wanted.retain(|step| *step < last);
    wanted.push(last);
    wanted.sort_unstable();
    wanted.dedup();
    let kept = from.checkpoint_steps()?;
    if !wanted.iter().all(|step| kept.contains(step)) {
        return Ok(false);
    }
    let mut rows = from.read_metrics(epochs)?;
    // Damage must be found before anything is written.
    let newest = from.read_checkpoint(last)?;
    manifest.continued_from = Some(from.hash.to_string());
    to.write_spec(&spec.to_toml())?;
    to.write_manifest(manifest)?;
    // The shorter run also has a probe after its last epoch, which this run may not have.
    if let Some(last) = rows.last_mut().filter(|last| !experiment.probes_after(last.epoch)) {
        last.without_probes(experiment.objective.entity_length);
    }
    to.write_metrics(&rows)?;
    for (epoch, _) in from.probes(EFFECTIVE_WEIGHTS)? {
        if epoch == 0 || experiment.probes_after(epoch) {
            let tensors = from.read_probe(EFFECTIVE_WEIGHTS, epoch)?;
            let tensors: Vec<_> = tensors.iter().cloned().collect();
            to.write_probe(EFFECTIVE_WEIGHTS, epoch, &tensors)?;
        }
    }
    wanted.pop();
    for step in wanted {
        to.copy_checkpoint(&experiment.network, spec.precision, from.read_checkpoint(step)?)?;
    }
    to.copy_checkpoint(&experiment.network, spec.precision, newest)?;
    Ok(true)
}
