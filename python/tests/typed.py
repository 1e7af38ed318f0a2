"""A user's program, which mypy and pyright check. It is not run."""

from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import assert_type

import retrodict
from retrodict import bridges, theory

spec = retrodict.Spec.ready("reversal-quick").set(model__layers=4, train__lr=1e-3)
assert_type(spec, retrodict.Spec)
assert_type(spec.hash, str)
runs = retrodict.run(spec, seeds=range(3), out="there", keep="probes", progress=False)
assert_type(runs[0], retrodict.Run)
assert_type(runs[:2], retrodict.Runs)
assert_type(runs["held_out_nll"], npt.NDArray[np.float64])
assert_type(runs.table(epochs=True), retrodict.Table)
names: list[str] = [run.spec.name for run in runs]
retrodict.sweep("mine.toml", model__layers=[1, 2], seeds="5..8")


def watch(trainer: retrodict.Trainer) -> bool:
    return bool(trainer.evaluate().nll.mean() > 0.1)


trainer = retrodict.Trainer(spec, seed=1, sentences=[[1, 2, 3]])
assert_type(trainer, retrodict.Trainer)
assert_type(trainer.step(), float)
assert_type(trainer.train(10, every=2, callback=watch), npt.NDArray[np.float64])
assert_type(trainer.gradients(), dict[str, npt.NDArray[np.floating[Any]]])
trainer.parameters["transformer.wte.weight"] *= 2
trainer.learning_rate = 0.1
bridges.load_state_dict(trainer, bridges.state_dict(runs[0]))
assert_type(theory.bilinear(entities=10).series, dict[str, npt.NDArray[np.float64]])
assert_type(retrodict.data("chain", vocab_size=80).train, npt.NDArray[np.int64])
