"""Times one training step of a plain GPT-2 decoder in PyTorch on one GPU. Prints one JSON object.

Two input positions, logits of the last one only. With `--seeds N`, N models train at once along
a leading seed axis of every tensor, each on its own batches.
"""

import argparse
import json
import statistics
import time

import torch
import torch.nn.functional as F

BETA1, BETA2, EPSILON, WEIGHT_DECAY = 0.9, 0.999, 1e-8, 0.01
POSITIONS = 2  # entity, relation
BATCHES = 8  # distinct batches on the device, taken in turn
REPEATS = 5  # timed runs of `--steps` steps; the median counts
PRECISIONS = {"f32": torch.float32, "autocast": torch.float32, "master": torch.bfloat16}


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in dict(layers=24, dim=768, heads=12, batch=64, vocab=808, seeds=1).items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=20, help=f"steps in each of {REPEATS} timed runs")
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--tied", action="store_true", help="tie the head to the token embeddings")
    parser.add_argument(
        "--variant",
        choices=["eager", "compiled", "graph", "eager-graph"],
        default="graph",
        help="graph: compiled, and the whole step one CUDA graph; eager-graph: the same, not compiled",
    )
    parser.add_argument(
        "--precision",
        choices=list(PRECISIONS),
        default="autocast",
        help="autocast: f32 weights, bf16 products; master: bf16 weights, f32 copy in the optimiser",
    )
    parser.add_argument("--scope", choices=["block", "whole"], default="block", help="what is compiled at once")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    return parser.parse_args()


# The model is functions of tensors, not modules: torch.compile then guards on shapes alone, and
# one compilation of `block` serves every layer (a few seconds, where 24 unrolled layers take a
# minute). It loses only the fusion of a residual addition with the next block's first norm.
#
# The seed axis is written out, not left to torch.func.vmap: vmap lowers to these same batched
# products, and this way dropout draws its own mask for each seed and compiles as usual.


def init(args, dtype):
    """Parameters by GPT-2's rule, each `[seeds, …]`, or without that axis for one seed."""
    dim, residual = args.dim, 0.02 / (2 * args.layers) ** 0.5
    lead = (args.seeds,) if args.seeds > 1 else ()

    def leaf(tensor):
        return tensor.to(dtype).requires_grad_()

    def normal(*shape, std=0.02):
        return leaf(std * torch.randn(*lead, *shape, device=args.device))

    def vectors(norms, biases):
        """Norm scales (ones), norm biases and biases (zeros) of a block in one leaf: one tensor
        for the optimiser where eight would each cost a launch."""
        scales = torch.ones(*lead, norms * dim, device=args.device)
        return leaf(torch.cat([scales, torch.zeros(*lead, (norms + biases) * dim, device=args.device)], -1))

    blocks = [
        [
            normal(3 * dim, dim),
            normal(dim, dim, std=residual),
            normal(4 * dim, dim),
            normal(dim, 4 * dim, std=residual),
            vectors(norms=2, biases=9),
        ]
        for _ in range(args.layers)
    ]
    ends = [normal(args.vocab, dim), normal(POSITIONS, dim), vectors(norms=1, biases=0)]
    if not args.tied:
        ends.append(normal(args.vocab, dim))
    return blocks, ends


def linear(x, weight, bias=None):
    """`x [(seeds,) batch, (positions,) in]` by `weight [(seeds,) out, in]`."""
    if x.dtype == torch.float32:
        x = x.to(weight.dtype)  # under autocast no change: it casts both
    if weight.dim() == 2:
        return F.linear(x, weight, bias)
    y = torch.bmm(x.flatten(1, -2), weight.mT).unflatten(1, x.shape[1:-1])
    return y if bias is None else y + along(bias, y).to(y.dtype)


def drop(x, rate):
    return F.dropout(x, rate) if rate else x


def along(vector, x):
    """A vector `[(seeds,) n]`, shaped to broadcast over `x [(seeds,) …, n]`."""
    return vector if vector.dim() == 1 else vector.view(len(vector), *[1] * (x.dim() - 2), -1)


def norm(x, weight, bias):
    """Layer norm in f32, as the residual stream is."""
    return F.layer_norm(x, x.shape[-1:]) * along(weight, x).float() + along(bias, x).float()


