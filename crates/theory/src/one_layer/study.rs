//! The simulations that the report draws, stored below the output folder.

use std::path::Path;

use rayon::prelude::*;
use retrodict_lab::store::StoreError;

use super::half_time::{HalfTime, half_time_configs, measure_half_time};
use super::{Context, Data, OneLayerConfig, OneLayerResult, simulate};
use crate::{Theorem, TheoryError, stored};

/// The folder of this model's results below `theory/`.
const MODEL: &str = "one-layer";

/// One of the simulations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// Its file's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its settings.
    pub config: OneLayerConfig,
}

/// Theorems 3 and 4 as they stand, and each assumption violated on purpose.
pub fn cases() -> Vec<Case> {
    let reversal = OneLayerConfig::default();
    let chain = OneLayerConfig { data: Data::Chain, ..reversal };
    let all = |config| OneLayerConfig { context: Context::All, ..config };
    let attentive =
        |config: OneLayerConfig| OneLayerConfig { lr_attention: config.lr_decoder, ..all(config) };
    let random = |config| OneLayerConfig { init: 1.0, ..config };
    // As many updates of each sentence as in the large vocabulary.
    let small = OneLayerConfig { vocab_size: 20, steps: 5_000, ..reversal };
    let case = |name, title, config| Case { name, title, config };
    vec![
        case("reversal", "reversal", reversal),
        case("chain", "chains", chain),
        case("reversal-all", "reversal, relation attended to", all(reversal)),
        case("reversal-attention", "reversal, attention learns as fast", attentive(reversal)),
        case("chain-all", "chains, relation attended to", all(chain)),
        case("chain-attention", "chains, attention learns as fast", attentive(chain)),
        case("reversal-random", "reversal, random initial weights", random(reversal)),
        case("reversal-small", "reversal, small vocabulary", small),
    ]
}

/// The name of the measured time scales below the model's folder.
const HALF_TIMES: &str = "half-times";
/// The largest relative distance of a measured half time from the predicted one.
const TIME_SCALE: f64 = 0.1;

/// The content of the report's section on the one-layer transformer.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// One result for each of [`cases`].
    pub cases: Vec<(Case, OneLayerResult)>,
    /// One for each of [`half_time_configs`].
    pub half_times: Vec<HalfTime>,
}

impl Study {
    fn result(&self, name: &str) -> Option<&OneLayerResult> {
        self.cases.iter().find(|(case, _)| case.name == name).map(|(_, result)| result)
    }

    /// The claims of the theorems with the measured values. What holds by construction is left out: with
    /// `contextual` attention no step moves the row of a held-out reversed sentence.
    pub fn theorems(&self) -> Vec<Theorem> {
        let mut theorems = Vec::new();
        let of_case = |case: &str, end: &str| {
            let theorem = self.result(case)?.theorems.iter().find(|t| t.id.ends_with(end))?;
            Some(Theorem { id: format!("{case}{end}"), ..theorem.clone() })
        };
        for case in ["reversal", "chain"] {
            theorems.extend(["-trained", "-rate"].into_iter().filter_map(|end| of_case(case, end)));
        }
        let at_end = |case: &str, what: &str, bound: f64, refuted_by: &str| {
            let result = self.result(case)?;
            let p = result.series.last()?.held_out_probability_max?;
            let claim = format!("{what}: largest p M of a held-out sentence after the last step");
            let id = format!("{case}-end");
            Some(Theorem::at_most(&id, &claim, refuted_by, bound, Some(p * result.vocab as f64)))
        };
        theorems.extend(at_end(
            "chain",
            "chains, A alone attended to",
            0.1,
            "an indirect link A ⇝ C that keeps a tenth of chance while its links are learned",
        ));
        for (case, what) in [
            ("reversal-all", "reversal, relation attended to"),
            ("chain-all", "chains, relation attended to"),
        ] {
            theorems.extend(at_end(case, what, 1.0, "a held-out sentence above chance, 1/M"));
        }
        for (data, id, sentences) in [
            (Data::Reversal, "reversal-half-time", "training sentences"),
            (Data::Chain, "chain-half-time", "links of held-out chains"),
        ] {
            let of: Vec<&HalfTime> =
                self.half_times.iter().filter(|half| half.config.data == data).collect();
            let claim = format!(
                "time scale N (ln M + 1)/η: relative distance of the step at which the mean p of \
                 {sentences} reaches ½ from N (M − 2 + (M − 1) ln(M − 1))/(M η), the largest of {} \
                 simulations over M, N and η",
                of.len()
            );
            let refuted_by = "a time that depends otherwise on M, N or η";
            let off = of.iter().map(|half| half.off()).reduce(f64::max);
            theorems.push(Theorem::at_most(id, &claim, refuted_by, TIME_SCALE, off));
        }
        theorems
    }
}

/// Makes the results that are missing below `out`, and returns all.
///
/// # Errors
/// [`TheoryError`] where one cannot be made, written or read.
pub fn reproduce(out: &Path) -> Result<Study, TheoryError> {
    let one = |case: Case| {
        let wanted = |kept: &OneLayerResult| kept.config == case.config;
        let make = || simulate(&case.config);
        Ok((case, stored::kept_or_made(out, MODEL, case.name, wanted, make)?))
    };
    let cases = cases().into_iter().map(one).collect::<Result<_, TheoryError>>()?;
    let wanted = |kept: &Vec<HalfTime>| are_wanted(kept);
    let make = || {
        let configs = half_time_configs();
        configs.par_iter().map(measure_half_time).collect::<Result<_, _>>()
    };
    let half_times = stored::kept_or_made(out, MODEL, HALF_TIMES, wanted, make)?;
    Ok(Study { cases, half_times })
}

