"""Parameters for TransformerLens: GPT-2's, by the names and shapes of `HookedTransformer`.

Nothing is folded or centred, as after `from_pretrained_no_processing`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._arrays import Array, as_array

Q_K_V = "QKV"
# Entries of `HookedTransformer.state_dict()` that are no parameters.
BUFFERS = (".attn.mask", ".attn.IGNORE")


def of_gpt2(state: "Mapping[str, Array]", heads: int) -> "dict[str, Array]":
    """The parameters of TransformerLens from those of `GPT2LMHeadModel`.

    Projections are split by head: `W_Q` `[heads, dim, dim / heads]`, `W_O`
    `[heads, dim / heads, dim]`.
    """
    vocab, dim = state["transformer.wte.weight"].shape
    lens = {
        "embed.W_E": state["transformer.wte.weight"],
        "pos_embed.W_pos": state["transformer.wpe.weight"],
        "ln_final.w": state["transformer.ln_f.weight"],
        "ln_final.b": state["transformer.ln_f.bias"],
        "unembed.W_U": state["lm_head.weight"].T,
        "unembed.b_U": np.zeros(vocab, state["lm_head.weight"].dtype),
    }
    for layer in range(_layers(state, "transformer.h.{}.ln_1.weight")):
        theirs, ours = f"blocks.{layer}.", f"transformer.h.{layer}."
        for their, our in _same(theirs, ours).items():
            lens[their] = state[our]
        weights = np.split(state[f"{ours}attn.c_attn.weight"], 3, axis=1)
        biases = np.split(state[f"{ours}attn.c_attn.bias"], 3)
        for letter, weight, bias in zip(Q_K_V, weights, biases, strict=True):
            lens[f"{theirs}attn.W_{letter}"] = weight.reshape(dim, heads, -1).swapaxes(0, 1)
            lens[f"{theirs}attn.b_{letter}"] = bias.reshape(heads, -1)
        lens[f"{theirs}attn.W_O"] = state[f"{ours}attn.c_proj.weight"].reshape(heads, -1, dim)
    return {name: np.ascontiguousarray(values) for name, values in lens.items()}


def to_gpt2(lens: "Mapping[str, Any]") -> "dict[str, Array]":
    """The parameters of `GPT2LMHeadModel` from those of TransformerLens. Raises `ValueError` where
    one is missing, or where `unembed.b_U` is not zero: GPT-2 has no such bias."""
    arrays = {name: as_array(v) for name, v in lens.items() if not name.endswith(BUFFERS)}
    try:
        if arrays.pop("unembed.b_U", np.zeros(1)).any():
            raise ValueError("`unembed.b_U` is not zero, and GPT-2 has no bias there")
        dim = arrays["embed.W_E"].shape[1]
        state = {
            "transformer.wte.weight": arrays["embed.W_E"],
            "transformer.wpe.weight": arrays["pos_embed.W_pos"],
            "transformer.ln_f.weight": arrays["ln_final.w"],
            "transformer.ln_f.bias": arrays["ln_final.b"],
            "lm_head.weight": arrays["unembed.W_U"].T,
        }
        for layer in range(_layers(arrays, "blocks.{}.ln1.w")):
            theirs, ours = f"blocks.{layer}.", f"transformer.h.{layer}."
            for their, our in _same(theirs, ours).items():
                state[our] = arrays[their]
            weights = [arrays[f"{theirs}attn.W_{letter}"] for letter in Q_K_V]
            weights = [weight.swapaxes(0, 1).reshape(dim, -1) for weight in weights]
            state[f"{ours}attn.c_attn.weight"] = np.concatenate(weights, axis=1)
            biases = [arrays[f"{theirs}attn.b_{letter}"].reshape(-1) for letter in Q_K_V]
            state[f"{ours}attn.c_attn.bias"] = np.concatenate(biases)
            state[f"{ours}attn.c_proj.weight"] = arrays[f"{theirs}attn.W_O"].reshape(-1, dim)
    except KeyError as missing:
        raise ValueError(f"the state dict has no `{missing.args[0]}`") from None
    return state


def _same(theirs: str, ours: str) -> "dict[str, str]":
    """The names in a block of what both have in one shape: theirs, ours."""
    names = {
        "ln1.w": "ln_1.weight",
        "ln1.b": "ln_1.bias",
        "ln2.w": "ln_2.weight",
        "ln2.b": "ln_2.bias",
        "attn.b_O": "attn.c_proj.bias",
        "mlp.W_in": "mlp.c_fc.weight",
        "mlp.b_in": "mlp.c_fc.bias",
        "mlp.W_out": "mlp.c_proj.weight",
        "mlp.b_out": "mlp.c_proj.bias",
    }
    return {f"{theirs}{their}": f"{ours}{our}" for their, our in names.items()}


def _layers(state: "Mapping[str, Any]", name: str) -> int:
    layer = 0
    while name.format(layer) in state:
        layer += 1
    return layer
