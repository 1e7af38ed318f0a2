//! The one-layer model of `retrodict run` beside that of `retrodict theory one-layer`: one model.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use retrodict_lab::Experiment;
use retrodict_lab::spec::Spec;
use retrodict_theory::one_layer::{Context, Data, Dynamics, OneLayerConfig, simulate};

const RATE: f64 = 2.0;
const STEPS: u64 = 200;

/// Full-batch gradient descent in both, from zero weights and without attention weights: the losses
/// and the extreme probabilities at every logged step.
fn assert_equal(data: Data, kind: &str, context: Context, word: &str) {
    let config = OneLayerConfig {
        data,
        vocab_size: 40,
        context,
        dynamics: Dynamics::Gd,
        lr_decoder: RATE,
        steps: STEPS,
        ..OneLayerConfig::default()
    };
    let result = simulate(&config).unwrap();
    let text = format!(
        "precision = \"f64\"\nseeds = [0]\n[data]\nkind = \"{kind}\"\nvocab_size = 40\n\
         [model]\nkind = \"one-layer\"\nvalue_output = \"merged\"\ncontext = \"{word}\"\n\
         [train]\noptimizer = \"sgd\"\nlr = {RATE}\nweight_decay = 0\nbatch_size = \"full\"\n\
         epochs = {STEPS}\n"
    );
    let experiment = Experiment::new(Spec::parse(&text, "test").unwrap(), "test").unwrap();
    let dataset = experiment.dataset(0).unwrap();
    let mut trainer = experiment.trainer::<f64>(0, &dataset, 1);
    for point in &result.series {
        while trainer.optimizer().steps() < point.step {
            trainer.step(dataset.train.iter().map(Vec::as_slice));
        }
        let mut losses = |sentences: &[Vec<u32>]| -> Vec<f64> {
            trainer.evaluate(sentences).iter().map(|score| score.nll).collect()
        };
        let [train, held_out] = [losses(&dataset.train), losses(&dataset.held_out)];
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let least = train.iter().map(|nll| (-nll).exp()).fold(1.0, f64::min);
        let most = held_out.iter().map(|nll| (-nll).exp()).fold(0.0, f64::max);
        for (what, run, theory) in [
            ("loss", mean(&train), point.train_loss),
            ("smallest trained p", least, point.train_probability_min),
            ("held-out loss", mean(&held_out), point.held_out_loss.unwrap()),
            ("largest held-out p", most, point.held_out_probability_max.unwrap()),
        ] {
            let far = (run - theory).abs();
            assert!(far < 1e-10, "{kind}, {word}, step {}: {what} {run}, not {theory}", point.step);
        }
    }
    assert_eq!(result.series.last().unwrap().step, STEPS);
    // Far enough that the two could differ.
    assert!(result.series.last().unwrap().train_loss < 0.7 * result.series[0].train_loss);
}

#[test]
fn run_and_theory_train_one_model() {
    for (data, kind) in [(Data::Reversal, "reversal"), (Data::Chain, "chain")] {
        assert_equal(data, kind, Context::All, "all");
        assert_equal(data, kind, Context::Contextual, "contextual");
    }
}

/// The same default in both.
#[test]
fn run_and_theory_attend_to_the_same_tokens_by_default() {
    let spec = "data.kind = \"reversal\"\nmodel.kind = \"one-layer\"";
    let lines = Spec::parse(spec, "test").unwrap().lines();
    let context = lines.iter().find(|line| line.path() == "model.context").unwrap();
    assert_eq!(context.value, "\"contextual\"");
    assert_eq!(OneLayerConfig::default().context, Context::Contextual);
}
