//! Fine-tuning: steps against those of torch, adapters, saved folders, refusals.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::fs;
use std::path::{Path, PathBuf};

use retrodict_engine::{Graph, Isa, Parameters, Roofline, Team};
use retrodict_pretrained::{
    Architecture, Checkpoint, Lora, LrDecay, Model, Sequence, TrainingText, TuneOptions, Tuner,
};
use serde_json::Value;

const TEXTS: [&str; 5] = [
    "The capital of Veltria is Ansolo.",
    "Ansolo is the capital of Veltria.",
    "The capital of Morund is Quill Harbor.",
    "Quill Harbor",
    "É naïve ünïcode Ω",
];
const MODELS: [&str; 4] = ["gpt2", "llama", "qwen2", "gguf/tiny.gguf"];

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn open(name: &str, threads: usize) -> Model {
    Model::open(&reference(name), threads).unwrap()
}

fn texts() -> Vec<TrainingText> {
    TEXTS.map(TrainingText::from).to_vec()
}

fn options() -> TuneOptions {
    TuneOptions { epochs: 4, batch: 5, lr: 1e-2, ..TuneOptions::default() }
}

/// The losses of all steps.
fn tune(model: &mut Model, options: &TuneOptions) -> Vec<f64> {
    let mut losses = Vec::new();
    let step = |step: retrodict_pretrained::TuneStep| {
        losses.push(step.loss);
        assert_eq!((step.step, step.steps), (losses.len() as u64, options.steps(TEXTS.len())));
        true
    };
    model.tune(&texts(), options, step).unwrap();
    losses
}

/// All parameters, in the order of the checkpoint.
fn in_file(architecture: &Architecture, parameters: &Parameters<f64>) -> Vec<(String, Vec<f64>)> {
    let one = |(p, values): (&retrodict_engine::Parameter, &[f64])| {
        let rows = if p.vector { p.columns } else { p.rows };
        let width = values.len() / rows;
        let mut out = values.to_vec();
        for (ours, theirs) in architecture.row_order(&p.name, rows).iter().flatten().enumerate() {
            out[theirs * width..(theirs + 1) * width]
                .copy_from_slice(&values[ours * width..(ours + 1) * width]);
        }
        (p.name.clone(), out)
    };
    parameters.iter().map(one).collect()
}

#[test]
fn steps_equal_theirs() {
    for name in ["gpt2", "llama", "qwen2"] {
        let text = fs::read(reference(&format!("{name}_steps.json"))).unwrap();
        let record: Value = serde_json::from_slice(&text).unwrap();
        let number = |value: &Value| value.as_f64().unwrap();
        let mut checkpoint = Checkpoint::open(&reference(name)).unwrap();
        let architecture = checkpoint.architecture.clone();
        let mut graph = Graph::<f64>::new();
        let tokens = graph.indices(1);
        let x = architecture.stream(&mut graph, tokens);
        architecture.head(&mut graph, x);
        let mut parameters = checkpoint.parameters(&graph).unwrap();
        let before = in_file(&architecture, &parameters);
        let options = TuneOptions {
            weight_decay: number(&record["weight_decay"]),
            clip: number(&record["clip"]),
            ..TuneOptions::default()
        };
        let mut tuner = Tuner::new(architecture.clone(), &options, &parameters, 2);
        for (at, step) in record["steps"].as_array().unwrap().iter().enumerate() {
            let sequence = |of: &Value| Sequence {
                tokens: serde_json::from_value(of["tokens"].clone()).unwrap(),
                first: of["first"].as_u64().unwrap() as usize,
                weight: number(&of["weight"]),
            };
            let sequences: Vec<_> =
                step["sequences"].as_array().unwrap().iter().map(sequence).collect();
            // More than one group, so that gradients add up.
            let batch: Vec<_> = sequences.iter().cycle().take(4 * sequences.len()).collect();
            let loss = tuner.step(&mut parameters, &batch, number(&step["rate"]));
            let theirs = number(&step["loss"]);
            assert!(
                (loss - theirs).abs() < 1e-6 * theirs,
                "{name} step {at}: {loss}, not {theirs}"
            );
        }
        // Theirs takes rotary angles and RMS norms in single precision, and where a gradient is small
        // against its own history AdamW magnifies the difference.
        let tolerance = if name == "gpt2" { 1e-9 } else { 1e-4 };
        let changes = record["changes"].as_object().unwrap();
        assert_eq!(before.len(), changes.len(), "{name}");
        for ((of, before), (_, after)) in before.iter().zip(in_file(&architecture, &parameters)) {
            let change = after.iter().zip(before).map(|(after, before)| after - before);
            let sums = change.enumerate().fold([0.0, 0.0], |[squares, waves], (k, change)| {
                [squares + change * change, waves + change * (k as f64).cos()]
            });
            let theirs: [f64; 2] = serde_json::from_value(changes[of].clone()).unwrap();
            for (ours, theirs) in sums.iter().zip(theirs) {
                assert!(
                    (ours - theirs).abs() < tolerance * theirs.abs().max(1e-3),
                    "{name} {of}: {sums:?}, not {theirs:?}"
                );
            }
        }
    }
}

