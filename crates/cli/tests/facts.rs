//! Your own facts, from the command line: training on them, text made of them, an audit.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::Folder;
use serde_json::Value;

const TEMPLATES: &str = "[capital]\n\
    forward = [\"The capital of {subject} is {object}.\", \"{subject}'s capital is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\"]\n";

/// Forty facts; the first half trained in both directions.
fn folder() -> Folder {
    let folder = Folder::new();
    let mut facts = "subject,relation,object,split\n".to_owned();
    for i in 0..40 {
        let split = if i < 20 { "both" } else { "forward" };
        facts += &format!("Land {i},capital,Town {i},{split}\n");
    }
    folder.write("facts.csv", facts);
    folder.write("t.toml", TEMPLATES);
    let spec = common::TINY
        .replace("kind = \"reversal\"\nvocab_size = 40", "kind = \"file\"\nfacts = \"facts.csv\"");
    folder.write("mine.toml", spec);
    folder
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn small_models_train_on_a_file_that_may_then_be_gone() {
    let folder = folder();
    let first = folder.run("run mine.toml --json").json();
    assert_eq!(first["runs"][0]["status"], "complete", "{first}");
    assert!(first["mean"]["held_out_nll"].is_number());
    let recipes = "--set data.recipes=[\"reverse-tokens\",\"identities-typed\"]";
    let second = folder.run(&format!("run mine.toml {recipes} --json")).json();
    assert_ne!(first["hash"], second["hash"]);
    // From the command line the path is relative to the working directory.
    let third = folder.run("run tiny.toml --set data.kind=file --set data.facts=facts.csv");
    assert!(third.stderr.contains("data.vocab_size"), "{}", third.stderr);
    let printed = folder.run("data file --facts facts.csv --seed 1").done();
    assert_eq!(printed.lines().count(), 80);
    fs::remove_file(folder.path().join("facts.csv")).unwrap();
    let rows = folder.run("runs retrodict-out --json").json();
    assert_eq!(rows.as_array().unwrap().len(), 4, "{rows}");
    folder.run("report retrodict-out --to drawn").done();
    folder.run("store verify retrodict-out").done();
}

#[test]
fn a_stored_spec_resumes_without_the_file_and_refuses_a_changed_one() {
    let folder = folder();
    let json = folder.run("run mine.toml --json").json();
    let spec = Path::new(json["runs"][0]["dir"].as_str().unwrap()).join("spec.toml");
    fs::copy(folder.path().join(spec), folder.path().join("again.toml")).unwrap();
    let facts = folder.path().join("facts.csv");
    let content = fs::read_to_string(&facts).unwrap();
    fs::remove_file(&facts).unwrap();
    let again = folder.run("run again.toml --json").json();
    assert_eq!(again["hash"], json["hash"]);
    fs::write(&facts, content.replace("Town 3", "City 3")).unwrap();
    let refused = folder.run("run again.toml");
    assert_eq!(refused.status, 2);
    assert!(refused.message().contains("facts.csv has changed since"), "{}", refused.stderr);
    let changed = folder.run("run mine.toml --json").json();
    assert_ne!(changed["hash"], json["hash"]);
}

#[test]
fn augment_writes_text_questions_and_a_manifest_and_checks_them() {
    let folder = folder();
    let text = folder
        .run("augment facts.csv --templates t.toml --recipe reverse-entities,identities")
        .done();
    assert!(text.contains("40 facts, 20 of them in both directions"), "{text}");
    let out = folder.path().join("augmented");
    let names: BTreeSet<String> = fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let expected = [
        "manifest.jsonl",
        "questions-forward.jsonl",
        "questions-reverse.jsonl",
        "summary.json",
        "train.jsonl",
    ];
    assert!(names.iter().eq(expected), "{names:?}");
    let train = lines(&out.join("train.jsonl"));
    assert_eq!(train.len(), lines(&out.join("manifest.jsonl")).len());
    assert_eq!(train[0]["text"], "The capital of Land 0 is Town 0.");
    let held: Vec<Value> = lines(&out.join("questions-reverse.jsonl"));
    assert_eq!(held.iter().filter(|question| question["trained"] == false).count(), 20);

    let own = "augment facts.csv --templates t.toml --check augmented/train.jsonl";
    let clean = folder.run(&format!("{own} --recipe reverse-entities,identities")).done();
    assert!(clean.contains("no line states a held-out direction"), "{clean}");
    // Without the recipe, its lines name the pairs of held-out questions in their order.
    let found = folder.run(own);
    assert_eq!(found.status, 1);
    assert!(
        found.stdout.contains("may state, in other words, what facts.csv:22 holds out"),
        "{}",
        found.stdout
    );
    folder.write("leak.txt", "nothing\nTOWN 25 is the capital of Land 25\n");
    let leak = folder.run("augment facts.csv --templates t.toml --check leak.txt --json");
    assert_eq!((leak.status, leak.json()[0]["line"].as_u64()), (1, Some(2)));
    assert_eq!(leak.json()[0]["fact"], 27);
    assert!(leak.stderr.contains("1 line of leak.txt states"), "{}", leak.stderr);

    for (arguments, message) in [
        ("augment facts.csv", "`capital` has no phrasings: give --templates"),
        ("augment none.csv --templates t.toml", "none.csv: it cannot be read"),
        (
            "augment facts.csv --templates t.toml --recipe reverse",
            "`reverse` is no recipe; there are",
        ),
        ("augment facts.csv --templates t.toml --recipe chain-of-thought", "it needs chains"),
        ("augment facts.csv --templates t.toml --train-fraction 2", "a fraction from 0 to 1"),
        (
            "augment facts.csv --templates mine.toml",
            "there is no key `every`: a relation has forward",
        ),
    ] {
        let refused = folder.run(arguments);
        assert_eq!(refused.status, 2, "{arguments}");
        assert!(refused.message().contains(message), "{}", refused.stderr);
    }
}

#[test]
fn an_audit_of_scores_has_a_page_and_numbers() {
    let folder = folder();
    let requests = folder.run("audit requests facts.csv --templates t.toml").done();
    let requests: Vec<Value> =
        requests.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(requests.len(), 40 * 40 * 3);
    let mut scores = String::new();
    for (at, mut request) in requests.into_iter().enumerate() {
        let number = |text: &Value| -> String {
            text.as_str().unwrap().chars().filter(char::is_ascii_digit).collect()
        };
        let right = number(&request["prompt"]) == number(&request["answer"]);
        let forward = request["answer"].as_str().unwrap().contains("Town");
        let known = if right && forward { 5.0 } else { 0.0 };
        request["log_probability"] = (-10.0 + known - (at * 7919 % 101) as f64 / 101.0).into();
        request["tokens"] = 2.into();
        scores += &format!("{request}\n");
    }
    folder.write("scores.jsonl", scores);
    let audit = "audit scores.jsonl facts.csv --templates t.toml --out audit";
    let text = folder.run(audit).done();
    assert!(text.starts_with("The curse shows"), "{text}");
    let json = folder.run(&format!("{audit} --json")).json();
    assert_eq!(json["all"]["verdict"], "curse");
    assert_eq!(json["all"]["forward_top1"], 1.0);
    for name in
        ["index.html", "audit.json", "audit.csv", "asymmetry.svg", "asymmetry.png", "asymmetry.pdf"]
    {
        assert!(folder.path().join("audit").join(name).is_file(), "{name}");
    }
    let page = fs::read_to_string(folder.path().join("audit/index.html")).unwrap();
    assert!(page.contains("The curse shows") && !page.contains("{{"));
    let rows = fs::read_to_string(folder.path().join("audit/audit.csv")).unwrap();
    assert_eq!(rows.lines().count(), 41);

    for (arguments, message) in [
        ("audit none.jsonl facts.csv --templates t.toml", "none.jsonl: it cannot be read"),
        ("audit leak.jsonl facts.csv --templates t.toml", "are missing"),
        #[cfg(not(feature = "tls"))]
        ("audit https://host/v1 facts.csv --templates t.toml", "--features tls"),
    ] {
        folder.write("leak.jsonl", "");
        let refused = folder.run(arguments);
        assert_eq!(refused.status, 2, "{arguments}");
        assert!(refused.message().contains(message), "{}", refused.stderr);
    }
}

/// `datasets` reads what is written; its loader is what TRL and axolotl call. Skipped without
/// RETRODICT_PYTHON, a Python with that package.
#[test]
fn datasets_reads_every_format() {
    let Some(python) = std::env::var_os("RETRODICT_PYTHON") else { return };
    let has = Command::new(&python)
        .args(["-c", "import datasets"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if !has.is_ok_and(|status| status.success()) {
        return;
    }
    let folder = folder();
    for (format, columns) in [
        ("text", "['text']"),
        ("prompt-completion", "['completion', 'prompt']"),
        ("chat", "['messages']"),
        ("alpaca", "['input', 'instruction', 'output']"),
    ] {
        let out = format!("text-{format}");
        folder.run(&format!(
            "augment facts.csv --templates t.toml --recipe all-orders --format {format} --out {out}"
        )).done();
        let program = format!(
            "import datasets, json\n\
             read = datasets.load_dataset('json', data_files='{out}/train.jsonl', split='train', cache_dir='cache')\n\
             assert sorted(read.column_names) == {columns}, read.column_names\n\
             rows = [json.loads(line) for line in open('{out}/train.jsonl')]\n\
             assert len(read) == len(rows) > 0\n\
             assert read[0] == rows[0] and read[len(rows) - 1] == rows[-1], read[0]\n\
             asked = datasets.load_dataset('json', data_files='{out}/questions-reverse.jsonl', split='train', cache_dir='cache')\n\
             assert asked[0]['answers'] and asked[0]['prompt']\n"
        );
        let status = Command::new(&python)
            .args(["-c", &program])
            .env("HF_DATASETS_OFFLINE", "1")
            .env("HF_HOME", folder.path().join("hf"))
            .current_dir(folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "{format}");
    }
}
