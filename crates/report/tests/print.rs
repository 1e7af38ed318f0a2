//! The printed page of everything that the program reproduces. Skipped where no browser is, unless
//! `RETRODICT_REQUIRE_BROWSER=1`.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[path = "browser/devtools.rs"]
#[allow(dead_code)] // more than these tests need
mod devtools;
mod store;

use std::collections::HashSet;
use std::env;
use std::path::Path;

use devtools::Browser;
use retrodict_lab::store::Store;
use retrodict_report::{
    Claim, Comparator, Cosines, EffectiveWeights, Figure, Report, Scale, WeightPanel, cosines,
    effective_weights, experiments, figures, from_store, paper, write,
};
use serde_json::json;
use store::write_run;

/// The figures, their captions and claims of everything.
const MOST_SHEETS: usize = 25;
/// The smallest text of a figure, in points.
const LEAST_TEXT: f64 = 4.0;
const SEEDS: u64 = 2;

/// Every experiment of every figure with numbers of no meaning, and the theory's simulations.
fn report(out: &Path) -> Report {
    let store = Store::open(out).unwrap();
    let mut written = HashSet::new();
    for figure in paper::all() {
        for (_, experiment) in experiments(figure, Scale::Quick, None).unwrap() {
            if !written.insert(experiment.hash) {
                continue;
            }
            for seed in 0..SEEDS {
                write_run(&store, &experiment, seed, 20, |row, share| {
                    let learned = 6.0 * (1.0 - share) + 0.02;
                    row.with("train_nll", learned)
                        .with("train_eval_nll", learned)
                        .with("train_first_token_nll", learned)
                        .with("held_out_nll", 6.0 + 4.0 * share)
                        .with("held_out_first_token_nll", 6.0 + 4.0 * share)
                        .with("held_out_top1", 0.0)
                        .with("rank_held_out", 0.5)
                        .with("rank_type", 0.6)
                        .with("rank_vocabulary", 0.7)
                        .with("asymmetry", 0.98)
                        .with("seconds", 0.01)
                });
            }
        }
    }
    for figure in figures(&[]).unwrap().theory {
        figure.make(out, Scale::Quick, 1, &|| ()).unwrap();
    }
    let mut report = from_store(out).unwrap();
    for section in &mut report.sections {
        // As on the page that is sent round: claims that hold, and the sentences that rest on them.
        for claim in &mut section.claims {
            *claim = held(claim);
        }
        if let Some(figure) = paper::all().iter().find(|figure| figure.name == section.name) {
            section.see.clone_from(&figure.see);
        }
        // These are of files that a training leaves beside its numbers.
        match section.name.as_str() {
            "fig2" => section.figures.push(weights("fig2", 4, 2)),
            "fig4" => section.figures.push(weights("fig4", 6, 1)),
            "fig13" => section.figures.push(embeddings()),
            _ => {}
        }
    }
    let opening = report.opening.as_mut().unwrap();
    opening.film = Some(weights("opening-weights", 2, 1));
    report
}

/// The same claim, with numbers under which it holds.
fn held(claim: &Claim) -> Claim {
    let at = claim.threshold;
    let value = match claim.comparator {
        Comparator::Less | Comparator::AtMost => at - 0.012,
        Comparator::Greater | Comparator::AtLeast => at + 0.012,
        Comparator::Equal => at,
    };
    let values = vec![value; SEEDS as usize];
    Claim::measured(&claim.id, &claim.claim, &claim.source, values, claim.comparator, at)
        .refuted_by(&claim.refuted_by)
}

/// A heatmap of each group of pairs, for each head.
fn weights(name: &str, panels: usize, heads: usize) -> Figure {
    let panel = WeightPanel {
        group: "group".into(),
        title: "held-out, unseen".into(),
        row_label: "given entity".into(),
        column_label: "candidate".into(),
        rows: 2,
        columns: 2,
        values: vec![1.0, 0.0, 0.0, 1.0],
        margin: Some(1.0),
    };
    let variant = EffectiveWeights {
        variant: "free head, seed 0".into(),
        panels: vec![panel; panels],
        frames: Vec::new(),
    };
    effective_weights(name, "Effective weights", panels.div_ceil(2), &vec![variant; heads])
}

/// The cosines of four sizes of the model.
fn embeddings() -> Figure {
    let variant = Cosines {
        variant: "24 × 20, seed 0 of 1".into(),
        size: 2,
        values: vec![1.0, 0.0, 0.0, 1.0],
        mean_absolute: vec![0.1, 0.2],
        random: 0.181,
    };
    cosines("fig13", "Embeddings: cosine similarities", &vec![variant; 4])
}

/// The pages of a PDF that a browser wrote: it leaves their dictionaries uncompressed.
fn sheets(pdf: &[u8]) -> usize {
    let text = String::from_utf8_lossy(pdf);
    text.matches("/Type /Page").count() - text.matches("/Type /Pages").count()
}

#[test]
fn everything_is_printed_on_few_sheets_and_can_be_read() {
    let Some(program) = devtools::installed() else {
        let required = env::var("RETRODICT_REQUIRE_BROWSER").is_ok_and(|v| v == "1");
        assert!(!required, "RETRODICT_REQUIRE_BROWSER=1, but no browser is installed");
        eprintln!("skipped: no Chromium or Chrome on the path, none named by RETRODICT_BROWSER");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let report = report(dir.path());
    let figures: usize = report.sections.iter().map(|section| section.figures.len()).sum();
    let drawings: usize = paper::all().iter().map(|figure| figure.drawings.len()).sum();
    assert!(figures > drawings, "{figures}: each drawing, and the theory's");
    let page = write(&dir.path().join("page"), &report).unwrap();
    let mut browser = Browser::start(&program, &dir.path().join("profile"));
    browser.open(&format!("file://{}", page.display()));
    let pdf = browser.printed();
    if let Some(folder) = env::var_os("RETRODICT_SCREENSHOTS") {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(Path::new(&folder).join("printed.pdf"), &pdf).unwrap();
    }
    let sheets = sheets(&pdf);
    assert!((10..=MOST_SHEETS).contains(&sheets), "{sheets} sheets");

    // A sheet of A4 is so wide between its margins, in CSS pixels.
    browser.resize(695, 900, false);
    browser.call("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    // What is wider makes a browser shrink the whole page.
    let wide = browser.eval("document.documentElement.scrollWidth");
    assert!(wide.as_u64() <= Some(695), "{wide} of 695 pixels");
    let small = browser.eval(&format!(
        "[...document.querySelectorAll('section svg')].filter(svg => svg.getClientRects().length) \
         .map(svg => [svg.closest('section').id, Math.min(...[...svg.querySelectorAll('text')] \
           .map(text => 0.75 * text.getAttribute('font-size') * svg.getScreenCTM().a))]) \
         .filter(([, points]) => points < {LEAST_TEXT})"
    ));
    assert_eq!(small, json!([]), "sections with a figure whose text is smaller, in points");
}
