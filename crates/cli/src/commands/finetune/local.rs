//! Fine-tuning of a model on this machine.

use std::path::Path;
use std::sync::atomic::Ordering;

use retrodict_audit::Score;
use retrodict_finetune::{
    Condition, Learner, LearnerError, Phase, RunResult, Runs, Scored, Step, Study, Text, Tuning,
};
use retrodict_pretrained::{
    LogProbability, Lora, LrDecay, Model, PretrainedError, TrainingText, TuneOptions,
};

use super::refused;
use crate::args::FinetuneArgs;
use crate::commands::{Failure, language_model, stop_on_interrupt};
use crate::progress::Counter;

/// The weight decay of AdamW.
const WEIGHT_DECAY: f64 = 0.0;
/// Gradients are clipped to this norm.
const CLIP: f64 = 1.0;
/// The scale of adapters over their rank.
const ALPHA: f64 = 2.0;

/// The finished runs of a study: of the model as it is in its file, and of each condition those of
/// all seeds. What is missing is trained, all conditions of a seed before the next seed.
pub(super) fn trained(
    args: &FinetuneArgs,
    study: &Study<'_>,
    conditions: &[Condition],
) -> Result<Vec<Vec<RunResult>>, Failure> {
    let runs = Runs::open(&args.out).map_err(refused)?;
    let models = args.out.join("models");
    let folder =
        |condition: &Condition, seed: u32| models.join(format!("{}-{seed}", condition.file_stem()));
    // Every kept file is checked before anything is trained.
    let mut work: Vec<(Option<&Condition>, u32, Option<RunResult>)> =
        vec![(None, 0, runs.read(study.key(), None, 0).map_err(refused)?)];
    for seed in 0..args.seeds {
        for condition in conditions {
            let kept = runs.read(study.key(), Some(condition), seed).map_err(refused)?;
            let kept = kept.filter(|_| !args.save || folder(condition, seed).is_dir());
            work.push((Some(condition), seed, kept));
        }
    }
    if args.save {
        std::fs::create_dir_all(&models).map_err(|error| {
            Failure::Failed(format!("cannot make {}: {error}", models.display()))
        })?;
    }
    let (all, mut done) = (work.len(), work.iter().filter(|(.., kept)| kept.is_some()).count());
    if done > 0 && done < all {
        eprintln!("{done} of {all} runs are kept in {}", args.out.display());
    }
    let mut learner = None;
    let stop = stop_on_interrupt();
    for (condition, seed, kept) in work.iter_mut().filter(|(.., kept)| kept.is_none()) {
        // Opened once, and only where something is left to train.
        let opened = match learner.take() {
            Some(opened) => opened,
            None => Local(language_model::open(&args.model)?),
        };
        let learner = learner.insert(opened);
        let name = match condition {
            Some(condition) => format!("{} seed {seed}", condition.name()),
            None => "before training".to_owned(),
        };
        let mut shown: Option<(Phase, Counter)> = None;
        let mut go = |phase, done, of| {
            if shown.as_ref().is_none_or(|(last, _)| *last != phase) {
                let doing = match phase {
                    Phase::Training => "steps",
                    Phase::Measuring => "log probabilities",
                };
                shown = Some((phase, Counter::new(format!("{name}: {doing}"))));
            }
            shown.iter().for_each(|(_, counter)| counter.show(done, of));
            !stop.load(Ordering::Relaxed)
        };
        let result = match condition {
            Some(condition) => study.run(learner, condition, *seed, &mut go),
            None => study.before(learner, &mut go),
        };
        drop(shown);
        let result = result.map_err(refused)?;
        if let Some(condition) = condition.filter(|_| args.save) {
            learner.save(&folder(condition, *seed)).map_err(Failure::failed)?;
        }
        runs.write(&result, *condition).map_err(refused)?;
        done += 1;
        let share = |stated| {
            let of = result.answers.iter().filter(|a| a.stated == stated && !a.held_phrasing);
            let right = of.clone().filter(|answer| answer.right).count();
            format!("{right} of {}", of.count())
        };
        eprintln!(
            "{name}: {} right forward, {} in reverse, {:.0} s ({done} of {all})",
            share(true),
            share(false),
            result.train_seconds + result.measure_seconds,
        );
        *kept = Some(result);
    }
    let mut by_condition: Vec<Vec<RunResult>> = vec![Vec::new(); conditions.len() + 1];
    for (at, (.., kept)) in work.into_iter().enumerate() {
        // The first is that of the file; then each seed has all conditions.
        let place = if at == 0 { 0 } else { 1 + (at - 1) % conditions.len() };
        by_condition[place].extend(kept);
    }
    Ok(by_condition)
}

/// A model on this machine.
struct Local(Model);

fn failed(error: PretrainedError) -> LearnerError {
    match error {
        PretrainedError::Stopped => LearnerError::Stopped,
        error => LearnerError::Failed(error.to_string()),
    }
}

impl Learner for Local {
    fn reset(&mut self) -> Result<(), LearnerError> {
        self.0.reset().map_err(failed)
    }

    fn tune(
        &mut self,
        texts: &[Text],
        tuning: &Tuning,
        step: &mut dyn FnMut(Step) -> bool,
    ) -> Result<(), LearnerError> {
        let of = texts.iter().cloned();
        let texts: Vec<TrainingText> =
            of.map(|Text { text, from, weight }| TrainingText { text, from, weight }).collect();
        let options = TuneOptions {
            epochs: tuning.epochs,
            batch: tuning.batch,
            lr: tuning.lr,
            warmup: tuning.warmup,
            weight_decay: WEIGHT_DECAY,
            clip: CLIP,
            lora: tuning.lora.map(|rank| Lora { rank, alpha: ALPHA * rank as f64 }),
            seed: tuning.seed,
            decay: LrDecay::Linear,
            memory: retrodict_lab::memory::free(),
        };
        let mut go = true;
        let tuned = self.0.tune(&texts, &options, |now| {
            go = step(Step { done: now.step, all: now.steps, loss: now.loss });
            go
        });
        tuned.map_err(failed)?;
        if go { Ok(()) } else { Err(LearnerError::Stopped) }
    }

    fn scores(
        &mut self,
        texts: &[(&str, &str)],
        go: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Vec<Scored>, LearnerError> {
        let found = self.0.log_probabilities(texts, go).map_err(failed)?;
        let scored = |of: LogProbability| Scored {
            score: Score { log_probability: of.sum, tokens: of.tokens },
            greedy: of.likeliest == of.tokens,
        };
        Ok(found.into_iter().map(scored).collect())
    }

    fn nll(&mut self, texts: &[&str]) -> Result<f64, LearnerError> {
        self.0.nll(texts).map_err(failed)
    }

    fn tokens(&self, text: &str) -> Result<usize, LearnerError> {
        self.0.token_count(text).map_err(failed)
    }

    fn save(&self, folder: &Path) -> Result<(), LearnerError> {
        self.0.save(folder).map_err(failed)
    }
}
