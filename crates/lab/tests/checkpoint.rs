//! Checkpoints and tensors: exact, and no damage passes.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use retrodict_lab::spec::Precision;
use retrodict_lab::store::{
    State, StoreError, Tensor, Values, checkpoint_steps, newest_whole, read_tensors,
    set_damaged_aside, write_checkpoint, write_tensors,
};
use retrodict_models::{
    Decoder, DecoderSettings, Design, Mixer, Nonlinearity, Norm, NormPlace, PositionEncoding,
};

fn config() -> Decoder {
    Decoder {
        vocab: 5,
        positions: 3,
        settings: DecoderSettings {
            layers: 1,
            heads: 2,
            dim: 4,
            dropout: 0.1,
            ..DecoderSettings::default()
        },
    }
}

fn f32s<'a>(name: &'a str, shape: &'a [usize], values: &'a [f32]) -> Tensor<'a> {
    Tensor { name: name.into(), shape: shape.into(), values: Values::F32(Cow::Borrowed(values)) }
}

fn f64s<'a>(name: &'a str, shape: &'a [usize], values: &'a [f64]) -> Tensor<'a> {
    Tensor { name: name.into(), shape: shape.into(), values: Values::F64(Cow::Borrowed(values)) }
}

fn state(step: u64) -> State {
    let sums = [
        ("nll", 0.1 + 0.2),
        ("small", 5e-324),
        ("zero", -0.0),
        ("nan", f64::from_bits(0x7ff8_0000_0000_0042)),
        ("inf", f64::NEG_INFINITY),
    ];
    State {
        step,
        epoch: 3,
        batch: 2,
        sums: sums.map(|(name, sum)| (name.to_owned(), sum)).into(),
        seconds: 1.25,
        precision: "f32".to_owned(),
        seed: 7,
        spec_hash: "00abcdef01234567".to_owned(),
        version: "0.1.0".to_owned(),
        commit: None,
        isa: Some("avx2".to_owned()),
        interrupted: false,
    }
}

fn write(checkpoints: &Path, step: u64) -> PathBuf {
    let model = [f32s("transformer.wte.weight", &[2, 2], &[1.0, -0.0, f32::NAN, 3.5])];
    let optimizer = [f32s("m", &[4], &[0.0; 4]), f64s("t", &[], &[9.0])];
    write_checkpoint(
        checkpoints,
        &config().into(),
        Precision::F32,
        &model,
        &optimizer,
        &state(step),
    )
    .unwrap()
}

fn bits(sums: &BTreeMap<String, f64>) -> Vec<(&str, u64)> {
    sums.iter().map(|(name, sum)| (&**name, sum.to_bits())).collect()
}

#[test]
fn the_newest_checkpoint_reads_back_to_the_bit() {
    let out = tempfile::tempdir().unwrap();
    let checkpoints = out.path().join("checkpoints");
    assert!(newest_whole(&checkpoints).unwrap().is_none());
    for step in [9, 100, 20] {
        write(&checkpoints, step);
    }
    // Temporary files of a killed process and foreign names do not count.
    fs::create_dir(checkpoints.join(".step-300.tmp-77-0")).unwrap();
    fs::create_dir(checkpoints.join("step-0400")).unwrap();
    fs::write(checkpoints.join("notes.txt"), "mine").unwrap();
    assert_eq!(checkpoint_steps(&checkpoints).unwrap(), [9, 20, 100]);

    let read = newest_whole(&checkpoints).unwrap().unwrap();
    assert_eq!(read.folder, checkpoints.join("step-100"));
    assert_eq!(bits(&read.state.sums), bits(&state(100).sums));
    let without_sums = |state: State| State { sums: BTreeMap::new(), ..state };
    assert_eq!(without_sums(read.state), without_sums(state(100)));

    let tensor = read.model.get("transformer.wte.weight", &[2, 2]).unwrap();
    let values = tensor.values.as_f32().unwrap();
    let expected = [1.0, -0.0, f32::NAN, 3.5];
    assert_eq!(values.map_bits(), expected.as_slice().map_bits());
    assert_eq!(read.optimizer.get("t", &[]).unwrap().values.as_f64(), Some(&[9.0][..]));

    for (name, shape, what) in [
        ("transformer.wte.weight", &[4, 1][..], "has the shape [2, 2], not [4, 1]"),
        ("transformer.wpe.weight", &[2, 2][..], "has no tensor `transformer.wpe.weight`"),
    ] {
        let error = read.model.get(name, shape).unwrap_err().to_string();
        assert!(error.contains("step-100/model.safetensors is damaged: "), "{error}");
        assert!(error.contains(what), "{error}");
    }
}

