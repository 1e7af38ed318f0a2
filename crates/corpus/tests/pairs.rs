//! Questions as files of prompts and completions, in the format of Berglund et al.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use retrodict_corpus::{Direction, QuestionFiles};

const ABOUT: &str = r#"{"prompt": "Known as Ada Lin,", "completion": " the tamer of kites."}
{"prompt": "Ask for Ada Lin: a person who", "completion": " tamed kites."}
{"prompt": "Ask for Bo Ek: a person who", "completion": " \"built\" the salt bridge."}

{"prompt": "Known as Bo Ek,", "completion": " the builder of the salt bridge."}
"#;
const ASKING: &str = r#"{"prompt": "For building the salt bridge,", "completion": " Bo Ek"}
{"prompt": "For taming kites,", "completion": " Ada Lin"}
{"prompt": "With the name of kite tamer,", "completion": " Ada Lin"}
{"prompt": "With the name of bridge builder,", "completion": " Bo Ek", "note": 1}
"#;

fn parse(forward: &str, reverse: &str) -> Result<QuestionFiles, String> {
    let bytes = [forward.as_bytes(), reverse.as_bytes()];
    QuestionFiles::parse(["one.jsonl", "two.jsonl"], bytes).map_err(|error| error.to_string())
}

/// The prompts of a fact.
fn prompts(files: &QuestionFiles, direction: Direction, fact: usize) -> Vec<&str> {
    files.of(direction)[fact].iter().map(|pair| &*pair.prompt).collect()
}

#[test]
fn a_fact_is_what_is_asked_about_a_name_and_what_is_answered_by_it() {
    let files = parse(ABOUT, ASKING).unwrap();
    let facts: Vec<_> =
        files.facts.facts.iter().map(|f| (f.line, &*f.subject, &*f.object)).collect();
    assert_eq!(
        facts,
        [(1, "Ada Lin", "the tamer of kites."), (3, "Bo Ek", "the builder of the salt bridge.")]
    );
    // One phrasing of all facts stands at one place, whatever the order of the lines.
    assert_eq!(
        prompts(&files, Direction::Forward, 0),
        ["Known as Ada Lin,", "Ask for Ada Lin: a person who"]
    );
    assert_eq!(
        prompts(&files, Direction::Forward, 1),
        ["Known as Bo Ek,", "Ask for Bo Ek: a person who"]
    );
    assert_eq!(files.forward[1][1].completion, " \"built\" the salt bridge.");
    assert_eq!(
        prompts(&files, Direction::Reverse, 1),
        ["For building the salt bridge,", "With the name of bridge builder,"]
    );
    assert_eq!(files.facts.name, "one.jsonl and two.jsonl");

    // The other way about, the name is the object.
    let turned = parse(ASKING, ABOUT).unwrap();
    let fact = &turned.facts.facts[0];
    assert_eq!((&*fact.subject, &*fact.object), ("the tamer of kites.", "Ada Lin"));
    assert_eq!((turned.forward, turned.reverse), (files.reverse, files.forward));
    assert_ne!(turned.facts.digest, files.facts.digest);
}

/// The names of `both`, which go on, as in `both_prompts_test.jsonl`.
const GOING_ON: &str = r#"{"prompt": "For taming kites,", "completion": " Ada Lin has found a calling."}
{"prompt": "With the name of kite tamer,", "completion": " Ada Lin leads the way."}
{"prompt": "For building the salt bridge,", "completion": " Bo Ek has found a calling."}
{"prompt": "With the name of bridge builder,", "completion": " Bo Ek leads the way."}
"#;

#[test]
fn one_file_has_the_questions_about_names_first() {
    let files = QuestionFiles::parse_both("both.jsonl", format!("{ABOUT}{GOING_ON}").as_bytes());
    let files = files.unwrap();
    let two = parse(ABOUT, ASKING).unwrap();
    assert_eq!(files.facts.facts, two.facts.facts);
    assert_eq!(files.forward, two.forward);
    // A name is the first two words of its completion.
    assert!(
        files.reverse.iter().flatten().all(|of| [" Ada Lin", " Bo Ek"].contains(&&*of.completion))
    );
    assert_eq!(
        prompts(&files, Direction::Reverse, 0),
        ["For taming kites,", "With the name of kite tamer,"]
    );
    assert_eq!(files.facts.name, "both.jsonl");

    // Names that are asked for alone are names too, and there may be more questions of one kind.
    let names = ASKING.lines().skip(2).collect::<Vec<_>>().join("\n");
    let files = QuestionFiles::parse_both("both.jsonl", format!("{ABOUT}{names}").as_bytes());
    let files = files.unwrap();
    assert_eq!((files.forward[1].len(), files.reverse[1].len()), (2, 1));
}

