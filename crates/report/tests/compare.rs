//! Comparisons as data: what a file may say, how it is refused, and that the program's own are
//! right.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::collections::HashSet;

use retrodict_lab::spec::Rule;
use retrodict_report::compare::{Comparison, Family, Planned, plan, select, shipped};
use retrodict_report::figure::{Answered, Dot, forward_reverse};

const SMALL: &str = r#"name = "mine"
title = "Mine"

[[task]]
id = "pairs"
title = "Pairs"
claim = "The reverse is not learned."
base = "reversal-quick"
set = { "model.layers" = 1 }

[[task.intervention]]
id = "tied"
name = "tied head"
family = "architecture"
idea = "One vector an entity."
source = "retrodict"
set = { "model.tie_head" = true }
expect = "helps"
reach = 0.5
"#;

/// The message for [`SMALL`] with `from` replaced.
fn refused(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    Comparison::parse(&SMALL.replacen(from, to, 1), "mine.toml").unwrap_err().to_string()
}

#[test]
fn a_file_says_what_is_changed_in_a_spec() {
    let comparison = Comparison::parse(SMALL, "mine.toml").unwrap();
    assert_eq!(comparison.seeds, 5);
    let planned = plan(&comparison, &comparison.tasks[0], &[3, 4]).unwrap();
    let [baseline, tied] = planned.as_slice() else { panic!("{} rows", planned.len()) };
    assert_eq!((baseline.id(), tied.id()), ("baseline", "tied"));
    for planned in &planned {
        let spec = &planned.experiment.spec;
        assert_eq!((spec.name.as_str(), &spec.seeds), ("compare-pairs", &vec![3, 4]));
        assert_eq!(
            (spec.model.decoder().unwrap().layers, spec.train.epochs),
            (1, 150),
            "set, and of the ready spec"
        );
        // Hundreds of runs leave no models behind, unless a file asks for them.
        assert!(
            !spec.checkpoint.last && spec.checkpoint.every.is_none() && spec.probe.every.is_none()
        );
    }
    let tie_head =
        |planned: &Planned<'_>| planned.experiment.spec.model.decoder().unwrap().tie_head;
    assert!(!tie_head(baseline) && tie_head(tied));

    let kept = SMALL.replace("= 1 }", "= 1, \"checkpoint.last\" = true }");
    let kept = Comparison::parse(&kept, "mine.toml").unwrap();
    let planned = plan(&kept, &kept.tasks[0], &[0]).unwrap();
    assert!(planned.iter().all(|planned| planned.experiment.spec.checkpoint.last));
    // Checkpoints decide no numbers: the runs are the same.
    assert_eq!(planned[0].experiment.hash, baseline.experiment.hash);
}

#[test]
fn a_baseline_can_be_written_out_in_sections() {
    let written =
        SMALL.replace("base = \"reversal-quick\"\nset = { \"model.layers\" = 1 }\n", "").replace(
            "[[task.intervention]]",
            "[task.spec.data]\nkind = \"chain\"\nvocab_size = 80\n\
             [task.spec.train]\nepochs = 7\nbetas = [0.5, 0.9]\n\n[[task.intervention]]",
        );
    let comparison = Comparison::parse(&written, "mine.toml").unwrap();
    let planned = plan(&comparison, &comparison.tasks[0], &[0]).unwrap();
    let spec = &planned[0].experiment.spec;
    assert_eq!(spec.data.kind.word(), "chain");
    assert_eq!(spec.train.epochs, 7);
    assert!(matches!(spec.train.optimizer, Rule::AdamW(adamw) if adamw.betas == [0.5, 0.9]));
    assert!(planned[1].experiment.spec.model.decoder().unwrap().tie_head);
}

