//! Every wrong spec is refused with one message: the place, the value, and what would be right.

use retrodict_facts::DataConfig;
use retrodict_lab::spec::{Location, Problem, Spec};

/// The error message for `text`.
#[track_caller]
fn refusal(text: &str, overrides: &[(&str, &str)]) -> String {
    match Spec::parse_with(text, "SPEC.toml", overrides) {
        Ok(spec) => panic!("accepted: {spec:?}"),
        Err(error) => error.to_string(),
    }
}

/// The first line of each spec; the tested text begins on line 2.
const KIND: &str = "data.kind = \"reversal\"\n";

#[test]
fn hostile_specs_are_refused_with_these_words() {
    let cases = [
        // Unknown keys and sections.
        (
            "[model]\nlayer = 2",
            "SPEC.toml:3: unknown key `model.layer`; did you mean `model.layers`?",
        ),
        (
            "[train]\nlayers = 2",
            "SPEC.toml:3: unknown key `train.layers`; `layers` belongs in [model]",
        ),
        (
            "[train]\nevery = 2",
            "SPEC.toml:3: unknown key `train.every`; `every` belongs in [probe] or in [checkpoint]",
        ),
        (
            "[model]\nseeds = 2",
            "SPEC.toml:3: unknown key `model.seeds`; `seeds` belongs at the top, above the first section",
        ),
        (
            "[model]\nlearning_rate = 2",
            "SPEC.toml:3: unknown key `model.learning_rate`; the keys of [model] are kind, layers, dim, mixer, forget_bias, value_output, residual, norm, norm_place, nonlinearity, heads, position, rotary_fraction, dropout, tie_head, freeze_embeddings, init_std and context",
        ),
        (
            "[model]\nweight_decy = 2",
            "SPEC.toml:3: unknown key `model.weight_decy`; did you mean `train.weight_decay`?",
        ),
        ("seed = 3", "SPEC.toml:2: unknown key `seed`; `seed` belongs in [data]"),
        ("sedes = 3", "SPEC.toml:2: unknown key `sedes`; did you mean `seeds`?"),
        ("[modle]\nlayers = 2", "SPEC.toml:2: unknown section `[modle]`; did you mean `[model]`?"),
        (
            "[hardware]\ngpu = true",
            "SPEC.toml:2: unknown section `[hardware]`; the sections are data, model, train, objective, probe and checkpoint",
        ),
        (
            "[model.extra]\nlayers = 2",
            "SPEC.toml:2: unknown key `model.extra`; the keys of [model] are kind, layers, dim, mixer, forget_bias, value_output, residual, norm, norm_place, nonlinearity, heads, position, rotary_fraction, dropout, tie_head, freeze_embeddings, init_std and context",
        ),
        ("model = 3", "SPEC.toml:2: `model` is a section: write [model] and its keys below it"),
        (
            "[[model]]\nlayers = 2",
            "SPEC.toml:2: `model` is a section: write [model] and its keys below it",
        ),
        // Keys of another kind of data.
        (
            "data.entities = 3",
            "SPEC.toml:2: `data.entities` has no effect with `data.kind` = reversal; it applies with icl, relations or one-to-many",
        ),
        (
            "data.hold_out = \"entities\"",
            "SPEC.toml:2: `data.hold_out` has no effect with `data.kind` = reversal; it applies with icl",
        ),
        (
            "data.held_out = 3",
            "SPEC.toml:2: `data.held_out` has no effect with `data.kind` = reversal; it applies with related",
        ),
        // Wrong types and words.
        (
            "model.layers = \"two\"",
            "SPEC.toml:2: `model.layers` is \"two\"; it must be a whole number from 1 to 1000",
        ),
        (
            "model.layers = 2.0",
            "SPEC.toml:2: `model.layers` is 2.0; it must be a whole number from 1 to 1000",
        ),
        (
            "model.layers = [2]",
            "SPEC.toml:2: `model.layers` is [2]; it must be a whole number from 1 to 1000",
        ),
        (
            "model.layers = 1979-05-27",
            "SPEC.toml:2: `model.layers` is a date or time; it must be a whole number from 1 to 1000",
        ),
        (
            "[model.layers]\na = 1",
            "SPEC.toml:2: `model.layers` is a table; it must be a whole number from 1 to 1000",
        ),
        ("model.tie_head = 1", "SPEC.toml:2: `model.tie_head` is 1; it must be true or false"),
        (
            "model.position = \"rotray\"",
            "SPEC.toml:2: `model.position` is \"rotray\"; it must be none, absolute or rotary; did you mean \"rotary\"?",
        ),
        (
            "model.position = \"relative\"",
            "SPEC.toml:2: `model.position` is \"relative\"; it must be none, absolute or rotary",
        ),
        (
            "model.position = \"rotary\"\nmodel.rotary_fraction = 0",
            "SPEC.toml:3: `model.rotary_fraction` is 0; it must be a number above 0, and at most 1",
        ),
        (
            "model.position = \"rotary\"\nmodel.rotary_fraction = 1.5",
            "SPEC.toml:3: `model.rotary_fraction` is 1.5; it must be a number above 0, and at most 1",
        ),
        (
            "model.kind = \"decodr\"",
            "SPEC.toml:2: `model.kind` is \"decodr\"; it must be decoder, bilinear or one-layer; did you mean \"decoder\"?",
        ),
        (
            "precision = \"fp16\"",
            "SPEC.toml:2: `precision` is \"fp16\"; it must be f32, f64 or bf16; did you mean \"bf16\"?",
        ),
        (
            "train.batch_size = \"fill\"",
            "SPEC.toml:2: `train.batch_size` is \"fill\"; it must be a whole number from 1 to 1000000, or \"full\"",
        ),
        (
            "train.betas = [0.9]",
            "SPEC.toml:2: `train.betas` is [0.9]; it must be a list of two, each a number from 0 to below 1",
        ),
        (
            "checkpoint.at = [0, -1]",
            "SPEC.toml:2: `checkpoint.at` is [0, -1]; it must be a list of steps, such as [0, 100]",
        ),
        ("name = 3", "SPEC.toml:2: `name` is 3; it must be a text in quotes"),
        (
            "seeds = true",
            "SPEC.toml:2: `seeds` is true; it must be a count (10), a list ([1, 2, 7]) or a range (\"5..8\")",
        ),
        // Out of range.
        (
            "model.layers = 0",
            "SPEC.toml:2: `model.layers` is 0; it must be a whole number from 1 to 1000",
        ),
        (
            "model.heads = 0",
            "SPEC.toml:2: `model.heads` is 0; it must be a whole number from 1 to 65536",
        ),
        (
            "model.dim = 1000000000",
            "SPEC.toml:2: `model.dim` is 1000000000; it must be a whole number from 1 to 65536",
        ),
        (
            "model.dim = 99999999999999999999999999",
            "SPEC.toml:2: `model.dim` is 99999999999999999999999999; it must be a whole number from 1 to 65536",
        ),
        (
            "model.heads = 5",
            "SPEC.toml:2: `model.heads` = 5 does not divide `model.dim` = 64; 4 or 8 would",
        ),
        (
            "model.heads = 4\nmodel.dim = 6",
            "SPEC.toml:3: `model.heads` = 4 does not divide `model.dim` = 6; 3 or 6 would",
        ),
        (
            "model.heads = 128",
            "SPEC.toml:2: `model.heads` = 128 does not divide `model.dim` = 64; 64 would",
        ),
        (
            "model.dropout = 1.0",
            "SPEC.toml:2: `model.dropout` is 1.0; it must be a number from 0 to below 1",
        ),
        ("train.lr = 0", "SPEC.toml:2: `train.lr` is 0; it must be a finite number above 0"),
        ("train.lr = nan", "SPEC.toml:2: `train.lr` is NaN; it must be a finite number above 0"),
        ("train.lr = inf", "SPEC.toml:2: `train.lr` is inf; it must be a finite number above 0"),
        (
            "train.weight_decay = -0.1",
            "SPEC.toml:2: `train.weight_decay` is -0.1; it must be a finite number, 0 or more",
        ),
        (
            "train.betas = [0.9, 1]",
            "SPEC.toml:2: `train.betas` is [0.9, 1]; it must be a list of two, each a number from 0 to below 1",
        ),
        (
            "train.batch_size = 0",
            "SPEC.toml:2: `train.batch_size` is 0; it must be a whole number from 1 to 1000000, or \"full\"",
        ),
        (
            "train.epochs = 0",
            "SPEC.toml:2: `train.epochs` is 0; it must be a whole number from 1 to 1000000000",
        ),
        (
            "data.train_fraction = 1.01",
            "SPEC.toml:2: `data.train_fraction` is 1.01; it must be a fraction from 0 to 1",
        ),
        (
            "data.entity_length = 0",
            "SPEC.toml:2: `data.entity_length` is 0; it must be a whole number from 1 to 16",
        ),
        (
            "data.seed = 4294967296",
            "SPEC.toml:2: `data.seed` is 4294967296; it must be a whole number from 0 to 4294967295",
        ),
        ("seeds = 0", "SPEC.toml:2: `seeds`: `0` names no seed; at least one is needed"),
        ("seeds = [1, 1]", "SPEC.toml:2: `seeds`: seed 1 is named twice"),
        ("seeds = \"8..5\"", "SPEC.toml:2: `seeds`: `8..5` names no seed; at least one is needed"),
        (
            "name = \"../up\"",
            "SPEC.toml:2: `name`: `../up` cannot name an experiment: it has '/'; use letters, digits and - _ . + = , with spaces only inside",
        ),
    ];
    for (text, message) in cases {
        assert_eq!(refusal(&format!("{KIND}{text}"), &[]), message, "{text}");
    }
}

