//! A report from made-up numbers, to look at while the drawing code changes:
//! `cargo run -p retrodict-report --example preview -- DIR`

use std::path::PathBuf;

use retrodict_report::{
    Claim, Comparator, EffectiveWeights, Experiment, HeadResult, LossCurves, NamedTable, Nll,
    Opening, OpeningLinks, Part, Report, Section, SeedRow, Table, Trained, WeightFrame,
    WeightPanel, effective_weights, loss_curves, reversal_finding,
};

#[path = "preview/sections.rs"]
mod sections;

const SEEDS: usize = 10;
const EPOCHS: usize = 150;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args_os().nth(1).map_or("retrodict-preview".into(), PathBuf::from);
    let page = retrodict_report::write(&dir, &report())?;
    println!("{}", page.display());
    Ok(())
}

/// Numbers without pattern in [−1, 1), the same on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

pub(crate) fn report() -> Report {
    let uniform = 802f64.ln();
    let curves = [curves("free head", 10.2, 0.014), curves("tied head", 4.9, 0.012)];
    let weights = [weights("free head", 12.2, 0.0), weights("tied head", 8.1, 3.1)];
    let results = [result(&curves[0], [0.0, 0.98]), result(&curves[1], [0.02, 0.62])];
    let claim = |id, text, source, values: &[f64], comparator, threshold| {
        Claim::measured(id, text, source, values.to_vec(), comparator, threshold)
            .refuted_by("A seed on the other side of the threshold.")
    };
    Report {
        title: "The reversal curse, retrodicted".into(),
        version: "0.1.0".into(),
        commit: "0a1b2c3".into(),
        scale: "quick".into(),
        seeds: SEEDS,
        wall_seconds: 48.3,
        machine: "2 cores, made-up numbers".into(),
        opening: Some(Opening {
            trained: ["layers", "dimension", "epochs"]
                .map(|quantity| Trained {
                    quantity: quantity.into(),
                    here: "2".into(),
                    paper: "24".into(),
                })
                .into(),
            finding: reversal_finding(&results[0], None, uniform, "ln 802"),
            failures: "With a free head no trace of the pair is there.".into(),
            curves: loss_curves("opening-curves", "The reversal curse", &curves[..1]),
            film: Some(effective_weights("opening-weights", "", 2, &weights[..1])),
            more: OpeningLinks { curves: "fig1".into(), ..OpeningLinks::default() },
        }),
        sections: vec![Section {
            name: "fig1".into(),
            part: Part::Paper,
            heading: "Reversal".into(),
            source: "paper, figures 1 and 2".into(),
            see: "The last panel has no diagonal.".into(),
            finding: reversal_finding(&results[0], Some(&results[1]), uniform, "ln 802"),
            figures: vec![
                loss_curves("fig1", "Reversal: loss over training", &curves),
                effective_weights("fig2", "Reversal: effective weights", 2, &weights),
            ],
            claims: vec![
                claim(
                    "reversal.train_nll",
                    "The sentences trained on are learned.",
                    "paper, figure 1",
                    &results[0].train_nll,
                    Comparator::Less,
                    0.05,
                ),
                claim(
                    "reversal.held_out_nll",
                    "A held-out reversal is predicted no better than by uniform guessing.",
                    "paper, figure 1",
                    &results[0].held_out_nll,
                    Comparator::AtLeast,
                    uniform,
                ),
                claim(
                    "reversal.asymmetry",
                    "The effective weights of held-out pairs have no trace of the unseen direction.",
                    "paper, figure 2",
                    &results[0].asymmetry,
                    Comparator::Greater,
                    0.99,
                ),
            ],
            experiments: vec![
                experiment("reversal-quick", "free head", &results[0]),
                experiment("reversal-quick-tied", "tied head", &results[1]),
            ],
        }]
        .into_iter()
        .chain(sections::all())
        .collect(),
        tables: vec![NamedTable {
            name: "hyper-parameters".into(),
            title: "Hyper-parameters".into(),
            table: Table {
                header: ["key", "this_run", "paper"].map(String::from).to_vec(),
                rows: [["optim.lr", "0.003", "0.01"], ["train.batch", "64", "64"]]
                    .map(|row| row.map(String::from).to_vec())
                    .to_vec(),
            },
            note: "Made from the specs that ran.".into(),
        }],
        comparisons: Vec::new(),
    }
}

