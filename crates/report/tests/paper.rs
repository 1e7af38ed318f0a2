//! The paper as data: every file is whole, and nothing of the paper's list is missing.

use std::collections::{HashMap, HashSet};

use retrodict_report::compare::{self, Comparison};
use retrodict_report::paper::{self, DrawingKind, Than, all};
use retrodict_report::{Scale, experiments, figures};

#[test]
fn nothing_of_the_papers_list_is_missing() {
    let names: HashSet<&str> = all().iter().map(|figure| figure.name.as_str()).collect();
    assert_eq!(names.len(), all().len(), "two figures have one name");
    for number in 1..=16 {
        assert!(names.contains(format!("fig{number}").as_str()), "figure {number} is missing");
    }
    for ours in ["head", "weight-decay", "chain-of-thought"] {
        assert!(names.contains(ours), "{ours} is missing");
    }
}

#[test]
fn every_experiment_is_valid_at_both_scales() {
    for figure in all() {
        for scale in [Scale::Quick, Scale::Paper] {
            let experiments = experiments(figure, scale, None).unwrap();
            assert!(!experiments.is_empty(), "{} has none at {scale:?} scale", figure.name);
            for drawing in &figure.drawings {
                let shown = drawing.variants.as_ref();
                let of = |id: &String| shown.is_none_or(|shown| shown.contains(id));
                let hashes: Vec<_> =
                    experiments.iter().filter(|(v, _)| of(&v.id)).map(|(_, e)| e.hash).collect();
                let distinct: HashSet<_> = hashes.iter().collect();
                assert_eq!(distinct.len(), hashes.len(), "{}: one setting twice", figure.name);
            }
        }
        let size = |scale| {
            let of = |(_, e): &(_, retrodict_lab::Experiment)| {
                let decoder = e.spec.model.decoder().unwrap();
                (decoder.layers, decoder.dim)
            };
            experiments(figure, scale, None).unwrap().iter().map(of).collect::<Vec<_>>()
        };
        if figure.name == "fig12" {
            for wanted in [(1, 20), (24, 20), (1, 768)] {
                assert!(size(Scale::Quick).contains(&wanted), "{wanted:?} at quick scale");
            }
            assert!(size(Scale::Paper).contains(&(24, 768)));
        }
    }
}

#[test]
fn drawings_and_claims_speak_of_variants_that_are_there() {
    let mut ids = HashSet::new();
    let mut drawings = HashSet::new();
    for figure in all() {
        let known: HashSet<&str> = figure.variants.iter().map(|v| v.id.as_str()).collect();
        assert_eq!(known.len(), figure.variants.len(), "{}: one id twice", figure.name);
        let wanted = figure.drawings.iter().map(|drawing| &drawing.variants);
        for id in wanted.chain(figure.claims.iter().map(|c| &c.variants)).flatten().flatten() {
            assert!(known.contains(id.as_str()), "{}: there is no variant `{id}`", figure.name);
        }
        for claim in &figure.claims {
            assert!(ids.insert(&claim.id), "two claims are called {}", claim.id);
            assert!(claim.id.contains('.'), "{} has no experiment before a dot", claim.id);
        }
        for drawing in &figure.drawings {
            let name = drawing.name.as_ref().unwrap_or(&figure.name);
            assert!(drawings.insert(name), "two drawings are called {name}");
            assert_eq!(drawing.kind == DrawingKind::Accuracies, !drawing.ways.is_empty());
        }
        assert!(!figure.see.is_empty() && figure.see.ends_with('.'), "{}", figure.name);
    }
    for id in ["train_nll", "held_out_nll", "held_out_top1", "asymmetry"] {
        assert!(ids.contains(&format!("reversal.{id}")), "scripts rely on reversal.{id}");
    }
}

/// Two runs that differ in what they keep are one training made twice.
#[test]
fn no_training_is_made_twice_at_quick_scale() {
    let mut made = HashMap::new();
    for figure in all() {
        // A film is one seed, trained again with more probes.
        let experiments = experiments(figure, Scale::Quick, None).unwrap();
        for (variant, experiment) in experiments.into_iter().filter(|(v, _)| !v.film) {
            let mut spec = experiment.spec.clone();
            spec.keep_little(|_| false);
            let (id, hash) = (format!("{}/{}", figure.name, variant.id), experiment.hash);
            let (of, other) = made.entry(spec.hash().to_string()).or_insert((hash, id.clone()));
            assert_eq!(*of, hash, "{other} and {id} keep different files of one training");
        }
    }
}

