//! `retrodict compare`: interventions through the binary.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{Folder, contents, entries, finish};
use serde_json::Value;

/// Two interventions on a task that trains in milliseconds: one that undoes the curse by training
/// every pair in both directions but a few, one that does not train at all.
const SMALL: &str = r#"name = "small"
title = "Small"
seeds = 2

[[task]]
id = "pairs"
title = "Pairs <of> & \"two\""
claim = "What is seen of few pairs."

[task.spec.data]
kind = "reversal"
vocab_size = 40

[task.spec.model]
layers = 1
heads = 2
dim = 16
dropout = 0.0

[task.spec.train]
batch_size = 8
epochs = 60
lr = 0.01

[[task.intervention]]
id = "untrained"
name = "hardly trained"
family = "optimiser"
idea = "A rate at which nothing is learned."
source = "a test, of 2024"
set = { "train.lr" = 0.000001 }
expect = "fails"

[[task.intervention]]
id = "tied"
name = "tied head"
family = "architecture"
idea = "One vector an entity <script>alert(1)</script>."
source = "a test, of 2024"
formula = "logit(v | h) = e_v · h"
set = { "model.tie_head" = true }
expect = "fails"
at_most = 1.0
"#;

fn small() -> Folder {
    let folder = Folder::new();
    folder.write("small.toml", SMALL);
    folder
}

/// All drawn files, without the store.
fn drawn(out: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = contents(out);
    files.retain(|path, _| !path.starts_with("runs") && !path.starts_with("sweeps"));
    files
}

/// The results without times.
fn without_times(mut value: Value) -> Value {
    for comparison in value["comparisons"].as_array_mut().unwrap() {
        for task in comparison["tasks"].as_array_mut().unwrap() {
            for row in task["rows"].as_array_mut().unwrap() {
                let row = row.as_object_mut().unwrap();
                row.remove("seconds_to_reach").unwrap();
                row.remove("wall_seconds").unwrap();
            }
        }
    }
    value
}

fn row<'v>(result: &'v Value, id: &str) -> &'v Value {
    let rows = result["comparisons"][0]["tasks"][0]["rows"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("no row {id}"))
}

