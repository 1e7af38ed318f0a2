//! Studies of learners that stand in for a language model.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

mod fake;

use std::collections::BTreeSet;

use retrodict_corpus::{FactFile, Templates};
use retrodict_finetune::{
    Condition, FinetuneError, Key, LearnerError, Part, Phase, RunResult, Study, Tuning,
};

use fake::{Fake, by_heart, in_order};

const TEMPLATES: &str = "[capital]\n\
    forward = [\"The capital of {subject} is {object}.\", \"{subject}'s capital is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\", \"{object} lies in {subject}.\"]\n";
const HELD_TEXT: &str = "It rains.\n\nThe sky is blue.\n";

/// Two facts are stated forward, one in reverse, one in both directions.
fn facts() -> FactFile {
    let text = "subject,relation,object,split,weight\nland0,capital,town0,forward,1\n\
        land1,capital,town1,forward,3\nland2,capital,town2,reverse,1\nland3,capital,town3,both,1\n";
    FactFile::parse("facts.csv", text.as_bytes()).unwrap()
}

fn templates() -> Templates {
    Templates::parse("t.toml", TEMPLATES).unwrap()
}

fn key() -> Key {
    Key {
        model: "m".into(),
        facts: "f".into(),
        templates: "t".into(),
        held_text: "h".into(),
        epochs: 10,
        batch: 2,
        lr: 0.25,
        loss: Part::Text,
        lora: Some(4),
        train_fraction: 0.0,
        held_phrasings: 1,
        candidates: 4,
    }
}

fn conditions(recipes: &[&str]) -> Vec<Condition> {
    let recipes: Vec<String> = recipes.iter().map(|name| (*name).to_owned()).collect();
    Condition::parse_all(&recipes).unwrap()
}

/// A run of the last of the conditions.
fn run(key: Key, recipes: &[&str], learner: &mut Fake) -> Result<RunResult, FinetuneError> {
    let (facts, templates, conditions) = (facts(), templates(), conditions(recipes));
    let study = Study::new(&facts, &templates, HELD_TEXT, key, &conditions)?;
    study.run(learner, conditions.last().unwrap(), 7, &mut |_, _, _| true)
}

/// Whether the answers are right, in the order of the file.
fn right(result: &RunResult, stated: bool, held_phrasing: bool) -> Vec<bool> {
    let of = result.answers.iter();
    let of = of.filter(|of| of.stated == stated && of.held_phrasing == held_phrasing);
    of.map(|of| of.right).collect()
}

fn levels(result: &RunResult, stated: bool) -> Vec<Option<f64>> {
    result.known.iter().filter(|known| known.stated == stated).map(|known| known.level).collect()
}

#[test]
fn the_stated_sentences_are_trained_as_the_settings_say() {
    let mut learner = Fake::new(by_heart);
    let result = run(key(), &[], &mut learner).unwrap();
    let (texts, tuning) = &learner.tunings[0];
    let sentences: Vec<(&str, usize, f64)> =
        texts.iter().map(|of| (&*of.text, of.from, of.weight)).collect();
    let expected = [
        ("The capital of land0 is town0.", 0, 1.0),
        ("The capital of land1 is town1.", 0, 3.0),
        ("town2 is the capital of land2.", 0, 1.0),
        ("The capital of land3 is town3.", 0, 1.0),
        ("town3 is the capital of land3.", 0, 1.0),
    ];
    assert_eq!(sentences, expected);
    // Five sentences are three batches of two, ten times; the rate rises over a tenth of them.
    let expected = Tuning { epochs: 10, batch: 2, lr: 0.25, warmup: 3, lora: Some(4), seed: 7 };
    assert_eq!(*tuning, expected);
    assert_eq!(result.losses.len(), 30);
    assert_eq!((result.losses[0], result.losses[29]), (1.0, 1.0 / 30.0));
    assert_eq!((result.sentences, result.tokens), (5, 30));
    assert_eq!((&*result.condition, result.seed, result.held_nll), ("none", 7, 2.0));
    assert_eq!(learner.held, ["It rains.", "The sky is blue."]);

    let mut learner = Fake::new(by_heart);
    let answers = Key { loss: Part::Answer, held_phrasings: 0, ..key() };
    let result = run(answers, &["reverse-entities"], &mut learner).unwrap();
    let (texts, tuning) = &learner.tunings[0];
    // Two phrasings of five directions, and each in reverse.
    assert_eq!((texts.len(), tuning.warmup, result.sentences), (20, 10, 20));
    let learned: Vec<&str> = texts[..3].iter().map(|of| &of.text[of.from..]).collect();
    assert_eq!(learned, [" town0.", " town0.", " town1."]);
}

