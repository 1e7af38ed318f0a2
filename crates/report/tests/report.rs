//! The files of `write`.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use retrodict_report::{
    Claim, Comparator, EffectiveWeights, Experiment, LossCurves, NamedTable, Nll, Opening,
    OpeningLinks, Part, Redraw, Report, ReportError, Section, SeedRow, Table, Trained, WeightFrame,
    WeightPanel, effective_weights, loss_curves, write,
};
use serde_json::{Value, json};

const HOSTILE: &str =
    "<script src=\"https://evil.example/x.js\">alert('1')</script>&amp;{{ 7 * 6 }}";

/// A report in which every text is `text`, except where it names a file.
fn report(text: &str) -> Report {
    let curves = LossCurves {
        variant: text.into(),
        epochs: vec![1.0, 2.0],
        first_token: Nll {
            train: vec![vec![6.5, 0.02], vec![6.6, 0.04]],
            held_out: vec![vec![6.7, 10.0], vec![6.8, 10.5]],
            uniform: 6.6875,
            uniform_label: text.into(),
        },
        whole: None,
        questions: 60,
    };
    let panel = |values: [f32; 4], margin| WeightPanel {
        group: text.into(),
        title: text.into(),
        row_label: text.into(),
        column_label: text.into(),
        rows: 2,
        columns: 2,
        values: values.into(),
        margin: Some(margin),
    };
    let frame = |epoch, scale: f32, margin| WeightFrame {
        epoch,
        panels: vec![panel([11.5, -0.25, 0.0, 12.0].map(|v| scale * v), margin)],
    };
    let weights = EffectiveWeights {
        variant: text.into(),
        panels: vec![panel([11.5, -0.25, 0.0, 12.0], 11.875)],
        frames: vec![frame(1, 0.0, 0.0), frame(2, 1.0, 11.875)],
    };
    Report {
        title: text.into(),
        version: "0.1.0".into(),
        commit: text.into(),
        scale: "quick".into(),
        seeds: 2,
        wall_seconds: 48.25,
        machine: text.into(),
        opening: Some(Opening {
            trained: vec![Trained { quantity: text.into(), here: text.into(), paper: text.into() }],
            finding: text.into(),
            failures: text.into(),
            curves: loss_curves("opening-curves", text, std::slice::from_ref(&curves)),
            film: Some(effective_weights(
                "opening-weights",
                text,
                2,
                std::slice::from_ref(&weights),
            )),
            more: OpeningLinks { curves: "reversal".into(), ..OpeningLinks::default() },
        }),
        sections: vec![Section {
            name: "reversal".into(),
            part: Part::Paper,
            heading: text.into(),
            source: text.into(),
            see: text.into(),
            finding: text.into(),
            figures: vec![
                loss_curves("fig1", text, &[curves]),
                effective_weights("fig2", text, 2, &[weights]),
            ],
            claims: vec![
                Claim::measured(
                    "reversal.held_out_nll",
                    text,
                    "paper, figure 1",
                    vec![10.0, 10.5],
                    Comparator::AtLeast,
                    6.6875,
                )
                .refuted_by(text),
                Claim::measured(
                    "reversal.asymmetry",
                    text,
                    text,
                    vec![f64::NAN, 1.0],
                    Comparator::Greater,
                    0.9,
                ),
            ],
            experiments: vec![Experiment {
                name: "reversal-quick".into(),
                label: text.into(),
                hash: text.into(),
                spec_toml: text.into(),
                measures: vec![text.into(), "asymmetry".into()],
                rows: vec![
                    SeedRow { seed: 7, status: text.into(), values: vec![0.02, 1.0] },
                    SeedRow { seed: 8, status: "diverged".into(), values: vec![f64::NAN] },
                ],
                wall_seconds: 24.0,
                machine: text.into(),
            }],
        }],
        tables: vec![NamedTable {
            name: "hyper-parameters".into(),
            title: text.into(),
            table: Table { header: vec!["key".into()], rows: vec![vec![text.into()]] },
            note: text.into(),
        }],
        comparisons: Vec::new(),
    }
}

