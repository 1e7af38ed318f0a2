"""Runs: the numbers of the command line, tables for other libraries, interruption and resuming."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings

import numpy as np
import pytest
from conftest import call, options

import retrodict
from retrodict import SpecError, Store, StoreError


def test_measures_and_metrics(runs):
    assert len(runs) == 3 and [run.seed for run in runs] == [0, 1, 2]
    assert all(run.status == "complete" for run in runs)
    nll = runs["held_out_nll"]
    assert nll.shape == (3,) and nll.dtype == np.float64 and np.isfinite(nll).all()
    run = runs[-1]
    assert run.measures["held_out_nll"] == nll[2] == run.metrics["held_out_nll"][-1]
    assert run.metrics["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert len(runs[:2]) == 2 and runs[0] in list(runs)
    assert run.spec.hash in repr(run) and run.spec["train"]["epochs"] == 6
    for wrong, error in [(3, IndexError), ("held_out_nl", KeyError), (1.5, TypeError)]:
        with pytest.raises(error):
            runs[wrong]


def test_arrays_are_views_and_read_only(runs):
    metrics = runs[0].metrics
    column = metrics["held_out_nll"]
    assert column.base is not None and not column.flags.writeable
    before = column.copy()
    del metrics
    assert (column == before).all(), "the array keeps the table"
    with pytest.raises(ValueError):
        column[0] = 0.0
    with pytest.raises(KeyError, match="did you mean"):
        runs[0].metrics["held_out_nl"]


def test_bits_are_those_of_the_command_line(spec, runs, command, tmp_path):
    call(command, "run", "reversal-quick", *options(spec), "--seeds=3", f"--out={tmp_path}")
    theirs = Store(tmp_path).runs()
    assert [run.spec.hash for run in theirs] == [run.spec.hash for run in runs]
    for ours, other in zip(runs, theirs, strict=True):
        for name in set(ours.metrics.columns) - {"seconds"}:
            np.testing.assert_array_equal(ours.metrics[name], other.metrics[name], name)
        for name, values in ours.parameters().items():
            assert values.tobytes() == other.parameters()[name].tobytes(), name
        for name, values in ours.effective_weights(3).items():
            assert values.tobytes() == other.effective_weights(3)[name].tobytes(), name


def test_the_store_is_shared_with_the_command_line(spec, runs, out, command):
    listed = json.loads(call(command, "runs", str(out), "--json").stdout)
    assert len(listed) == 3
    begun = time.monotonic()
    again = retrodict.run(spec, seeds=range(3), out=out, progress=False)
    assert list(again) == list(runs) and time.monotonic() - begun < 2
    found = Store(out).runs("seed >= 1 and held_out_nll > 0")
    assert [run.seed for run in found] == [1, 2]
    with pytest.raises(SpecError, match="--where"):
        Store(out).runs("seeed == 1")
    with pytest.raises(StoreError, match="holds no runs"):
        Store(out / "nothing")


def test_probes_parameters_and_ranks(runs, spec):
    run = runs[0]
    assert run.probes["effective_weights"] == [0, 3, 6]
    weights = run.effective_weights()
    unseen = weights["held_out_unseen"]
    assert unseen.shape[0] == unseen.shape[1] == len(weights["held_out_unseen.rows"])
    for epoch in (1, 10**6):
        with pytest.raises(KeyError, match="not measured after"):
            run.effective_weights(epoch)
    parameters = run.parameters()
    count = sum(values.size for values in parameters.values())
    assert count == spec.parameter_count
    assert parameters["transformer.wte.weight"].shape == (spec.vocab, 16)
    with pytest.raises(KeyError, match="no checkpoint of step 1"):
        run.parameters(1)
    assert (run.checkpoint_folder() / "model.safetensors").is_file()
    ranks = run.ranks()
    assert ranks["rank_type"].shape == (6,) and (ranks["rank_type"] <= 1).all()


def test_tables_are_read_without_a_copy_by_others(runs):
    table = runs.table()
    assert len(table) == 3 and table["seed"].tolist() == [0, 1, 2]
    assert table["model.layers"].tolist() == [1, 1, 1] and "data.kind" in table
    assert table.to_dict()["data.kind"] == ["reversal"] * 3
    epochs = runs.table(epochs=True)
    assert len(epochs) == 18
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(epochs)
    assert frame.shape[0] == 18 and frame["held_out_nll"].to_list() == epochs["held_out_nll"].tolist()
    assert frame.group_by("seed").agg(polars.col("held_out_nll").min()).shape == (3, 2)
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.table(table)
    assert arrow.num_rows == 3 and arrow.schema.field("seed").type == pyarrow.int64()
    assert arrow["status"].to_pylist() == ["complete"] * 3
    own = table["held_out_nll"].__array_interface__["data"][0]
    assert arrow["held_out_nll"].chunk(0).buffers()[1].address == own, "a copy"
    assert pyarrow.schema(table).names == table.columns
    pandas = pytest.importorskip("pandas")
    if hasattr(pandas.DataFrame, "from_arrow"):
        assert len(pandas.DataFrame.from_arrow(table)) == 3
    assert len(arrow.to_pandas()) == 3
    duckdb = pytest.importorskip("duckdb")
    mean = duckdb.sql('select avg("held_out_nll") from arrow').fetchall()[0][0]
    assert mean == pytest.approx(table["held_out_nll"].mean())


def test_capsules_outlive_their_table_and_leak_nothing(runs, resident):
    pyarrow = pytest.importorskip("pyarrow")
    arrow = pyarrow.table(runs[0].metrics)
    assert arrow["epoch"].to_pylist() == [1, 2, 3, 4, 5, 6]
    table = runs.table(epochs=True)
    for round in range(3000):
        table.__arrow_c_stream__(), table.__arrow_c_schema__(), table["held_out_nll"]
        if round == 500:
            before = resident()
    assert resident() - before < 2500, "pages of 4 KiB"


def test_a_sweep(spec, tmp_path):
    runs = retrodict.sweep(
        spec, model__layers=[1, 2], train__lr=np.array([1e-3, 1e-2]), seeds=2, out=tmp_path, progress=False
    )
    assert len(runs) == 8
    table = runs.table()
    points = set(zip(table["model.layers"], table["train.lr"], table["seed"], strict=True))
    assert points == {(l, r, s) for l in (1, 2) for r in (1e-3, 1e-2) for s in (0, 1)}
    plain = retrodict.run(spec.set(model__layers=2, train__lr=1e-2), seeds=2, out=tmp_path, keep="metrics", progress=False)
    assert list(plain) == list(runs[6:])
    assert len(Store(tmp_path).table()) == 8
    with pytest.raises(SpecError, match="model.layers"):
        retrodict.sweep(spec, model__layers=[1, "two"], out=tmp_path)
    with pytest.raises(SpecError, match="has no values"):
        retrodict.sweep(spec, model__layers=[], out=tmp_path)
    path = tmp_path / "swept.toml"
    path.write_text(spec.to_toml() + '\n[sweep]\n"model.layers" = [1, 2, 3]\n')
    swept = retrodict.sweep(path, seeds=1, out=tmp_path, progress=False)
    assert swept.table()["model.layers"].tolist() == [1, 2, 3]


def test_progress_is_called_and_may_end_the_runs(spec, tmp_path):
    calls = []
    retrodict.run(spec, seeds=2, out=tmp_path, progress=lambda *state: calls.append(state))
    assert calls[-1][:2] == (2, 2) and calls[-1][3] == 1.0 and calls[-1][-1] is True
    long = spec.set(train__epochs=10_000_000)

    class Enough(Exception):
        pass

    def stop(*state):
        raise Enough

    with pytest.raises(Enough):
        retrodict.run(long, seeds=1, out=tmp_path, progress=stop)
    with pytest.raises(TypeError, match="True, False or a function"):
        retrodict.run(spec, out=tmp_path, progress="yes")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"seeds": 0}, SpecError),
        ({"seeds": -1}, SpecError),
        ({"seeds": [1, 1]}, SpecError),
        ({"seeds": "8..5"}, SpecError),
        ({"seeds": 1.5}, SpecError),
        ({"seeds": 10**30}, SpecError),
        ({"keep": "some"}, ValueError),
        ({"jobs": 0}, ValueError),
        ({"threads": -1}, (ValueError, OverflowError)),
        ({"out": 3}, TypeError),
    ],
)
def test_wrong_arguments(spec, tmp_path, arguments, error):
    with pytest.raises(error):
        retrodict.run(spec, **{"out": tmp_path, "progress": False} | arguments)


def test_a_store_that_cannot_be_written(spec, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file"):
        retrodict.run(spec, out=tmp_path / "file")


def test_a_diverged_run_is_a_warning(spec, tmp_path):
    with pytest.warns(retrodict.RunWarning, match="loss is not finite"):
        runs = retrodict.run(spec.set(train__lr=1e30), seeds=1, out=tmp_path, progress=False)
    assert runs[0].status == "diverged" and "not finite" in runs[0].message
    assert len(runs.table()) == 1


INTERRUPTED = """
    import sys, retrodict
    spec = retrodict.Spec.ready("reversal-quick").set(data__vocab_size=24, train__epochs=10_000_000)
    print("ready", flush=True)
    try:
        retrodict.run(spec, seeds=2, out=sys.argv[1], progress=False)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a system without SIGINT for one process")