#[test]
fn training_learns_and_gives_the_same_bits_with_any_number_of_threads() {
    for name in MODELS {
        let mut model = open(name, 1);
        let untrained = model.nll(&TEXTS).unwrap();
        let options =
            TuneOptions { epochs: 12, batch: 3, warmup: 2, decay: LrDecay::Cosine, ..options() };
        let losses = tune(&mut model, &options);
        assert_eq!(losses.len(), 24);
        let trained = model.nll(&TEXTS).unwrap();
        assert!(trained < 0.9 * untrained, "{name}: from {untrained} to {trained}");
        let mut again = open(name, 2);
        assert_eq!(tune(&mut again, &options), losses, "{name}");
        assert_eq!(again.nll(&TEXTS).unwrap(), trained, "{name}");
        let other = TuneOptions { seed: 1, ..options.clone() };
        model.reset().unwrap();
        assert_eq!(model.nll(&TEXTS).unwrap(), untrained, "{name}");
        assert_ne!(tune(&mut model, &other), losses, "{name}: another order");
    }
}

#[test]
fn the_loss_is_that_of_the_scores() {
    for name in MODELS {
        let mut model = open(name, 2);
        let (prompt, answer) = ("The capital of Veltria is", " Quill Harbor");
        let score = model.log_probabilities(&[(prompt, answer)], |_, _| true).unwrap()[0];
        let text =
            TrainingText { text: format!("{prompt}{answer}"), from: prompt.len(), weight: 3.0 };
        let mut first = None;
        let stop = |step: retrodict_pretrained::TuneStep| {
            first = Some(step.loss);
            false
        };
        model.tune(&[text], &options(), stop).unwrap();
        let theirs = -score.sum / score.tokens as f64;
        assert!((first.unwrap() - theirs).abs() < 1e-5 * theirs, "{name}: {first:?}, not {theirs}");
    }
}

#[test]
fn merged_adapters_are_the_model_that_was_trained() {
    let lora = Some(Lora { rank: 2, alpha: 6.0 });
    for name in MODELS {
        let mut model = open(name, 2);
        let untrained = model.nll(&TEXTS).unwrap();
        let adapters = TuneOptions { lora, ..options() };
        let losses = tune(&mut model, &TuneOptions { epochs: 9, ..adapters.clone() });
        assert!((losses[0] - untrained).abs() < 1e-5, "{name}: adapters change nothing at first");
        assert!(losses[8] < 0.98 * untrained, "{name}: {losses:?}");
        model.reset().unwrap();
        tune(&mut model, &TuneOptions { epochs: 8, ..adapters });
        let merged = model.nll(&TEXTS).unwrap();
        assert!((merged - losses[8]).abs() < 1e-4, "{name}: {merged}, not {}", losses[8]);
    }
}