def attention(q, k, v, dropout, fused):
    """Causal attention; `q`, `k`, `v` and the result are `[…, positions, heads, dim / heads]`."""
    if not fused:
        heads_first = (t.flatten(0, -4).transpose(1, 2) for t in (q, k, v))
        mixed = F.scaled_dot_product_attention(*heads_first, dropout_p=dropout, is_causal=True)
        return mixed.transpose(1, 2).reshape(q.shape)
    # With two positions, products and sums become one fused kernel; a flash kernel has tiles of
    # 64 or more positions to fill, and cannot fuse with its neighbours.
    q, k, v = q.float(), k.float(), v.float()
    scores = (q.unsqueeze(-3) * k.unsqueeze(-4)).sum(-1) * q.shape[-1] ** -0.5
    hidden = torch.ones(q.shape[-3], q.shape[-3], dtype=torch.bool, device=q.device).triu(1)
    weights = drop(scores.masked_fill(hidden[..., None], float("-inf")).softmax(-2), dropout)
    return (weights.unsqueeze(-1) * v.unsqueeze(-4)).sum(-3)


def block(x, parameters, heads, dropout, fused):
    qkv, projection, up, down, vectors = parameters
    dim = x.shape[-1]
    sizes = [dim, dim, dim, dim, 3 * dim, dim, 4 * dim, dim]
    scale1, scale2, shift1, shift2, qkv_bias, projection_bias, up_bias, down_bias = vectors.split(sizes, -1)
    q, k, v = linear(norm(x, scale1, shift1), qkv, qkv_bias).unflatten(-1, (3, heads, -1)).unbind(-3)
    mixed = attention(q, k, v, dropout, fused).flatten(-2)
    x = x + drop(linear(mixed, projection, projection_bias), dropout)
    wide = F.gelu(linear(norm(x, scale2, shift2), up, up_bias), approximate="tanh")
    return x + drop(linear(wide, down, down_bias), dropout)


def embed(tokens, ends, dropout):
    """`[(seeds,) batch, positions, dim]` in f32."""
    wte, wpe = ends[:2]
    if wte.dim() == 3:  # one table of all the seeds' rows
        tokens = tokens + wte.shape[1] * torch.arange(len(wte), device=tokens.device).view(-1, 1, 1)
        wte, wpe = wte.flatten(0, 1), wpe.unsqueeze(1)
    return drop(F.embedding(tokens, wte).float() + wpe.float(), dropout)


def head(x, ends, targets):
    """Mean NLL over the batch, summed over the seeds: a seed's gradients are its own alone."""
    scale, shift = ends[2].chunk(2, -1)
    logits = linear(norm(x[..., -1, :], scale, shift), ends[3] if len(ends) > 3 else ends[0])
    batch = x.shape[-3]
    return F.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="sum") / batch


def adamw(weights, gradients, masters, means, squares, lr, rate, root):
    """One AdamW step in f32, rounded into `weights`; compiled, one pass over each tensor.
    `rate` is lr / (1 - β₁ᵗ) and `root` is √(1 - β₂ᵗ), both on the device."""
    for weight, gradient, master, mean, square in zip(weights, gradients, masters, means, squares):
        gradient = gradient.float()
        mean.lerp_(gradient, 1 - BETA1)
        square.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        master.mul_(1 - lr * WEIGHT_DECAY).sub_(rate * mean / (square.sqrt() / root + EPSILON))
        weight.copy_(master)


class MasterAdamW:
    """AdamW for bf16 weights, with f32 masters.

    It saves what autocast pays for each weight: a cast of the weight forward, a cast of its
    gradient backward. `torch.optim.AdamW` takes no gradients in another type than its weights.
    Blocks are updated one by one, all by the same compiled code.
    """

    def __init__(self, groups, lr, compiled):
        self.groups, self.lr = groups, lr
        self.state = []
        for group in groups:
            masters = [p.detach().float() for p in group]
            zeros = [[torch.zeros_like(p) for p in masters] for _ in range(2)]
            self.state.append(([p.detach() for p in group], masters, *zeros))
        self.step_number = torch.zeros((), device=groups[0][0].device)
        self.update = compiled(adamw)

    @torch.no_grad()
    def step(self):
        self.step_number += 1
        rate = self.lr / (1 - BETA1**self.step_number)
        root = (1 - BETA2**self.step_number).sqrt()
        for group, (weights, *state) in zip(self.groups, self.state):
            self.update(weights, [p.grad for p in group], *state, self.lr, rate, root)

    def zero_grad(self):
        for group in self.groups:
            for p in group:
                p.grad = None


