//! Sweeps: every form of the grammar, hashes, and messages.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::collections::HashSet;

use retrodict_lab::Cell;
use retrodict_lab::spec::Spec;
use retrodict_lab::sweep::Sweep;

const BASE: &str = "[data]\nkind = \"reversal\"\nvocab_size = 40\n\
                    [model]\nlayers = 1\nheads = 2\ndim = 8\n";

fn sweep(section: &str, set: &[(&str, &str)]) -> Sweep {
    let text = format!("{BASE}{section}");
    Sweep::parse(&text, "tiny.toml", set).unwrap_or_else(|error| panic!("{error}\n{section}"))
}

fn refused(section: &str, set: &[(&str, &str)]) -> String {
    Sweep::parse(&format!("{BASE}{section}"), "tiny.toml", set).unwrap_err().to_string()
}

/// The swept values of every point, as text.
fn values(sweep: &Sweep) -> Vec<String> {
    let text = |cells: &[Cell]| cells.iter().map(Cell::to_string).collect::<Vec<_>>().join(" ");
    sweep.points.iter().map(|point| text(&point.swept)).collect()
}

#[test]
fn the_product_of_lists_has_the_product_of_their_lengths() {
    for lengths in [[1, 1, 1], [2, 1, 3], [3, 2, 2], [1, 4, 1], [2, 3, 4]] {
        let list = |length: usize, value: fn(usize) -> String| {
            (0..length).map(value).collect::<Vec<_>>().join(",")
        };
        let axes = [
            ("model.layers", list(lengths[0], |at| (at + 1).to_string())),
            ("train.lr", list(lengths[1], |at| format!("{}e-4", at + 1))),
            ("model.dim", list(lengths[2], |at| (8 * (at + 1)).to_string())),
        ];
        let product: usize = lengths.iter().product();
        let set: Vec<(&str, &str)> = axes.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let by_command = sweep("", &set);
        assert_eq!(by_command.points.len(), product);
        let section: String =
            axes.iter().map(|(key, list)| format!("\"{key}\" = [{list}]\n")).collect();
        let by_file = sweep(&format!("[sweep]\n{section}"), &[]);
        assert_eq!(by_file.points.len(), product);
        let hashes = |sweep: &Sweep| -> Vec<_> {
            sweep.points.iter().map(|point| point.experiment.hash).collect()
        };
        assert_eq!(hashes(&by_command), hashes(&by_file));
        assert_eq!(hashes(&by_file).into_iter().collect::<HashSet<_>>().len(), product);
    }
}

#[test]
fn a_point_is_the_plain_run_with_its_values() {
    let set =
        [("model.layers", "1,2"), ("model.position", "rotary,none"), ("precision", "f32,f64")];
    let found = sweep("[sweep]\nmodel.tie_head = [false, true]\n", &set);
    assert_eq!(found.keys, ["model.tie_head", "model.layers", "model.position", "precision"]);
    assert_eq!(found.points.len(), 16);
    for point in &found.points {
        let set: Vec<(String, String)> =
            found.keys.iter().cloned().zip(point.swept.iter().map(Cell::to_string)).collect();
        let set: Vec<(&str, &str)> = set.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let plain = Spec::parse_with(BASE, "tiny.toml", &set).unwrap();
        assert_eq!(plain, point.experiment.spec);
        assert_eq!(plain.hash(), point.experiment.hash);
        assert_eq!(plain.name, "tiny");
    }
    let plain = sweep("", &[("model.layers", "2")]);
    assert!(!plain.is_swept && plain.keys.is_empty() && plain.points.len() == 1);
}

#[test]
fn the_last_axis_varies_fastest() {
    let found = sweep("[sweep]\n\"model.layers\" = [1, 2]\n", &[("train.lr", "0.1,0.2")]);
    assert_eq!(values(&found), ["1 0.1", "1 0.2", "2 0.1", "2 0.2"]);
}

#[test]
fn brackets_and_quotes_hold_one_value() {
    let one = sweep("", &[("checkpoint.at", "[0,5]")]);
    assert!(!one.is_swept);
    assert_eq!(one.points[0].experiment.spec.checkpoint.at.0, [0, 5]);
    let two = sweep("", &[("train.betas", "[0.9,0.99],[0.8,0.9]"), ("model.position", "'none'")]);
    assert_eq!(values(&two), ["[0.9, 0.99]", "[0.8, 0.9]"]);
    let recipes = sweep("[sweep]\n\"data.recipes\" = [[], [\"reverse-tokens\"]]\n", &[]);
    assert_eq!(values(&recipes), ["[]", "[\"reverse-tokens\"]"]);
    // A list of seeds names seeds, as ever, and a name may have a comma.
    let seeds = sweep("", &[("seeds", "1,2,7"), ("name", "a,b")]);
    assert!(!seeds.is_swept);
    assert_eq!(seeds.points[0].experiment.spec.seeds, [1, 2, 7]);
    assert_eq!(seeds.points[0].experiment.spec.name, "a,b");
}

