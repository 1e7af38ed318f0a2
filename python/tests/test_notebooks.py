"""The notebooks run headless, and their numbers say what their words say."""

import importlib.util
import os
from pathlib import Path

import pytest

pytest.importorskip("marimo")
NOTEBOOKS = Path(__file__).parents[1] / "notebooks"


def executed(name):
    """The variables of a notebook after its last cell."""
    module_spec = importlib.util.spec_from_file_location(name, NOTEBOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module.app.run()[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(os.environ, "TMPDIR", str(tmp_path))


def test_curse():
    found = executed("curse")
    assert found["train"] < 1.0 < found["uniform"] < found["held_out"]
    assert (found["asymmetry"] > 0.5).all()


def test_sweep():
    pytest.importorskip("polars")
    pytest.importorskip("matplotlib")
    found = executed("sweep")
    assert found["frame"].height == 18 and found["means"].height == 6
    ranks = found["means"]["rank"].to_list()
    assert min(ranks[3:]) < min(ranks[:3]), "a tied head ranks the partner earlier"


def test_steps():
    found = executed("steps")
    table = found["table"]
    assert len(table) == 60 and found["losses"][-1] < found["losses"][0]
    assert table[-1, 2] > 0.5 and table[-1, 3] > 3 * abs(table[-1, 4])


def test_remedy():
    found = executed("remedy")
    assert 0.2 < found["baseline"] < 0.8
    assert found["with_data"] < found["baseline"] and found["with_term"] < found["baseline"]


def test_theory_check():
    found = executed("theory_check")
    assert found["slope"] < 0, "more dimensions, less generalisation to the reversals"
