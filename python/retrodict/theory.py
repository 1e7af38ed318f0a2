"""The paper's theory, simulated and checked: `bilinear`, `one_layer` and `transfer`."""

import html
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from . import _native

__all__ = ["Result", "Theorem", "bilinear", "one_layer", "transfer"]


@dataclass(frozen=True)
class Theorem:
    """A theorem's bound and the measured value."""

    id: str
    """Such as `theorem-1`."""
    claim: str
    """The bounded quantity, in words."""
    comparator: str
    """`<=` or `>=`."""
    bound: float
    """The bound."""
    measured: "float | None"
    """The measured value; None where there is nothing to measure."""
    holds: "bool | None"
    """Whether the bound holds."""


@dataclass(frozen=True)
class Result:
    """The result of a simulation."""

    raw: "dict[str, Any]"
    """All of it, as `--json` of the command line prints it."""

    @property
    def config(self) -> "dict[str, Any]":
        """Every setting, defaults filled in."""
        config: dict[str, Any] = self.raw["config"]
        return config

    @property
    def series(self) -> "dict[str, npt.NDArray[np.float64]]":
        """The quantities over time: arrays of one length by name; NaN where one does not apply."""
        points: list[dict[str, Any]] = self.raw["series"]
        names = {name: None for point in points for name in point}
        columns: dict[str, npt.NDArray[np.float64]] = {}
        for name in names:
            values = [point.get(name) for point in points]
            if all(value is None or isinstance(value, int | float) for value in values):
                columns[name] = np.array(values, dtype=np.float64)
        return columns

    @property
    def theorems(self) -> "list[Theorem]":
        """The theorems' bounds and the measured values; of `transfer` none."""
        names = Theorem.__dataclass_fields__
        found: list[dict[str, Any]] = self.raw.get("theorems", [])
        return [Theorem(**{name: theorem[name] for name in names}) for theorem in found]

    @property
    def warnings(self) -> "list[str]":
        """Reasons to distrust the result."""
        warnings: list[str] = self.raw.get("warnings", [])
        return warnings

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(theorem.id)}</td><td>{html.escape(theorem.claim)}</td>"
            f"<td>{theorem.measured} {html.escape(theorem.comparator)} {theorem.bound}</td>"
            f"<td>{ {True: 'holds', False: 'does not hold', None: '–'}[theorem.holds] }</td></tr>"
            for theorem in self.theorems
        )
        points = len(self.raw["series"])
        return f"<table><caption>{points} points in time</caption>{rows}</table>"


def _settings(given: "dict[str, Any]") -> str:
    """The given settings as JSON; those left out have their defaults."""
    known = {}
    for key, value in given.items():
        if value is None:
            continue
        known[key] = value.tolist() if hasattr(value, "tolist") else value
    return json.dumps(known)


def bilinear(
    *,
    entities: int = 100,
    dim: int = 100,
    embeddings: Literal["gaussian", "orthonormal"] = "gaussian",
    held_out: float = 0.3,
    dynamics: Literal["flow", "gd", "sgd"] = "flow",
    lr: float = 0.1,
    init: float = 0.0,
    t_max: float = 1e6,
    points: int = 60,
    tolerance: float = 1e-10,
    epsilon: float = 0.1,
    seed: int = 0,
) -> Result:
    """Simulates the bilinear model and checks theorems 1 and 2.

    `entities` m and `dim` d of their embeddings; `held_out` is the fraction of pairs trained in one
    direction only; `lr` is that of `gd` and `sgd`; `init` the standard deviation of the initial
    weights; `points` log-spaced times up to `t_max`; `tolerance` of the flow's integration;
    `epsilon` of theorem 1.
    """
    return Result(json.loads(_native.bilinear(_settings(dict(locals())))))


def one_layer(
    *,
    data: Literal["reversal", "chain"] = "reversal",
    vocab_size: int = 800,
    train_fraction: float = 0.7,
    context: Literal["contextual", "all"] = "contextual",
    dynamics: Literal["sgd", "gd", "flow"] = "sgd",
    lr_decoder: float = 0.1,
    lr_attention: float = 0.0,
    init: float = 0.0,
    steps: int = 200_000,
    seed: int = 0,
) -> Result:
    """Simulates the one-layer transformer and checks theorems 3 and 4.

    `context` says what the relation token attends to: the source alone, or itself too. `lr_decoder`
    and `lr_attention` are the learning rates of Y and Z.
    """
    return Result(json.loads(_native.one_layer(_settings(dict(locals())))))


def transfer(
    spec: "_native.Spec | str | os.PathLike[str]" = "reversal-quick",
    *,
    seed: int = 0,
    at: "Sequence[int] | None" = None,
    sentences: int = 24,
    preconditioned: bool = False,
    window: "int | None" = None,
) -> Result:
    """Measures the effect of training on one sentence on another while a decoder learns.

    `at` are epochs after which to measure; `sentences` held-out ones to query, at most;
    `preconditioned` scales gradients as the optimiser does; `window` also predicts the held-out loss
    over so many steps with a linearised model.
    """
    given = {
        "seed": seed,
        "at": None if at is None else [int(epoch) for epoch in at],
        "sentences": sentences,
        "preconditioned": preconditioned,
        "window": window,
    }
    return Result(json.loads(_native.transfer(spec, _settings(given))))
