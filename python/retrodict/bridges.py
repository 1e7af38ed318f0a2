"""Bridges to other libraries. None of them is needed to import this module.

Parameters have the names and shapes of GPT-2 in `transformers`, so that a state dict is a copy.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _native
from ._trainer import Array, Trainer

__all__ = [
    "Sentences",
    "load_state_dict",
    "load_tensors",
    "save_pretrained",
    "save_tensors",
    "state_dict",
    "to_transformers",
]

HEAD = "lm_head.weight"
EMBEDDINGS = "transformer.wte.weight"
POSITIONS = "transformer.wpe.weight"
# What `transformers` may list beside the parameters: the masks of attention.
BUFFERS = (".attn.bias", ".attn.masked_bias")


def state_dict(model: "Trainer | _native.Run") -> "dict[str, Array]":
    """The parameters by the names of `GPT2LMHeadModel.state_dict()`, a tied head included."""
    state = dict(model.parameters) if isinstance(model, Trainer) else model.parameters()
    if EMBEDDINGS in state:
        state.setdefault(HEAD, state[EMBEDDINGS])
    return state


def load_state_dict(trainer: Trainer, state: "Mapping[str, Any]") -> None:
    """Sets the parameters of a trainer from a state dict: arrays, or tensors of PyTorch.

    The keys are those of `GPT2LMHeadModel` (or of `GPT2Model`, without `transformer.`). Raises
    `ValueError` where a parameter is missing, unknown or of another shape, or where a head differs
    from the embeddings that it is tied to; the trainer then keeps what it has.
    """
    names = set(trainer.parameter_names)
    arrays: dict[str, Array] = {}
    for key, value in state.items():
        if key.endswith(BUFFERS):
            continue
        name = key if key in names or f"transformer.{key}" not in names else f"transformer.{key}"
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        arrays[name] = np.asarray(value)
    if HEAD not in names and HEAD in arrays:
        head = arrays.pop(HEAD)
        if EMBEDDINGS in arrays and not np.array_equal(head, arrays[EMBEDDINGS]):
            raise ValueError(f"`{HEAD}` differs from `{EMBEDDINGS}`, and this spec ties them")
    if POSITIONS not in names and POSITIONS in arrays and not arrays[POSITIONS].any():
        del arrays[POSITIONS]
    for problem, differing in (("has no", names - set(arrays)), ("has an unknown", set(arrays) - names)):
        if differing:
            raise ValueError(f"the state dict {problem} `{sorted(differing)[0]}`")
    for name, values in arrays.items():
        shape = trainer.parameter(name).shape
        if values.shape != shape:
            raise ValueError(f"`{name}` has the shape {values.shape}; it must be {shape}")
    trainer.parameters.update(arrays)


def save_pretrained(trainer: Trainer, folder: "str | os.PathLike[str]") -> None:
    """Writes `config.json` and `model.safetensors`, which
    `GPT2LMHeadModel.from_pretrained(folder)` opens."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    tensors = dict(trainer.parameters)
    # The config says that GPT-2 has positions; a model without any has zeros.
    positions = _positions(trainer)
    if POSITIONS not in tensors and positions is not None:
        tensors[POSITIONS] = positions
    save_tensors(path / "model.safetensors", tensors)
    (path / "config.json").write_text(trainer.config() + "\n", encoding="utf-8")


def _positions(trainer: Trainer) -> "Array | None":
    """Zero positions for GPT-2, which always has some; None for other architectures."""
    import json

    config = json.loads(trainer.config())
    if config.get("model_type") != "gpt2":
        return None
    kind = trainer.parameter(EMBEDDINGS).dtype
    return np.zeros((config["n_positions"], config["n_embd"]), dtype=kind)


def to_transformers(trainer: Trainer) -> Any:
    """A `GPT2LMHeadModel` with these parameters, in evaluation mode. Needs PyTorch and
    `transformers`."""
    import tempfile

    from transformers import GPT2LMHeadModel  # type: ignore[import-not-found, unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(trainer, folder)
        return GPT2LMHeadModel.from_pretrained(folder).eval()


def save_tensors(path: "str | os.PathLike[str]", tensors: "Mapping[str, npt.ArrayLike]") -> None:
    """Writes arrays of float32 or float64 to a `.safetensors` file."""
    arrays = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    _native.save_tensors(os.fspath(path), arrays)


def load_tensors(path: "str | os.PathLike[str]") -> "dict[str, Array]":
    """The arrays of a `.safetensors` file of float32 or float64."""
    return _native.load_tensors(os.fspath(path))


class Sentences:
    """Sentences as a data set of the map style of `torch.utils.data`, for a `DataLoader`.

    Each item has `input_ids` and `labels`, int64 `[tokens]`; a label that the loss leaves out is
    −100, as in `transformers`: all but those of the last entity.
    """

    def __init__(self, dataset: _native.Dataset, *, held_out: bool = False) -> None:
        self._rows = dataset.held_out if held_out else dataset.train
        self._answer = dataset.entity_length

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> "dict[str, npt.NDArray[np.int64]]":
        row = self._rows[at]
        tokens = row[row >= 0].copy()
        labels = tokens.copy()
        labels[: len(labels) - self._answer] = -100
        return {"input_ids": tokens, "labels": labels}