def main():
    args = parse()
    cuda = args.device == "cuda"
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")  # TF32 for what stays in f32

    # Neither max-autotune (minutes of compilation; at 128 rows the products wait for memory) nor
    # reduce-overhead (a graph each for forward and backward, none for the optimiser): plain
    # inductor, and the graph below.
    uses_compiler = args.variant in ("compiled", "graph")

    def compiled(function):
        return torch.compile(function, dynamic=False, fullgraph=True) if uses_compiler else function

    blocks, ends = init(args, PRECISIONS[args.precision])
    if args.precision == "master":
        optimizer = MasterAdamW([*blocks, ends], args.lr, compiled)
    else:
        optimizer = torch.optim.AdamW(
            [p for group in [*blocks, ends] for p in group],
            lr=args.lr,
            betas=(BETA1, BETA2),
            eps=EPSILON,
            weight_decay=WEIGHT_DECAY,
            fused=True,  # a few launches for all tensors
            capturable=cuda,
        )

    # Random sentences, another draw for each seed: learning is memorising them.
    lead = (args.seeds,) if args.seeds > 1 else ()
    data = torch.randint(args.vocab, (BATCHES, *lead, args.batch, POSITIONS + 1), device=args.device)
    turn = torch.zeros(1, dtype=torch.long, device=args.device)

    run_block, run_head = block, head
    if args.scope == "block":
        run_block, run_head = compiled(block), compiled(head)

    def forward(sentences, blocks, ends):
        x = embed(sentences[..., :POSITIONS], ends, args.dropout)
        for parameters in blocks:
            x = run_block(x, parameters, args.heads, args.dropout, uses_compiler)
        return run_head(x, ends, sentences[..., POSITIONS])

    if args.scope == "whole":
        forward = compiled(forward)

    def step():
        optimizer.zero_grad()
        # A cache of casts must not outlive a capture; each weight is cast once a step anyway.
        with torch.autocast(args.device, torch.bfloat16, enabled=args.precision == "autocast", cache_enabled=False):
            loss = forward(data.index_select(0, turn % BATCHES).squeeze(0), blocks, ends)
        loss.backward()
        optimizer.step()
        turn.add_(1)  # the batch is picked on the device, so a replay needs nothing from the host
        return loss.detach()

    start = time.perf_counter()
    if not cuda:
        losses = [step() for _ in range(2)]
    else:
        stream = torch.cuda.Stream()  # as capture wants it: warmed up on a side stream
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            losses = [step() for _ in range(2)]
        torch.cuda.current_stream().wait_stream(stream)
    run = step
    if cuda and args.variant.endswith("graph"):
        # The whole step, forward to optimiser, is one launch: at 24 layers it is about a thousand
        # kernels of microseconds each, which the host could not launch as fast as they run.
        graph = torch.cuda.CUDAGraph()
        optimizer.zero_grad()
        with torch.cuda.graph(graph):
            output = step()

        def run():
            graph.replay()
            return output

        run()
    loss_first = losses[0].item()  # waits for the device
    compile_s = time.perf_counter() - start

    times = []
    for _ in range(REPEATS):
        if cuda:
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
        else:
            begin = time.perf_counter()
        for _ in range(args.steps):
            loss = run()
        if cuda:
            after.record()
            after.synchronize()
            times.append(before.elapsed_time(after) / args.steps)
        else:
            times.append(1000 * (time.perf_counter() - begin) / args.steps)

    result = {
        "framework": "pytorch",
        "variant": args.variant,
        "precision": args.precision,
        "scope": args.scope,
        "layers": args.layers,
        "dim": args.dim,
        "batch": args.batch,
        "seeds": args.seeds,
        "dropout": args.dropout,
        "tied": args.tied,
        "ms_per_seed_step": statistics.median(times) / args.seeds,
        "compile_s": compile_s,
        "loss_first": loss_first / args.seeds,
        "loss_last": loss.item() / args.seeds,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "torch": torch.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