#[test]
fn a_comparison_is_trained_told_and_drawn() {
    let folder = small();
    let output = folder.run("compare small.toml --out out --json");
    assert_eq!(output.status, 0, "{}", output.stderr);
    // Its runs can be followed as those of a sweep.
    let status = folder.run("sweep status out --json").json();
    assert_eq!(status["runs"]["complete"], 6, "{status}");
    let result = output.json();
    let rows = result["comparisons"][0]["tasks"][0]["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| &row["rank"]).collect::<Vec<_>>(), [1, 2, 3]);
    for row in rows {
        assert_eq!((&row["seeds"], &row["seeds_asked"]), (&2.into(), &2.into()), "{row}");
        // 10 pairs, 7 of them in both directions: 17 sentences of 3 tokens.
        assert_eq!(row["tokens_an_epoch"]["mean"], 51.0, "{row}");
        assert_eq!(row["extra_tokens"], 0.0);
        assert!(row["wall_seconds"]["mean"].as_f64().unwrap() > 0.0);
        assert!(row["control_accuracy"]["mean"].is_null(), "pairs have no control: {row}");
        let of = |key: &str| row["reverse_nll"][key].as_f64().unwrap();
        assert!(of("low") <= of("mean") && of("mean") <= of("high"), "{row}");
        assert_eq!(row["reverse_nll"]["values"].as_array().unwrap().len(), 2);
    }
    assert_eq!(row(&result, "baseline")["verdict"], "baseline");
    assert_eq!(row(&result, "baseline")["forward_accuracy"]["mean"], 1.0, "it has learned");
    let untrained = row(&result, "untrained");
    assert!(untrained["forward_accuracy"]["mean"].as_f64().unwrap() < 0.5, "{untrained}");
    assert_eq!(untrained["spec"], "[train]\nlr = 1e-6\n");
    // A lower NLL than the baseline's is no knowledge.
    let verdict = untrained["verdict"].as_str().unwrap();
    assert!(["no_trace", "as_baseline"].contains(&verdict), "{untrained}");
    assert_eq!(untrained["side_effects"][0]["effect"], "forward", "{untrained}");
    let setting = untrained["setting"].as_str().unwrap();
    for part in ["reversal data with 42 tokens", "decoder 1 × 16", "2 seeds of 3 questions"] {
        assert!(setting.contains(part), "{setting}");
    }
    assert_eq!(result["thresholds"]["chance_rank"], 0.5);
    assert_eq!(row(&result, "tied")["published"]["reproduced"], true);
    assert_eq!(result["claims"].as_array().unwrap().len(), 2);
    assert_eq!(result["told"], 2);

    let out = folder.path().join("out/compare");
    let summary: Value =
        serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary, result);
    let csv = fs::read_to_string(out.join("small.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 4, "{csv}");
    let columns = ["reverse_accuracy,reverse_accuracy_low,", "extra_tokens,seconds_to_reach,"];
    assert!(columns.iter().all(|column| lines[0].contains(column)), "{}", lines[0]);
    let svg = fs::read_to_string(out.join("figures/small-pairs.svg")).unwrap();
    assert!(svg.contains("forward accuracy") && svg.contains("hardly trained"));
    assert!(fs::read(out.join("figures/small-pairs.png")).unwrap().starts_with(b"\x89PNG"));

    let page = fs::read_to_string(out.join("index.html")).unwrap();
    assert!(page.contains("corrected for the 2 interventions"), "{page}");
    assert!(page.contains("id=\"small.pairs.tied\"") && page.contains("tie_head = true"), "{page}");
    assert!(!page.contains("<script>alert") && page.contains("Pairs &lt;of&gt;"), "escaped");
    for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let link = link.replace("&#x2f;", "/");
        let there = match link.strip_prefix('#') {
            Some(anchor) => page.contains(&format!("id=\"{anchor}\"")),
            None => link.starts_with("data:") || out.join(&link).is_file(),
        };
        assert!(there, "the page asks for {link}");
    }
    assert_eq!(page.matches("://").count(), page.matches("=\"http://www.w3.org/").count());

    // The runs are not own experiments in the report, which links to the page.
    folder.run("run tiny.toml --out out").done();
    folder.run("report out").done();
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    assert!(page.contains("href=\"compare/index.html\"") && !page.contains("compare-pairs"));
}

#[test]
fn a_second_start_and_a_report_train_nothing_and_draw_the_same_bytes() {
    let folder = small();
    let printed = folder.run("compare small.toml --out out").done();
    assert!(printed.contains("hardly trained") && printed.contains("baseline"), "{printed}");
    assert!(printed.contains("2 of 2 published directions of effect are reproduced"), "{printed}");
    let before = folder.contents();
    assert_eq!(folder.run("compare small.toml --out out").done(), printed);
    assert!(folder.contents() == before, "the second start has changed something");

    // The report's page and that of the comparisons link to each other.
    folder.run("report out").done();
    let linked = |page: &str, to: &str| {
        let page = fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(page.contains(&format!("href=\"{to}\"")), "{to}");
    };
    linked("out/index.html", "compare/index.html");
    linked("out/compare/index.html", "../index.html");

    // The user's file is deleted, the store moved, all drawn files deleted.
    let moved = folder.path().join("moved");
    fs::rename(folder.path().join("out"), &moved).unwrap();
    fs::remove_file(folder.path().join("small.toml")).unwrap();
    let all = drawn(&moved);
    fs::remove_dir_all(moved.join("compare/figures")).unwrap();
    for file in ["index.html", "small.csv", "summary.json"] {
        fs::remove_file(moved.join("compare").join(file)).unwrap();
    }
    let bare = folder.contents();
    folder.run("report moved --to elsewhere/new").done();
    for (path, content) in &all {
        let kept = path.extension().is_some_and(|ending| ending == "toml");
        if kept || path.ends_with("asked.json") {
            continue; // parts of the store, not of the report
        }
        let written = fs::read(folder.path().join("elsewhere/new").join(path)).ok();
        assert!(content.is_none() || written == *content, "{} differs elsewhere", path.display());
    }
    fs::remove_dir_all(folder.path().join("elsewhere")).unwrap();
    assert!(folder.contents() == bare, "a report written elsewhere leaves the store alone");
    folder.run("report moved").done();
    let again = drawn(&moved);
    for (path, content) in &all {
        assert!(again.get(path) == Some(content), "{} differs", path.display());
    }
}

/// Runs of earlier versions have no outcomes of single questions: the bootstrap is over seeds.
#[test]
fn runs_without_outcomes_of_questions_are_compared_over_seeds() {
    let folder = small();
    let new = folder.run("compare small.toml --out out --json").json();
    let rank = &row(&new, "untrained")["rank_held_out"];
    assert!(rank["low"].as_f64() < rank["high"].as_f64(), "{rank}");
    let files = contents(&folder.path().join("out/runs"));
    for path in files.keys().filter(|path| path.ends_with("answers.json")) {
        let path = folder.path().join("out/runs").join(path);
        // As early versions wrote it.
        let mut answers: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for later in ["by_question", "run", "seal"] {
            assert!(answers.as_object_mut().unwrap().remove(later).is_some(), "{later}");
        }
        fs::write(&path, answers.to_string()).unwrap();
    }
    let old = folder.run("compare small.toml --out out --json").json();
    for id in ["baseline", "untrained", "tied"] {
        for measure in ["reverse_accuracy", "rank_held_out", "forward_accuracy"] {
            let values = |of: &Value| row(of, id)[measure]["values"].clone();
            assert_eq!(values(&old), values(&new), "{id} {measure}");
        }
        // With two seeds the ends are the seeds.
        let accuracy = &row(&old, id)["rank_held_out"];
        let values: Vec<f64> =
            accuracy["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
        assert_eq!(accuracy["low"].as_f64().unwrap(), values[0].min(values[1]));
    }
    assert_ne!(row(&old, "tied")["verdict"], "open");
}

#[test]
fn more_seeds_train_what_is_missing_and_fewer_are_compared_alone() {
    let folder = small();
    folder.run("compare small.toml --out out --seeds 1").done();
    let one = folder.run("compare small.toml --out out --seeds 1 --json").json();
    assert_eq!(row(&one, "untrained")["verdict"], "open", "one seed has no interval");
    assert!(row(&one, "untrained")["published"]["reproduced"].is_null());
    let first = contents(&folder.path().join("out/runs"));
    let three = folder.run("compare small.toml --out out --seeds 3 --json").json();
    assert_eq!(row(&three, "tied")["reverse_nll"]["values"].as_array().unwrap().len(), 3);
    let runs = contents(&folder.path().join("out/runs"));
    assert!(first.iter().all(|(path, content)| runs[path] == *content), "a run was repeated");
    // Earlier results are also there for fewer seeds, and nothing else.
    let again = folder.run("compare small.toml --out out --seeds 1 --json").json();
    assert_eq!(again, one);
    assert!(contents(&folder.path().join("out/runs")) == runs);
}

#[test]
#[cfg(unix)]
fn an_interrupted_comparison_goes_on_where_it_stopped() {
    let folder = small();
    // Long enough to be interrupted.
    folder.write("small.toml", SMALL.replace("epochs = 60", "epochs = 3000"));
    let command = "compare small.toml --out out --jobs 1 --threads 1 --json";
    let mut command_line = folder.command(command);
    let mut child = command_line.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let runs = folder.path().join("out/runs");
    // Compare only names while the process runs: files come and go.
    let complete = |runs: &Path| {
        let below = |folder: &PathBuf| if folder.is_dir() { entries(folder) } else { Vec::new() };
        let seeds = [runs.to_owned()].iter().flat_map(below).collect::<Vec<_>>();
        let seeds = seeds.iter().flat_map(below).collect::<Vec<_>>();
        seeds.iter().flat_map(below).filter(|seed| seed.join("COMPLETE").is_file()).count()
    };
    let begun = Instant::now();
    while complete(&runs) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it has ended before it was stopped");
        assert!(begun.elapsed() < Duration::from_secs(120), "no run is complete");
        thread::sleep(Duration::from_millis(1));
    }
    let kill = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = finish(Ok(child));
    assert_eq!(output.status, 130, "{output:?}");
    assert!(output.stderr.contains("the same command resumes them"), "{}", output.stderr);
    let result = output.json();
    let open = ["untrained", "tied"].map(|id| row(&result, id)["verdict"].clone());
    assert!(open.contains(&"open".into()), "{open:?}");
    assert!(folder.path().join("out/compare/index.html").is_file(), "what is there is drawn");

    let resumed = folder.run(command).json();
    let undisturbed = small();
    undisturbed.write("small.toml", SMALL.replace("epochs = 60", "epochs = 3000"));
    let undisturbed = undisturbed.run("compare small.toml --out out --json").json();
    assert_eq!(without_times(resumed), without_times(undisturbed));
}

#[test]
fn a_run_that_diverges_is_named_and_leaves_its_verdict_open() {
    let folder = small();
    let diverging = SMALL
        .replace("\"train.lr\" = 0.000001", "\"train.optimizer\" = \"sgd\", \"train.lr\" = 1e30");
    folder.write("small.toml", diverging);
    let output = folder.run("compare small.toml --out out --json");
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.message().contains("2 of 6 runs did not complete"), "{}", output.stderr);
    let result = output.json();
    let diverged = row(&result, "untrained");
    assert_eq!((&diverged["verdict"], &diverged["seeds"]), (&"open".into(), &0.into()));
    assert_eq!(diverged["rank"], 3, "what is missing stands last");
    assert_ne!(row(&result, "tied")["verdict"], "open");
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_written() {
    let folder = small();
    folder.write("broken.toml", SMALL.replace("train.lr", "train.learning_rate"));
    let task = "id = \"pairs\"\n";
    let response = "response = { key = \"data.kind\", axis = \"kind\", series = \"alone\" }\n";
    folder.write("over.toml", SMALL.replace(task, &format!("{task}{response}")));
    let before = folder.contents();
    for (arguments, says) in [
        ("compare broken.toml", &["broken.toml", "intervention `untrained`", "learning_rate"][..]),
        ("compare small.toml pears", &["`pears`", "did you mean `pairs`?"]),
        ("compare small.toml --seeds none", &["--seeds", "`none`"]),
        ("compare nothing.toml", &["nothing.toml", "cannot read"]),
        ("compare over.toml", &["over.toml", "`pairs`", "\"data.kind\"", "no number"]),
    ] {
        let output = folder.run(&format!("{arguments} --out out"));
        assert_eq!(output.status, 2, "{arguments}: {output:?}");
        for part in says {
            assert!(output.message().contains(part), "{arguments}: {}", output.stderr);
        }
    }
    let list = folder.run("compare --list --out out").done();
    for line in ["reversal  ", "  reversal  ", "    tied-head  tied output head (architecture)"] {
        assert!(list.lines().any(|found| found.starts_with(line)), "no {line} in {list}");
    }
    assert!(folder.contents() == before);
}

/// Sentences that recipes add count as steps, in the list and in the runs.
#[test]
fn the_list_counts_the_steps_that_runs_take() {
    let folder = Folder::new();
    let recipes = "set = { \"data.recipes\" = [\"reverse-tokens\", \"identities\"] }";
    let small = SMALL.replace("set = { \"train.lr\" = 0.000001 }", recipes);
    folder.write("small.toml", small.replace("epochs = 60", "epochs = 3"));
    let list = folder.run("compare small.toml --list").done();
    folder.run("compare small.toml --out out --json").done();
    let mut steps = 0;
    let files = contents(&folder.path().join("out/runs"));
    for (_, manifest) in files.iter().filter(|(path, _)| path.ends_with("manifest.json")) {
        let manifest: Value = serde_json::from_slice(manifest.as_ref().unwrap()).unwrap();
        steps += manifest["last_step"].as_u64().unwrap();
    }
    assert!(list.contains(&format!("3 settings, 6 runs, {steps} steps, ")), "{steps}: {list}");
}
