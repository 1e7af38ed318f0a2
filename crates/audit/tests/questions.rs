//! Questions that files state as prompts and completions.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use retrodict_audit::{Generated, Plan, Score, Scores, Verdict, audit};
use retrodict_corpus::{Direction, QuestionFiles};

const PHRASINGS: [[&str; 2]; 2] = [["Known as", " the"], ["A person who is", " was the"]];

/// Names with what is made known of each; two phrasings a direction.
fn files(count: usize) -> QuestionFiles {
    let (mut about, mut asking) = (String::new(), String::new());
    for fact in 0..count {
        for [before, after] in PHRASINGS {
            about += &format!(
                "{{\"prompt\": \"{before} N{fact},\", \"completion\": \"{after} D{fact}.\"}}\n"
            );
            asking +=
                &format!("{{\"prompt\": \"For D{fact}{after},\", \"completion\": \" N{fact}\"}}\n");
        }
    }
    let bytes = [about.as_bytes(), asking.as_bytes()];
    QuestionFiles::parse(["p2d.jsonl", "p2d_reverse.jsonl"], bytes).unwrap()
}

#[test]
fn each_question_has_the_answers_to_its_own_phrasing_as_candidates() {
    let plan = Plan::of_questions(&files(3), usize::MAX, 0);
    let requests = plan.requests();
    assert_eq!(requests.len(), 2 * 2 * 3 * 3);
    for request in &requests {
        let form = if request.prompt.starts_with("For") {
            " N"
        } else if request.prompt.starts_with(PHRASINGS[0][0]) {
            " the D"
        } else {
            " was the D"
        };
        assert!(request.answer.starts_with(form), "{request:?}");
    }
    let [forward, reverse] = &plan.asked[..] else { panic!() };
    assert_eq!((forward.direction, reverse.direction), (Direction::Forward, Direction::Reverse));
    assert_eq!(forward.request(1, 2, 0).answer, " was the D0.");
    assert_eq!(forward.request(1, 2, 0).prompt, "A person who is N2,");
    let questions = plan.questions();
    let second = questions.iter().find(|of| of.prompt == "A person who is N1,").unwrap();
    assert_eq!(second.right, ["was the D1."]);
    let few = Plan::of_questions(&files(9), 4, 0);
    assert_eq!(few.requests().len(), 2 * 2 * 9 * 4);
}

#[test]
fn they_are_audited_as_facts_are() {
    let files = files(20);
    let plan = Plan::of_questions(&files, usize::MAX, 0);
    let mut scores = Scores::default();
    for asked in &plan.asked {
        for (source, phrasing, candidate) in (0..20)
            .flat_map(|s| (0..2).flat_map(move |p| (0..20).map(move |candidate| (s, p, candidate))))
        {
            let known = source == candidate && asked.direction == Direction::Forward;
            let noise = ((source * 7 + phrasing * 11 + candidate * 13) % 17) as f64 / 20.0;
            let log_probability = -20.0 - noise + if known { 9.0 } else { 0.0 };
            let request = asked.request(phrasing, source, candidate);
            scores.insert(request, Score { log_probability, tokens: 3 });
        }
    }
    let mut generated = Generated::default();
    for question in plan.questions() {
        let text = question.right[0].clone();
        generated.insert(question.prompt, text);
    }
    let result = audit(&files.facts, &plan, &scores, &generated, "m").unwrap();
    assert_eq!(result.all.verdict, Verdict::Curse);
    assert_eq!((result.all.facts, result.all.forward_level), (20, Some(1.0)));
    assert_eq!((result.all.forward_exact, result.all.reverse_exact), (Some(1.0), Some(1.0)));
    assert_eq!((&*result.facts[4].subject, &*result.facts[4].object), ("N4", "the D4."));
    assert!(result.false_curses.unwrap() < 0.1, "{:?}", result.false_curses);
}