fn files_below(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

fn written(text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let page = write(dir.path(), &report(text)).unwrap();
    assert_eq!(page, dir.path().join("index.html"));
    let html = fs::read_to_string(page).unwrap();
    (dir, html)
}

#[test]
fn every_file_is_written_and_nothing_else() {
    let (dir, _) = written("plain");
    let expected = [
        "figures/fig1.pdf",
        "figures/fig1.png",
        "figures/fig1.svg",
        "figures/fig2.pdf",
        "figures/fig2.png",
        "figures/fig2.svg",
        "index.html",
        "summary.json",
        "tables/fig1.csv",
        "tables/fig2.csv",
        "tables/hyper-parameters.csv",
        "tables/reversal-quick-seeds.csv",
    ];
    let expected: BTreeSet<String> = expected.map(String::from).into();
    assert_eq!(files_below(dir.path()), expected);
    // Once more over existing files: the same files with the same content.
    let read = || expected.iter().map(|f| fs::read(dir.path().join(f)).unwrap());
    let before: Vec<_> = read().collect();
    write(dir.path(), &report("plain")).unwrap();
    assert_eq!(files_below(dir.path()), expected);
    assert!(before.iter().eq(read().collect::<Vec<_>>().iter()));
}

#[test]
fn a_picture_is_drawn_again_only_where_it_has_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut redraw = Redraw::default();
    redraw.write(dir.path(), &report("plain")).unwrap();
    let marked = |name: &str| dir.path().join(format!("figures/{name}.png"));
    let is_marked = |name: &str| fs::read(marked(name)).unwrap() == b"mark";
    for name in ["fig1", "fig2"] {
        fs::write(marked(name), b"mark").unwrap();
    }
    let mut changed = report("plain");
    redraw.write(dir.path(), &changed).unwrap();
    assert!(is_marked("fig1") && is_marked("fig2"));
    let other = LossCurves {
        variant: "other".into(),
        epochs: vec![1.0],
        first_token: Nll {
            train: vec![vec![1.0]],
            held_out: vec![vec![2.0]],
            uniform: 6.7,
            uniform_label: "u".into(),
        },
        whole: None,
        questions: 60,
    };
    changed.sections[0].figures[0] = loss_curves("fig1", "plain", &[other]);
    redraw.write(dir.path(), &changed).unwrap();
    assert!(!is_marked("fig1") && is_marked("fig2"));
}

#[test]
fn the_summary_is_as_the_command_line_promises() {
    let (dir, _) = written("plain");
    let summary: Value =
        serde_json::from_slice(&fs::read(dir.path().join("summary.json")).unwrap()).unwrap();
    let figure = |name: &str| {
        json!({
            "name": name,
            "title": "plain",
            "svg": format!("figures/{name}.svg"),
            "png": format!("figures/{name}.png"),
            "pdf": format!("figures/{name}.pdf"),
            "table": format!("tables/{name}.csv"),
        })
    };
    assert_eq!(
        summary,
        json!({
            "version": "0.1.0",
            "commit": "plain",
            "scale": "quick",
            "seeds": 2,
            "wall_seconds": 48.25,
            "claims": [
                {
                    "id": "reversal.held_out_nll",
                    "claim": "plain",
                    "source": "paper, figure 1",
                    "of": "paper",
                    "refuted_by": "plain",
                    "value": 10.25,
                    "spread": 0.125f64.sqrt(),
                    "values": [10.0, 10.5],
                    "comparator": ">=",
                    "threshold": 6.6875,
                    "holds": true,
                },
                {
                    "id": "reversal.asymmetry",
                    "claim": "plain",
                    "source": "plain",
                    "of": "ours",
                    "refuted_by": "",
                    "value": 1.0,
                    "spread": null,
                    "values": [null, 1.0],
                    "comparator": ">",
                    "threshold": 0.9,
                    "holds": false,
                },
            ],
            "figures": [figure("fig1"), figure("fig2")],
        })
    );
}

#[test]
fn a_claim_holds_only_on_every_seed() {
    let holds = |values: &[f64], comparator| {
        Claim::measured("a.b", "", "", values.to_vec(), comparator, 1.0).holds
    };
    assert!(holds(&[1.0, 2.0], Comparator::AtLeast));
    assert!(!holds(&[1.0, 2.0], Comparator::Greater));
    assert!(!holds(&[0.5, 9.0], Comparator::AtLeast), "the mean alone does not do");
    assert!(holds(&[0.5, 1.0], Comparator::AtMost));
    assert!(!holds(&[0.5, 1.0], Comparator::Less));
    assert!(holds(&[1.0, 1.0], Comparator::Equal));
    assert!(!holds(&[1.0, f64::NAN], Comparator::Equal));
    assert!(!holds(&[], Comparator::AtLeast), "nothing measured, nothing held");
}

