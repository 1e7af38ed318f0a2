//! Bad input of every kind: refused with one message that names what was wrong and what would be
//! right, and nothing on disk is touched.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::path::Path;

use common::{Folder, TINY, flip_a_bit, truncate};

/// Exit status of wrong input.
const USAGE: i32 = 2;
/// Exit status of a failure.
const FAILED: i32 = 1;

/// The command prints nothing to standard output, one message to standard error, and changes no
/// file.
#[track_caller]
fn refused(folder: &Folder, arguments: &str, status: i32, says: &[&str]) {
    let before = folder.contents();
    let output = folder.run(arguments);
    assert_eq!(output.status, status, "{arguments}: {output:?}");
    assert_eq!(output.stdout, "", "{arguments}");
    let message = output.message();
    for part in says {
        assert!(message.contains(part), "{arguments}: no `{part}` in: {message}");
    }
    assert!(folder.contents() == before, "{arguments} has changed something on disk");
}

/// `tiny.toml` with one text replaced by another is refused.
#[track_caller]
fn refused_spec(from: &str, to: &str, says: &[&str]) {
    assert!(TINY.contains(from), "{from}");
    let folder = Folder::new();
    folder.write("bad.toml", TINY.replacen(from, to, 1));
    for command in ["run bad.toml --json", "bench bad.toml"] {
        refused(&folder, command, USAGE, says);
    }
}

