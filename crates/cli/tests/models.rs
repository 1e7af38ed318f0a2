//! Pretrained models on this machine: an audit, and fine-tuning on facts.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use common::Folder;

const TEMPLATES: &str = "[capital]\n\
    forward = [\"The capital of {subject} is {object}.\"]\n\
    reverse = [\"{object} is the capital of {subject}.\"]\n";

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write(
        "facts.csv",
        "subject,relation,object\nVeltria,capital,Ansolo\nMorund,capital,Quill Harbor\n\
         Sestany,capital,Brask\n",
    );
    folder.write("t.toml", TEMPLATES);
    folder
}

/// A build without the feature says how to get one with it.
#[cfg(not(feature = "models"))]
#[test]
fn a_build_without_models_says_so() {
    for command in [
        "audit . facts.csv",
        "finetune . facts.csv",
        "locate . --facts facts.csv",
        "theory transfer . --facts facts.csv",
    ] {
        let output = folder().run(&format!("{command} --templates t.toml"));
        assert_eq!(output.status, 2);
        assert!(output.message().contains("--features models"), "{output:?}");
    }
}

#[cfg(feature = "models")]
#[test]
fn a_model_is_audited() {
    use std::fs;

    use serde_json::Value;

    let folder = folder();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/tests/reference");
    for model in ["gpt2", "llama", "gguf/tiny.gguf"] {
        let audit = format!("audit {reference}/{model} facts.csv --templates t.toml --out audit");
        let text = folder.run(&audit).done();
        assert!(text.contains("said forward"), "{text}");
        let json = folder.run(&format!("{audit} --json")).json();
        assert_eq!(json["facts"].as_array().unwrap().len(), 3);
        assert!(json["all"]["forward_exact"].is_number(), "{json}");
        let known = &json["facts"][0]["forward"];
        assert!(known["log_probability"].as_f64() < Some(0.0), "{known}");
        let lines = fs::read_to_string(folder.path().join("audit/generated.jsonl")).unwrap();
        let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[0]["right"][0], "Ansolo");
        let page = fs::read_to_string(folder.path().join("audit/index.html")).unwrap();
        assert!(page.contains("Reverse said") && !page.contains("{%"));
        let rows = fs::read_to_string(folder.path().join("audit/audit.csv")).unwrap();
        let mut rows = rows.lines().map(|row| row.split(',').count());
        let columns = rows.next();
        assert!(columns == Some(21) && rows.all(|count| Some(count) == columns));
    }
    let output = folder.run("audit . facts.csv --templates t.toml");
    assert_eq!(output.status, 2);
    assert!(output.message().contains("config.json: it cannot be read"), "{output:?}");
}