#[test]
fn functions_zips_rows_and_grids() {
    let found = sweep(
        "[sweep]\n\"model.layers\" = \"range(1, 6, 2)\"\n\"train.lr\" = \"log_range(1e-4, 1e-2, 3)\"\n",
        &[],
    );
    assert_eq!(values(&found)[..4], ["1 0.0001", "1 0.001", "1 0.01", "3 0.0001"]);
    let command = sweep("", &[("model.layers", "range(1, 3),8")]);
    assert_eq!(values(&command), ["1", "2", "8"]);
    let zipped = sweep(
        "[sweep]\n\"model.dim\" = [8, 16]\n\"model.heads\" = [2, 4]\n\"train.epochs\" = [5, 6]\n\
         zip = [\"model.dim\", \"model.heads\"]\n",
        &[],
    );
    assert_eq!(values(&zipped), ["8 2 5", "8 2 6", "16 4 5", "16 4 6"]);
    let rows = sweep(
        "[sweep]\n\"train.epochs\" = [5, 6]\nrows = [\n\
         { \"model.dim\" = 16, \"model.heads\" = 4 },\n  { model.dim = 32 },\n]\n",
        &[],
    );
    assert_eq!(rows.keys, ["train.epochs", "model.dim", "model.heads"]);
    assert_eq!(values(&rows), ["5 16 4", "5 32 2", "6 16 4", "6 32 2"]);
    // What both grids have is run once.
    let grids =
        sweep("[[sweep]]\n\"model.layers\" = [1, 2]\n[[sweep]]\n\"model.dim\" = [8, 16]\n", &[]);
    assert_eq!(values(&grids), ["1 8", "2 8", "1 16"]);
    assert_eq!(grids.repeated, 1);
}

#[test]
fn a_condition_leaves_a_key_out_where_it_does_not_hold() {
    let section = "[sweep]\n\"train.optimizer\" = [\"adamw\", \"sgd\"]\n\
                   \"train.momentum\" = { values = [0.0, 0.9], when = \"train.optimizer == 'sgd'\" }\n";
    let found = sweep(section, &[]);
    assert_eq!(values(&found), ["adamw ", "sgd 0.0", "sgd 0.9"]);
    assert_eq!(found.points[0].swept[1], Cell::Missing);
    assert_eq!(found.repeated, 1);
    let without = section
        .replace("{ values = [0.0, 0.9], when = \"train.optimizer == 'sgd'\" }", "[0.0, 0.9]");
    let error = refused(&without, &[]);
    assert!(
        error.starts_with("tiny.toml:10: `train.momentum` has no effect with `train.optimizer` = adamw; it applies with sgd"),
        "{error}"
    );
    assert!(error.contains("(at train.optimizer = \"adamw\", train.momentum = 0.0)"), "{error}");
    assert!(error.contains("give its axis a condition"), "{error}");
    // Keys that the base sets, and conditional keys before it, are seen.
    let base = sweep(
        "[sweep]\n\"model.layers\" = [1, 2]\n\
         \"model.dim\" = { values = [16, 32], when = \"model.layers > 1 and data.kind == 'reversal'\" }\n\
         \"model.heads\" = { values = [4, 8], when = \"model.dim == 32\" }\n",
        &[],
    );
    assert_eq!(values(&base), ["1 8 2", "2 16 2", "2 32 4", "2 32 8"]);
}

#[test]
fn samples_are_repeatable_and_within_bounds() {
    for sampling in ["random", "sobol"] {
        let section = |seed: u64| {
            format!(
                "[sweep]\nsampling = \"{sampling}\"\nsamples = 16\nseed = {seed}\n\
                 \"train.lr\" = \"log_uniform(1e-4, 1e-1)\"\n\"model.layers\" = [1, 2, 4]\n"
            )
        };
        let found = sweep(&section(1), &[]);
        assert_eq!(found.points.len(), 16);
        assert_eq!(values(&found), values(&sweep(&section(1), &[])));
        assert_ne!(values(&found), values(&sweep(&section(2), &[])));
        for point in &found.points {
            let rate = point.swept[0].number().unwrap();
            assert!((1e-4..=1e-1).contains(&rate), "{rate}");
        }
        let both = sweep(&section(1), &[("train.epochs", "5,6")]);
        assert_eq!(both.points.len(), 32);
    }
}

#[test]
fn the_command_line_takes_precedence() {
    let section = "[sweep]\n\"model.layers\" = [1, 2]\n\"train.lr\" = [0.1, 0.2]\n";
    assert_eq!(values(&sweep(section, &[("model.layers", "4")])), ["0.1", "0.2"]);
    let other = sweep(section, &[("model.layers", "4,8,16")]);
    assert_eq!(other.points.len(), 6);
    assert_eq!(other.keys, ["train.lr", "model.layers"]);
    // The later of two counts.
    assert_eq!(values(&sweep("", &[("model.layers", "1,2"), ("model.layers", "4,8")])), ["4", "8"]);
    assert!(values(&sweep("", &[("model.layers", "1,2"), ("model.layers", "4")])).len() == 1);
}