#[test]
fn a_wrong_file_gets_one_message_that_says_where_what_and_what_would_be_right() {
    for (from, to, says) in [
        ("idea =", "ideas =", &["mine.toml:15", "`ideas`", "`idea`"][..]),
        ("title = \"Pairs\"\n", "", &["[[task]] lacks `title`", "`retrodict spec compare`"]),
        ("source = \"retrodict\"", "source = 3", &["mine.toml:16", "`source`", "3", "string"]),
        ("name = \"mine\"", "name = mine", &["mine.toml:1"]),
        ("\"architecture\"", "\"magic\"", &["mine.toml:14", "`magic`", "`objective`"]),
        ("expect = \"helps\"", "expect = \"perhaps\"", &["`perhaps`", "`helps`", "`fails`"]),
        ("name = \"mine\"", "name = \"../mine\"", &["`name`", "../mine", "lower-case letters"]),
        ("id = \"tied\"", "id = \"a b\"", &["task `pairs`", "`id`", "\"a b\""]),
        ("id = \"tied\"", "id = \"baseline\"", &["`id` is \"baseline\"", "another name"]),
        ("title = \"Mine\"", "title = \"Mine\"\nseeds = 0", &["`seeds` is 0", "from 1"]),
        ("reach = 0.5", "reach = 1.5", &["intervention `tied`", "`reach` is 1.5", "0 to 1"]),
        ("reach = 0.5", "at_most = 0.5", &["`at_most`", "expect = \"fails\""]),
        ("expect = \"helps\"\n", "", &["`reach`", "expect = \"helps\""]),
        ("base = \"reversal-quick\"\n", "", &["task `pairs`", "`base` is missing", "[task.spec]"]),
        ("reversal-quick", "reversal-quik", &["`base`", "did you mean `reversal-quick`?"]),
        (
            "model.tie_head",
            "model.tied_head",
            &["task `pairs`, intervention `tied`", "`model.tied_head`", "`model.tie_head`?"],
        ),
        ("model.layers\" = 1", "model.layers\" = 0", &["`model.layers` is 0", "1 to 1000"]),
        ("model.layers\" = 1", "model.heads\" = 7", &["7", "does not divide"]),
        (
            "model.layers\" = 1",
            "data.vocab_size\" = 2",
            &["mine.toml: task `pairs`", "data.vocab_size"],
        ),
        (
            "\"model.tie_head\" = true",
            "\"model.tie_head\" = false",
            &["intervention `tied`", "same experiment as `baseline`"],
        ),
    ] {
        let message = refused(from, to);
        assert!(!message.trim_end().contains('\n'), "not one line: {message}");
        assert!(message.starts_with("mine.toml"), "{message}");
        for part in says {
            assert!(message.contains(part), "no {part} in: {message}");
        }
    }
    let twice = format!("{SMALL}\n{}", &SMALL[SMALL.find("[[task.inter").unwrap()..]);
    let message = Comparison::parse(&twice, "mine.toml").unwrap_err().to_string();
    assert!(message.contains("`id` is \"tied\"") && message.contains("another"), "{message}");
}

#[test]
fn names_select_comparisons_and_tasks() {
    let all = select(&[]).unwrap();
    assert_eq!(all.len(), shipped().len());
    let of = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        select(&words)
    };
    let one = of(&["chain"]).unwrap();
    assert!(one.iter().any(|selected| selected.tasks.contains(&"chain".to_owned())));
    assert!(one.iter().all(|selected| selected.comparison.name != "reversal"));
    let unknown = of(&["reversl"]).unwrap_err().to_string();
    assert!(
        unknown.contains("`reversl`") && unknown.contains("did you mean `reversal`?"),
        "{unknown}"
    );
    let unknown = of(&["quantum mechanics"]).unwrap_err().to_string();
    assert!(unknown.contains("there are reversal, two-entries, objective"), "{unknown}");
    let file = of(&["nowhere.toml"]).unwrap_err().to_string();
    assert!(file.starts_with("nowhere.toml: cannot read the comparison: "), "{file}");
}

