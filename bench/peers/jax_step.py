"""Times one training step of a plain GPT-2 decoder in JAX, many seeds at once.

Two input positions, logits of the last one only, one jitted program with donated buffers.
Several steps to a call by `lax.scan`, or one with `--loop`; several seeds at once by `vmap`.
Prints one JSON object.
`check_jax.py` compares the decoder with the reference record.
"""

import argparse
import json
import os
import statistics
import time
from functools import partial

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from jax import lax

from shapes import BATCH, LEARNING_RATE, SENTENCE, VOCAB, WEIGHT_DECAY, add_shape_arguments

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
CHUNKS = 5  # timed calls, each a scan over a fifth of the steps


def init(key, layers: int, dim: int, vocab: int, positions: int, tied: bool) -> dict:
    """Parameters by GPT-2's rule: N(0, 0.02²), residual projections divided by √(2·layers)."""
    keys = iter(jax.random.split(key, 3 + 4 * layers))

    def normal(*shape, std=0.02):
        return std * jax.random.normal(next(keys), shape)

    def norm():
        return {"weight": jnp.ones(dim), "bias": jnp.zeros(dim)}

    def linear(inputs, outputs, std=0.02):
        return {"weight": normal(inputs, outputs, std=std), "bias": jnp.zeros(outputs)}

    residual = 0.02 / (2 * layers) ** 0.5
    params = {
        "wte": normal(vocab, dim),
        "wpe": normal(positions, dim),
        "h": [
            {
                "ln_1": norm(),
                "c_attn": linear(dim, 3 * dim),
                "attn_proj": linear(dim, dim, std=residual),
                "ln_2": norm(),
                "c_fc": linear(dim, 4 * dim),
                "mlp_proj": linear(4 * dim, dim, std=residual),
            }
            for _ in range(layers)
        ],
        "ln_f": norm(),
    }
    return params if tied else params | {"lm_head": normal(vocab, dim)}


def layer_norm(p, x):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred**2).mean(-1, keepdims=True)
    return p["weight"] * centred * lax.rsqrt(variance + 1e-5) + p["bias"]


def affine(p, x):
    return x @ p["weight"] + p["bias"]


def attention(block, x, heads):
    batch, positions, dim = x.shape
    qkv = affine(block["c_attn"], x).reshape(batch, positions, 3, heads, dim // heads)
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / (dim // heads) ** 0.5
    seen = jnp.tril(jnp.ones((positions, positions), bool))
    weights = jax.nn.softmax(jnp.where(seen, scores, -jnp.inf))
    mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, v).reshape(batch, positions, dim)
    return affine(block["attn_proj"], mixed)


def logits(params, inputs, heads: int, scored: int):
    """`[batch, scored, vocab]`: the logits at the last `scored` positions of `inputs`."""
    x = params["wte"][inputs] + params["wpe"][: inputs.shape[1]]
    for block in params["h"]:
        x = x + attention(block, layer_norm(block["ln_1"], x), heads)
        hidden = jax.nn.gelu(affine(block["c_fc"], layer_norm(block["ln_2"], x)), approximate=True)
        x = x + affine(block["mlp_proj"], hidden)
    x = layer_norm(params["ln_f"], x[:, -scored:])
    return x @ params.get("lm_head", params["wte"]).T


def loss(params, tokens, heads: int, scored: int = 1):
    """Mean NLL of the last `scored` tokens of each sentence."""
    log_p = jax.nn.log_softmax(logits(params, tokens[:, :-1], heads, scored))
    return -jnp.take_along_axis(log_p, tokens[:, -scored:, None], axis=-1).mean()


def adamw_state(params) -> dict:
    return {
        "params": params,
        "mean": jax.tree.map(jnp.zeros_like, params),
        "square": jax.tree.map(jnp.zeros_like, params),
        "step": jnp.zeros((), jnp.int32),
    }


def adamw_step(state, gradient, lr: float, weight_decay: float) -> dict:
    step = state["step"] + 1
    mean = jax.tree.map(lambda m, g: BETA1 * m + (1 - BETA1) * g, state["mean"], gradient)
    square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, state["square"], gradient)
    correction1, correction2 = 1 - BETA1**step, 1 - BETA2**step

    def update(p, m, v):
        direction = m / correction1 / (jnp.sqrt(v / correction2) + EPSILON)
        return p - lr * (direction + weight_decay * p)

    params = jax.tree.map(update, state["params"], mean, square)
    return {"params": params, "mean": mean, "square": square, "step": step}


def train(state, tokens, heads: int, steps: int, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, scored=1):
    """`steps` AdamW steps on one batch; the state after them and the loss before each."""

    def step(state, _):
        value, gradient = jax.value_and_grad(loss)(state["params"], tokens, heads, scored)
        return adamw_step(state, gradient, lr, weight_decay), value

    return lax.scan(step, state, length=steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_shape_arguments(parser)
    parser.add_argument("--seeds", type=int, default=10, help="trained at once, by vmap")
    parser.add_argument("--loop", action="store_true", help="call each step from Python")
    args = parser.parse_args()

    def start(key):
        return adamw_state(init(key, args.layers, args.dim, VOCAB, SENTENCE - 1, args.tied))

    def batch(key):
        return jax.random.randint(key, (BATCH, SENTENCE), 0, VOCAB)

    scan = 1 if args.loop else max(1, args.steps // CHUNKS)
    run = partial(train, heads=args.heads, steps=scan)
    if args.seeds == 1:
        keys = jax.random.key(0)
    else:
        keys = jax.random.split(jax.random.key(0), args.seeds)
        start, batch, run = jax.vmap(start), jax.vmap(batch), jax.vmap(run)
    run = jax.jit(run, donate_argnums=0)

    state, tokens = jax.jit(start)(keys), batch(keys)
    state, losses = jax.block_until_ready(run(state, tokens))  # compiles, and warms up
    times = []
    for _ in range(args.steps if args.loop else CHUNKS):
        begin = time.perf_counter()
        state, losses = jax.block_until_ready(run(state, tokens))
        times.append(1000 * (time.perf_counter() - begin) / scan)

    ms = statistics.median(times)
    result = {
        "ms_per_step": ms,
        "ms_per_seed_step": ms / args.seeds,
        "loss": float(losses[..., -1].mean()),
        "jax": jax.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
