//! The sentences of the page follow the numbers of the store, also where these are not those of the
//! paper. The text is what a browser shows, where one is installed.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[cfg(unix)]
#[path = "browser/devtools.rs"]
#[allow(dead_code)] // more than these tests need
mod devtools;
mod store;

use std::path::Path;

use retrodict_lab::store::Store;
use retrodict_report::{Reproduction, Scale, experiments, from_store, paper, write};
use store::write_run;

/// The ends of the curves of one seed: NLL of the training and of the held-out sentences, rank of
/// the partner among the held-out answers, asymmetry.
type Ends = [f64; 4];

/// As the paper has it with a free head, and as a tied one is.
const CURSED: Ends = [0.03, 10.2, 0.5, 1.0];
const TIED: Ends = [0.03, 4.8, 0.01, 0.6];
const KNOWN: Ends = [0.03, 0.02, 0.0, 0.1];

/// Writes figure 1 with these seeds of the free and the tied head.
fn write_store(out: &Path, free: &[Ends], tied: &[Ends]) {
    let store = Store::open(out).unwrap();
    let figure = paper::all().iter().find(|figure| figure.name == "fig1").unwrap();
    for (variant, experiment) in experiments(figure, Scale::Quick, None).unwrap() {
        let all = if variant.id == "tied" { tied } else { free };
        for (seed, [train, held_out, rank, asymmetry]) in (0..).zip(all) {
            write_run(&store, &experiment, seed, experiment.spec.train.epochs, |row, share| {
                let way = |end: f64| 6.7 + share * (end - 6.7);
                row.with("train_nll", way(*train))
                    .with("train_eval_nll", way(*train))
                    .with("train_first_token_nll", way(*train))
                    .with("held_out_nll", way(*held_out))
                    .with("held_out_first_token_nll", way(*held_out))
                    .with("held_out_top1", 0.0)
                    .with("rank_held_out", *rank)
                    .with("asymmetry", *asymmetry)
                    .with("seconds", 0.01)
            });
        }
    }
}

/// The text that a reader of the page sees.
fn text(free: &[Ends], tied: &[Ends]) -> String {
    let dir = tempfile::tempdir().unwrap();
    write_store(dir.path(), free, tied);
    let page = write(dir.path(), &from_store(dir.path()).unwrap()).unwrap();
    seen(&page, dir.path()).replace('\u{a0}', " ")
}

#[cfg(unix)]
fn seen(page: &Path, dir: &Path) -> String {
    let Some(program) = devtools::installed() else { return plain(page) };
    let mut browser = devtools::Browser::start(&program, &dir.join("profile"));
    browser.open(&format!("file://{}", page.display()));
    let text = browser.eval(
        "document.body.innerText + [...document.querySelectorAll('svg text')].map(t => t.textContent)",
    );
    text.as_str().unwrap().to_owned()
}

#[cfg(not(unix))]
fn seen(page: &Path, _dir: &Path) -> String {
    plain(page)
}

/// The text between the tags.
fn plain(page: &Path) -> String {
    let html = std::fs::read_to_string(page).unwrap();
    let body = html.split("<body>").nth(1).unwrap().split("<script").next().unwrap();
    body.split('<').filter_map(|part| part.split('>').nth(1)).collect()
}

#[test]
fn the_papers_result_is_told_as_such() {
    let text = text(&[CURSED; 3], &[TIED; 3]);
    assert!(text.contains("The reversal curse holds on all 3 seeds"), "{text}");
    assert!(text.contains("held-out NLL 10.2 ± 0.0 against ln 802 = 6.69"), "{text}");
    assert!(text.contains("the asymmetry is 0.600 ± 0.000 (free head: 1.00 ± 0.00)"), "{text}");
    assert!(text.contains("Reproduced: 3 of 3 claims of the paper"), "{text}");
    assert!(!text.contains("Not reproduced"), "{text}");
    assert!(text.contains("ends at the line of uniform guessing or above it"), "{text}");
}