def test_ctrl_c_ends_at_once_and_the_runs_resume(tmp_path):
    script = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(tmp_path)]
    process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/*/*/seed-*/manifest.json")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.3)
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "interrupted\n"
    assert time.monotonic() - begun < 20
    runs = Store(tmp_path).runs()
    assert runs[0].status == "interrupted" and runs[0].checkpoints


def test_other_threads_run_meanwhile(spec, tmp_path):
    counted, ended = [0], threading.Event()

    def count():
        while not ended.is_set():
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    retrodict.run(spec.set(train__epochs=300), seeds=2, out=tmp_path, progress=False)
    ended.set()
    thread.join()
    assert counted[0] > 20, "the interpreter lock is released"


def test_runs_from_several_threads(spec, tmp_path):
    results = {}

    def one(seed):
        results[seed] = retrodict.run(spec, seeds=[seed], out=tmp_path / str(seed), progress=False)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(3)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(results) == [0, 1, 2]


def held_out(run: "retrodict.Run") -> float:
    return float(run.metrics["held_out_nll"][-1])


def train(argument: "tuple[retrodict.Spec, int]") -> float:
    spec, seed = argument
    return float(retrodict.Trainer(spec, seed).train(5)[-1])


def test_pickles_cross_processes(runs, spec):
    assert pickle.loads(pickle.dumps(runs[1])) == runs[1]
    assert list(pickle.loads(pickle.dumps(runs))) == list(runs)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(held_out, list(runs)) == runs["held_out_nll"].tolist()
        assert pool.map(train, [(spec, 0)]) == [train((spec, 0))]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_fork_makes_runs_and_joblib_does(spec, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            ended = 1
            try:
                runs = retrodict.run(spec, seeds=1, out=tmp_path, progress=False)
                ended = int(runs[0].status != "complete")
            finally:
                os._exit(ended)
        assert os.waitpid(child, 0)[1] == 0
    joblib = pytest.importorskip("joblib")
    jobs = [joblib.delayed(train)((spec, seed)) for seed in range(2)]
    assert joblib.Parallel(n_jobs=2)(jobs) == [train((spec, seed)) for seed in range(2)]


def test_figures_show_themselves(runs, tmp_path):
    figure = runs.figure()
    assert figure._repr_svg_().lstrip().startswith("<") and "svg" in figure.svg
    assert len(figure.data) > 0 and "epoch" in figure.data.columns
    for name in ("a.svg", "a.png", "a.pdf"):
        figure.save(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 500
    with pytest.raises(ValueError, match="must end in"):
        figure.save(tmp_path / "a.jpg")
    assert "<svg" in runs[0].figure().svg
    assert "<table>" in runs._repr_html_() and "mean" in runs._repr_html_()
    assert "held_out_nll" in runs[0]._repr_html_()
    assert "<table>" in runs.table()._repr_html_()