#[test]
fn messages_name_the_key_and_the_remedy() {
    let at = |line: usize, text: &str| format!("tiny.toml:{line}: {text}");
    for (section, set, message) in [
        ("", vec![("checkpoint.at", "0,5")], "--set checkpoint.at=0,5: `checkpoint.at` takes a list, and commas part the values of a sweep: put one list in brackets, 'checkpoint.at=[0, 5]'".to_owned()),
        ("", vec![("model.layers", "1,,2")], "--set model.layers=1,,2: `model.layers` has an empty value".to_owned()),
        ("", vec![("model.layer", "1,2")], "--set model.layer=1,2: unknown key `model.layer`; did you mean `model.layers`?".to_owned()),
        ("", vec![("modle.layers", "1,2")], "--set modle.layers=1,2: unknown key `modle.layers`; did you mean `[model]`?".to_owned()),
        ("", vec![("model.layers", "1,x")], "--set model.layers=1,x: `model.layers` is \"x\"; it must be a whole number".to_owned()),
        ("", vec![("checkpoint.every", "1,2")], "`checkpoint.every` is no axis: it does not change the numbers".to_owned()),
        ("", vec![("train.lr", "uniform(0.1, 0.2)")], "`train.lr` has no list of values: `uniform` and `log_uniform` are for sampling".to_owned()),
        ("", vec![("model.layers", "range(3)")], "`model.layers`: `range(3)` has the wrong number of arguments; write range(start, stop, step)".to_owned()),
        ("[sweep]\nseeds = [1, 2]\n", vec![], at(9, "`seeds` is no axis: every point runs with all seeds")),
        ("[sweep]\n\"model.layers\" = 4\n", vec![], at(9, "`model.layers` in [sweep] is 4; it must be a list ([1, 2, 4])")),
        ("[sweep]\n\"model.layers\" = []\n", vec![], at(9, "`model.layers` has no value")),
        ("[sweep]\nsample = 3\n", vec![], at(9, "`sample` is unknown in [sweep]; did you mean `samples`?")),
        ("[sweep]\nsamples = 3\n", vec![], at(9, "`samples` and `seed` have no effect without sampling")),
        ("[sweep]\nsampling = \"sobol\"\n\"model.layers\" = [1, 2]\n", vec![], at(9, "`samples` is missing")),
        ("[sweep]\nsampling = \"grid\"\n", vec![], at(9, "`sampling` is \"grid\"; it must be \"random\" or \"sobol\"")),
        ("[sweep]\n\"model.dim\" = [8, 16]\n\"model.heads\" = [2, 4, 8]\nzip = [\"model.dim\", \"model.heads\"]\n", vec![], at(10, "`model.heads` has 3 values and `model.dim`, with which it is zipped, has 2")),
        ("[sweep]\n\"model.dim\" = [8, 16]\nzip = [\"model.dim\", \"model.head\"]\n", vec![], at(10, "`zip` names `model.head`, which is no axis of this sweep")),
        ("[sweep]\n\"model.dim\" = [8, 16]\nzip = 3\n", vec![], at(10, "`zip` must name axes")),
        ("[sweep]\nrows = 3\n", vec![], at(9, "`rows` must be a list of tables")),
        ("[sweep]\n\"model.dim\" = [8]\nrows = [{ model.dim = 16 }]\n", vec![], at(8, "`model.dim` is both an axis and in `rows`")),
        ("[sweep]\n\"model.dim\" = { values = [8], when = \"layers > 1\" }\n", vec![], at(9, "`when` of `model.dim`: `layers > 1`: there is no `layers`; did you mean `model.layers`?")),
        ("[sweep]\n\"model.dim\" = { value = [8] }\n", vec![], at(9, "`model.dim` in [sweep] has `value`; an axis has `values` and `when`")),
        ("[sweep]\n\"checkpoint.at\" = [0, 5]\n", vec![], at(9, "`checkpoint.at` takes a list, so that its axis is a list of lists: at = [[0, 5], […]]")),
        ("[sweep]\n\"train.betas\" = [0.9, 0.99]\n", vec![], at(9, "`train.betas` takes a list, so that its axis is a list of lists: betas = [[0.9, 0.99], […]]")),
        ("[sweep]\n\"model.layers\" = \"range(1, 100)\"\n\"model.dim\" = \"range(8, 8000, 8)\"\n\"train.epochs\" = \"range(1, 100)\"\n", vec![], "tiny.toml: the sweep has 9791".to_owned()),
        ("[sweep]\n\"model.dim\" = [8, 9]\n", vec![], "(at model.dim = 9)".to_owned()),
    ] {
        let error = refused(section, &set);
        assert!(error.contains(&message), "{error}\nlacks\n{message}");
    }
    let error = Sweep::parse("sweep = 3\n", "tiny.toml", &[]).unwrap_err().to_string();
    assert!(error.starts_with("tiny.toml:1: `sweep` is a section"), "{error}");
}

#[test]
fn a_plain_spec_has_no_sweep() {
    let error = Spec::parse("[sweep]\n\"model.layers\" = [1, 2]\n", "tiny.toml").unwrap_err();
    assert!(
        error.to_string().starts_with("tiny.toml:1: `[sweep]` makes many specs of one"),
        "{error}"
    );
}