#[test]
fn the_programs_own_comparisons_say_everything_that_the_page_shows() {
    let mut names = HashSet::new();
    for comparison in shipped() {
        assert!(names.insert(comparison.name.clone()), "two are called {}", comparison.name);
        assert!(comparison.seeds >= 5, "{}", comparison.name);
        for task in &comparison.tasks {
            assert!(names.insert(format!("task {}", task.id)), "two tasks are called {}", task.id);
            assert!(task.claim.ends_with(['.', '?']), "{}", task.id);
            for intervention in &task.interventions {
                let of = format!("{} of {}", intervention.id, task.id);
                assert!(intervention.idea.ends_with(['.', ')']), "the idea of {of} is a sentence");
                assert!(intervention.source.len() > 8, "{of} has no source");
                assert!(!intervention.set.is_empty(), "{of} changes nothing");
                // A direction is published only where others than Zhu et al. and retrodict say so.
                let ours = ["retrodict", "2405.04669"];
                let published = intervention.source.contains("arXiv")
                    && !ours.iter().any(|own| intervention.source.contains(own));
                assert!(intervention.expect.is_none() || published, "{of}: who published it?");
            }
        }
    }
}

/// The centres of the drawn markers' numbers, those in the legend left out.
fn numbers(svg: &str, count: usize) -> Vec<(f64, f64)> {
    let document = roxmltree::Document::parse(svg).unwrap();
    let number =
        |node: &roxmltree::Node<'_, '_>| node.text().and_then(|t| t.trim().parse::<usize>().ok());
    let of = |node: roxmltree::Node<'_, '_>, name: &str| -> f64 {
        node.attribute(name).unwrap().parse().unwrap()
    };
    let strong = document.descendants().filter(|node| node.attribute("font-weight") == Some("600"));
    let all: Vec<_> = strong.filter(|node| number(node).is_some()).collect();
    assert_eq!(all.len(), 2 * count, "once in the panel, once in the legend");
    all[..count].iter().map(|node| (of(*node, "x"), of(*node, "y"))).collect()
}

#[test]
fn markers_of_one_place_do_not_lie_on_each_other() {
    let families = Family::ALL.map(Some);
    let dot = |number: usize| Dot {
        number,
        label: format!("intervention {number}"),
        family: families.get(number % 6).copied().flatten(),
        reverse: Answered { mean: Some(if number < 20 { 0.0 } else { 1.0 }), interval: None },
        forward: Answered { mean: Some(1.0), interval: Some((0.9, 1.0)) },
    };
    let dots: Vec<Dot> = (1..=40).map(dot).collect();
    let figure = forward_reverse("f", "t", &dots);
    let placed = numbers(&figure.to_svg(), 40);
    for (i, a) in placed.iter().enumerate() {
        for b in &placed[..i] {
            // A number stands up to 1.3 units off its marker's centre.
            assert!((a.0 - b.0).hypot(a.1 - b.1) > 22.0, "{a:?} and {b:?}");
        }
    }
    let (left, right) = (&placed[..19], &placed[19..]);
    let mean = |of: &[(f64, f64)]| of.iter().map(|at| at.0).sum::<f64>() / of.len() as f64;
    assert!(mean(right) - mean(left) > 300.0, "they stand near where they belong");
}

#[test]
fn what_is_not_asked_stands_in_the_legend_alone() {
    let dot = |forward| Dot {
        number: 7,
        label: "in context".into(),
        family: None,
        reverse: Answered { mean: Some(0.5), interval: None },
        forward: Answered { mean: forward, interval: None },
    };
    let svg = |forward| forward_reverse("f", "t", &[dot(forward)]).to_svg();
    assert_eq!(
        svg(Some(0.5)).matches(">\n7\n<").count() + svg(Some(0.5)).matches(">7<").count(),
        2
    );
    let without = svg(None);
    assert_eq!(without.matches(">\n7\n<").count() + without.matches(">7<").count(), 1);
    assert!(without.contains("nothing has both accuracies"));
}
