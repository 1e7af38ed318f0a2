"""Data sets, the theory, bridges and the notebooks."""

import json
import math

import numpy as np
import pytest
from conftest import call

import retrodict
from retrodict import SpecError, Trainer, bridges, theory


@pytest.mark.parametrize("kind", ["reversal", "chain", "icl", "related", "biographies", "one-to-many"])
def test_data_is_that_of_the_command_line(kind, command):
    data = retrodict.data(kind, seed=7)
    lines = [json.loads(line) for line in call(command, "data", kind, "--seed=7").stdout.splitlines()]
    for split, ours in (("train", data.train), ("val", data.held_out)):
        theirs = [line["tokens"] for line in lines if line["split"] == split]
        assert [row[row >= 0].tolist() for row in ours] == theirs
    assert data.vocab > data.train.max() and kind in repr(data)


def test_questions_of_groups():
    data = retrodict.data("reversal", vocab_size=24)
    seen, unseen = data.questions("held_out_seen"), data.questions("held_out_unseen")
    np.testing.assert_array_equal(seen["source"], unseen["answer"])
    sentences = np.concatenate([unseen["source"], unseen["relation"][:, None], unseen["answer"]], axis=1)
    np.testing.assert_array_equal(sentences, data.held_out)
    with pytest.raises(KeyError, match="did you mean `held_out_seen`"):
        data.questions("held_out_see")
    for wrong in ({"kind": "reversl"}, {"kind": "chain", "vocab_size": -1}, {"kind": "chain", "nothing": 1}):
        with pytest.raises(SpecError):
            retrodict.data(**wrong)


def test_the_bilinear_model(command):
    result = theory.bilinear(entities=20, dim=20, points=10, t_max=1e3)
    said = call(command, "theory", "bilinear", "--entities=20", "--dim=20", "--points=10", "--t-max=1e3", "--json")
    assert result.raw == json.loads(said.stdout)
    assert result.series["train_loss"][-1] < result.series["train_loss"][0]
    assert {theorem.id for theorem in result.theorems} and result.config["entities"] == 20
    assert "holds" in result._repr_html_()
    with pytest.raises(SpecError, match="entities|points"):
        theory.bilinear(points=0)
    with pytest.raises(SpecError):
        theory.bilinear(entities=1.5)
    with pytest.raises(SpecError):
        theory.bilinear(lr=math.nan, dynamics="gd")


def test_the_one_layer_transformer_and_transfer(command, spec):
    result = theory.one_layer(vocab_size=40, steps=2000)
    said = call(command, "theory", "one-layer", "--vocab-size=40", "--steps=2000", "--json")
    assert result.raw == json.loads(said.stdout)
    transfer = theory.transfer(spec, at=[0, 2], sentences=4)
    assert transfer.series["epoch"].tolist() == [0, 2] and transfer.theorems == []


def test_the_defaults_are_those_of_the_crates():
    import inspect

    for function in (theory.bilinear, theory.one_layer):
        small = {"entities": 4, "dim": 4} if function is theory.bilinear else {"vocab_size": 20, "steps": 10}
        config = function(**small).config
        for name, parameter in inspect.signature(function).parameters.items():
            if name not in small:
                assert config[name] == parameter.default, name


@pytest.mark.parametrize("tied", [False, True])
def test_state_dicts_and_files(spec, tmp_path, tied):
    spec = spec.set(model__tie_head=tied)
    one, two = Trainer(spec, seed=0), Trainer(spec, seed=1)
    one.train(20)
    state = bridges.state_dict(one)
    assert state["lm_head.weight"].shape == (spec.vocab, 16)
    bridges.load_state_dict(two, state)
    contexts = one.sentences[:, :2]
    np.testing.assert_array_equal(one.logits(contexts), two.logits(contexts))
    bridges.save_pretrained(one, tmp_path / "model")
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["architectures"] == ["GPT2LMHeadModel"] and config["tie_word_embeddings"] is tied
    loaded = bridges.load_tensors(tmp_path / "model/model.safetensors")
    three = Trainer(spec, seed=2)
    bridges.load_state_dict(three, {key.removeprefix("transformer."): value for key, value in loaded.items()})
    np.testing.assert_array_equal(one.logits(contexts), three.logits(contexts))
    safetensors = pytest.importorskip("safetensors.numpy")
    theirs = safetensors.load_file(tmp_path / "model/model.safetensors")
    assert set(theirs) == set(loaded)
    for name, values in theirs.items():
        np.testing.assert_array_equal(values, loaded[name])
    wrong = {
        "has no": {},
        "unknown": state | {"nothing": np.zeros(3)},
        "shape": state | {"transformer.ln_f.bias": np.zeros(3)},
    }
    if tied:
        wrong["ties them"] = state | {"lm_head.weight": np.zeros((spec.vocab, 16))}
    for message, wrong_state in wrong.items():
        with pytest.raises(ValueError, match=message):
            bridges.load_state_dict(two, wrong_state)
    np.testing.assert_array_equal(one.logits(contexts), two.logits(contexts))
    for wrong_array in (np.zeros(3, int), np.zeros(3, complex)):
        with pytest.raises(TypeError):
            bridges.save_tensors(tmp_path / "x.safetensors", {"a": wrong_array})
    with pytest.raises(retrodict.StoreError):
        bridges.load_tensors(tmp_path / "missing.safetensors")


def test_a_run_has_a_state_dict(runs, spec):
    trainer = Trainer(spec)
    bridges.load_state_dict(trainer, bridges.state_dict(runs[0]))
    assert trainer.evaluate().nll.mean() == pytest.approx(runs[0].measures["held_out_nll"], rel=1e-14)


def test_sentences_of_the_map_style():
    data = retrodict.data("chain", vocab_size=30)
    sentences = bridges.Sentences(data, held_out=True)
    assert len(sentences) == len(data.held_out)
    item = sentences[0]
    assert item["input_ids"].tolist() == data.held_out[0].tolist()
    assert item["labels"].tolist() == [-100, -100, data.held_out[0][2]]


@pytest.mark.parametrize("tied", [False, True])
def test_logits_are_those_of_transformers(spec, tied):
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    trainer = Trainer(spec.set(model__tie_head=tied))
    trainer.train(20)
    contexts = trainer.sentences[:, :2]
    with torch.no_grad():
        theirs = bridges.to_transformers(trainer)(torch.tensor(contexts)).logits[:, -1]
    np.testing.assert_allclose(trainer.logits(contexts), theirs.numpy(), atol=1e-5)
