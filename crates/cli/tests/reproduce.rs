//! `retrodict reproduce` and `retrodict report`: figures, tables, numbers and the page.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Folder, contents};
use serde_json::Value;

/// All drawn files, without the store.
fn drawn(out: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = contents(out);
    files.retain(|path, _| !path.starts_with("runs") && !path.starts_with("sweeps"));
    files
}

#[test]
fn everything_is_there_and_the_numbers_are_the_papers() {
    let folder = Folder::new();
    let output = folder.run("reproduce fig1 fig2 --seeds 1 --out out");
    assert_eq!(output.status, 0, "{}", output.stderr);
    assert!(output.stdout.contains("out/index.html"), "{}", output.stdout);
    let out = folder.path().join("out");

    for name in ["fig1", "fig2"] {
        let read = |file: String| fs::read(out.join(file)).unwrap();
        let svg = String::from_utf8(read(format!("figures/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>"), "{name}");
        assert!(read(format!("figures/{name}.png")).starts_with(b"\x89PNG\r\n\x1a\n"), "{name}");
        assert!(read(format!("tables/{name}.csv")).iter().filter(|b| **b == b'\n').count() > 100);
    }

    let summary: Value =
        serde_json::from_slice(&fs::read(out.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["version"], env!("CARGO_PKG_VERSION"));
    assert!(summary["commit"].is_string());
    assert_eq!((&summary["scale"], &summary["seeds"]), (&"quick".into(), &1.into()));
    assert!(summary["wall_seconds"].as_f64().unwrap() > 0.0);
    let claims = summary["claims"].as_array().unwrap();
    for claim in claims {
        for key in ["id", "claim", "source", "comparator"] {
            assert!(claim[key].is_string(), "{key} of {claim}");
        }
        assert!(claim["value"].is_f64() && claim["threshold"].is_f64(), "{claim}");
        assert!(claim["spread"].is_null(), "one seed has no spread: {claim}");
        assert_eq!(claim["values"], Value::Array(vec![claim["value"].clone()]), "{claim}");
        assert_eq!(claim["holds"], true, "{claim}");
    }
    let value = |id: &str| {
        let claim = claims.iter().find(|claim| claim["id"] == id);
        claim.unwrap_or_else(|| panic!("no claim {id}"))["value"].as_f64().unwrap()
    };
    assert!(value("reversal.train_nll") < 0.05);
    assert!(value("reversal.held_out_nll") >= 802f64.ln());
    assert_eq!(value("reversal.held_out_top1"), 0.0);
    assert!(value("reversal.asymmetry") > 0.9);
    for figure in summary["figures"].as_array().unwrap() {
        for key in ["svg", "png", "pdf", "table"] {
            assert!(out.join(figure[key].as_str().unwrap()).is_file(), "{key} of {figure}");
        }
    }
    let names: Vec<&Value> =
        summary["figures"].as_array().unwrap().iter().map(|figure| &figure["name"]).collect();
    assert_eq!(names, ["fig1", "fig2"]);

    // A second start trains nothing and draws the same.
    let before = folder.contents();
    assert_eq!(folder.run("reproduce fig1 fig2 --seeds 1 --out out").done(), output.stdout);
    assert!(folder.contents() == before);
}

/// All texts between `mark` and `end` in `text`.
fn references<'t>(text: &'t str, mark: &str, end: char) -> Vec<&'t str> {
    text.split(mark).skip(1).map(|rest| rest.split(end).next().unwrap()).collect()
}

