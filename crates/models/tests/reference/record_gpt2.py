"""Records what Hugging Face's GPT2LMHeadModel computes, for our decoder to meet.

Run as `python record_gpt2.py`; it writes `gpt2.safetensors` beside itself.
README.md says what the file holds. Everything is f64 on one thread of a CPU.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel

STEPS = 10
ROTARY_BASE = 10_000.0
INIT_STD = 0.2  # ten times GPT-2's, so that attention, GELU and LayerNorm are far from linear

ADAMW = dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
OPTIMIZERS = {
    "adamw": (torch.optim.AdamW, ADAMW),
    "adam": (torch.optim.Adam, ADAMW),
    "sgd": (torch.optim.SGD, dict(lr=0.1, weight_decay=0.01)),
}


@dataclass(frozen=True)
class Case:
    name: str
    tie_head: bool
    layers: int
    heads: int
    dim: int
    vocab: int
    positions: int
    batch: int
    sentence: int  # tokens in a sentence
    scored: int  # the loss is on the last this many tokens
    seed: int
    optimizers: tuple = ("adamw",)
    position: str = "absolute"  # or none, or rotary
    rotated: int = 0  # features of each head that are rotated


CASES = [
    Case("tied", True, 2, 3, 9, 13, 8, batch=6, sentence=3, scored=1, seed=1),
    Case("free", False, 2, 3, 9, 13, 8, batch=6, sentence=3, scored=1, seed=2,
         optimizers=("adamw", "adam", "sgd")),
    Case("sequence", False, 1, 4, 20, 23, 8, batch=5, sentence=6, scored=5, seed=3),
    Case("entity2", False, 2, 2, 6, 11, 8, batch=6, sentence=5, scored=2, seed=4),
    Case("none", False, 2, 2, 6, 11, 8, batch=6, sentence=5, scored=1, seed=5, position="none"),
    # Nine features a head, half of which is rounded down to two pairs.
    Case("rotary", False, 1, 2, 18, 11, 8, batch=6, sentence=7, scored=2, seed=6,
         position="rotary", rotated=4),
]  # fmt: skip


class NoPositions(torch.nn.Module):
    """Stands in for the table of positions: adds zero and has no parameter."""

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        return torch.zeros((), dtype=torch.float64)


def rotate(case: Case, x: torch.Tensor) -> torch.Tensor:
    """Turns neighbouring features of each head, as complex numbers; x is [batch, position, dim]."""
    position = torch.arange(x.shape[1], dtype=torch.float64)
    pair = torch.arange(case.rotated // 2, dtype=torch.float64)
    angle = position[:, None] * ROTARY_BASE ** (-2 * pair / case.rotated)
    heads = x.unflatten(-1, (case.heads, -1))
    turned, rest = heads[..., : case.rotated], heads[..., case.rotated :]
    turned = torch.view_as_complex(turned.unflatten(-1, (-1, 2)).contiguous())
    turn = torch.polar(torch.ones_like(angle), angle).to(turned.dtype)
    turned = turned * turn[:, None]
    return torch.cat((torch.view_as_real(turned).flatten(-2), rest), dim=-1).flatten(-2)


def rotate_queries_and_keys(case: Case, model: GPT2LMHeadModel):
    def hook(module, inputs, qkv):
        q, k, v = qkv.split(case.dim, dim=-1)
        return torch.cat((rotate(case, q), rotate(case, k), v), dim=-1)

    for block in model.transformer.h:
        block.attn.c_attn.register_forward_hook(hook)


def build(case: Case) -> GPT2LMHeadModel:
    """The model with every parameter drawn anew: nothing is zero, or one, by construction."""
    config = GPT2Config(
        vocab_size=case.vocab,
        n_positions=case.positions,
        n_embd=case.dim,
        n_layer=case.layers,
        n_head=case.heads,
        activation_function="gelu_new",
        layer_norm_epsilon=1e-5,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=case.tie_head,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).double().train()
    if case.position != "absolute":
        model.transformer.wpe = NoPositions()
    if case.position == "rotary":
        rotate_queries_and_keys(case, model)
    model.loss_type = "ForCausalLM"  # the default, named to silence a warning
    tied = model.lm_head.weight is model.transformer.wte.weight
    assert tied == case.tie_head, f"{case.name}: the head is {'tied' if tied else 'free'}"
    draw = torch.Generator().manual_seed(case.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=draw, dtype=torch.float64)
            is_scale = ".ln_" in name and name.endswith("weight")
            parameter.copy_(INIT_STD * noise + (1.0 if is_scale else 0.0))
    return model


def loss_of(case: Case, logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Mean NLL over the scored tokens; `transformers` rounds its own loss to f32, so not that."""
    predicted = logits[:, -case.scored :].reshape(-1, case.vocab)
    return F.cross_entropy(predicted, tokens[:, -case.scored :].reshape(-1))