/// Held-out NLL that dips early and ends about `end`; training NLL that decays to `floor`.
fn curves(variant: &str, end: f64, floor: f64) -> LossCurves {
    let mut noise = Noise(88_172_645_463_325_252 ^ end.to_bits());
    let uniform = 802f64.ln();
    let mut train = Vec::new();
    let mut held_out = Vec::new();
    for _ in 0..SEEDS {
        let (shift, pace) = (0.3 * noise.next(), 1.0 + 0.15 * noise.next());
        train.push(
            (0..EPOCHS)
                .map(|e| {
                    let fall = 1.0 / (1.0 + ((e as f64 * pace - 28.0) / 6.0).exp());
                    floor * (1.0 + 0.2 * noise.next()) + (uniform - floor) * fall
                })
                .collect(),
        );
        held_out.push(
            (0..EPOCHS)
                .map(|e| {
                    let t = e as f64 * pace;
                    let dip = -1.1 * (-((t - 14.0) / 9.0).powi(2)).exp();
                    let rise = (end + shift - uniform) * (1.0 - (-t / 40.0).exp()).powi(2);
                    uniform + dip + rise + 0.05 * noise.next()
                })
                .collect(),
        );
    }
    LossCurves {
        variant: variant.into(),
        epochs: (1..=EPOCHS).map(|e| e as f64).collect(),
        first_token: Nll { train, held_out, uniform, uniform_label: "ln 802".into() },
        whole: None,
        questions: 60,
    }
}

fn weights(variant: &str, seen: f32, unseen: f32) -> EffectiveWeights {
    let mut noise = Noise(3_935_559_000_370_003_845);
    let mut panel = |group: &str, title: &str, size: usize, diagonal: f32, ground: f32| {
        let mut value = |i: usize| {
            let here = if i / size == i % size { diagonal } else { 0.0 };
            ground + here + 0.6 * (noise.next() + noise.next()) as f32
        };
        WeightPanel {
            group: group.into(),
            title: title.into(),
            row_label: "given entity".into(),
            column_label: "candidate".into(),
            rows: size,
            columns: size,
            values: (0..size * size).map(&mut value).collect(),
            margin: Some(f64::from(diagonal)),
        }
    };
    let mut panels = |share: f32| {
        vec![
            panel("train_xy", "train, x → y", 140, share * seen, -0.3),
            panel("train_yx", "train, y → x", 140, share * (seen - 0.3), -0.3),
            panel("held_out_seen", "held-out, seen direction", 60, share * seen, -0.4),
            panel("held_out_unseen", "held-out, unseen direction", 60, share * unseen, -2.6),
        ]
    };
    let frame = |i: u64| WeightFrame { epoch: 8 * i, panels: panels(i as f32 / 19.0) };
    EffectiveWeights {
        variant: variant.into(),
        frames: (0..20).map(frame).collect(),
        panels: panels(1.0),
    }
}

fn result(curves: &LossCurves, asymmetry: [f64; 2]) -> HeadResult {
    let ends = |runs: &[Vec<f64>]| runs.iter().filter_map(|r| r.last().copied()).collect();
    let mut noise = Noise(42);
    HeadResult {
        train_nll: ends(&curves.first_token.train),
        held_out_nll: ends(&curves.first_token.held_out),
        held_out_top1: vec![0.0; SEEDS],
        rank_held_out: vec![0.5; SEEDS],
        asymmetry: (0..SEEDS).map(|_| asymmetry[1] + 0.015 * noise.next()).collect(),
    }
}

fn experiment(name: &str, label: &str, result: &HeadResult) -> Experiment {
    let row = |seed: usize| SeedRow {
        seed: seed as u64,
        status: "complete".into(),
        values: vec![
            result.train_nll[seed],
            result.held_out_nll[seed],
            result.held_out_top1[seed],
            result.asymmetry[seed],
        ],
    };
    Experiment {
        name: name.into(),
        label: label.into(),
        hash: "5f3c9a71".into(),
        spec_toml: format!(
            "name = \"{name}\"\nseeds = 10\n\n[data]\nkind = \"reversal\"\nvocab_size = 800\n\
             train_fraction = 0.7\n\n[model]\nkind = \"decoder\"\nlayers = 2\nheads = 4\ndim = 64\n"
        ),
        measures: [
            "train NLL (nats)",
            "held-out NLL (nats)",
            "held-out top-1 (0 to 1)",
            "asymmetry (0 to 1)",
        ]
        .map(String::from)
        .to_vec(),
        rows: (0..SEEDS).map(row).collect(),
        wall_seconds: 24.1,
        machine: "2 cores, made-up numbers".into(),
    }
}