/// A key without effect is refused with the reason, so that no setting is lost in silence.
#[test]
fn a_key_that_would_have_no_effect_is_refused() {
    let sgd = "train.optimizer = \"sgd\"\n";
    let one_layer = "model.kind = \"one-layer\"\n";
    let lstm = "model.mixer = \"lstm\"\n";
    for (given, key, reason) in [
        ("", "train.momentum = 0.9", "`train.optimizer` = adamw; it applies with sgd or muon"),
        (
            sgd,
            "train.betas = [0.9, 0.99]",
            "`train.optimizer` = sgd; it applies with adamw, adam, lion or muon",
        ),
        ("", "model.rotary_fraction = 0.5", "`model.position` = absolute; it applies with rotary"),
        (
            "",
            "objective.loss_parameter = 0.1",
            "`objective.loss` = cross-entropy; it applies with label-smoothing, focal or margin",
        ),
        (
            "",
            "objective.temperature = 0.2",
            "`objective.contrastive` = 0.0; it applies with above 0",
        ),
        (
            "",
            "objective.symmetry_in_context = true",
            "`objective.symmetry` = 0.0; it applies with above 0",
        ),
        ("", "model.context = \"all\"", "`model.kind` = decoder; it applies with one-layer"),
        (one_layer, "model.layers = 2", "`model.kind` = one-layer; it applies with decoder"),
        (
            lstm,
            "model.value_output = \"merged\"",
            "`model.mixer` = lstm; it applies with attention, bidirectional or linear-attention",
        ),
        (
            lstm,
            "model.heads = 4",
            "`model.mixer` = lstm; it applies with attention, bidirectional or linear-attention",
        ),
        ("", "model.forget_bias = 1", "`model.mixer` = attention; it applies with lstm"),
        (
            "model.kind = \"bilinear\"\n",
            "model.init_std = 0.1",
            "`model.kind` = bilinear; it applies with decoder or one-layer",
        ),
        (
            "model.kind = \"one-layer\"\nmodel.value_output = \"merged\"\n",
            "model.init_std = 0.1",
            "`model.kind` = one-layer; it applies with decoder",
        ),
        (
            "train.weight_decay = 0\n",
            "train.decay_norms = false",
            "`train.weight_decay` = 0.0; it applies with above 0",
        ),
        (
            "model.norm = \"none\"\n",
            "model.norm_place = \"post\"",
            "`model.norm` = none; it applies with layer or rms",
        ),
        (
            "model.tie_head = true\n",
            "objective.soft_tie = 1.0",
            "`model.tie_head` = true; it applies with not true",
        ),
        (
            "model.tie_head = true\n",
            "objective.joint_embedding = true",
            "`model.tie_head` = true; it applies with not true",
        ),
        (
            "",
            "objective.masking = \"entities\"",
            "`objective.reading` = next-token; it applies with masked",
        ),
    ] {
        let name = key.split(' ').next().unwrap();
        let message = refusal(&format!("{KIND}{given}{key}"), &[]);
        assert!(
            message.ends_with(&format!("`{name}` has no effect with {reason}")),
            "{key}: {message}"
        );
        let line = 2 + given.lines().count();
        assert!(message.starts_with(&format!("SPEC.toml:{line}: ")), "{message}");
    }
    // A stored spec of an early version may have them.
    let stored = Spec::parse_stored(&format!("{KIND}{one_layer}model.layers = 2"), "spec.toml");
    assert_eq!(stored.unwrap().model.word(), "one-layer");
}

