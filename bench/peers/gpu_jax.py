"""Times one training step of a plain GPT-2 decoder in JAX on one GPU. Prints one JSON object.

Two input positions, logits of the last one only; matrix products in bf16, everything else f32.
`--steps` steps to a call by `lax.scan`; with `--seeds N`, N models train at once by `vmap`.
"""

import argparse
import json
import os
import statistics
import time


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in dict(layers=24, dim=768, heads=12, batch=64, vocab=808, seeds=1).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=20, help=f"steps in each of {REPEATS} timed calls")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--tied", action="store_true", help="tie the head to the token embeddings")
    parser.add_argument(
        "--precision",
        choices=["f32", "cast", "master"],
        default="master",
        help="cast: f32 gradients of f32 weights, cast in the loss; master: bf16 weights beside f32 masters",
    )
    parser.add_argument("--scan-layers", action="store_true", help="loop over the layers: far less to compile")
    parser.add_argument("--no-triton-gemm", action="store_true", help="cuBLAS products alone: far less to autotune")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    return parser.parse_args()


REPEATS = 5  # timed calls; the median counts
BATCHES = 8  # distinct batches on the device, taken in turn
POSITIONS = 2  # entity, relation
WEIGHT_DECAY = 0.01

args = parse()
# Set before JAX starts; `jax_step` would choose the CPU.
os.environ["JAX_PLATFORMS"] = args.device
if args.no_triton_gemm:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_enable_triton_gemm=false"

import jax
import jax.numpy as jnp
from jax import lax

from jax_step import adamw_state, adamw_step, init, layer_norm

# The GPU's own generator: threefry, the default, is some hundred instructions for each dropout bit.
jax.config.update("jax_default_prng_impl", "rbg")
# TF32 for what stays in f32, as in gpu_pytorch.py.
jax.config.update("jax_default_matmul_precision", "tensorfloat32" if args.device == "cuda" else "float32")

COMPUTE = jnp.float32 if args.precision == "f32" else jnp.bfloat16


def cast(params):
    return jax.tree.map(lambda p: p.astype(COMPUTE), params)


def drop(key, x):
    if args.dropout == 0:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - args.dropout, x.shape), x / (1 - args.dropout), 0)


def affine(p, x):
    return x.astype(COMPUTE) @ p["weight"] + p["bias"]


def attention(block, x, key):
    """Causal attention by products and sums, which XLA fuses: at two positions a batched matrix
    product of 2 x 64 by 64 x 2 only adds launches and transposes."""
    batch, positions, dim = x.shape
    qkv = affine(block["c_attn"], x).astype(jnp.float32).reshape(batch, positions, 3, args.heads, -1)
    q, k, v = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
    scores = (q[:, :, None] * k[:, None]).sum(-1) / q.shape[-1] ** 0.5  # [batch, to, from, heads]
    seen = jnp.tril(jnp.ones((positions, positions), bool))[..., None]
    weights = drop(key, jax.nn.softmax(jnp.where(seen, scores, -jnp.inf), axis=2))
    mixed = (weights[..., None] * v[:, None]).sum(2).reshape(batch, positions, dim)
    return affine(block["attn_proj"], mixed)


def decoder_block(block, x, keys):
    x = x + drop(keys[0], attention(block, layer_norm(block["ln_1"], x), keys[1]).astype(jnp.float32))
    hidden = jax.nn.gelu(affine(block["c_fc"], layer_norm(block["ln_2"], x)), approximate=True)
    return x + drop(keys[2], affine(block["mlp_proj"], hidden).astype(jnp.float32))


def loss(params, sentences, key):
    """Mean NLL of the last token. `params` are of type `COMPUTE`, the residual stream is f32."""
    inputs, targets = sentences[:, :POSITIONS], sentences[:, POSITIONS]
    keys = jax.random.split(key, (args.layers + 1, 3))
    x = params["wte"][inputs].astype(jnp.float32) + params["wpe"].astype(jnp.float32)
    x = drop(keys[-1, 0], x)
    if args.scan_layers:
        x, _ = lax.scan(lambda x, layer: (decoder_block(layer[0], x, layer[1]), None), x, (params["h"], keys[:-1]))
    else:
        for block, block_keys in zip(params["h"], keys):
            x = decoder_block(block, x, block_keys)
    x = layer_norm(params["ln_f"], x[:, -1]).astype(COMPUTE)
    logits = (x @ params.get("lm_head", params["wte"]).T).astype(jnp.float32)
    log_p = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(log_p, targets[:, None], axis=-1).mean()


def start(key):
    """The state of one seed: f32 parameters and AdamW's moments, and the weights that the
    products use. The update writes those in the same pass as the masters, and the gradients are
    of their type: a cast in the loss would read and write every weight twice more a step."""
    params = init(key, args.layers, args.dim, args.vocab, POSITIONS, args.tied)
    if args.scan_layers:
        params["h"] = jax.tree.map(lambda *layers: jnp.stack(layers), *params["h"])
    state = adamw_state(params) | {"key": jax.random.fold_in(key, 1)}
    return state | {"weights": cast(params)} if args.precision == "master" else state


def train(state, data):
    """`--steps` AdamW steps; the state after them and the loss before each."""

    def step(state, _):
        key = jax.random.fold_in(state["key"], state["step"])
        sentences = data[state["step"] % BATCHES]
        if args.precision == "master":
            value, gradient = jax.value_and_grad(loss)(state["weights"], sentences, key)
        else:
            value, gradient = jax.value_and_grad(lambda p: loss(cast(p), sentences, key))(state["params"])
        gradient = jax.tree.map(lambda g: g.astype(jnp.float32), gradient)
        after = adamw_step(state, gradient, args.lr, WEIGHT_DECAY) | {"key": state["key"]}
        if args.precision == "master":
            after["weights"] = cast(after["params"])
        return after, value

    # A scan keeps the host out of the loop and lets XLA record the step's launches as a graph.
    return lax.scan(step, state, length=args.steps)


def main():
    def batches(key):
        return jax.random.randint(key, (BATCHES, args.batch, POSITIONS + 1), 0, args.vocab)

    run, begin, draw, keys = train, start, batches, jax.random.key(0)
    if args.seeds > 1:
        keys = jax.random.split(keys, args.seeds)
        # vmap turns the products into batched ones, and every other kernel serves all seeds.
        run, begin, draw = jax.vmap(train), jax.vmap(start), jax.vmap(batches)

    state, data = jax.jit(begin)(keys), jax.jit(draw)(keys)
    jax.block_until_ready((state, data))

    clock = time.perf_counter()
    # Donated: the new state takes the old one's memory.
    run = jax.jit(run, donate_argnums=0).lower(state, data).compile()
    compile_s = time.perf_counter() - clock
    state, losses = jax.block_until_ready(run(state, data))  # warms up
    loss_first = float(losses[..., 0].mean())

    times = []
    for _ in range(REPEATS):
        clock = time.perf_counter()
        state, losses = jax.block_until_ready(run(state, data))
        times.append(1000 * (time.perf_counter() - clock) / args.steps)

    result = {
        "framework": "jax",
        "variant": "scan-layers" if args.scan_layers else "unrolled",
        "precision": args.precision,
        "layers": args.layers,
        "dim": args.dim,
        "batch": args.batch,
        "seeds": args.seeds,
        "dropout": args.dropout,
        "tied": args.tied,
        "ms_per_seed_step": statistics.median(times) / args.seeds,
        "compile_s": compile_s,
        "loss_first": loss_first,
        "loss_last": float(losses[..., -1].mean()),
        "device": jax.devices()[0].device_kind,
        "jax": jax.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