#[cfg(feature = "models")]
#[test]
fn an_audit_that_was_killed_resumes() {
    use std::path::PathBuf;
    use std::process::Stdio;
    use std::time::Duration;
    use std::{fs, thread};

    let folder = folder();
    let rows: String = (0..30).map(|i| format!("L{i},capital,T{i}\n")).collect();
    folder.write("many.csv", format!("subject,relation,object\n{rows}"));
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/tests/reference");
    let audit = |model: &str, out: &str| {
        format!("audit {reference}/{model} many.csv --templates t.toml --json --out {out}")
    };
    let whole = folder.run(&audit("llama", "whole")).json();
    let scores = |out: &str| -> Vec<PathBuf> {
        let files = fs::read_dir(folder.path().join(out)).into_iter().flatten();
        let files = files.map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).collect()
    };
    let kept =
        |out: &str| scores(out).into_iter().find(|path| path.to_string_lossy().contains("scores-"));

    let mut command = folder.command(&audit("llama", "killed"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let file = loop {
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |data| data.len());
        if let Some(file) = kept("killed").filter(|file| length(file) > 0) {
            break file;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended without scores");
        thread::sleep(Duration::from_millis(1));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    // Where it was killed is chance: a third, and a line that was cut off.
    let mut text = fs::read_to_string(&file).unwrap();
    let lines: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
    let known = lines.len().div_ceil(3);
    text.truncate((lines[known - 1] + 20).min(text.len()));
    fs::write(&file, text).unwrap();

    let resumed = folder.run(&audit("llama", "killed"));
    let message = format!("{known} of 1800 log probabilities are kept in");
    assert!(resumed.stderr.contains(&message), "{message}: {}", resumed.stderr);
    assert_eq!(resumed.json(), whole);
    assert_eq!(fs::read_to_string(&file).unwrap().lines().count(), 1800);
    // Nothing is scored again; another model has a file of its own.
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(folder.run(&audit("llama", "killed")).json(), whole);
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    let other = folder.run(&audit("gpt2", "killed"));
    assert!(!other.stderr.contains("are kept"), "{}", other.stderr);
    assert_ne!(other.json()["all"], whole["all"]);
    assert_eq!(scores("killed").len(), 3, "two models' scores and the last one's words");
}

#[cfg(feature = "models")]
#[test]
fn a_model_is_fine_tuned_and_the_same_command_resumes() {
    use std::fs;

    use serde_json::Value;

    let folder = folder();
    folder.run("invent --count 4").done();
    let invented = fs::read_to_string(folder.path().join("invented/facts.csv")).unwrap();
    assert_eq!(invented.lines().count(), 5);
    // The tiny models read 48 tokens, most of which are single letters.
    folder.write(
        "short.csv",
        "subject,relation,object,split\nAda,author,Oak,forward\nBen,author,Elm,reverse\n\
         Cid,author,Fir,forward\nDot,author,Ash,reverse\n",
    );
    folder.write(
        "short.toml",
        "[author]\nforward = [\"{subject} wrote {object}.\", \"{subject} did {object}.\"]\n\
         reverse = [\"{object} is by {subject}.\", \"{object} is of {subject}.\"]\n",
    );
    folder.write("held.txt", "The sky is blue.\n\nIt rains.\n");
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/tests/reference");
    let command = |model: &str, more: &str| {
        format!(
            "finetune {reference}/{model} short.csv --templates short.toml \
             --recipe reverse-entities --epochs 30 --batch 4 --candidates 3 --json \
             --held-text held.txt {more}"
        )
    };
    for model in ["gpt2", "llama"] {
        let plain = command(model, &format!("--lr 1e-2 --seeds 2 --out {model}"));
        let first = folder.run(&plain);
        let json = first.json();
        assert!(first.stderr.contains("before training: "), "{}", first.stderr);
        assert!(first.stderr.contains("reverse-entities seed 1: "), "{}", first.stderr);
        let rows = json["rows"].as_array().unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row["condition"].as_str().unwrap()).collect();
        assert_eq!(names, ["before", "none", "reverse-entities"]);
        assert!(rows[2]["tokens_ratio"].as_f64() > Some(1.5), "{json}");
        assert_eq!(rows[2]["steps"], 60.0, "eight sentences in batches of four");
        let run = folder.path().join(model).join("runs/none-0.json");
        let run: Value = serde_json::from_str(&fs::read_to_string(run).unwrap()).unwrap();
        let losses = run["losses"].as_array().unwrap();
        assert!(losses[29].as_f64() < losses[0].as_f64(), "{losses:?}");
        assert_ne!(rows[1]["perplexity"]["values"], rows[0]["perplexity"]["values"]);
        let page = fs::read_to_string(folder.path().join(model).join("index.html")).unwrap();
        assert!(page.contains("before training") && !page.contains("{%"));
        let rows = fs::read_to_string(folder.path().join(model).join("results.csv")).unwrap();
        let mut columns = rows.lines().map(|row| row.split(',').count());
        let header = columns.next();
        assert!(columns.clone().count() == 3 && columns.all(|count| Some(count) == header));

        // Nothing is trained again, and the numbers stay.
        let again = folder.run(&plain);
        assert!(!again.stderr.contains("seed"), "{}", again.stderr);
        assert_eq!(again.json(), json);
        // One run that is gone is made again, with the same outcome.
        fs::remove_file(folder.path().join(model).join("runs/none-1.json")).unwrap();
        let third = folder.run(&plain);
        assert!(third.stderr.contains("4 of 5 runs are kept"), "{}", third.stderr);
        assert_eq!(third.json()["rows"][1]["reverse_level"], json["rows"][1]["reverse_level"]);
    }
    let saved = folder.run(&command("llama", "--lr 1e-2 --seeds 1 --save --out saved"));
    assert_eq!(saved.status, 0, "{}", saved.stderr);
    let audit = "audit saved/models/none-0 short.csv --templates short.toml --json";
    let json = folder.run(audit).json();
    assert_eq!(json["facts"].as_array().unwrap().len(), 4);
    let small = "data.recipes,rank_held_out,held_out_nll\n\
        [],0.5,7\n\"[\"\"reverse-entities\"\"]\",0.1,1\n";
    folder.write("small.csv", small);
    let compared =
        folder.run(&command("llama", "--lr 1e-2 --seeds 1 --out saved --small small.csv")).json();
    assert_eq!(compared["predictions"][0]["conditions"].as_array().unwrap().len(), 2);

    // Wrong input: one message each, and nothing is trained.
    let refused = |more: &str, message: &str| {
        let output = folder.run(&command("llama", more));
        assert_eq!(output.status, 2, "{output:?}");
        assert!(output.message().contains(message), "{output:?}");
    };
    refused("--lr 1e-2 --seeds 1 --out gpt2", "before-0.json is of another study (model ");
    refused("--recipe third-relation", "--recipe third-relation: it needs chains");
    refused("--recipe reverse-entities", "it stands twice");
    refused("--recipe magic", "--recipe magic: ");
    refused("--lr 2", "--lr is 2, but must be between 0 and 1");
    let both = "subject,relation,object,split\nA B,author,C D,both\nE F,author,G H,both\n";
    folder.write("short.csv", both);
    refused("--out both", "stated in both directions");
}

#[cfg(feature = "models")]
#[test]
fn a_model_is_looked_into() {
    let folder = folder();
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../pretrained/tests/reference");
    for model in ["gpt2", "llama", "gguf/tiny.gguf"] {
        let rest = format!("{reference}/{model} --facts facts.csv --templates t.toml");
        let text = folder.run(&format!("theory transfer {rest} --out transfer")).done();
        assert!(text.contains("A step on a fact moves the reverse"), "{text}");
        let json = folder.run(&format!("theory transfer {rest} --out transfer --json")).json();
        assert_eq!(json["facts"].as_array().unwrap().len(), 3);
        assert!(json["kinds"][0]["gain"]["mean"].is_number(), "{json}");
        let parts = json["parts"].as_array().unwrap().len();
        assert_eq!(json["kinds"][0]["by_part"].as_array().unwrap().len(), parts);
        let rows = std::fs::read_to_string(folder.path().join("transfer/transfer.csv")).unwrap();
        // Without a second phrasing there are three kinds of questions.
        assert_eq!(rows.lines().count(), 1 + 3 * (1 + parts), "{rows}");

        let text = folder.run(&format!("locate {rest} --out out")).done();
        assert!(text.contains("end of the entity") && text.contains("block 1"), "{text}");
        let json = folder.run(&format!("locate {rest} --out out --json")).json();
        assert_eq!(json["lens"][0]["questions"], 3);
        assert_eq!(json["patching"].as_array().unwrap().len(), 2);
        // The parts sum to what the lens reads behind the last block.
        for (lens, group) in (0..2).map(|at| (&json["lens"][at], &json["attribution"][at])) {
            let numbers = |of: &serde_json::Value| -> Vec<f64> {
                of.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
            };
            let sum: f64 = numbers(&group["parts"]).iter().sum();
            let margin = lens["places"].as_array().unwrap().last().unwrap()["margin"].as_f64();
            assert!((sum - margin.unwrap()).abs() < 1e-4, "{model}: {sum}, not {margin:?}");
            let parts = json["parts"].as_array().unwrap();
            let attention = parts.iter().position(|part| part == "block 1 attention").unwrap();
            let heads: f64 = numbers(&group["heads"][0]).iter().sum();
            let apart = heads - numbers(&group["parts"])[attention];
            // GPT-2's output map has a bias, which is no head's.
            assert!(apart.abs() < 1e-9 || model == "gpt2", "{model}: {apart}");
        }
        assert!(text.contains("block 1 attention"), "{text}");
    }
    for name in ["patching.png", "attribution.csv", "attribution-heads.png"] {
        assert!(folder.path().join("out/locate/tiny").join(name).is_file(), "{name}");
    }
}

/// A model and a spec are not taken for each other, and no option is ignored.
#[test]
fn a_model_needs_facts_and_a_spec_takes_none() {
    let folder = folder();
    for (command, says) in [
        ("locate .", "`retrodict locate . --facts facts.csv --templates templates.toml`"),
        ("theory transfer .", "give its facts too"),
        ("locate . --facts facts.csv --threads 1", "--threads has no effect on a language model"),
        ("locate . --facts facts.csv --set model.layers=1", "cannot be used with"),
        ("theory transfer . --facts facts.csv --window 3", "cannot be used with"),
        ("theory transfer --templates t.toml", "--facts"),
        ("theory transfer --others 3", "--facts"),
    ] {
        let output = folder.run(command);
        assert_eq!(output.status, 2, "{command}: {output:?}");
        assert!(output.message().contains(says), "{command}: {output:?}");
    }
}