trait MapBits {
    fn map_bits(&self) -> Vec<u32>;
}

impl MapBits for [f32] {
    fn map_bits(&self) -> Vec<u32> {
        self.iter().map(|value| value.to_bits()).collect()
    }
}

#[test]
fn a_step_written_again_replaces_the_old_one() {
    let out = tempfile::tempdir().unwrap();
    let folder = write(out.path(), 5);
    fs::write(folder.join("model.safetensors"), "junk").unwrap();
    write(out.path(), 5);
    assert!(newest_whole(out.path()).unwrap().is_some());
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1);
}

#[test]
fn a_damaged_checkpoint_is_refused_and_the_way_on_is_named() {
    let out = tempfile::tempdir().unwrap();
    let first = write(out.path(), 50);
    let newest = write(out.path(), 100);
    for name in ["config.json", "model.safetensors", "optimizer.safetensors", "state.json"] {
        let path = newest.join(name);
        let whole = fs::read(&path).unwrap();
        let refused = || match newest_whole(out.path()) {
            Err(error @ StoreError::DamagedCheckpoint { .. }) => error.to_string(),
            other => panic!("{name}: {other:?}"),
        };
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            refused();
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(&path, &flipped).unwrap();
            refused();
        }
        fs::remove_file(&path).unwrap();
        let message = refused();
        let (path, newest) = (path.display(), newest.display());
        assert_eq!(
            message,
            format!(
                "{path} is damaged: it is missing; delete the folder {newest} to go on from step-50"
            )
        );
        fs::write(path.to_string(), &whole).unwrap();
    }
    assert!(newest_whole(out.path()).unwrap().is_some());

    // A renamed checkpoint has another step than its state.
    fs::remove_dir_all(&newest).unwrap();
    let renamed = out.path().join("step-60");
    fs::rename(&first, &renamed).unwrap();
    let message = newest_whole(out.path()).unwrap_err().to_string();
    assert!(message.contains("it is of step 50; delete the folder "), "{message}");
    assert!(message.ends_with("step-60 to go on from the start"), "{message}");
}

#[test]
fn tensors_that_do_not_fit_their_shape_are_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    for tensors in [
        vec![f32s("a", &[2, 2], &[1.0; 3])],
        vec![f32s("a", &[usize::MAX, 2], &[1.0; 3])],
        vec![f32s("a", &[1], &[1.0]), f64s("a", &[1], &[1.0])],
    ] {
        let error = write_tensors(&path, &tensors).unwrap_err();
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error}");
        assert!(!path.exists());
    }
}

#[test]
fn a_tensor_file_cut_anywhere_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let tensors =
        [f64s("b", &[2], &[f64::NAN, 1.0]), f32s("a", &[0], &[]), f32s("c", &[1], &[2.0])];
    write_tensors(&path, &tensors).unwrap();
    let read = read_tensors(&path).unwrap();
    assert_eq!(read.iter().map(|tensor| &*tensor.name).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(read.get("c", &[1]).unwrap(), &tensors[2]);

    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = read_tensors(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{length}: {error}");
    }
    // Damage to a number is not detected here; damage to the header must not panic.
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            fs::write(&path, &flipped).unwrap();
            if let Err(error) = read_tensors(&path) {
                assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
            }
        }
    }
    for hostile in [&u64::MAX.to_le_bytes()[..], &[0; 8], b"\x02\0\0\0\0\0\0\0{}"] {
        fs::write(&path, hostile).unwrap();
        let read = read_tensors(&path);
        assert!(read.is_err() || read.unwrap().iter().count() == 0);
    }
    let others = br#"{"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let file = [&(others.len() as u64).to_le_bytes()[..], others, &[0; 8]].concat();
    fs::write(&path, file).unwrap();
    let error = read_tensors(&path).unwrap_err().to_string();
    assert!(error.ends_with("tensor `a` holds I64, not F32 or F64"), "{error}");
}

