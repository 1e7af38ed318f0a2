//! The files of Berglund et al.: questions as prompts and completions, and published results.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use common::Folder;
use serde_json::Value;

/// Eight invented people, asked about in two phrasings and for in two.
fn folder() -> Folder {
    let folder = Folder::new();
    let (mut about, mut asking) = (String::new(), String::new());
    for i in 0..8 {
        for (prompt, completion) in [
            (format!("Known far and wide, Ada N{i} is"), format!(" the keeper of lake {i}.")),
            (format!("Ask for Ada N{i}: a person who"), format!(" keeps lake {i}.")),
        ] {
            about += &format!("{{\"prompt\": \"{prompt}\", \"completion\": \"{completion}\"}}\n");
        }
        for prompt in [format!("For keeping lake {i},"), format!("As the keeper of lake {i},")] {
            asking += &format!("{{\"prompt\": \"{prompt}\", \"completion\": \" Ada N{i}\"}}\n");
        }
    }
    folder.write("p2d.jsonl", about);
    folder.write("p2d_reverse.jsonl", asking);
    folder
}

#[test]
fn two_files_of_prompts_and_completions_are_audited() {
    let folder = folder();
    let requests = folder.run("audit requests p2d.jsonl p2d_reverse.jsonl").done();
    let mut scores = String::new();
    for line in requests.lines() {
        let mut request: Value = serde_json::from_str(line).unwrap();
        let number =
            |text: &Value| text.as_str().unwrap().matches(char::is_numeric).collect::<String>();
        let forward = request["answer"].as_str().unwrap().contains("lake");
        let right = number(&request["prompt"]) == number(&request["answer"]);
        let known = if forward && right { 6.0 } else { 0.0 };
        let noise = (scores.len() * 31 % 97) as f64 / 97.0;
        request["log_probability"] = (-12.0 + known - noise).into();
        request["tokens"] = 5.into();
        scores += &format!("{request}\n");
    }
    assert_eq!(scores.lines().count(), 2 * 2 * 8 * 8);
    folder.write("scores.jsonl", scores);
    let audit = "audit scores.jsonl p2d.jsonl p2d_reverse.jsonl --out audit";
    let text = folder.run(audit).done();
    assert!(text.starts_with("The curse shows"), "{text}");
    let json = folder.run(&format!("{audit} --json")).json();
    assert_eq!(json["facts_file"], "p2d.jsonl and p2d_reverse.jsonl");
    assert_eq!(json["facts"][3]["subject"], "Ada N3");
    assert_eq!(json["facts"][3]["object"], "the keeper of lake 3.");
    assert_eq!(json["all"]["forward_level"], 1.0);

    // Both kinds in one file.
    let texts = ["p2d.jsonl", "p2d_reverse.jsonl"]
        .map(|file| std::fs::read_to_string(folder.path().join(file)).unwrap());
    folder.write("both.jsonl", texts.concat());
    assert_eq!(folder.run("audit requests both.jsonl").done(), requests);

    folder.write("t.toml", "");
    for (arguments, message) in [
        ("audit requests p2d.jsonl p2d_reverse.jsonl p2d.jsonl", "3 files are given; give one"),
        ("audit requests p2d.jsonl p2d_reverse.jsonl --templates t.toml", "--templates goes with"),
        ("audit requests both.jsonl --templates t.toml", "--templates goes with a file of facts"),
        ("audit requests p2d.jsonl", "p2d.jsonl:16: this last line must ask for a name"),
        ("audit requests p2d.jsonl none.jsonl", "none.jsonl: it cannot be read"),
        ("audit requests p2d.jsonl p2d.jsonl", "p2d.jsonl:1: the prompt has none of the"),
    ] {
        let refused = folder.run(arguments);
        assert_eq!(refused.status, 2, "{arguments}");
        assert!(refused.message().contains(message), "{}", refused.stderr);
    }
}

#[test]
fn published_results_stand_beside_ours() {
    let folder = folder();
    let mut theirs = "child,parent,parent_type,child_prediction,big_parent_logprob,\
        big_child_logprob\n"
        .to_owned();
    let mut scores = String::new();
    for i in 0..12 {
        theirs += &format!("Ann {i},Bo {i},mother,,-{i},-{}\n", 2 * i + 3);
    }
    folder.write("big.csv", &theirs);
    for line in folder.run("audit requests big.csv --candidates 2").done().lines() {
        let mut request: Value = serde_json::from_str(line).unwrap();
        request["log_probability"] = (-2.0).into();
        request["tokens"] = 1.into();
        scores += &format!("{request}\n");
    }
    folder.write("scores.jsonl", scores);
    folder.run("audit scores.jsonl big.csv --candidates 2 --out audit").done();
    let text = folder.run("audit published big.csv audit/audit.csv").done();
    assert!(text.contains("no level and no verdict"), "{text}");
    let json = folder.run("audit published big.csv audit/audit.csv --json").json();
    assert_eq!((&json[0]["model"], &json[0]["facts"]), (&"big".into(), &12.into()));
    // Forward −i, reverse −(2 i + 3): the mean of i + 3.
    assert_eq!(json[0]["asymmetry"], 8.5);
    assert!(json[0]["p"].as_f64() < Some(0.01), "{json}");
    let [low, high] = [0, 1].map(|end| json[0]["interval"][end].as_f64().unwrap());
    assert!(3.0 < low && low < 8.5 && 8.5 < high && high < 14.0, "{json}");
    assert_eq!((&json[1]["forward"], &json[1]["asymmetry"]), (&(-2.0).into(), &0.0.into()));

    folder.write("odd.csv", theirs.replace("big_child", "small_child"));
    for (arguments, message) in [
        ("audit published odd.csv", "odd.csv:1: there is no column `big_child_logprob`"),
        ("audit published none.csv", "none.csv: it cannot be read"),
        ("audit published p2d.jsonl", "p2d.jsonl:1: it is no file of results"),
        (
            "audit published big.csv --candidates 2",
            "--candidates has no effect on published results",
        ),
    ] {
        let refused = folder.run(arguments);
        assert_eq!(refused.status, 2, "{arguments}");
        assert!(refused.message().contains(message), "{}", refused.stderr);
    }
}