#[test]
fn a_warm_up_and_checkpoints_beyond_the_last_step_are_refused() {
    let experiment = |set: &[(&str, &str)]| {
        let spec = Spec::parse_with(KIND, "SPEC.toml", set).unwrap();
        retrodict_lab::Experiment::new(spec, "SPEC.toml").map(|_| ()).map_err(|e| e.to_string())
    };
    // 340 sentences in batches of 64, six steps an epoch.
    let two = ("train.epochs", "2");
    assert_eq!(experiment(&[two, ("train.warmup", "11"), ("checkpoint.at", "[12]")]), Ok(()));
    let late = "SPEC.toml: `train.warmup` = 12 must be below the number of steps, 12";
    assert_eq!(experiment(&[two, ("train.warmup", "12")]), Err(late.to_owned()));
    let beyond = "SPEC.toml: `checkpoint.at` has step 13, which is beyond the last step, 12";
    assert_eq!(experiment(&[two, ("checkpoint.at", "[0, 13]")]), Err(beyond.to_owned()));
    // Early versions ran such a spec; its results are still read.
    let stored = Spec::parse_stored(&format!("{KIND}train.epochs = 2\ncheckpoint.at = [13]"), "s");
    assert!(retrodict_lab::Experiment::stored(stored.unwrap(), "s").is_ok());
}