#[test]
fn tables_hold_the_numbers_drawn() {
    let (dir, _) = written("a \"b\", c");
    let read = |name: &str| fs::read_to_string(dir.path().join("tables").join(name)).unwrap();
    let quoted = "\"a \"\"b\"\", c\"";
    let fig1 = read("fig1.csv");
    let lines: Vec<&str> = fig1.lines().collect();
    assert_eq!(lines[0], "variant,split,epoch,nll_mean,nll_std,seeds,uniform_nll");
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[4], format!("{quoted},held-out,2,10.25,{},2,6.6875", 0.125f64.sqrt()));
    let fig2 = read("fig2.csv");
    assert_eq!(
        fig2.lines().collect::<Vec<_>>(),
        [
            "variant,group,row,column,logit".to_owned(),
            format!("{quoted},{quoted},0,0,11.5"),
            format!("{quoted},{quoted},0,1,-0.25"),
            format!("{quoted},{quoted},1,0,0"),
            format!("{quoted},{quoted},1,1,12"),
        ]
    );
    let seeds = read("reversal-quick-seeds.csv");
    assert_eq!(seeds.lines().nth(1), Some(&*format!("7,{quoted},0.02,1")));
    assert_eq!(seeds.lines().nth(2), Some("8,diverged,,"));
}

/// Everything in the page that is markup: what stands between `<` and `>`.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<').skip(1).filter_map(|part| part.split('>').next())
}

/// The text of an attribute or element as a browser reads it.
fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#x27;", "'")
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
}

/// The values of everything that can make a browser fetch something.
fn references(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    for tag in tags(html) {
        for name in [" src=\"", " href=\"", " srcset=\"", " action=\"", " poster=\""] {
            let values = tag.split(name).skip(1).filter_map(|part| part.split('"').next());
            found.extend(values.map(unescaped));
        }
    }
    let functions = html.split("url(").skip(1).filter_map(|part| part.split(')').next());
    found.extend(functions.map(String::from));
    found
}

#[test]
fn the_page_fetches_nothing() {
    let (dir, html) = written("plain");
    let mut links = 0;
    for reference in references(&html) {
        let followed = ["https://arxiv.org/abs/", "https://openreview.net/forum?id="];
        if reference.starts_with("data:")
            || reference.starts_with('#')
            || followed.iter().any(|site| reference.starts_with(site))
        {
            continue;
        }
        assert!(dir.path().join(&reference).is_file(), "{reference}");
        links += 1;
    }
    // Four files for each figure, one for the experiment and for the table, the summary.
    assert_eq!(links, 11);
    let elements = ["iframe", "object", "embed", "base"];
    assert!(tags(&html).all(|tag| !elements.iter().any(|element| tag.starts_with(element))));
    // Links to papers are followed by a click, and fetch nothing.
    let links: Vec<&str> = tags(&html).filter(|tag| tag.contains("https://")).collect();
    assert!(links.len() == 3 && links.iter().all(|tag| tag.starts_with("a href=")), "{links:?}");
    assert_eq!(html.matches("://").count(), 3);
    assert!(!html.contains("@import"));
    let policy = "content=\"default-src 'none'; img-src data:; font-src data:;";
    assert!(html.contains(policy), "the browser holds it too");
}

#[test]
fn hostile_text_is_shown_and_not_obeyed() {
    let (_dir, html) = written(HOSTILE);
    // Its own two scripts and the files that it carries, which are no scripts to a browser.
    let scripts = tags(&html).filter(|tag| tag.starts_with("script"));
    let (files, scripts): (Vec<&str>, Vec<&str>) = scripts
        .partition(|tag| tag.starts_with("script type=\"application/octet-stream\" data-file=\""));
    assert_eq!((scripts, files.len()), (vec!["script"; 2], 9));
    assert!(!html.contains("evil.example/x.js\">"), "no text becomes markup");
    assert!(references(&html).iter().all(|reference| !reference.contains("evil")));
    assert!(html.contains("{{ 7 * 6 }}"), "no text is a template");
    let shown = html
        .split("<pre tabindex=\"0\">")
        .nth(1)
        .and_then(|rest| rest.split("</pre>").next())
        .unwrap();
    assert_eq!(unescaped(shown), HOSTILE, "the spec can be copied as it was");
}

#[test]
fn names_that_are_no_file_names_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: fn(&mut Report)| {
        let mut report = report("plain");
        change(&mut report);
        let error = write(dir.path(), &report).unwrap_err();
        assert_eq!(files_below(dir.path()), BTreeSet::new());
        error
    };
    for change in [
        (|r| r.sections[0].figures[0].name = "../fig1".into()) as fn(&mut Report),
        |r| r.sections[0].figures[0].name = String::new(),
        |r| r.sections[0].experiments[0].name = "a/b".into(),
        |r| r.sections[0].name = "Two words".into(),
    ] {
        assert!(matches!(refused(change), ReportError::Name(_)));
    }
    let twice = refused(|r| r.sections[0].figures[1].name = "fig1".into());
    assert!(matches!(twice, ReportError::Duplicate(name) if name == "fig1"));
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("taken");
    fs::write(&file, "a file").unwrap();
    let error = write(&file, &report("plain")).unwrap_err().to_string();
    assert!(error.contains("taken"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file");
}