#[test]
fn a_key_or_section_that_does_not_exist() {
    refused_spec("layers = 1", "layrs = 1", &["bad.toml:9", "`model.layrs`", "`model.layers`?"]);
    refused_spec("epochs = 6", "batch = 6", &["bad.toml:15", "`train.batch`"]);
    refused_spec("every = 3", "lr = 3", &["bad.toml:18", "`lr` belongs in [train]"]);
    refused_spec("seeds = 2", "epochs = 2", &["bad.toml:2", "`epochs` belongs in [train]"]);
    refused_spec("[train]", "[trian]", &["bad.toml:13", "`[trian]`", "`[train]`?"]);
    refused_spec("[probe]\nevery = 3", "[run]\nevery = 3", &["bad.toml:17", "the sections are"]);
    let no_table = "seeds = 2\ncheckpoint = 5\n\n[data]\nkind = \"icl\"\n";
    let folder = Folder::new();
    folder.write("bad.toml", no_table);
    let says = ["bad.toml:2", "`checkpoint` is a section: write [checkpoint]"];
    refused(&folder, "run bad.toml", USAGE, &says);
    let entities = "vocab_size = 40\nentities = 5";
    refused_spec(
        "vocab_size = 40",
        entities,
        &[
            "bad.toml:7",
            "has no effect with `data.kind` = reversal; it applies with icl, relations or one-to-many",
        ],
    );
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_its_range() {
    refused_spec("layers = 1", "layers = \"one\"", &["bad.toml:9", "`model.layers` is \"one\""]);
    refused_spec("layers = 1", "layers = 0", &["`model.layers` is 0", "from 1 to 1000"]);
    refused_spec("dim = 8", "dim = 8.5", &["`model.dim` is 8.5", "a whole number"]);
    refused_spec("epochs = 6", "lr = -1", &["`train.lr` is -1", "above 0"]);
    refused_spec("epochs = 6", "lr = 1e400", &["`train.lr` is 1e400", "above 0"]);
    refused_spec("epochs = 6", "lr = inf", &["`train.lr` is inf", "above 0"]);
    refused_spec("\"tiny\"", "\"Con.a\"", &["bad.toml:1", "Windows keeps `Con` for a device"]);
    refused_spec("epochs = 6", "lr = nan", &["`train.lr` is NaN", "above 0"]);
    refused_spec("batch_size = 8", "batch_size = \"all\"", &["\"all\"", "or \"full\""]);
    refused_spec("epochs = 6", "optimizer = \"adam2\"", &["\"adam2\"", "did you mean \"adamw\"?"]);
    refused_spec("epochs = 6", "betas = [0.9]", &["`train.betas` is [0.9]", "a list of two"]);
    refused_spec("\"reversal\"", "\"reverse\"", &["`data.kind` is \"reverse\"", "\"reversal\"?"]);
    refused_spec("\"tiny\"", "\"../tiny\"", &["bad.toml:1", "`name`", "use letters, digits"]);
    refused_spec("dim = 8", "dropout = 1", &["`model.dropout` is 1", "from 0 to below 1"]);
}

#[test]
fn sizes_that_do_not_fit_each_other() {
    let heads = ["bad.toml:10", "`model.heads` = 3", "`model.dim` = 8", "2 or 4 would"];
    refused_spec("heads = 2\ndim = 8", "dim = 8\nheads = 3", &["bad.toml:11", heads[1], heads[3]]);
    refused_spec("heads = 2", "heads = 3", &heads[1..]);
    refused_spec("vocab_size = 40", "vocab_size = 3", &["data.vocab_size is 3", "at least 4"]);
    refused_spec("\"reversal\"", "\"icl\"", &["data.vocab_size is 40", "at least 110"]);
    let related = &["data.vocab_size is 40", "at least 603"];
    refused_spec("\"reversal\"", "\"related\"", related);
    let long = "vocab_size = 800\nentity_length = 4";
    refused_spec("vocab_size = 40", long, &["data.entity_length is 4", "at most 3"]);
}

#[test]
fn a_spec_that_cannot_be_read() {
    let folder = Folder::new();
    folder.write("bytes.toml", b"name = \"\xff\"\n");
    folder.write("open.toml", "name = \"a\"\n[data\nkind = \"icl\"\n");
    folder.write("twice.toml", "[data]\nkind = \"icl\"\nkind = \"chain\"\n");
    folder.write("empty.toml", "");
    folder.write("huge.toml", "#".repeat(2 << 20));
    for command in ["run", "bench"] {
        let refused = |file: &str, says: &[&str]| {
            refused(&folder, &format!("{command} {file}"), USAGE, says);
        };
        refused("none.toml", &["there is no file `none.toml`, and no ready spec of that name"]);
        refused("reversal-quik", &["no file `reversal-quik`", "did you mean `reversal-quick`?"]);
        refused(".", &[".: cannot read the spec"]);
        refused("bytes.toml", &["bytes.toml: not valid TOML: the file is not UTF-8 text"]);
        refused("open.toml", &["open.toml:2:", "not valid TOML", "expected `]`"]);
        refused("twice.toml", &["twice.toml:3:", "not valid TOML", "duplicate key"]);
        refused("empty.toml", &["empty.toml: `data.kind` is missing", "reversal, chain"]);
        refused("huge.toml", &["huge.toml: this is no spec"]);
    }
}

#[test]
fn an_override_that_is_none() {
    let folder = Folder::new();
    for command in ["run", "bench"] {
        for (set, says) in [
            ("model.layers", "give it as key=value, as in model.layers=2"),
            ("model.layers=", "`model.layers` is \"\"; it must be a whole number"),
            ("model.layers=two", "`model.layers` is \"two\"; it must be a whole number"),
            ("model.layrs=2", "unknown key `model.layrs`; did you mean `model.layers`?"),
            ("layers=2", "`layers` belongs in [model]"),
            ("modle.layers=2", "did you mean `[model]`?"),
            ("a.b.c=2", "an override is written key=value"),
            ("=2", "--set =2"),
            ("model.heads=3", "2 or 4 would"),
        ] {
            let arguments = format!("{command} tiny.toml --set {set}");
            refused(&folder, &arguments, USAGE, &[&format!("--set {set}:"), says]);
        }
    }
}

#[test]
fn seeds_that_are_none() {
    let folder = Folder::new();
    for (option, says) in [
        ("--seeds ten", "`ten` is no list of seeds; write a count (10), a list (1,2,7) or"),
        ("--seeds 0", "`0` names no seed; at least one is needed"),
        ("--seeds 5..5", "`5..5` names no seed"),
        ("--seeds 3,1,3", "seed 3 is named twice"),
        ("--seeds 1,,2", "`1,,2` is no list of seeds"),
        ("--seeds 100001", "at most 100000"),
        ("--seeds 1,4294967296", "seed 4294967296 is too large; the largest is 4294967295"),
        ("--seed 4294967296", "--seed"),
        ("--seed 4294967296", "4294967295"),
        ("--seed two", "--seed"),
        ("--seed -1", "-1 is not in 0..=4294967295"),
        ("--seeds -1", "`-1` is no list of seeds; write a count"),
        ("--jobs -1", "'-1' for '--jobs <N>': it must be a whole number, without a sign"),
        ("--threads 0", "'0' for '--threads <N>': it must be a whole number from 1"),
        ("--seed 1 --seeds 2", "cannot be used with"),
        ("--set seeds=[4294967296]", "seed 4294967296 is too large"),
        ("--set data.seed=4294967296", "`data.seed` is 4294967296; it must be a whole number from"),
        ("--set train.init_seed=-1", "`train.init_seed` is -1"),
    ] {
        refused(&folder, &format!("run tiny.toml {option}"), USAGE, &[says]);
    }
}

#[test]
fn names_and_options_that_do_not_exist() {
    let folder = Folder::new();
    for (arguments, says) in [
        ("spec reversal-quik", "did you mean `reversal-quick`?"),
        ("spec", "<NAME>"),
        ("spec momentum", "there are reversal-quick, reversal-paper"),
        ("reproduce fig91", "there is no figure `fig91`; did you mean `fig1`?"),
        ("reproduce all figure", "there is no figure `figure`"),
        ("reproduce --scale huge", "[possible values: quick, paper]"),
        ("reproduce --seeds 0", "--seeds"),
        ("run tiny.toml --jobs 0", "--jobs"),
        ("run tiny.toml --threads none", "--threads"),
        ("run tiny.toml --isa sse9", "there is no instruction set `sse9`; there are"),
        ("run tiny.toml --jsn", "--json"),
        ("run", "<NAME|SPEC.toml>"),
        (
            "data reversal --entity-length -2",
            "--entity-length is -2, but must be a whole number from 1",
        ),
        ("data", "related"),
        ("data reversed", "reversal"),
        ("repot x", "report"),
    ] {
        let before = folder.contents();
        let output = folder.run(arguments);
        assert_eq!((output.status, output.stdout.as_str()), (USAGE, ""), "{arguments}");
        assert!(output.stderr.contains(says), "{arguments}: {}", output.stderr);
        assert!(folder.contents() == before, "{arguments} has changed something on disk");
    }
}

#[test]
fn an_output_folder_that_cannot_be_written() {
    let folder = Folder::new();
    folder.write("taken", "precious");
    fs::create_dir(folder.path().join("out")).unwrap();
    folder.write("out/runs", "precious");
    for command in ["run tiny.toml", "reproduce --seeds 1"] {
        let refused = |out: &str, says: &[&str]| {
            refused(&folder, &format!("{command} --out {out}"), FAILED, says);
        };
        refused("taken", &["taken is a file; the store must be in a folder"]);
        refused("taken/below", &["cannot create taken/below/runs:"]);
        refused("out", &["cannot create out/runs:"]);
        // Not even root can create a folder there.
        if cfg!(target_os = "linux") && Path::new("/proc/self").exists() {
            refused("/proc/retrodict", &["cannot create /proc/retrodict/runs:"]);
        }
    }
}

#[cfg(unix)]
#[test]
fn an_output_folder_without_the_right_to_write() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = Folder::new();
    let closed = folder.path().join("closed");
    fs::create_dir_all(closed.join("runs")).unwrap();
    for path in [closed.join("runs"), closed.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    // Root may write everywhere; the other test covers root.
    if fs::write(closed.join("trial"), "").is_err() {
        let says = ["cannot write into closed/runs: Permission denied"];
        refused(&folder, "run tiny.toml --out closed", FAILED, &says);
    }
}

/// A run that was killed just before it was marked complete, and its checkpoint.
fn unfinished() -> (Folder, String) {
    let folder = Folder::new();
    folder.run("run tiny.toml --seed 0 --out out").done();
    let run = folder.run_dir("out", 0);
    fs::remove_file(run.join("COMPLETE")).unwrap();
    let run = run.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
    (folder, run)
}

/// Damage to a run's folder: the file's name, the damage, and the expected message.
type Damage = (&'static str, fn(&Path), &'static str);

#[test]
fn a_damaged_checkpoint_is_a_warning_and_the_one_before_it_is_taken() {
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    let empty = |path: &Path| fs::write(path, "").unwrap();
    let damages: [Damage; 7] = [
        ("optimizer.safetensors", truncate, "its content is not what was written"),
        ("optimizer.safetensors", remove, "it is missing"),
        ("model.safetensors", flip_a_bit, "its content is not what was written"),
        ("config.json", flip_a_bit, "its content is not what was written"),
        ("state.json", flip_a_bit, ""),
        ("state.json", truncate, ""),
        ("state.json", empty, ""),
    ];
    for (file, damage, what) in damages {
        let (folder, run) = unfinished();
        let newest = format!("{run}/checkpoints/step-18");
        let model = fs::read(folder.path().join(&newest).join("model.safetensors")).unwrap();
        damage(&folder.path().join(&newest).join(file));
        let damaged = fs::read(folder.path().join(&newest).join(file)).ok();
        let output = folder.run("run tiny.toml --seed 0 --out out --json");
        assert_eq!(output.status, 0, "{output:?}");
        let says = format!("retrodict: warning: tiny seed 0: {newest}/{file} is damaged: {what}");
        let warning = output.message();
        assert!(warning.contains(&says), "{warning}");
        assert!(warning.contains("; the run resumes from step-12\n"), "{warning}");
        let again = fs::read(folder.path().join(&newest).join("model.safetensors")).unwrap();
        assert!(again == model, "{file}: another model from the checkpoint before");
        let aside = folder.path().join(format!("{newest}.damaged")).join(file);
        assert!(fs::read(aside).ok() == damaged, "{file}: the damaged checkpoint is not kept");
    }
    // Without another checkpoint, the run starts again.
    let (folder, run) = unfinished();
    let checkpoints = folder.path().join(run).join("checkpoints");
    for step in common::checkpoints(&folder.run_dir("out", 0)) {
        truncate(&checkpoints.join(format!("step-{step}/state.json")));
    }
    let output = folder.run("run tiny.toml --seed 0 --out out");
    assert!(output.stderr.matches("; the run resumes from the start\n").count() > 1, "{output:?}");
    output.done();
}

#[test]
fn damaged_metrics_stop_a_run_that_would_go_on() {
    let (folder, run) = unfinished();
    flip_a_bit(&folder.path().join(&run).join("metrics.parquet"));
    // The manifest says that it failed.
    let contents = || {
        let mut contents = folder.contents();
        contents.retain(|path, _| !path.ends_with("manifest.json"));
        contents
    };
    let before = contents();
    let output = folder.run("run tiny.toml --seed 0 --out out");
    assert_eq!(output.status, FAILED, "{output:?}");
    let message = output.message();
    assert!(message.contains(&format!("{run}/metrics.parquet is damaged")), "{message}");
    assert!(contents() == before, "something on disk has changed");
}

#[test]
fn a_report_without_a_store() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("empty")).unwrap();
    refused(&folder, "report empty", FAILED, &["empty holds no runs", "no folder `runs` in it"]);
    refused(&folder, "report none", FAILED, &["none holds no runs"]);
    refused(&folder, "report tiny.toml", FAILED, &["tiny.toml is a file"]);
}