#[test]
fn a_model_of_matrices_alone_has_no_norms_to_spare() {
    for kind in ["bilinear", "one-layer"] {
        let set = [("model.kind", kind), ("train.decay_norms", "false")];
        let spec = Spec::parse_with(KIND, "SPEC.toml", &set).unwrap();
        let error = retrodict_lab::Experiment::new(spec, "SPEC.toml").unwrap_err().to_string();
        let expected = format!(
            "SPEC.toml: `train.decay_norms` = false has no effect with `model.kind` = \"{kind}\", \
             which has neither biases nor norms; leave it out"
        );
        assert_eq!(error, expected);
    }
}

#[test]
fn sentences_that_are_not_read_from_left_to_right_cannot_be_packed() {
    for set in [("model.kind", "bilinear"), ("objective.ahead", "0.5")] {
        let set = [("data.pack", "4"), set];
        let spec = Spec::parse_with(KIND, "SPEC.toml", &set).unwrap();
        let error = retrodict_lab::Experiment::new(spec, "SPEC.toml").unwrap_err().to_string();
        assert!(error.starts_with("SPEC.toml: `data.pack` = 4 needs sentences that a"), "{error}");
    }
}

#[test]
fn objectives_of_entities_name_the_sentences_that_they_need() {
    let masked = [("objective.reading", "masked"), ("model.mixer", "bidirectional")];
    let entities = [masked[0], masked[1], ("objective.masking", "entities")];
    let joint = ("objective.joint_embedding", "true");
    let recipe = ("data.recipes", "[\"identities\"]");
    let long = ("data.entity_length", "2");
    let whole = "`objective.masking` = \"entities\" needs sentences of a source, a relation and";
    let alone = "`objective.joint_embedding` needs a decoder that reads entities of one token";
    for (set, expected) in [
        (entities.to_vec(), Some(whole)),
        ([&entities[..], &[long, recipe]].concat(), Some(whole)),
        ([&entities[..], &[long]].concat(), None),
        (vec![joint, long], Some(alone)),
        (vec![joint, recipe], Some(alone)),
        (vec![joint, ("model.kind", "bilinear")], Some(alone)),
        ([&masked[..], &[joint]].concat(), Some(alone)),
        (vec![joint], None),
    ] {
        let spec = Spec::parse_with(KIND, "SPEC.toml", &set).unwrap();
        let result = retrodict_lab::Experiment::new(spec, "SPEC.toml").map(|_| ());
        let error = result.err().map(|error| error.to_string());
        let starts = |expected| {
            error.as_ref().is_some_and(|e| e.starts_with(&format!("SPEC.toml: {expected}")))
        };
        assert!(expected.map_or(error.is_none(), starts), "{set:?}: {error:?}");
    }
}

#[test]
fn numbers_may_be_written_as_people_write_them() {
    for (text, number) in [(".001", 0.001), ("1.", 1.0), ("1e-3", 0.001), ("5", 5.0)] {
        let spec = Spec::parse_with(KIND, "SPEC.toml", &[("train.lr", text)]).unwrap();
        assert_eq!(spec.train.lr, number, "{text}");
    }
}

#[test]
fn what_is_no_toml_is_refused_at_its_line_and_column() {
    for (text, at) in [
        ("[data]\nkind = ", (2, 8)),
        ("[data]\nkind = \"é\" x", (2, 12)),
        ("[data]\nkind = 1\nkind = 2", (3, 1)),
        ("[data\n", (1, 6)),
    ] {
        let error = Spec::parse(text, "SPEC.toml").unwrap_err();
        let (line, column) = at;
        assert_eq!(
            error.at,
            Location::Column { origin: "SPEC.toml".into(), line, column },
            "{text:?}: {error}"
        );
        assert!(matches!(*error.problem, Problem::Syntax(_)));
    }
}