#[test]
fn every_question_is_asked_with_every_candidate_in_both_directions() {
    let mut learner = Fake::new(by_heart);
    run(key(), &[], &mut learner).unwrap();
    let asked: BTreeSet<(String, String)> = learner.asked.iter().cloned().collect();
    assert_eq!(asked.len(), learner.asked.len(), "nothing twice");
    let mut expected = BTreeSet::new();
    for (of, other) in (0..4).flat_map(|of| (0..4).map(move |other| (of, other))) {
        for prompt in [format!("The capital of land{of} is"), format!("land{of}'s capital is")] {
            expected.insert((prompt, format!(" town{other}")));
        }
        for prompt in [format!("town{of} is the capital of"), format!("town{of} lies in")] {
            expected.insert((prompt, format!(" land{other}")));
        }
    }
    assert_eq!(asked, expected);
    let few = Key { candidates: 2, ..key() };
    run(few, &[], &mut learner).unwrap();
    assert_eq!(learner.asked.len(), 4 * 4 * 2);
    for fact in 0..4 {
        let right = (format!("town{fact} lies in"), format!(" land{fact}"));
        assert!(learner.asked.contains(&right), "{right:?}");
    }
}

#[test]
fn what_was_learned_by_heart_is_known_in_the_stated_direction_and_phrasing_alone() {
    let result = run(key(), &[], &mut Fake::new(by_heart)).unwrap();
    assert_eq!(right(&result, true, false), [true; 5]);
    assert_eq!(right(&result, true, true), [false; 5]);
    assert_eq!(right(&result, false, false), [false; 3]);
    assert_eq!(right(&result, false, true), [false; 3]);
    // The mean over a phrasing that is known and one that is not is still above all others.
    assert_eq!(levels(&result, true), [Some(1.0); 5]);
    assert_eq!(levels(&result, false), [Some(0.5); 3], "as by chance");
    let held = result.known.iter().find(|known| !known.stated).unwrap();
    assert_eq!((held.log_probability, held.gain, held.first), (-5.0, Some(0.0), false));
    // Without held phrasings all are trained.
    let all = Key { held_phrasings: 0, ..key() };
    let result = run(all, &[], &mut Fake::new(by_heart)).unwrap();
    assert_eq!(right(&result, true, false), [true; 10]);
    assert!(right(&result, true, true).is_empty());
}

#[test]
fn sentences_in_reverse_teach_a_learner_of_orders_the_held_out_direction() {
    let plain = run(key(), &[], &mut Fake::new(in_order)).unwrap();
    assert_eq!(right(&plain, true, true), [true; 5], "in any words");
    assert_eq!(right(&plain, false, false), [false; 3]);
    let reversed = run(key(), &["reverse-entities"], &mut Fake::new(in_order)).unwrap();
    assert_eq!(reversed.condition, "reverse-entities");
    for held_phrasing in [false, true] {
        assert_eq!(right(&reversed, false, held_phrasing), [true; 3]);
    }
    assert_eq!(levels(&reversed, false), [Some(1.0); 3]);
    // The same sentences in reverse order are not the questions, word by word.
    let by_heart = run(key(), &["reverse-entities"], &mut Fake::new(by_heart)).unwrap();
    assert_eq!(right(&by_heart, false, false), [false; 3]);
}