#[test]
fn a_report_needs_the_store_alone_and_no_network() {
    let folder = Folder::new();
    folder.run("reproduce fig1 fig2 --seeds 1 --out out").done();
    let before = drawn(&folder.path().join("out"));

    let page = String::from_utf8(before[Path::new("index.html")].clone().unwrap()).unwrap();
    let page = page.replace("&#x2f;", "/");
    let mut targets = references(&page, "src=\"", '"');
    targets.extend(references(&page, "href=\"", '"'));
    targets.extend(references(&page, "url(", ')'));
    assert!(targets.len() > 5, "{}", targets.len());
    for target in targets {
        let inside = target.starts_with('#') || target.starts_with("data:");
        // Links to papers, which a click follows.
        let inside = inside || target.starts_with("https://arxiv.org/abs/");
        let inside = inside || target.starts_with("https://openreview.net/forum");
        let beside = before.contains_key(Path::new(target));
        assert!(inside || beside, "the page asks for {target}");
    }
    for word in ["<script src", "<link rel=\"stylesheet", "@import", "<iframe", "<object"] {
        assert!(!page.contains(word), "{word}");
    }
    // XML namespaces, which are never fetched, and the three links to papers look like addresses.
    assert_eq!(page.matches("://").count(), page.matches("=\"http://www.w3.org/").count() + 3);

    // The store moved, all drawn files deleted.
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join("moved");
    fs::rename(folder.path().join("out"), &moved).unwrap();
    for path in ["figures", "tables"] {
        fs::remove_dir_all(moved.join(path)).unwrap();
    }
    for path in ["summary.json", "index.html"] {
        fs::remove_file(moved.join(path)).unwrap();
    }
    let store = contents(&moved.join("runs"));
    let printed = folder.run("report elsewhere/moved").done();
    assert!(printed.contains("elsewhere/moved/index.html"), "{printed}");
    let after = drawn(&moved);
    assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    for (path, content) in &before {
        assert!(after[path] == *content, "{} differs", path.display());
    }
    assert!(contents(&moved.join("runs")) == store, "the store has changed");

    // In a style the pictures differ, the numbers do not.
    let style = |text: &str| fs::write(folder.path().join("column.toml"), text).unwrap();
    let example = folder.run("spec style").done();
    style(&example.replace("width = 397", "width = 234").replace("font_size = 9", "font_size = 7"));
    folder.run("report elsewhere/moved --to styled --style column.toml").done();
    let styled = drawn(&folder.path().join("styled"));
    let svg = String::from_utf8(styled[Path::new("figures/fig1.svg")].clone().unwrap()).unwrap();
    assert!(svg.contains("width=\"234pt\""), "{}", &svg[..400]);
    let pdf = styled[Path::new("figures/fig1.pdf")].clone().unwrap();
    assert!(String::from_utf8_lossy(&pdf).contains("/MediaBox [0 0 234 "));
    for path in ["tables/fig1.csv", "summary.json"] {
        assert!(styled[Path::new(path)] == after[Path::new(path)], "{path} differs");
    }
    // A wrong one is refused before anything is read or trained.
    style("widht = 234\n");
    for command in ["report elsewhere/moved --to no", "reproduce fig1 --out no", "compare --out no"]
    {
        let output = folder.run(&format!("{command} --style column.toml"));
        assert_eq!(output.status, 2, "{command}: {}", output.stderr);
        let message = "column.toml:1: unknown key `widht`; did you mean `width`?";
        assert!(output.stderr.contains(message), "{}", output.stderr);
        assert!(output.stderr.contains("`retrodict spec style` prints an example"));
    }
    assert!(!folder.path().join("no").exists());
}