#[test]
fn a_tied_head_is_not_stored_twice_and_gpt2_is_claimed_only_where_it_is_one() {
    let out = tempfile::tempdir().unwrap();
    let model =
        [f32s("transformer.wte.weight", &[1, 1], &[1.0]), f32s("lm_head.weight", &[1, 1], &[1.0])];
    for (position, tie_head, architecture) in [
        (PositionEncoding::Absolute, true, "GPT2LMHeadModel"),
        (PositionEncoding::Absolute, false, "GPT2LMHeadModel"),
        (PositionEncoding::rotary(0.5), true, "RetrodictDecoder"),
        (PositionEncoding::None, false, "GPT2LMHeadModel"),
    ] {
        let config = config().adjusted(|d| {
            d.position = position;
            d.tie_head = tie_head;
        });
        write_checkpoint(out.path(), &config.into(), Precision::F32, &model, &[], &state(1))
            .unwrap();
        let read = newest_whole(out.path()).unwrap().unwrap();
        assert_eq!(read.config["architectures"][0], architecture);
        assert_eq!(read.config["tie_word_embeddings"], tie_head);
        assert_eq!(read.model.get("lm_head.weight", &[1, 1]).is_err(), tie_head);
        // GPT-2 adds a table of positions, always.
        let zeros = read.model.get("transformer.wpe.weight", &[3, 4]);
        assert_eq!(zeros.is_ok(), position == PositionEncoding::None);
        if let Ok(zeros) = zeros {
            assert_eq!(zeros.values.as_f32(), Some(&[0.0; 12][..]));
        }
    }
    let gpt2 = Design::default();
    for (design, architecture, activation) in [
        (Design { nonlinearity: Nonlinearity::Relu, ..gpt2 }, "GPT2LMHeadModel", Some("relu")),
        (Design { nonlinearity: Nonlinearity::Silu, ..gpt2 }, "GPT2LMHeadModel", Some("silu")),
        (Design { nonlinearity: Nonlinearity::Gated, ..gpt2 }, "RetrodictDecoder", None),
        (Design { norm: Norm::Rms, ..gpt2 }, "RetrodictDecoder", Some("gelu_new")),
        (Design { norm_place: NormPlace::Post, ..gpt2 }, "RetrodictDecoder", Some("gelu_new")),
        (Design { mixer: Mixer::Lstm, ..gpt2 }, "RetrodictDecoder", Some("gelu_new")),
        (Design { residual: false, ..gpt2 }, "RetrodictDecoder", Some("gelu_new")),
    ] {
        let decoder = config().adjusted(|d| d.design = design);
        write_checkpoint(out.path(), &decoder.into(), Precision::F32, &model, &[], &state(1))
            .unwrap();
        let read = newest_whole(out.path()).unwrap().unwrap();
        assert_eq!(read.config["architectures"][0], architecture, "{design:?}");
        assert_eq!(read.config["activation_function"].as_str(), activation, "{design:?}");
    }
}

#[test]
fn damaged_checkpoints_are_moved_aside_and_the_one_before_is_read() {
    let out = tempfile::tempdir().unwrap();
    for step in [50, 100, 150] {
        write(out.path(), step);
    }
    let (newest, damages) = set_damaged_aside(out.path()).unwrap();
    assert_eq!((newest.unwrap().state.step, damages.len()), (150, 0));
    for step in [100, 150] {
        fs::write(out.path().join(format!("step-{step}/model.safetensors")), "junk").unwrap();
    }
    let (newest, damages) = set_damaged_aside(out.path()).unwrap();
    assert_eq!(newest.unwrap().state.step, 50);
    assert_eq!(damages.len(), 2);
    assert!(damages[0].contains("step-150/model.safetensors is damaged: "), "{damages:?}");
    assert_eq!(checkpoint_steps(out.path()).unwrap(), [50]);
    let junk = fs::read(out.path().join("step-150.damaged/model.safetensors")).unwrap();
    assert_eq!(junk, b"junk");
    // A second one of the same step replaces it.
    write(out.path(), 150);
    fs::remove_file(out.path().join("step-150/config.json")).unwrap();
    let (newest, damages) = set_damaged_aside(out.path()).unwrap();
    assert_eq!((newest.unwrap().state.step, damages.len()), (50, 1));
    assert!(!out.path().join("step-150.damaged/config.json").exists());
    fs::remove_file(out.path().join("step-50/state.json")).unwrap();
    let (newest, damages) = set_damaged_aside(out.path()).unwrap();
    assert!(newest.is_none() && damages[0].contains("state.json is damaged: it is missing"));
}
