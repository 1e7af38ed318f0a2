"""Holds the JAX decoder against the reference record of Hugging Face's GPT-2, in f64.

The loss, every gradient, and ten AdamW steps, for every case of
`crates/models/tests/reference/gpt2.safetensors`.
"""

import json
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp
import numpy as np
from safetensors import safe_open

import jax_step

RECORD = Path(__file__).parents[2] / "crates/models/tests/reference/gpt2.safetensors"
TOLERANCE = 1e-9


def parameters(arrays: dict, prefix: str, layers: int) -> dict:
    """The arrays under `prefix`, by their Hugging Face names, in the JAX model's tree."""

    def get(name):
        return jnp.asarray(arrays[f"{prefix}/{name}"])

    def pair(name):
        return {"weight": get(f"{name}.weight"), "bias": get(f"{name}.bias")}

    tree = {
        "wte": get("transformer.wte.weight"),
        "wpe": get("transformer.wpe.weight"),
        "h": [
            {
                "ln_1": pair(f"transformer.h.{i}.ln_1"),
                "c_attn": pair(f"transformer.h.{i}.attn.c_attn"),
                "attn_proj": pair(f"transformer.h.{i}.attn.c_proj"),
                "ln_2": pair(f"transformer.h.{i}.ln_2"),
                "c_fc": pair(f"transformer.h.{i}.mlp.c_fc"),
                "mlp_proj": pair(f"transformer.h.{i}.mlp.c_proj"),
            }
            for i in range(layers)
        ],
        "ln_f": pair("transformer.ln_f"),
    }
    is_free = f"{prefix}/lm_head.weight" in arrays
    return tree | {"lm_head": get("lm_head.weight")} if is_free else tree


def largest_difference(ours, theirs) -> float:
    differences = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), ours, theirs)
    return float(max(jax.tree.leaves(differences)))


def main():
    with safe_open(RECORD, "numpy") as record:
        about = json.loads(record.metadata()["record"])
        arrays = {name: record.get_tensor(name) for name in record.keys()}

    worst = 0.0
    for case in about["cases"]:
        name, layers, heads, scored = (case[k] for k in ("name", "layers", "heads", "scored"))
        tokens = jnp.asarray(arrays[f"{name}/tokens"])
        initial = parameters(arrays, f"{name}/initial", layers)
        loss, gradient = jax.value_and_grad(jax_step.loss)(initial, tokens, heads, scored)
        state, losses = jax_step.train(
            jax_step.adamw_state(initial), tokens, heads, about["steps"],
            lr=about["optimizers"]["adamw"]["lr"],
            weight_decay=about["optimizers"]["adamw"]["weight_decay"],
            scored=scored,
        )  # fmt: skip
        differences = {
            "loss": abs(float(loss) - float(arrays[f"{name}/loss"])),
            "gradients": largest_difference(gradient, parameters(arrays, f"{name}/gradient", layers)),
            "losses of ten steps": float(np.abs(losses - arrays[f"{name}/adamw/losses"]).max()),
            "parameters after": largest_difference(
                state["params"], parameters(arrays, f"{name}/adamw", layers)
            ),
        }
        print(name, ", ".join(f"{what} {value:.1e}" for what, value in differences.items()))
        worst = max(worst, *differences.values())

    if not worst < TOLERANCE:
        raise SystemExit(f"the JAX decoder is off the record by {worst:.1e}, allowed {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