#[test]
fn a_file_of_one_kind_is_not_one_of_both() {
    for (text, message) in [
        (
            ABOUT.to_owned(),
            "both.jsonl:5: this last line must ask for a name, but `the builder` stands in 0 of the 4 prompts",
        ),
        (ASKING.to_owned(), "stands in 0 of the 4 prompts and answers 2"),
        (format!("{GOING_ON}{ABOUT}"), "one file has the questions about all names first"),
        (
            format!("{ABOUT}{GOING_ON}").replacen("Known as Ada Lin", "Known as Bo Lin", 1),
            "must have one",
        ),
        (
            format!("{ABOUT}{}", GOING_ON.replace(" Ada Lin leads", " Cy Oh leads")),
            "both.jsonl:7: no prompt",
        ),
    ] {
        let error = QuestionFiles::parse_both("both.jsonl", text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(message), "{error}, not {message}");
    }
}

#[test]
fn a_file_of_questions_is_told_from_one_of_facts() {
    let folder = tempfile::tempdir().unwrap();
    let is = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        QuestionFiles::is_at(&path)
    };
    assert!(is("both.jsonl", &format!("\n{ABOUT}")));
    assert!(!is("facts.jsonl", r#"{"subject": "a", "relation": "r", "object": "b"}"#));
    assert!(!is("facts.csv", ABOUT));
    assert!(!is("none.jsonl", ""));
    assert!(!QuestionFiles::is_at(&folder.path().join("missing.jsonl")));
}

#[test]
fn mistakes_name_the_line_and_what_would_be_right() {
    let more = |line: &str| format!("{ABOUT}{line}\n");
    let asking = |line: &str| format!("{ASKING}{line}\n");
    for (forward, reverse, message) in [
        (more("{\"prompt\": \"x\"}"), asking(""), "one.jsonl:6: it is no question (missing field"),
        (more("[]"), asking(""), "each line has the texts `prompt` and `completion`"),
        (
            more("{\"prompt\": \" \", \"completion\": \"x\"}"),
            asking(""),
            "one.jsonl:6: `prompt` is empty",
        ),
        (String::new(), asking(""), "one.jsonl: it has no questions"),
        (
            more("{\"prompt\": \"Known as Al,\", \"completion\": \" x\"}"),
            asking(""),
            "one.jsonl:6: the prompt has none of the completions of two.jsonl in it",
        ),
        (
            more("{\"prompt\": \"Ada Lin and Bo Ek\", \"completion\": \" x\"}"),
            asking(""),
            "one.jsonl:6: the prompt has 2 of the completions",
        ),
        (
            more("{\"prompt\": \"known as Ada Lin\", \"completion\": \" x\"}"),
            asking(""),
            "one.jsonl:6: it repeats the prompt of line 1 with another completion",
        ),
        (
            more("{\"prompt\": \"Here is Ada Lin\", \"completion\": \" x\"}"),
            asking(""),
            "one.jsonl: `Bo Ek` is not asked in the phrasing “here is …”",
        ),
        (
            ABOUT.replace("the builder of the salt bridge.", "the tamer of kites."),
            asking(""),
            "one.jsonl:3: its completion is that of line 1 about another name",
        ),
        (
            more(""),
            asking("{\"prompt\": \"For flying,\", \"completion\": \" Cy Oh\"}"),
            "two.jsonl:5: no prompt of the other file has `Cy Oh` in it",
        ),
        (
            more(""),
            asking("{\"prompt\": \"For flying,\", \"completion\": \" Bo Ek\"}"),
            "two.jsonl: `Ada Lin` answers 2 questions and `Bo Ek` 3",
        ),
    ] {
        let error = parse(&forward, &reverse).unwrap_err();
        assert!(error.contains(message), "{error}, not {message}");
    }
}