#[test]
fn a_report_of_a_damaged_store() {
    let damages: [Damage; 4] = [
        ("metrics.parquet", flip_a_bit, "is damaged"),
        ("metrics.parquet", truncate, "is damaged"),
        ("probes/effective_weights/epoch-000006.safetensors", truncate, "is damaged"),
        ("spec.toml", |path| fs::write(path, "[data]\nkind = 1\n").unwrap(), "`data.kind` is 1"),
    ];
    for (file, damage, what) in damages {
        let folder = Folder::new();
        folder.run("run tiny.toml --seed 0 --out out").done();
        let path = folder.run_dir("out", 0).join(file);
        damage(&path);
        let path = path.strip_prefix(folder.path()).unwrap().to_str().unwrap();
        refused(&folder, "report out", FAILED, &[path, what]);
    }
}

#[test]
fn no_message_names_the_largest_number_of_64_bits() {
    let folder = Folder::new();
    let too_large = "99999999999999999999";
    for command in [
        format!("theory one-layer --steps {too_large}"),
        format!("theory transfer --window {too_large}"),
        format!("theory transfer --at 1,{too_large}"),
        format!("theory bilinear --entities {too_large}"),
        format!("bench --seeds {too_large}"),
        format!("bench --steps {too_large}"),
        format!("run tiny.toml --threads {too_large}"),
        format!("run tiny.toml --seeds {too_large}"),
        format!("run tiny.toml --seed {too_large}"),
        format!("run tiny.toml --set train.epochs={too_large}"),
        format!("run tiny.toml --set seeds={too_large}"),
        format!("run tiny.toml --set data.recipes=[\"reverse-segments({too_large})\"]"),
        format!("data hops --hops {too_large}"),
        format!("data biographies --attributes {too_large}"),
        format!("compare --seeds {too_large}"),
        format!("reproduce --seeds {too_large}"),
    ] {
        let output = folder.run(&command);
        assert_eq!((output.status, &*output.stdout), (USAGE, ""), "{command}: {output:?}");
        for limit in ["18446744073709551615", "9223372036854775807"] {
            assert!(!output.message().contains(limit), "{command}: {}", output.stderr);
        }
    }
}
