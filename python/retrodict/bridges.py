"""Bridges to other libraries. None of them is needed to import this module.

Parameters have the names and shapes of GPT-2 in `transformers`, so that a state dict is a copy.

- PyTorch and `transformers`: `state_dict`, `load_state_dict`, `to_transformers`, `save_pretrained`
- TransformerLens: `to_transformer_lens`, `transformer_lens_state`, `load_transformer_lens`
- safetensors: `save_tensors`, `load_tensors`
- sentences: `Sentences` for `torch.utils.data`, `to_datasets` for `datasets`
- `lm-evaluation-harness`: `tokenizer`, `harness_task`
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _lens, _native
from ._arrays import Array, as_array
from ._trainer import Trainer

__all__ = [
    "Sentences",
    "harness_task",
    "load_state_dict",
    "load_tensors",
    "load_transformer_lens",
    "save_pretrained",
    "save_tensors",
    "state_dict",
    "to_datasets",
    "to_transformer_lens",
    "to_transformers",
    "tokenizer",
    "transformer_lens_state",
]

HEAD = "lm_head.weight"
EMBEDDINGS = "transformer.wte.weight"
POSITIONS = "transformer.wpe.weight"
# Attention masks, which `transformers` may list beside the parameters.
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
        arrays[name] = as_array(value)
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
    `GPT2LMHeadModel.from_pretrained(folder)` opens if the model is a GPT-2."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    tensors = dict(trainer.parameters)
    config = json.loads(trainer.config())
    if config["model_type"] == "gpt2":
        _add_positions(tensors, config)
    save_tensors(path / "model.safetensors", tensors)
    (path / "config.json").write_text(trainer.config() + "\n", encoding="utf-8")


def to_transformers(trainer: Trainer) -> Any:
    """A `GPT2LMHeadModel` with these parameters, in evaluation mode. Needs PyTorch and
    `transformers`. Raises `ValueError` if GPT-2 cannot express the model.

    The way back is `load_state_dict(trainer, model.state_dict())`.
    """
    _gpt2_config(trainer)
    from transformers import GPT2LMHeadModel

    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(trainer, folder)
        return GPT2LMHeadModel.from_pretrained(folder).eval()


def transformer_lens_state(trainer: Trainer) -> "dict[str, Array]":
    """The parameters by the names and shapes of TransformerLens's `HookedTransformer`, such as
    `blocks.0.attn.W_Q` `[heads, dim, dim / heads]`. Nothing is folded or centred.

    Raises `ValueError` if GPT-2 cannot express the model.
    """
    config = _gpt2_config(trainer)
    state = state_dict(trainer)
    _add_positions(state, config)
    return _lens.of_gpt2(state, config["n_head"])


def load_transformer_lens(trainer: Trainer, state: "Mapping[str, Any]") -> None:
    """Sets the parameters of a trainer from `HookedTransformer.state_dict()`, unprocessed.

    Raises `ValueError` as `load_state_dict` does, and where `unembed.b_U` is not zero.
    """
    load_state_dict(trainer, _lens.to_gpt2(state))


def to_transformer_lens(trainer: Trainer) -> Any:
    """A `TransformerBridge` of TransformerLens 4 with these parameters, unprocessed: its hooks and
    caches, on the `GPT2LMHeadModel` of `to_transformers`. Needs PyTorch, `transformers` and
    TransformerLens. Raises `ValueError` if GPT-2 cannot express the model.

    Earlier versions load `transformer_lens_state(trainer)` into a `HookedTransformer`.
    """
    model = to_transformers(trainer)
    from transformer_lens import TransformerBridge

    words = tokenizer(model.config.vocab_size)
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(trainer, folder)
        return TransformerBridge.boot_transformers(
            folder, hf_model=model, tokenizer=words, device="cpu", dtype=model.dtype
        )


def _gpt2_config(trainer: Trainer) -> "dict[str, Any]":
    """`config.json` of a model that GPT-2 can express."""
    config: dict[str, Any] = json.loads(trainer.config())
    if config["model_type"] != "gpt2":
        raise ValueError(
            f"this model is a `{config['model_type']}`, which GPT-2 cannot express; "
            "`state_dict` and `save_pretrained` have its parameters"
        )
    return config


def _add_positions(state: "dict[str, Array]", config: "dict[str, Any]") -> None:
    """GPT-2 always has positions; a model without any has zeros."""
    shape = (config["n_positions"], config["n_embd"])
    state.setdefault(POSITIONS, np.zeros(shape, state[EMBEDDINGS].dtype))


def save_tensors(path: "str | os.PathLike[str]", tensors: "Mapping[str, npt.ArrayLike]") -> None:
    """Writes arrays of float32 or float64 to a `.safetensors` file."""
    arrays = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    _native.save_tensors(os.fspath(path), arrays)


def load_tensors(path: "str | os.PathLike[str]") -> "dict[str, Array]":
    """The arrays of a `.safetensors` file of float32 or float64."""
    return _native.load_tensors(os.fspath(path))


class Sentences:
    """Sentences as a data set of the map style of `torch.utils.data`:
    `DataLoader(Sentences(data), batch_size=64, collate_fn=Sentences.collate)`.

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

    @staticmethod
    def collate(items: "Sequence[dict[str, npt.NDArray[np.int64]]]") -> "dict[str, Any]":
        """A batch of items as tensors `[sentences, tokens]`: `input_ids`, `labels` and
        `attention_mask`, which is 0 where a shorter sentence is padded. Needs PyTorch."""
        import torch

        longest = max(len(item["input_ids"]) for item in items)
        batch = {
            "input_ids": np.zeros((len(items), longest), np.int64),
            "labels": np.full((len(items), longest), -100),
            "attention_mask": np.zeros((len(items), longest), np.int64),
        }
        for row, item in enumerate(items):
            length = len(item["input_ids"])
            batch["input_ids"][row, :length] = item["input_ids"]
            batch["labels"][row, :length] = item["labels"]
            batch["attention_mask"][row, :length] = 1
        return {name: torch.from_numpy(values) for name, values in batch.items()}


