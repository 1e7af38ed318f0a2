"""Specs: keys in and out, errors in the words of the command line, pickling."""

import pickle

import numpy as np
import pytest
from conftest import call
from hypothesis import given, settings
from hypothesis import strategies as st

import retrodict
from retrodict import Spec, SpecError


def test_keys_are_read_and_set():
    spec = Spec.ready("reversal-quick")
    assert spec["train"]["lr"] == spec["train.lr"]
    changed = spec.set(model__layers=4, train__lr=0.01, checkpoint__at=[0, 5], seeds=2)
    assert changed["model"]["layers"] == 4 and changed["train.lr"] == 0.01
    assert changed["checkpoint.at"] == [0, 5]
    assert changed.seeds == [0, 1] and changed["seeds"] == 2
    assert spec["model.layers"] != 4, "a spec does not change"
    assert changed.hash != spec.hash and len(spec.hash) == 16
    with pytest.raises(TypeError):
        spec["train"]["lr"] = 1.0


def test_it_is_a_mapping_of_sections():
    spec = Spec.ready("chain-quick")
    assert {"data", "model", "train", "seeds"} <= set(spec)
    assert dict(spec)["data"]["kind"] == "chain" and len(spec) == len(list(spec))
    assert "train" in spec and "train.lr" in spec and "nothing" not in spec
    with pytest.raises(KeyError, match="did you mean `train.lr`"):
        spec["train.lrr"]


def test_toml_reads_back():
    spec = Spec.ready("reversal-quick").set(model__tie_head=True)
    assert Spec.from_toml(spec.to_toml()) == spec
    assert hash(Spec.from_toml(spec.to_toml())) == hash(spec)
    assert str(spec) == spec.to_toml() and "# " in spec.to_toml(comments=True)
    assert spec != Spec.ready("reversal-quick") and spec != 3


def test_a_key_that_depends_on_another_is_set_with_it():
    spec = Spec.ready("reversal-quick").set(train__optimizer="sgd", train__momentum=0.9)
    assert spec["train"]["optimizer"] == "sgd"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model__layer": 4}, "--set model.layer=4: unknown key `model.layer`; did you mean `model.layers`?"),
        ({"model__layers": -1}, "`model.layers` is -1; it must be"),
        ({"train__momentum": 0.9}, "has no effect"),
        ({"train__optimizer": "adamx"}, "`train.optimizer`"),
        ({"nothing": 1}, "unknown key `nothing`"),
    ],
)
def test_errors_are_those_of_the_command_line(keys, message, command):
    with pytest.raises(ValueError) as error:
        Spec.ready("reversal-quick").set(**keys)
    assert isinstance(error.value, SpecError) and isinstance(error.value, retrodict.RetrodictError)
    assert message in str(error.value)
    sets = [f"--set={key.replace('__', '.')}={value}" for key, value in keys.items()]
    said = call(command, "run", "reversal-quick", *sets, "--dry-run", check=False)
    assert said.returncode == 2 and said.stderr == f"retrodict: {error.value}\n"


def test_wrong_names_and_texts():
    with pytest.raises(SpecError, match="did you mean `reversal-quick`"):
        Spec.ready("reversal-quik")
    with pytest.raises(SpecError, match="mine:2"):
        Spec.from_toml('[data]\nkind = "chainn"', "mine")
    with pytest.raises(SpecError, match="nowhere.toml"):
        Spec.load("nowhere.toml")
    with pytest.raises(SpecError, match="no ready spec of that name"):
        retrodict.run("nowhere.toml")


@pytest.mark.parametrize("value", [None, object(), {"a": 1}, 1j, [[[[[[1]]]]]], b"x", np.zeros(2, complex)])
def test_values_of_other_types_are_refused(value):
    with pytest.raises((TypeError, SpecError)):
        Spec.ready("reversal-quick").set(model__layers=value)


def test_numbers_of_numpy_are_numbers():
    spec = Spec.ready("reversal-quick")
    assert spec.set(model__layers=np.int64(3)) == spec.set(model__layers=3)
    assert spec.set(train__lr=np.float32(0.5)) == spec.set(train__lr=0.5)
    assert spec.set(checkpoint__at=np.array([1, 2])) == spec.set(checkpoint__at=[1, 2])
    assert spec.set(model__tie_head=np.bool_(True)) == spec.set(model__tie_head=True)


@given(st.floats(min_value=1e-300, max_value=1e300, allow_nan=False))
def test_every_float_is_kept(value):
    assert Spec.ready("reversal-quick").set(train__lr=value)["train.lr"] == value


@given(st.integers(min_value=1, max_value=10**9))
def test_every_integer_is_kept(value):
    assert Spec.ready("reversal-quick").set(train__epochs=value)["train.epochs"] == value


@given(st.text(max_size=20))
@settings(deadline=None)
def test_any_text_is_a_name_or_is_refused(text):
    try:
        spec = Spec.ready("reversal-quick").set(name=text)
    except SpecError:
        return
    assert spec.name == text and Spec.from_toml(spec.to_toml()).name == text


@given(st.text(max_size=200))
@settings(deadline=None)
def test_any_toml_is_read_or_refused(text):
    try:
        Spec.from_toml(text)
    except SpecError:
        pass


def test_pickle_and_repr():
    spec = Spec.ready("reversal-quick").set(model__layers=4)
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.hash in repr(spec)
    assert "<b>4</b>" in spec._repr_html_()


def test_help_is_useful():
    assert "reversal-quick" in retrodict.ready_specs()
    assert "`layers`" in retrodict.spec_reference()
    for name in retrodict.__all__:
        thing = getattr(retrodict, name)
        assert getattr(thing, "__doc__", None), name
        for method in vars(thing) if isinstance(thing, type) else ():
            if not method.startswith("_") and callable(getattr(thing, method)):
                assert getattr(thing, method).__doc__, f"{name}.{method}"
