//! Sweeps, listings of runs and tidy tables, as scripts and users see them.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use common::Folder;
use retrodict_lab::store::Store;
use retrodict_lab::sweep::{Launcher, SweepRecord};
use serde_json::Value;

/// Makes runs of a fraction of a second.
const SHORT: &str = "--set train.epochs=2 --set probe.every=0 --set checkpoint.every=0";

fn strings<'v>(rows: &'v Value, key: &str) -> Vec<&'v str> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap()).collect()
}

#[test]
fn a_sweep_is_the_plain_runs_of_its_points() {
    let folder = Folder::new();
    let swept = folder.run(&format!(
        "run tiny.toml --set model.layers=1,2 --set train.lr=0.01,0.02 --out out --json {SHORT}"
    ));
    assert_eq!(swept.status, 0, "{}", swept.stderr);
    let swept = swept.json();
    let points = swept.as_array().unwrap();
    assert_eq!(points.len(), 4);
    assert_eq!(points[1]["swept"], serde_json::json!({"model.layers": 1, "train.lr": 0.02}));
    for point in points {
        assert_eq!(point["complete"], 2);
        let (layers, rate) = (&point["swept"]["model.layers"], &point["swept"]["train.lr"]);
        let plain = folder.run(&format!(
            "run tiny.toml --set model.layers={layers} --set train.lr={rate} --out plain --json \
             {SHORT}"
        ));
        let (plain, mut point) = (plain.json(), point.clone());
        let of = |value: &Value, key: &str| value["mean"][key].clone();
        assert_eq!(plain["hash"], point["hash"]);
        assert_eq!(of(&plain, "train_nll"), of(&point, "train_nll"));
        // The object of a plain run, and `swept`.
        point.as_object_mut().unwrap().remove("swept");
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&plain), keys(&point));
    }
}

#[test]
fn a_sweep_leaves_one_record_and_a_plain_run_none() {
    let folder = Folder::new();
    let out = folder.path().join("out");
    let list = || SweepRecord::list(&out).unwrap();
    folder.run(&format!("run tiny.toml --out out {SHORT}")).done();
    assert_eq!(list(), [""; 0]);
    for _ in 0..2 {
        folder.run(&format!("run tiny.toml --set model.layers=1,2 --out out {SHORT}")).done();
    }
    let ids = list();
    assert_eq!(ids.len(), 1, "the second is the same sweep: {ids:?}");
    let record = SweepRecord::read(&out, &ids[0]).unwrap();
    assert_eq!((record.launcher, record.points.len()), (Launcher::Local, 2));
    assert_eq!(record.keys, ["model.layers"]);
    assert!(record.command.contains(&"model.layers=1,2".to_owned()), "{:?}", record.command);
    let progress = record.progress(&Store::view(&out).unwrap()).unwrap();
    assert_eq!((progress.complete, progress.total()), (4, 4));
}

#[test]
fn a_dry_run_counts_and_trains_nothing() {
    let folder = Folder::new();
    let sweep = format!("run tiny.toml --set model.layers=1,2,4 --out out {SHORT}");
    let text = folder.run(&format!("{sweep} --dry-run")).done();
    assert_eq!(text.lines().filter(|line| line.ends_with("  new")).count(), 6, "{text}");
    assert!(text.contains("6 runs (3 settings × 2 seeds): 0 complete, 6 new"), "{text}");
    assert!(text.contains("MiB of disk"), "{text}");
    assert!(!folder.path().join("out").exists());
    // Two of the runs; the sweep makes the others alone.
    folder.run(&format!("run tiny.toml --set model.layers=2 --out out {SHORT}")).done();
    let total = |output: common::Output| output.json()["total"].clone();
    let after = total(folder.run(&format!("{sweep} --dry-run --json")));
    assert_eq!(
        (&after["runs"], &after["complete"], &after["new"]),
        (&6.into(), &2.into(), &4.into())
    );
    let before = folder.contents();
    folder.run(&sweep).done();
    let end = total(folder.run(&format!("{sweep} --dry-run --json")));
    assert_eq!(
        (&end["complete"], &end["new"], &end["seconds"]),
        (&6.into(), &0.into(), &0.0.into())
    );
    // What was complete was left as it was.
    let now = folder.contents();
    let kept = before.iter().filter(|(path, _)| path.to_string_lossy().contains("seed-"));
    assert!(kept.into_iter().all(|(path, content)| now.get(path) == Some(content)));
}