def to_datasets(dataset: _native.Dataset) -> Any:
    """The sentences as a `DatasetDict` of `datasets` with the splits `train` and `held_out`;
    the columns are those of `Sentences`. Needs `datasets`."""
    from datasets import Dataset, DatasetDict

    splits = {"train": Sentences(dataset), "held_out": Sentences(dataset, held_out=True)}
    return DatasetDict(
        {
            name: Dataset.from_list([sentences[at] for at in range(len(sentences))])
            for name, sentences in splits.items()
            if len(sentences)
        }
    )


def tokenizer(vocab: int) -> Any:
    """A tokenizer whose words are the numbers of the tokens: "0 17" is `[0, 17]`. Needs
    `transformers`. It gives a model of ours to tools that take text, such as
    `lm-evaluation-harness`."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({str(token): token for token in range(vocab)}, unk_token="0"))
    words.pre_tokenizer = WhitespaceSplit()
    # The harness needs the name of an end, and never uses it here: no context is empty.
    return PreTrainedTokenizerFast(tokenizer_object=words, eos_token="0", pad_token="0")


def harness_task(dataset: _native.Dataset, group: str) -> "dict[str, Any]":
    """A task of `lm-evaluation-harness`: the questions of a group of the data set
    (`dataset.groups`), each with all answers of the group as choices. Needs `datasets`.

        model = HFLM(pretrained=to_transformers(trainer), tokenizer=tokenizer(spec.vocab))
        task = ConfigurableTask(config=harness_task(trainer.dataset, "held_out_unseen"))
        simple_evaluate(model=model, tasks=[task])
    """
    from datasets import Dataset, DatasetDict

    def text(tokens: "npt.NDArray[np.int64]") -> str:
        return " ".join(map(str, tokens[tokens >= 0]))

    questions = dataset.questions(group)
    answers = [text(row) for row in questions["answer"]]
    choices = sorted(set(answers))
    documents = [
        {
            "question": f"{text(source)} {text(np.atleast_1d(relation))}",
            "choices": choices,
            "answer": choices.index(answer),
        }
        for source, relation, answer in zip(
            questions["source"], questions["relation"], answers, strict=True
        )
    ]
    splits = DatasetDict({"test": Dataset.from_list(documents)})
    return {
        "task": f"retrodict_{group}",
        "custom_dataset": lambda **_: splits,
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