#[test]
fn a_missing_kind_is_named_and_other_problems_go_first() {
    let kinds = retrodict_settings::join(DataConfig::WORDS.iter().copied(), "or");
    assert_eq!(refusal("", &[]), format!("SPEC.toml: `data.kind` is missing; it must be {kinds}"));
    assert_eq!(
        refusal("[data]\ntokens = 3\n[model]\nlayers = 0", &[]),
        "SPEC.toml:4: `model.layers` is 0; it must be a whole number from 1 to 1000"
    );
    assert_eq!(
        refusal("[data]\nentities = 3\nkind = \"icll\"", &[]),
        format!("SPEC.toml:3: `data.kind` is \"icll\"; it must be {kinds}; did you mean \"icl\"?")
    );
}

#[test]
fn of_several_problems_the_first_line_is_reported() {
    let text = "[probe]\nevery = -1\n[train]\nlr = 0\n[zoo]\n[model]\nlayer = 1\n[data]\nkind = 3";
    assert!(refusal(text, &[]).starts_with("SPEC.toml:2: `probe.every` is -1"));
    // An override comes after the file, whatever its section.
    assert!(refusal(text, &[("name", "3")]).starts_with("SPEC.toml:2:"));
}

#[test]
fn a_wrong_override_is_named_as_it_was_written() {
    let cases = [
        (
            ("model.layer", "2"),
            "--set model.layer=2: unknown key `model.layer`; did you mean `model.layers`?",
        ),
        (("layers", "2"), "--set layers=2: unknown key `layers`; `layers` belongs in [model]"),
        (
            ("modle.layers", "2"),
            "--set modle.layers=2: unknown key `modle.layers`; did you mean `[model]`?",
        ),
        (
            ("model.layers", "two"),
            "--set model.layers=two: `model.layers` is \"two\"; it must be a whole number from 1 to 1000",
        ),
        (
            ("model.layers", ""),
            "--set model.layers=: `model.layers` is \"\"; it must be a whole number from 1 to 1000",
        ),
        (
            ("model.a.b", "2"),
            "--set model.a.b=2: an override is written key=value, such as model.layers=2",
        ),
        (("", "2"), "--set =2: an override is written key=value, such as model.layers=2"),
        (
            ("model", "2"),
            "--set model=2: `model` is a section: write [model] and its keys below it",
        ),
        (
            ("data.tokens", "2"),
            "--set data.tokens=2: `data.tokens` has no effect with `data.kind` = reversal; it applies with related",
        ),
        (
            ("name", "a/b"),
            "--set name=a/b: `name`: `a/b` cannot name an experiment: it has '/'; use letters, digits and - _ . + = , with spaces only inside",
        ),
    ];
    for (set, message) in cases {
        assert_eq!(refusal(KIND, &[set]), message);
    }
    // With the kind overridden, keys of the file belong to another kind.
    assert_eq!(
        refusal("[data]\nkind = \"reversal\"\nentity_length = 1", &[("data.kind", "icl")]),
        "SPEC.toml:3: `data.entity_length` has no effect with `data.kind` = icl; it applies with reversal or chain"
    );
}

#[test]
fn a_file_without_a_usable_name_is_asked_for_one() {
    let error = Spec::parse(KIND, ".toml").unwrap_err();
    assert_eq!(
        error.to_string(),
        ".toml: `.toml` cannot name an experiment: it begins with `.`; \
         give the experiment a name of its own: name = \"…\""
    );
}

#[test]
fn files_that_are_no_specs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        *Spec::load(&path, &[]).unwrap_err().problem
    };
    assert!(matches!(refused("latin1.toml", b"name = \"\xe9\""), Problem::Syntax(_)));
    assert!(matches!(refused("nul.toml", &[0; 64]), Problem::Syntax(_)));
    assert!(matches!(refused("large.toml", &vec![b'#'; 2 << 20]), Problem::TooLarge { .. }));
    let deep = format!("{KIND}name = {}", "[".repeat(100_000));
    assert!(matches!(refused("deep.toml", deep.as_bytes()), Problem::Syntax(_)));
    let missing = Spec::load(&folder.path().join("none.toml"), &[]).unwrap_err();
    assert!(matches!(*missing.problem, Problem::Read(_)));
    assert!(missing.to_string().contains("none.toml: cannot read the spec: "));
    let itself = Spec::load(folder.path(), &[]).unwrap_err();
    assert!(matches!(*itself.problem, Problem::Read(_)));
}