def check_against_labels(case: Case, model: GPT2LMHeadModel, tokens: torch.Tensor, loss: float):
    """The library's loss, with labels of -100 where nothing is scored, is the same number."""
    labels = tokens.clone()
    labels[:, : -case.scored] = -100
    theirs = model(input_ids=tokens, labels=labels).loss.item()
    assert abs(theirs - loss) < 1e-6, f"{case.name}: {loss} here, {theirs} by labels"


def snapshot(model: GPT2LMHeadModel) -> dict:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def train(case: Case, model, tokens: torch.Tensor, kind: str, steps: int, **changed):
    """The loss before each of these steps on one batch, with some options changed."""
    make, options = OPTIMIZERS[kind]
    extra = {} if kind == "sgd" else {"fused": False}
    optimizer = make(model.parameters(), foreach=False, **extra, **options | changed)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(case, model(input_ids=tokens[:, :-1]).logits, tokens)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def record(case: Case) -> dict:
    model = build(case)
    initial = snapshot(model)
    draw = torch.Generator().manual_seed(1000 + case.seed)
    tokens = torch.randint(case.vocab, (case.batch, case.sentence), generator=draw)

    logits = model(input_ids=tokens[:, :-1]).logits
    loss = loss_of(case, logits, tokens)
    loss.backward()
    check_against_labels(case, model, tokens, loss.item())

    arrays = {"tokens": tokens, "logits": logits.detach(), "loss": loss.detach()}
    arrays |= {f"initial/{name}": value for name, value in initial.items()}
    arrays |= {f"gradient/{name}": p.grad.clone() for name, p in model.named_parameters()}

    for kind in case.optimizers:
        model.load_state_dict(initial, strict=False)  # strict would ask for the tied head twice
        arrays[f"{kind}/losses"] = train(case, model, tokens, kind, STEPS)
        arrays |= {f"{kind}/{name}": value for name, value in snapshot(model).items()}

    for name, array in arrays.items():
        expected = torch.int64 if name == "tokens" else torch.float64
        assert array.dtype == expected, f"{case.name}/{name} is {array.dtype}"
    return {f"{case.name}/{name}": array.contiguous() for name, array in arrays.items()}


def write(name: str, arrays: dict, about: dict):
    """Writes a record beside this script."""
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    path = Path(__file__).with_name(name)
    # One metadata key only: the writer puts several in a different order every time.
    save_file(arrays, path, {"record": json.dumps({"recorded_by": versions} | about)})
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1024:.0f} KiB")


def be_reproducible():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)


def main():
    be_reproducible()
    arrays = {}
    for case in CASES:
        arrays |= record(case)
    about = {
        "steps": STEPS,
        "optimizers": {kind: options for kind, (_, options) in OPTIMIZERS.items()},
        "cases": [asdict(case) for case in CASES],
    }
    write("gpt2.safetensors", arrays, about)


if __name__ == "__main__":
    main()
