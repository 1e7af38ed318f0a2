//! Transfer and localisation with models whose answers are known.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use retrodict_corpus::{FactFile, Templates};
use retrodict_finetune::{
    Gains, Inside, Kind, LearnerError, PatchPosition, Tangent, TokenQuestion, locate, transfer,
};
use retrodict_models::{LastNorm, Part, Written};

const FACTS: &str = "subject,relation,object,split,group\n\
    Veltria,capital,Ansolo,,\nMorund,capital,Brask,reverse,\nSestany,capital,Corin,,g\n\
    Tolvar,capital,Dorn,,g\n";
const TEMPLATES: &str = "[capital]\n\
    forward = [\"The capital of {subject} is {object}.\", \"{subject}'s capital is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\", \"{object} governs {subject}.\"]\n";

fn files() -> (FactFile, Templates) {
    let facts = FactFile::parse("facts.csv", FACTS.as_bytes()).unwrap();
    (facts, Templates::parse("t.toml", TEMPLATES).unwrap())
}

/// A model in which the trained answer gains 0.5 after its own entity and 0.25 elsewhere, and other
/// answers 0.125; the blocks add twice what the embeddings do.
struct Gaining;

impl Tangent for Gaining {
    fn gains(
        &mut self,
        (prompt, answer): (&str, &str),
        answers: &[(&str, &str)],
        go: &mut dyn FnMut() -> bool,
    ) -> Result<Gains, LearnerError> {
        if !go() {
            return Err(LearnerError::Stopped);
        }
        assert!(!answers.contains(&(prompt, answer)), "the trained sentence is not asked");
        let names = |text: &str| -> Vec<String> {
            let words = text.split([' ', '\'']).filter(|word| word.len() > 3);
            let capital = |word: &&str| word.starts_with(char::is_uppercase);
            words.filter(capital).map(str::to_owned).collect()
        };
        let of = |(other, said): &(&str, &str)| match *said == answer {
            true if names(other) == names(prompt) => 0.5,
            true => 0.25,
            false => 0.125,
        };
        let gains: Vec<f64> = answers.iter().map(of).collect();
        let twice = gains.iter().map(|gain| 2.0 * gain).collect();
        Ok(Gains { log_probability: -1.0, parts: vec![("embeddings", gains), ("blocks", twice)] })
    }
}

#[test]
fn gains_are_averaged_by_kind_group_and_part() {
    let (facts, templates) = files();
    let mut seen = Vec::new();
    let summary = transfer("model", &facts, &templates, 2, &mut Gaining, |done, all| {
        seen.push((done, all));
        true
    })
    .unwrap();
    assert_eq!(seen, [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]);
    assert_eq!(summary.parts, ["embeddings", "blocks"]);
    let kinds: Vec<Kind> = summary.kinds.iter().map(|of| of.kind).collect();
    assert_eq!(kinds, Kind::ALL);
    for (kind, gain) in [
        (Kind::Paraphrase, 0.5),
        (Kind::ParaphraseElsewhere, 0.25),
        (Kind::Reverse, 0.125),
        (Kind::ReverseElsewhere, 0.125),
        (Kind::OtherReverse, 0.125),
    ] {
        let of = summary.kinds.iter().find(|of| of.kind == kind).unwrap();
        let found = [of.gain, of.by_part[0], of.by_part[1]].map(|of| of.mean);
        assert_eq!(found, [3.0 * gain, gain, 2.0 * gain], "{kind:?}");
    }
    let [paraphrase, reverse] = &summary.excess[..] else { panic!("two differences") };
    assert_eq!((reverse.kind, reverse.excess.mean, reverse.above), (Kind::Reverse, 0.0, 0.0));
    assert_eq!(reverse.p, 1.0);
    // Two of the facts are one group: three observations, and 2 of 2³ sign flips are as large.
    assert_eq!((paraphrase.excess.mean, paraphrase.above, paraphrase.p), (0.75, 1.0, 0.25));
    let directions: Vec<&str> = summary.facts.iter().map(|of| of.direction.as_str()).collect();
    assert_eq!(directions, ["forward", "reverse", "forward", "forward"]);
}

#[test]
fn a_lone_fact_has_nothing_to_be_compared_with() {
    let (_, templates) = files();
    let one = "subject,relation,object\nVeltria,capital,Ansolo\n";
    let facts = FactFile::parse("facts.csv", one.as_bytes()).unwrap();
    let error = transfer("model", &facts, &templates, 2, &mut Gaining, |_, _| true).unwrap_err();
    assert!(error.to_string().starts_with("line 2: no other fact of the relation `capital`"));
    let (facts, templates) = files();
    let stopped = transfer("model", &facts, &templates, 2, &mut Gaining, |done, _| done < 2);
    assert_eq!(stopped.unwrap_err().to_string(), "stopped");
}

/// A model of two blocks whose answer lies at the end of the entity after the first block, and at the
/// last token after the second.
struct Moving;

impl Moving {
    fn logits(right: u32) -> Vec<f64> {
        (0..100).map(|token| if token == right { 5.0 } else { 0.0 }).collect()
    }
}

impl Inside for Moving {
    fn blocks(&self) -> usize {
        2
    }