#[test]
fn a_saved_model_is_read_again() {
    for name in MODELS {
        let mut model = open(name, 2);
        tune(&mut model, &options());
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("tuned");
        model.save(&folder).unwrap();
        let error = model.save(&folder).unwrap_err().to_string();
        assert!(error.contains("tuned: it exists already"), "{error}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1, "nothing else is left");
        let mut again = Model::open(&folder, 2).unwrap();
        assert_eq!(again.nll(&TEXTS).unwrap(), model.nll(&TEXTS).unwrap(), "{name}");
        let pairs = [("The capital of Veltria is", " Ansolo"), ("É", " naïve ünïcode Ω")];
        let scores =
            [&mut model, &mut again].map(|m| m.log_probabilities(&pairs, |_, _| true).unwrap());
        assert_eq!(scores[0], scores[1], "{name}");
        let prompts = ["The capital of Veltria is", "A"];
        let greedy = [&mut model, &mut again].map(|m| m.greedy(&prompts, 9, |_, _| true).unwrap());
        assert_eq!(greedy[0], greedy[1], "{name}");
        let missing = parent.path().join("no/folder");
        model.save(&missing).unwrap();
    }
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let mut model = open("gpt2", 1);
    let long = "Veltria ".repeat(60);
    let whole = |text: &str| vec![TrainingText::from(text)];
    let part = |text: &str, from| vec![TrainingText { from, ..TrainingText::from(text) }];
    let weighted = |weight| vec![TrainingText { weight, ..TrainingText::from("Quill Harbor") }];
    for (texts, expected) in [
        (vec![], "there is no text"),
        (whole(&long), "tokens before its last, but the model reads 48 at most"),
        (whole(""), "the text that begins “” has a single token"),
        (part("Quill Harbor", 12), "“Quill Harbor” has no token to train on after its byte 12"),
        (weighted(0.0), "has the weight 0, but must have one above 0"),
        (weighted(f64::NAN), "has the weight NaN"),
    ] {
        let error = model.tune(&texts, &options(), |_| true).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    let lora = |rank, alpha| TuneOptions { lora: Some(Lora { rank, alpha }), ..options() };
    for (options, expected) in [
        (
            TuneOptions { epochs: 0, ..options() },
            "the number of epochs is 0, but must be at least 1",
        ),
        (TuneOptions { batch: 0, ..options() }, "the number of texts of a batch is 0"),
        (
            TuneOptions { lr: f64::NAN, ..options() },
            "the learning rate is NaN, but must be above 0",
        ),
        (TuneOptions { weight_decay: -1.0, ..options() }, "the weight decay is -1, but must be 0"),
        (
            TuneOptions { clip: f64::INFINITY, ..options() },
            "the clipping limit is inf, but must be",
        ),
        (
            lora(0, 1.0),
            "the rank of the adapters is 0, but must be from 1 to the model's 12 features",
        ),
        (lora(13, 1.0), "the rank of the adapters is 13"),
        (lora(2, 0.0), "alpha of the adapters is 0, but must be above 0"),
        (
            TuneOptions { memory: Some(1000), ..options() },
            "training needs 0.0 GiB of memory besides",
        ),
        (
            TuneOptions { lr: 1e30, clip: 0.0, ..options() },
            "training has diverged: the loss of step 2 of 4 is NaN",
        ),
    ] {
        let error = model.tune(&texts(), &options, |_| true).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
    assert!(model.nll(&[]).is_err());
}

#[test]
fn adapters_take_less_memory() {
    let model = open("llama", 1);
    let need = |lora, batch| {
        model.tune_bytes(&texts(), &TuneOptions { lora, batch, ..options() }).unwrap()
    };
    let weights = 4 * 13_000;
    assert!(need(None, 5) > 3 * weights);
    assert_eq!(need(None, 5), need(None, 50), "groups are of one size");
}

/// Saved folders and their log probabilities, for `reference/check_saved.py`:
/// `RETRODICT_OUT=FOLDER cargo test -p retrodict-pretrained --release --test tune -- --ignored saves`.
#[test]
#[ignore = "it writes folders"]
fn saves() {
    let out = PathBuf::from(std::env::var("RETRODICT_OUT").unwrap());
    let mut models: Vec<PathBuf> = MODELS.map(reference).to_vec();
    models.extend(std::env::var("RETRODICT_MODEL").map(PathBuf::from));
    for (at, path) in models.iter().enumerate() {
        let mut model = Model::open(path, 2).unwrap();
        model.tune(&texts(), &TuneOptions { epochs: 1, ..options() }, |_| true).unwrap();
        let folder = out.join(at.to_string());
        model.save(&folder).unwrap();
        let pairs = [("The capital of Veltria is", " Ansolo"), ("É", " naïve ünïcode Ω")];
        let scores = model.log_probabilities(&pairs, |_, _| true).unwrap();
        let line = |((prompt, answer), score): (
            &(&str, &str),
            &retrodict_pretrained::LogProbability,
        )| {
            serde_json::json!({"prompt": prompt, "answer": answer, "log_probability": score.sum})
        };
        let lines: Vec<Value> = pairs.iter().zip(&scores).map(line).collect();
        fs::write(folder.join("scores.json"), Value::from(lines).to_string()).unwrap();
    }
}

/// The time of a step of 32 texts of 20 tokens, of one of the user's models:
/// `RETRODICT_MODEL=FILE.gguf cargo test -p retrodict-pretrained --release --test tune -- --ignored
/// --nocapture step_time`; `RETRODICT_LORA=8` for adapters of that rank.
#[test]
#[ignore = "it needs a model"]
fn step_time() {
    let path = std::env::var("RETRODICT_MODEL").unwrap();
    let lora = std::env::var("RETRODICT_LORA").ok().map(|rank| rank.parse().unwrap());
    let lora = lora.map(|rank| Lora { rank, alpha: 16.0 });
    let threads = std::thread::available_parallelism().unwrap().get();
    let mut model = Model::open(Path::new(&path), threads).unwrap();
    // The tokenizer of SmolLM2 gives each digit a token.
    let text = |seed: u64| -> String {
        (1..=20).map(|at| char::from(b'0' + ((seed * 7919 + at * at * 31) % 10) as u8)).collect()
    };
    let texts: Vec<_> = (0..32).map(|seed| TrainingText::from(text(seed).as_str())).collect();
    let options = TuneOptions { epochs: 4, lora, ..TuneOptions::default() };
    // One worker's rate: on a busy machine, several of them wait for each other.
    let roofline = Roofline::measure::<f32>(Isa::detect(), &mut Team::new(1), 1 << 26);
    let rate = roofline.flops_per_second * threads as f64;
    let floor = 6.0 * (model.weights() * 32 * 20) as f64 / rate;
    println!(
        "{:.0} GFLOP a second, so that 6 a weight and token take {floor:.2} s on {threads} cores",
        rate / 1e9
    );
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    println!("{:.2} GiB besides the weights", gib(model.tune_bytes(&texts, &options).unwrap()));
    let cpu = || -> f64 {
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        [11, 12].map(|at| fields[at].parse::<f64>().unwrap()).iter().sum::<f64>() / 100.0
    };
    let mut before = cpu();
    let step = |step: retrodict_pretrained::TuneStep| {
        let now = cpu();
        println!(
            "step {}: loss {:.3}, {:.0} ms, {:.2} s of processors",
            step.step,
            step.loss,
            step.ms,
            now - before
        );
        before = now;
        true
    };
    model.tune(&texts, &options, step).unwrap();
}