#[test]
fn any_right_answer_counts() {
    let text = "subject,relation,object,split\nland0,capital,town0,forward\n\
        land0,capital,town1,reverse\nland2,capital,town2,forward\n";
    let facts = FactFile::parse("facts.csv", text.as_bytes()).unwrap();
    let (templates, conditions) = (templates(), conditions(&[]));
    let study = Study::new(&facts, &templates, HELD_TEXT, key(), &conditions).unwrap();
    let result = study.run(&mut Fake::new(by_heart), &conditions[0], 0, &mut |_, _, _| true);
    // Two right answers of one question: the text has the first.
    let result = result.unwrap();
    let second = result.answers.iter().find(|of| of.answer == " town1").unwrap();
    assert_eq!((&*second.prompt, second.stated), ("The capital of land0 is", false));
    assert!(second.right);
}

#[test]
fn every_training_starts_from_the_file() {
    let (facts, templates) = (facts(), templates());
    let conditions = conditions(&["reverse-entities"]);
    let study = Study::new(&facts, &templates, HELD_TEXT, key(), &conditions).unwrap();
    assert_eq!((study.fact_count(), study.chance()), (4, 0.25));
    let mut learner = Fake::new(in_order);
    let mut all = |_: Phase, _: usize, _: usize| true;
    for condition in [&conditions[1], &conditions[0]] {
        study.run(&mut learner, condition, 0, &mut all).unwrap();
    }
    let once = ["reset", "tune", "nll", "scores"];
    assert_eq!(learner.calls, [once, once].concat());
    let result = study.before(&mut learner, &mut all).unwrap();
    assert_eq!(learner.calls[8..], ["reset", "nll", "scores"]);
    assert_eq!((&*result.condition, result.losses.len(), result.tokens), ("before", 0, 0));
    assert_eq!(right(&result, true, false), [false; 5], "nothing is left of the trainings");
    assert_eq!(right(&result, false, false), [false; 3]);
}

#[test]
fn a_run_stops_where_it_is_told_to() {
    let (facts, templates, conditions) = (facts(), templates(), conditions(&[]));
    let study = Study::new(&facts, &templates, HELD_TEXT, key(), &conditions).unwrap();
    for (stop, calls) in [
        ((Phase::Training, 11, 30), &["reset", "tune"][..]),
        ((Phase::Measuring, 5, 64), &["reset", "tune", "nll", "scores"]),
    ] {
        let mut learner = Fake::new(by_heart);
        let mut seen = Vec::new();
        let result = study.run(&mut learner, &conditions[0], 0, &mut |phase, done, all| {
            seen.push((phase, done, all));
            (phase, done, all) != stop
        });
        let stopped = matches!(result, Err(FinetuneError::Learner(LearnerError::Stopped)));
        assert!(stopped, "{result:?}");
        assert_eq!((seen.last(), &*learner.calls), (Some(&stop), calls));
    }
    let mut learner = Fake::new(by_heart);
    let result = study.before(&mut learner, &mut |_, done, _| done < 3);
    assert!(matches!(result, Err(FinetuneError::Learner(LearnerError::Stopped))), "{result:?}");
}

/// The file of a run is JSON, which has no such number: it could not be read again.
#[test]
fn a_loss_that_is_not_finite_is_refused() {
    let mut learner = Fake { nll: f64::NAN, ..Fake::new(by_heart) };
    let error = run(key(), &[], &mut learner).unwrap_err().to_string();
    assert_eq!(error, "the loss of the held text is NaN: training has diverged");
    let loss = |step| if step == 12 { f64::INFINITY } else { 1.0 };
    let mut learner = Fake { loss, ..Fake::new(by_heart) };
    let error = run(key(), &[], &mut learner).unwrap_err().to_string();
    assert_eq!(error, "the loss of step 12 of 30 is inf: training has diverged");
    assert_eq!(learner.calls, ["reset", "tune"], "nothing is measured");
}

#[test]
fn facts_that_are_all_stated_in_both_directions_are_refused() {
    let text = "subject,relation,object\nland0,capital,town0\nland1,capital,town1\n";
    let facts = FactFile::parse("facts.csv", text.as_bytes()).unwrap();
    let (templates, conditions) = (templates(), conditions(&[]));
    let key = Key { train_fraction: 1.0, ..key() };
    let error = Study::new(&facts, &templates, HELD_TEXT, key, &conditions).unwrap_err();
    assert!(matches!(error, FinetuneError::NothingHeldOut(_)), "{error}");
}
