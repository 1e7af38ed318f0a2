//! `retrodict locate`, as it is typed.

mod common;

use common::Folder;
use serde_json::Value;

/// Small, and trained until the seen questions are answered.
const SPEC: &str = "--set data.vocab_size=60 --set model.layers=2 --set model.dim=16 \
                    --set model.dropout=0 --set train.epochs=120 --set train.lr=0.01 \
                    --set precision=f64 --out out";

fn by_id<'v>(list: &'v Value, id: &str) -> &'v Value {
    let list = list.as_array().expect("a list");
    list.iter().find(|entry| entry["id"] == id).expect("an entry of that id")
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn what_is_trained_is_located_and_what_is_not_seen_is_nowhere() {
    let folder = Folder::new();
    let output = folder.run(&format!("locate {SPEC} --json"));
    assert_eq!(output.status, 0, "{output:?}");
    let result = output.json();
    // The lens: the last block knows the trained facts, the embeddings do not; no layer knows the
    // rest.
    let nll = |group: &str, place: usize| {
        by_id(&result["lens"], group)["places"][place]["nll"].as_f64().expect("an NLL")
    };
    assert!(nll("train_backward", 2) < 0.1 && nll("train_backward", 0) > 1.0);
    assert!(nll("held_out_seen", 2) < 0.1);
    assert!(nll("held_out_unseen", 2) > 62f64.ln(), "worse than guessing");
    // The patches, in closed form: after the last block all information is at the last position.
    for kind in ["trained-into-trained", "trained-into-unseen", "seen-into-unseen"] {
        let patching = by_id(&result["patching"], kind);
        assert_eq!(patching["recovered"][2][1], 1.0, "{kind}");
        assert_eq!(patching["recovered"][2][0], 0.0, "{kind}");
    }
    // Runs of one relation differ only in the entity: its embedding is the whole difference.
    for kind in ["trained-into-trained", "trained-into-unseen"] {
        let patching = by_id(&result["patching"], kind);
        assert_eq!(patching["recovered"][0][0], 1.0, "{kind}");
        assert_eq!(patching["recovered"][0][1], 0.0, "{kind}");
        let margin = |key: &str| patching[key].as_f64().expect("a margin");
        assert!(margin("clean_margin") > 3.0 && margin("corrupted_margin") < 1.0);
    }
    // The parts sum to the margin of the lens.
    let parts = result["parts"].as_array().expect("parts").len();
    assert_eq!(parts, 1 + 2 * (4 + 1 + 1) + 1);
    for group in result["attribution"].as_array().expect("groups") {
        let sum: f64 = numbers(&group["parts"]).iter().sum();
        let id = group["id"].as_str().expect("an id");
        let margin = by_id(&result["lens"], id)["places"][2]["margin"].as_f64().expect("a margin");
        assert!((sum - margin).abs() < 1e-9, "{id}: {sum} {margin}");
    }
    let hash = result["hash"].as_str().expect("a hash");
    // The same from the store, as text and figures.
    let before = folder.contents();
    let output = folder.run(&format!("locate {SPEC}"));
    for says in ["logit lens", "recovered", "block 2 head 4", "figures in out/locate"] {
        assert!(output.stdout.contains(says), "no `{says}` in {}", output.stdout);
    }
    assert!(before == folder.contents(), "a second time changes nothing");
    for name in ["lens-nll", "lens-rank", "patching", "attribution"] {
        let path = format!("out/locate/reversal-quick/{hash}/seed-0-{name}");
        for ending in ["svg", "png", "pdf", "csv"] {
            assert!(
                before.contains_key(std::path::Path::new(&format!("{path}.{ending}"))),
                "{path}"
            );
        }
    }
}

#[test]
fn a_design_without_a_sum_goes_without_attribution() {
    let folder = Folder::new();
    let trained = "locate tiny.toml --set model.norm_place=post --set train.epochs=60 --json";
    let output = folder.run(trained);
    assert_eq!(output.status, 0, "{output:?}");
    assert!(output.stderr.contains("no attribution: parts can be told apart only"), "{output:?}");
    let result = output.json();
    assert_eq!(result["attribution"], serde_json::json!([]));
    let share = |result: &serde_json::Value| {
        by_id(&result["patching"], "trained-into-unseen")["recovered"][1][1].clone()
    };
    assert_eq!(share(&result), 1.0);
    // A model that has learned nothing has no answer to restore.
    let barely = folder.run("locate tiny.toml --set model.norm_place=post --json");
    assert_eq!(share(&barely.json()), serde_json::Value::Null);
}

#[test]
fn what_cannot_be_looked_into_is_refused_before_training() {
    let folder = Folder::new();
    for (arguments, says) in [
        ("--set checkpoint.last=false", "checkpoint.last is false"),
        ("--set model.heads=7", "does not divide `model.dim` = 64"),
        ("missing.toml", "missing.toml"),
    ] {
        let output = folder.run(&format!("locate {arguments}"));
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{arguments}: {output:?}");
        assert!(output.message().contains(says), "{arguments}: no `{says}` in {output:?}");
    }
    folder.write("icl.toml", retrodict_lab::spec::ready("icl-quick").expect("a ready spec"));
    let other =
        common::TINY.replace("layers = 1\nheads = 2\ndim = 8", "kind = \"bilinear\"\ndim = 8");
    folder.write("other.toml", other);
    for (spec, says) in [
        ("other.toml", "only a decoder can be looked into"),
        ("icl.toml", "data.kind has no groups of questions"),
    ] {
        let output = folder.run(&format!("locate {spec}"));
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{spec}: {output:?}");
        assert!(output.message().contains(says), "{spec}: no `{says}` in {output:?}");
    }
    let runs = folder.path().join("retrodict-out");
    assert!(!runs.exists(), "nothing was trained");
}

#[test]
fn a_run_that_kept_no_model_says_what_to_do() {
    let folder = Folder::new();
    folder
        .run("run tiny.toml --seed 0 --set checkpoint.last=false --set checkpoint.every=0")
        .done();
    let output = folder.run("locate tiny.toml");
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.message().contains("delete the folder"), "{output:?}");
}