#[test]
fn heads_that_were_swapped_are_told_as_they_are() {
    let text = text(&[TIED; 2], &[CURSED; 2]);
    assert!(text.contains("The reversal curse is not total here"), "{text}");
    assert!(text.contains("the asymmetry is 1.00 ± 0.00 (free head: 0.600 ± 0.000)"), "{text}");
    assert!(text.contains("Reproduced: 1 of 3 claims of the paper"), "{text}");
    let refuted = "Not reproduced: The held-out reversals are predicted no better than by guessing";
    assert!(text.contains(refuted), "{text}");
    assert!(text.contains("measured 4.80 ± 0.00, threshold ≥ 6.69"), "{text}");
    // The sentence that says what the paper's figure shows is not there.
    assert!(!text.contains("ends at the line of uniform guessing or above it"), "{text}");
}

#[test]
fn a_reverse_that_is_known_is_no_curse() {
    let text = text(&[KNOWN; 2], &[TIED; 2]);
    assert!(text.contains("The reversal curse does not hold here"), "{text}");
    assert!(!text.contains("curse holds"), "{text}");
}

#[test]
fn a_missing_seed_and_a_diverged_one_are_counted() {
    let nan = [0.03, f64::NAN, f64::NAN, 1.0];
    let text = text(&[CURSED, CURSED, nan], &[TIED]);
    assert!(text.contains("The reversal curse holds on 2 of 3 seeds"), "{text}");
    assert!(text.contains("free head, 3 seeds") && text.contains("tied head, 1 seed"), "{text}");
    assert!(text.contains("Not reproduced"), "a seed without a number is no support: {text}");
}

#[test]
fn sentences_that_were_not_learned_say_nothing_of_the_reverse() {
    let text = text(&[[5.0, 10.2, 0.5, 1.0]; 2], &[TIED; 2]);
    assert!(text.contains("The training sentences are not learned yet"), "{text}");
    assert!(text.contains("Not reproduced: The trained directions are learned"), "{text}");
}

#[test]
fn models_that_all_diverged_are_no_finding() {
    let text = text(&[[f64::NAN, f64::NAN, f64::NAN, f64::NAN]; 2], &[TIED; 2]);
    assert!(text.contains("No run of this experiment has an NLL of both"), "{text}");
    for word in ["does not hold here", "curse holds", "is not total"] {
        assert!(!text.contains(word), "{text}");
    }
}

/// A killed reproduction leaves a figure with some of its settings: nothing is said of the others.
#[test]
fn a_claim_about_settings_that_were_not_run_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let figure = paper::all().iter().find(|figure| figure.name == "fig5").unwrap();
    let text = |ids: &[&str]| {
        for (variant, experiment) in experiments(figure, Scale::Quick, None).unwrap() {
            if ids.contains(&variant.id.as_str()) {
                write_run(&store, &experiment, 0, 10, |row, share| {
                    row.with("train_nll", 6.0 * (1.0 - share))
                        .with("train_eval_nll", 6.0 * (1.0 - share))
                        .with("train_first_token_nll", 6.0 * (1.0 - share))
                        .with("held_out_nll", 10.0 * share)
                        .with("seconds", 0.01)
                });
            }
        }
        let kept = Reproduction {
            scale: "quick".into(),
            seeds: 1,
            wall_seconds: 1.0,
            figures: vec!["fig5".into()],
            own: [].into(),
        };
        kept.write(dir.path()).unwrap();
        let page = write(dir.path(), &from_store(dir.path()).unwrap()).unwrap();
        plain(&page).replace('\u{a0}', " ")
    };
    let (claim, see) = ("Vocabularies of 50 and 200: held-out", "800 is figure 1");
    let part = text(&["v50"]);
    assert!(part.contains("on the one seed run"), "its finding is there: {part}");
    assert!(!part.contains(claim) && !part.contains(see), "{part}");
    let whole = text(&["v20", "v200", "v800"]);
    assert!(whole.contains(claim) && whole.contains(see), "{whole}");
}
