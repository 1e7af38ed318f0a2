//! The sentences of the page follow the numbers of the store, also where these are not those of the
//! paper. The text is what a browser shows, where one is installed.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[cfg(unix)]
#[path = "browser/devtools.rs"]
#[allow(dead_code)] // more than these tests need
mod devtools;

use std::path::Path;

use retrodict_lab::store::{Kept, MetricsRow, Store};
use retrodict_report::{Scale, experiments, from_store, paper, write};

/// The ends of the curves of one seed: NLL of the training and of the held-out sentences, rank of
/// the partner among the held-out answers, asymmetry.
type Ends = [f64; 4];

/// As the paper has it with a free head, and as a tied one is.
const CURSED: Ends = [0.03, 10.2, 0.5, 1.0];
const TIED: Ends = [0.03, 4.8, 0.01, 0.6];
const KNOWN: Ends = [0.03, 0.02, 0.0, 0.1];

/// Writes figure 1 with these seeds of the free and the tied head.
fn store(out: &Path, free: &[Ends], tied: &[Ends]) {
    let store = Store::open(out).unwrap();
    let figure = paper::all().iter().find(|figure| figure.name == "fig1").unwrap();
    for (variant, experiment) in experiments(figure, Scale::Quick, None).unwrap() {
        let all = if variant.id == "tied" { tied } else { free };
        for (seed, [train, held_out, rank, asymmetry]) in (0..).zip(all) {
            let run = store.run_dir(&experiment.spec.name, experiment.hash, seed).unwrap();
            let run = run.begin(experiment.spec.precision, Kept::All).unwrap();
            let epochs = experiment.spec.train.epochs;
            let row = |epoch: u64| {
                let share = epoch as f64 / epochs as f64;
                let way = |end: f64| 6.7 + share * (end - 6.7);
                MetricsRow::empty(epoch, 6 * epoch)
                    .with("train_nll", way(*train))
                    .with("train_eval_nll", way(*train))
                    .with("train_first_token_nll", way(*train))
                    .with("held_out_nll", way(*held_out))
                    .with("held_out_first_token_nll", way(*held_out))
                    .with("rank_held_out", *rank)
                    .with("asymmetry", *asymmetry)
                    .with("seconds", 0.01)
            };
            run.write_spec(&experiment.spec.to_toml()).unwrap();
            run.write_metrics(&(1..=epochs).map(row).collect::<Vec<_>>()).unwrap();
            run.mark_complete().unwrap();
        }
    }
}

/// The text that a reader of the page sees.
fn text(free: &[Ends], tied: &[Ends]) -> String {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path(), free, tied);
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
    assert!(!text.contains("rises above"), "{text}");
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