    fn question(
        &self,
        prompt: &str,
        entity_end: usize,
        answer: &str,
        others: &[&str],
    ) -> Result<TokenQuestion, LearnerError> {
        assert!(prompt.as_bytes()[entity_end - 1].is_ascii_lowercase(), "{prompt} {entity_end}");
        let number = |text: &str| text.bytes().map(u32::from).sum::<u32>() % 100;
        let right = number(answer);
        let others = others.iter().map(|other| number(other)).filter(|other| *other != right);
        let others = others.collect();
        Ok(TokenQuestion { tokens: vec![0], entity: entity_end, right, others })
    }

    fn lens(
        &mut self,
        questions: &[TokenQuestion],
        take: &mut dyn FnMut(usize, usize, &[f64]),
        _: &mut dyn FnMut() -> bool,
    ) -> Result<(), LearnerError> {
        for (number, of) in questions.iter().enumerate() {
            for place in 0..3 {
                let logits = if place == 2 { Self::logits(of.right) } else { vec![0.0; 100] };
                take(number, place, &logits);
            }
        }
        Ok(())
    }

    fn patched(
        &mut self,
        pairs: &[(&TokenQuestion, &TokenQuestion)],
        place: usize,
        position: PatchPosition,
        take: &mut dyn FnMut(usize, &[f64]),
        go: &mut dyn FnMut() -> bool,
    ) -> Result<(), LearnerError> {
        for (number, (clean, corrupted)) in pairs.iter().enumerate() {
            let brought = (place == 2) == (position == PatchPosition::Last);
            take(number, &Self::logits(if brought { clean.right } else { corrupted.right }));
        }
        if go() { Ok(()) } else { Err(LearnerError::Stopped) }
    }

    fn written(
        &mut self,
        questions: &[TokenQuestion],
        take: &mut dyn FnMut(usize, &[Written]),
        _: &mut dyn FnMut() -> bool,
    ) -> Result<(), LearnerError> {
        let head = |block, head| Part::Head { block, head };
        for (number, of) in questions.iter().enumerate() {
            let right = |x: f64| -> Vec<f64> {
                (0..100).map(|token| if token == of.right { x } else { 0.0 }).collect()
            };
            let written = [
                (Part::Embeddings, right(0.5)),
                (head(0, 0), right(2.0)),
                (head(0, 1), right(-1.5)),
                (Part::MixerBias(0), right(0.5)),
                // The same for all answers adds nothing.
                (Part::Mlp(0), vec![7.0; 100]),
                (head(1, 0), right(0.0)),
                (head(1, 1), right(0.25)),
                (Part::Mlp(1), right(4.0)),
            ];
            take(number, &written);
        }
        Ok(())
    }

    fn last_norm(&self) -> LastNorm {
        let (gain, bias) = (vec![1.0; 100], vec![0.0; 100]);
        LastNorm { gain, bias, epsilon: None, centred: false }
    }

    fn head_row(&self, token: u32) -> Vec<f64> {
        (0..100).map(|other| f64::from(other == token)).collect()
    }
}

#[test]
fn an_answer_is_found_where_it_arises() {
    let (facts, templates) = files();
    let mut last = (0, 0);
    let found = locate(&facts, &templates, &mut Moving, |done, all| {
        last = (done, all);
        true
    })
    .unwrap();
    assert_eq!(last, (16, 16));
    assert_eq!(found.places, ["embeddings", "block 1", "block 2"]);
    for lens in &found.lens {
        assert_eq!((lens.questions, lens.candidates), (4, 4.0), "{}", lens.name);
        // Ties share their mean rank.
        assert_eq!(lens.places[0].rank, 2.5);
        assert_eq!((lens.places[2].rank, lens.places[2].margin), (1.0, Some(5.0)));
    }
    let parts = [
        "embeddings",
        "block 1 attention",
        "block 1 MLP",
        "block 2 attention",
        "block 2 MLP",
        "norm bias",
    ];
    assert_eq!(found.parts, parts);
    for group in &found.attribution {
        assert_eq!(group.questions, 4, "{}", group.name);
        let expected = [0.5, 1.0, 0.0, 0.25, 4.0, 0.0];
        assert_eq!(group.parts.len(), expected.len());
        for (part, expected) in group.parts.iter().zip(expected) {
            assert!((part - expected).abs() < 1e-12, "{}: {part}, not {expected}", group.name);
        }
        assert!((group.margin - 5.75).abs() < 1e-12, "{}", group.margin);
        assert_eq!(group.heads, [[2.0, -1.5], [0.0, 0.25]]);
    }
    for patching in &found.patching {
        // One of the four is alone in its direction.
        assert_eq!(patching.pairs, 3);
        let at = |place: usize| patching.recovered[place].clone();
        assert_eq!(at(1), [Some(1.0), Some(0.0)], "{}", patching.title);
        assert_eq!(at(2), [Some(0.0), Some(1.0)], "{}", patching.title);
    }
    let stopped = locate(&facts, &templates, &mut Moving, |done, _| done < 3);
    assert_eq!(stopped.unwrap_err().to_string(), "stopped");
}
