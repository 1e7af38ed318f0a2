//! The kinds of figures beside the reversal's, from made-up numbers.

use retrodict_report::{
    Accuracies, Axes, Claim, Comparator, Cosines, Figure, Panel, Part, Section, Series, SeriesKind,
    Way, accuracies, cosines, lines, loss_curves,
};

use super::{Noise, SEEDS, curves, experiment, result};

pub(super) fn all() -> Vec<Section> {
    vec![
        section("fig5", "Vocabulary sizes", vocabulary()),
        section("fig12", "Layers and dimension", depths()),
        section("fig13", "Embeddings are nearly orthogonal", embeddings()),
        section("fig17", "Chain of thought", chain_of_thought()),
        section("theory1", "Separation of training dynamics", theory()),
    ]
}

fn section(name: &str, heading: &str, figure: Figure) -> Section {
    let results = result(&curves("free head", 10.2, 0.014), [0.0, 0.98]);
    Section {
        name: name.into(),
        part: if name.starts_with("theory") { Part::Theory } else { Part::Paper },
        heading: heading.into(),
        source: "paper, appendix".into(),
        see: "What to see stands here, in one sentence that says where to look.".into(),
        finding: "Whatever is varied, the training curve falls and the held-out one does not."
            .into(),
        figures: vec![figure],
        claims: vec![Claim::measured(
            &format!("{name}.held_out_nll"),
            "In every setting the held-out reversals stay no better than guessing.",
            "paper, appendix",
            results.held_out_nll.clone(),
            Comparator::AtLeast,
            if name == "fig12" { 10.5 } else { 6.7 },
        )],
        experiments: ["20", "50", "200"]
            .map(|v| experiment(&format!("{name}-{v}"), &format!("vocabulary {v}"), &results))
            .into(),
    }
}

fn vocabulary() -> Figure {
    let variants = ["20", "50", "200", "800"].map(|vocabulary| {
        let entities: f64 = vocabulary.parse().unwrap_or(1.0);
        let mut variant = curves(&format!("vocabulary {vocabulary}"), 10.2, 0.02);
        variant.first_token.uniform = (entities + 2.0).ln();
        variant.first_token.uniform_label = format!("ln {}", entities + 2.0);
        variant
    });
    loss_curves("fig5", "Reversal: vocabulary sizes", &variants)
}

fn depths() -> Figure {
    let sizes = ["1 × 20", "1 × 64", "1 × 768", "2 × 20", "2 × 64", "2 × 768", "12 × 64"];
    let more = ["24 × 20", "24 × 64", "24 × 768 (layers × dimension, with frozen embeddings)"];
    let variants: Vec<_> = sizes
        .iter()
        .chain(&more)
        .enumerate()
        .map(|(i, v)| curves(v, 7.0 + i as f64, 0.02))
        .collect();
    loss_curves("fig12", "Reversal: layers × dimension", &variants)
}

fn embeddings() -> Figure {
    let mut noise = Noise(77);
    let variants = ["1 × 20", "1 × 768", "24 × 20", "24 × 768"].map(|variant| {
        let spread = if variant.ends_with("20") { 0.4 } else { 0.08 };
        let mut value =
            |i: usize| if i.is_multiple_of(101) { 1.0 } else { spread * noise.next() as f32 };
        Cosines {
            variant: variant.into(),
            size: 100,
            values: (0..10_000).map(&mut value).collect(),
            mean_absolute: vec![f64::from(spread) / 2.0; 3],
            random: 0.1,
        }
    });
    cosines("fig13", "Cosine similarities of entity embeddings", &variants)
}

fn chain_of_thought() -> Figure {
    let mut noise = Noise(5);
    let mut way = |name: &str, mean: f64| Way {
        name: name.into(),
        values: (0..SEEDS).map(|_| (mean + 0.04 * noise.next()).clamp(0.0, 1.0)).collect(),
    };
    let variants =
        ["default", "1 layer, dimension 20", "frozen embeddings"].map(|variant| Accuracies {
            variant: variant.into(),
            ways: vec![
                way("direct, held-out", 0.0),
                way("in two steps, held-out", 0.97),
                way("direct, trained", 1.0),
            ],
        });
    accuracies("fig17", "Held-out chains: directly, and in two steps", &variants)
}

fn theory() -> Figure {
    let over = |f: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        (0..60).map(|i| 10f64.powf(f64::from(i) / 10.0 - 1.0)).map(|t| (t, f(t))).collect()
    };
    let series =
        |label: &str, points, kind| Series { label: label.into(), points, bands: Vec::new(), kind };
    let panel = |d: f64| Panel {
        title: format!("d = {d}"),
        series: vec![
            series("closed form", over(&|t| 4.6 / (1.0 + t * t / d)), SeriesKind::Line),
            series("reversal loss", over(&|t| 4.6 - 0.1 * (t / d).min(1.0)), SeriesKind::Dashed),
            series(
                "measured",
                over(&|t| 4.7 / (1.0 + t * t / d)).into_iter().step_by(6).collect(),
                SeriesKind::Dots,
            ),
        ],
    };
    let axes = Axes {
        x: "time of the gradient flow".into(),
        y: "loss (nats)".into(),
        x_log: true,
        y_log: true,
    };
    lines(
        "theory1",
        "Bilinear model: loss and reversal loss",
        &axes,
        &[panel(100.0), panel(1e3), panel(1e4)],
    )
}