/// A figure of shared runs trains nothing; its section is added to the earlier ones.
#[test]
fn figures_are_added_to_a_report_and_share_their_runs() {
    let folder = Folder::new();
    folder.run("reproduce fig16 --seeds 1 --out out").done();
    let runs = contents(&folder.path().join("out/runs")).len();
    let summary = || -> Value {
        serde_json::from_slice(&fs::read(folder.path().join("out/summary.json")).unwrap()).unwrap()
    };
    let figures = |summary: &Value| -> Vec<String> {
        let all = summary["figures"].as_array().unwrap().iter();
        all.map(|figure| figure["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(figures(&summary()), ["fig16"]);
    folder.run("reproduce fig1 --seeds 1 --out out").done();
    assert!(contents(&folder.path().join("out/runs")).len() > runs);
    // Figure 2 uses figure 1's runs, and so is drawn with it.
    assert_eq!(figures(&summary()), ["fig1", "fig2", "fig16"]);
    let ids: Vec<String> = summary()["claims"]
        .as_array()
        .unwrap()
        .iter()
        .map(|claim| claim["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(ids.contains(&"icl.held_out_nll".to_owned()), "{ids:?}");
    // The generated tables describe the runs.
    let table = fs::read_to_string(folder.path().join("out/tables/table3.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 + 2 + 2, "{table}");
    let notation = fs::read_to_string(folder.path().join("out/tables/table1.csv")).unwrap();
    assert!(notation.contains("A_i → B_i") && notation.contains("y ← x"), "{notation}");
}

#[test]
fn a_store_without_a_complete_run_makes_no_page() {
    let folder = Folder::new();
    folder.run("run tiny.toml --out out").done();
    for seed in ["seed-0", "seed-1"] {
        for run in fs::read_dir(folder.path().join("out/runs/tiny")).unwrap() {
            fs::remove_file(run.unwrap().path().join(seed).join("COMPLETE")).unwrap();
        }
    }
    let output = folder.run("report out");
    assert_eq!(output.status, 1, "{}", output.stdout);
    assert!(output.stderr.contains("no run in out is complete"), "{}", output.stderr);
    assert!(!folder.path().join("out/index.html").exists());
}

#[test]
fn a_report_of_ones_own_runs() {
    let folder = Folder::new();
    folder.run("run tiny.toml --out out").done();
    folder.run("run tiny.toml --out out --set name=chain --set data.kind=chain").done();
    folder.run("report out").done();
    let files = drawn(&folder.path().join("out"));
    let count = |start: &str, end: &str| {
        let name = |path: &&PathBuf| {
            let path = path.to_str().unwrap();
            path.starts_with(start) && path.ends_with(end)
        };
        files.keys().filter(name).count()
    };
    for kind in [".svg", ".png"] {
        assert_eq!(count("figures/loss-tiny-", kind), 1, "{:?}", files.keys());
        assert_eq!(count("figures/weights-chain-", kind), 1, "{:?}", files.keys());
    }
    assert_eq!(count("tables/", "-seeds.csv"), 2, "{:?}", files.keys());
}

#[test]
fn the_list_names_the_figures_and_writes_nothing() {
    let folder = Folder::new();
    let before = folder.contents();
    let list = folder.run("reproduce --list --seeds 3 --out out").done();
    let numbered = (1..=16).map(|n| format!("fig{n}  "));
    for figure in numbered.chain(["head  ".to_owned(), "chain-of-thought  ".to_owned()]) {
        assert!(list.lines().any(|line| line.starts_with(&figure)), "no {figure} in: {list}");
    }
    assert!(list.contains("2 settings, 6 runs") && list.contains("about "), "{list}");
    assert!(folder.contents() == before);
}

#[test]
fn experiments_whose_names_look_alike_share_a_report() {
    let folder = Folder::new();
    let names = ["Ä", "Ö", "a b", "a-b", "A-b", "lr=0.1", "lr 0.1"];
    for name in names {
        let spec = common::TINY.replace("\"tiny\"", &format!("{name:?}"));
        folder.write("named.toml", spec.replace("epochs = 6", "epochs = 1"));
        folder.run("run named.toml --seeds 1 --out out").done();
    }
    folder.run("report out").done();
    let page = fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    for name in names {
        let heading = name.replace('=', "&#x3d;");
        assert!(page.contains(&format!(">{name}</h2>")) || page.contains(&heading), "{name}");
    }
    let mut anchors: Vec<_> =
        page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let all = anchors.len();
    anchors.sort_unstable();
    anchors.dedup();
    assert_eq!(anchors.len(), all, "two anchors are one");
}

/// A figure of the user's own: one line, one seed, on a tiny spec.
const OWN: &str = r#"name = "mine"
title = "Two widths"
see = "Nothing can be seen after two epochs."

[[sweeps]]
id = "width"
base = "reversal"
set = { "data.vocab_size" = 40, "model.layers" = 1, "model.heads" = 2, "train.epochs" = 2 }
over = [{ key = "model.dim", values = [8, 16] }]

[[drawings]]
kind = "over"
[drawings.over]
sweep = "width"
x = "model.dim"
x_label = "dimension"
y_label = "held-out NLL (nats)"
measures = ["held_out_nll"]

[[claims]]
id = "mine.learned"
claim = "Two epochs are enough"
refuted_by = "A seed that has not learned."
measure = "train_nll"
is = "<"
than = 0.01
"#;

#[test]
fn a_figure_of_ones_own_is_drawn_and_stays_in_the_report() {
    let folder = Folder::new();
    fs::write(folder.path().join("mine.toml"), OWN).unwrap();
    let list = folder.run("reproduce mine.toml --list").done();
    assert!(list.contains("mine  Two widths"), "{list}");
    let text = folder.run("reproduce mine.toml --seeds 1 --out out").done();
    assert!(text.contains("0 of 1 claims hold"), "{text}");
    let page = || fs::read_to_string(folder.path().join("out/index.html")).unwrap();
    let first = page();
    assert!(first.contains("Two widths") && first.contains("your own figure"));
    // What it would show does not hold.
    assert!(first.contains("✗ does not hold") && !first.contains("Nothing can be seen"));
    let table = fs::read_to_string(folder.path().join("out/tables/mine.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 2, "{table}");
    // Without the file.
    fs::remove_file(folder.path().join("mine.toml")).unwrap();
    folder.run("report out").done();
    assert!(page().contains("Two widths"));

    let wrong = |change: (&str, &str), message: &str| {
        fs::write(folder.path().join("mine.toml"), OWN.replace(change.0, change.1)).unwrap();
        let output = folder.run("reproduce mine.toml --out out");
        assert_eq!(output.status, 2, "{}", output.stderr);
        assert!(output.stderr.contains(message), "{}", output.stderr);
    };
    let missing = "mine.toml:1: the file lacks `title`\nmine.toml:11: [[drawings]] lacks `kind`";
    wrong(("title = \"Two widths\"\n", ""), "mine.toml:1: the file lacks `title`");
    fs::write(
        folder.path().join("mine.toml"),
        OWN.replace("title = \"Two widths\"", "# none").replace("kind = \"over\"", ""),
    )
    .unwrap();
    let output = folder.run("reproduce mine.toml --out out");
    assert!(output.stderr.contains(missing), "{}", output.stderr);
    assert!(output.stderr.contains("`retrodict spec figure` prints an example"));
    wrong(("name = \"mine\"", "name = \"fig1\""), "as that of a figure of the program");
    wrong(("sweep = \"width\"\nx", "sweep = \"wide\"\nx"), "`wide`, which is not there");
    wrong(("base = \"reversal\"", "base = \"reversl\""), "reversl");
    wrong(("\"model.layers\"", "\"model.layer\""), "did you mean");
    for kind in ["figure", "compare"] {
        let example = folder.run(&format!("spec {kind}")).done();
        assert!(example.contains("of your own. Save it, change it"), "{example}");
    }
}