/// Two claims that compare one measure of one run are one claim.
#[test]
fn no_run_backs_two_claims_of_one_measure() {
    let mut claimed = HashMap::new();
    for figure in all() {
        let experiments = experiments(figure, Scale::Quick, None).unwrap();
        for claim in &figure.claims {
            let of = |id: &String| claim.variants.as_ref().is_none_or(|ids| ids.contains(id));
            for (variant, experiment) in experiments.iter().filter(|(v, _)| of(&v.id)) {
                let key = (experiment.hash.to_string(), claim.measure.id);
                let before = claimed.insert(key, &claim.id);
                assert!(before.is_none(), "{before:?} and {} both of {}", claim.id, variant.id);
            }
        }
    }
}

/// The table of claims in `docs/claims-history.md`: id, measure and comparison.
#[test]
fn the_documentation_lists_every_claim_with_its_threshold() {
    let page = include_str!("../../../docs/claims-history.md");
    let (_, tables) = page.split_once("## The claims as they stand").unwrap();
    let (tables, _) = tables.split_once("\n## ").unwrap();
    let mut listed = HashMap::new();
    for row in tables.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        for id in cells[1].split(", ") {
            assert!(
                listed.insert(id.trim_matches('`'), cells[2]).is_none(),
                "{id} is listed twice"
            );
        }
    }
    for claim in all().iter().flat_map(|figure| &figure.claims) {
        let than = match claim.than {
            Than::Number(number) => number.to_string(),
            Than::Word(_) => "uniform guessing".to_owned(),
        };
        let wanted = format!("`{}` {} {than}", claim.measure.id, claim.comparator.sign());
        assert_eq!(listed.remove(claim.id.as_str()), Some(wanted.as_str()), "{}", claim.id);
    }
    // Those of the theory are compared where they are simulated, in `src/theory/mod.rs`.
    listed.retain(|id, _| {
        !["bilinear.", "one_layer.", "transfer."].iter().any(|model| id.starts_with(model))
    });
    assert!(listed.is_empty(), "no longer claimed: {listed:?}");
}

#[test]
fn a_claim_says_in_a_sentence_what_would_refute_it() {
    for claim in all().iter().flat_map(|figure| &figure.claims) {
        let sentence = &claim.refuted_by;
        assert!(sentence.len() > 20 && sentence.ends_with('.'), "{}: {sentence}", claim.id);
    }
}

/// The limit is ten minutes on two cores. The work is counted as if every batch were full and every
/// position computed; at this count `reproduce all` was measured at 500 GFLOP/s.
#[test]
fn all_at_quick_scale_is_the_work_of_ten_minutes() {
    let mut flops = HashMap::new();
    for figure in all() {
        for (_, experiment) in experiments(figure, Scale::Quick, None).unwrap() {
            let steps = experiment.steps_of(0).unwrap().total;
            let seeds = experiment.spec.seeds.len() as u64;
            flops.insert(experiment.hash.to_string(), steps * seeds * experiment.step_flops());
        }
    }
    let seconds = flops.values().sum::<u64>() as f64 / 500e9;
    assert!(seconds < 600.0, "{seconds} s");
}

#[test]
fn a_figure_is_asked_for_by_its_name() {
    let wanted = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        figures(&names).map(|found| {
            let trained = found.trained.iter().map(|figure| figure.name.as_str());
            trained.chain(found.theory.iter().map(|figure| figure.name)).collect::<Vec<_>>()
        })
    };
    assert_eq!(wanted(&["fig2", "fig1"]).unwrap(), ["fig1", "fig2"]);
    let theory = ["theory-bilinear", "theory-one-layer", "theory-transfer"];
    assert_eq!(wanted(&["theory-one-layer", "fig2"]).unwrap(), ["fig2", "theory-one-layer"]);
    let every = wanted(&[]).unwrap();
    assert_eq!(every.len(), all().len() + theory.len());
    assert!(every.ends_with(&theory));
    assert_eq!(wanted(&["all", "fig1"]).unwrap(), every);
    let unknown = wanted(&["fig21"]).unwrap_err().to_string();
    assert!(unknown.starts_with("there is no figure `fig21`; did you mean `fig"), "{unknown}");
}

#[test]
fn the_examples_are_valid() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my-figure.toml");
    std::fs::write(&file, paper::EXAMPLE).unwrap();
    let wanted = figures(&[file.display().to_string()]).unwrap();
    let [figure] = wanted.trained[..] else { panic!("one figure") };
    for scale in [Scale::Quick, Scale::Paper] {
        assert_eq!(experiments(figure, scale, None).unwrap().len(), 2 + 3 * 2);
    }
    let example = Comparison::parse(compare::EXAMPLE, "example.toml").unwrap();
    assert_eq!(example.tasks[0].interventions.len(), 2);
}