#[test]
fn the_table_of_a_sweep_has_its_keys_as_columns() {
    let folder = Folder::new();
    folder.write(
        "swept.toml",
        format!(
            "{}\n[sweep]\n\"train.optimizer\" = [\"adamw\", \"sgd\"]\n\"train.momentum\" = \
             {{ values = [0.5, 0.9], when = \"train.optimizer == 'sgd'\" }}\n",
            common::TINY
        ),
    );
    let text = folder.run(&format!("run swept.toml --seeds 2 --out out {SHORT}")).done();
    assert!(text.contains("3 settings (1 more equal to one of these) × 2 seeds"), "{text}");
    let heading = text.lines().find(|line| line.contains("train.optimizer")).unwrap();
    assert!(heading.contains("train.momentum") && heading.contains("train NLL"), "{heading}");
    assert_eq!(text.matches("2/2").count(), 3, "{text}");
    let error = folder.run("bench swept.toml");
    assert_eq!(error.status, 2);
    assert!(error.message().contains("`[sweep]`"), "{}", error.stderr);
}

#[test]
fn runs_are_listed_filtered_and_sorted() {
    let folder = Folder::new();
    folder.run(&format!("run tiny.toml --set model.layers=1,2 --seeds 2 --out out {SHORT}")).done();
    let runs = |options: &[&str]| {
        let mut command = folder.command("runs out");
        command.args(options).stdout(std::process::Stdio::piped());
        command.stderr(std::process::Stdio::piped());
        common::finish(command.spawn())
    };
    let all = runs(&["--json"]).json();
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(strings(&all, "status"), ["complete"; 4]);
    let first = all[0].as_object().unwrap();
    // The keys that differ are columns, others are not.
    assert!(first.contains_key("model.layers") && !first.contains_key("model.dim"), "{first:?}");
    assert!(first.contains_key("held_out_nll"));
    let where_ = ["--where", "model.layers >= 2 and (seed == 1 or held_out_nll < 0)"];
    let some =
        runs(&[&where_[..], &["--json", "--columns", "seed,model.layers,rank_held_out"]].concat());
    let some = some.json();
    assert_eq!(some.as_array().unwrap().len(), 1);
    assert_eq!((&some[0]["seed"], &some[0]["model.layers"]), (&1.into(), &2.into()));
    let sorted = runs(&["--csv", "--columns", "model.layers,seed", "--sort", "-model.layers,seed"]);
    assert_eq!(sorted.done(), "model.layers,seed\n2,0\n2,1\n1,0\n1,1\n");
    let text = runs(&[]).done();
    assert_eq!(text.lines().count(), 5, "{text}");
    for (options, message) in [
        (["--where", "layers > 2"], "did you mean `model.layers`?"),
        (["--where", "model.layers >"], "at character 15, the end stands where"),
        (["--columns", "seed,held_out"], "there is no column `held_out`"),
        (["--sort", "-modl.layers"], "did you mean `model.layers`?"),
    ] {
        let output = runs(&options);
        assert_eq!(output.status, 2, "{options:?}");
        assert!(output.message().contains(message), "{}", output.stderr);
    }
}

#[test]
fn the_tidy_table_has_every_key_and_measure() {
    let folder = Folder::new();
    folder.run(&format!("run tiny.toml --set model.layers=1,2 --seeds 2 --out out {SHORT}")).done();
    let csv = folder.run("table out").done();
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    assert_eq!(csv.lines().count(), 5);
    for column in ["hash", "seed", "data.kind", "model.layers", "held_out_nll", "ms_per_step"] {
        assert!(header.contains(&column), "{column}");
    }
    let epochs = folder.run("table out --epochs").done();
    assert_eq!(epochs.lines().count(), 1 + 4 * 2);
    folder.run("table out --to all.csv").done();
    assert_eq!(std::fs::read_to_string(folder.path().join("all.csv")).unwrap(), csv);
    folder.run("table out --to all.parquet").done();
    let bytes = std::fs::read(folder.path().join("all.parquet")).unwrap();
    assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"));
    let wrong = folder.run("table out --to all.xlsx");
    assert_eq!(wrong.status, 2);
    assert!(wrong.message().contains("must end in .parquet or .csv"), "{}", wrong.stderr);
}
