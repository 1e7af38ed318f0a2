"""Data sets and the theory."""

import json
import math

import numpy as np
import pytest
from conftest import call

import retrodict
from retrodict import SpecError, bridges, theory


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


def test_help_of_everything():
    import inspect
    import pydoc

    for name in retrodict.__all__:
        thing = getattr(retrodict, name)
        assert inspect.getdoc(thing), name
        pydoc.render_doc(f"retrodict.{name}")
        for part in vars(thing) if inspect.isclass(thing) else ():
            documented = part.startswith("_") or inspect.getdoc(getattr(thing, part))
            assert documented, f"{name}.{part}"
    for module in (bridges, theory):
        for name in module.__all__:
            assert inspect.getdoc(getattr(module, name)), name