fn are_wanted(kept: &[HalfTime]) -> bool {
    kept.iter().map(|half| half.config).eq(half_time_configs())
}

/// Reads the results below `out` without simulating; those that are missing are left out.
///
/// # Errors
/// [`StoreError`] for a file that cannot be read.
pub fn stored(out: &Path) -> Result<Study, StoreError> {
    let one = |case: Case| {
        let result = stored::read::<OneLayerResult>(out, MODEL, case.name);
        result.map(|result| Some((case, result.filter(|result| result.config == case.config)?)))
    };
    let cases = cases().into_iter().filter_map(|case| one(case).transpose());
    let half_times = stored::read::<Vec<HalfTime>>(out, MODEL, HALF_TIMES)?;
    let half_times = half_times.filter(|kept| are_wanted(kept)).unwrap_or_default();
    Ok(Study { cases: cases.collect::<Result<_, _>>()?, half_times })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        assert_eq!(stored(out).unwrap().cases, []);
        let made = reproduce(out).unwrap();
        assert_eq!(made.cases.len(), cases().len());
        assert_eq!(stored(out).unwrap(), made, "every digit");

        // A mark in a file stays: the file is believed.
        let path = out.join("theory/one-layer/reversal.json");
        let mut marked = made.cases[0].1.clone();
        marked.changes.push("mark".to_owned());
        stored::write(out, MODEL, "reversal", &marked).unwrap();
        assert_eq!(reproduce(out).unwrap().cases[0].1, marked);

        // Another setting or another version's file is not; a damaged one is reported, and made again.
        marked.config.steps += 1;
        stored::write(out, MODEL, "reversal", &marked).unwrap();
        assert_eq!(stored(out).unwrap().cases.len(), made.cases.len() - 1);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = stored(out).unwrap_err().to_string();
        assert!(error.contains("reversal.json is damaged"), "{error}");
        assert_eq!(reproduce(out).unwrap(), made);
        assert_eq!(stored(out).unwrap(), made);

        for theorem in made.theorems() {
            assert_eq!(theorem.holds, Some(true), "{theorem:?}");
        }
        claims_fail_on_broken_input(&made);
    }

    #[track_caller]
    fn fails(study: &Study, id: &str) {
        let theorem = study.theorems().into_iter().find(|theorem| theorem.id == id).unwrap();
        assert_eq!(theorem.holds, Some(false), "{theorem:?}");
    }

    fn claims_fail_on_broken_input(sound: &Study) {
        let with = |name: &str, result: &OneLayerResult| {
            let mut study = sound.clone();
            let case = study.cases.iter_mut().find(|(case, _)| case.name == name).unwrap();
            case.1 = result.clone();
            study
        };
        // A model that attends to the relation as well shares rows: the quotient to the flow of a
        // row of its own is not bounded.
        for (name, data) in [("reversal", Data::Reversal), ("chain", Data::Chain)] {
            let config =
                OneLayerConfig { data, vocab_size: 200, steps: 60_000, ..Default::default() };
            let shared = OneLayerConfig { context: Context::All, ..config };
            let mut coupled = simulate(&shared).unwrap();
            coupled.config.context = Context::Contextual;
            let judged = super::super::verdict::theorems_of(&coupled);
            coupled.theorems = judged;
            fails(&with(name, &coupled), &format!("{name}-trained"));
            // A rate that decays as 1/t: 1 − p falls ever more slowly.
            let mut slow = simulate(&config).unwrap();
            for point in &mut slow.series {
                let fallen = (1.0 + point.own_time).powf(-0.5);
                point.judged_complement_mean = Some(fallen);
            }
            slow.rate = super::super::verdict::rate(slow.vocab, &slow.series);
            slow.theorems = super::super::verdict::theorems_of(&slow);
            fails(&with(name, &slow), &format!("{name}-rate"));
        }
        // The held-out sentences were trained: their probability is that of a training sentence.
        for name in ["chain", "reversal-all", "chain-all"] {
            let mut leaked = sound.result(name).unwrap().clone();
            for point in &mut leaked.series {
                point.held_out_probability_max = Some(1.0 - point.train_complement_max);
            }
            fails(&with(name, &leaked), &format!("{name}-end"));
        }
        // Random initial weights: a held-out sentence is above chance from the start.
        let random = OneLayerConfig { init: 1.0, context: Context::All, ..Default::default() };
        let random = OneLayerConfig { vocab_size: 200, steps: 20_000, ..random };
        fails(&with("reversal-all", &simulate(&random).unwrap()), "reversal-all-end");
        // Half is learned at another time where the relation is attended to as well.
        for (at, id) in [(0, "reversal-half-time"), (8, "chain-half-time")] {
            let mut study = sound.clone();
            let config = OneLayerConfig { context: Context::All, ..study.half_times[at].config };
            study.half_times[at] = measure_half_time(&config).unwrap();
            fails(&study, id);
        }
    }
}
