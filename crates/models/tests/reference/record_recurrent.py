"""Records a decoder whose mixer is `torch.nn.LSTM` or `torch.nn.GRU`, for ours to meet.

Run as `python record_recurrent.py`; it writes `recurrent.safetensors` beside itself.
README.md says what the file holds. Everything is f64 on one thread of a CPU.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

DIM, VOCAB, POSITIONS, BATCH, SENTENCE = 6, 11, 5, 7, 5
STEPS = 10
INIT_STD = 0.3  # far from linear, and no bias is zero
LION = dict(lr=0.01, betas=(0.9, 0.99), weight_decay=0.01)
CLIPPED = dict(lr=0.01, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.5, max_norm=0.5)


class Model(nn.Module):
    """GPT-2 with one block, the recurrence in place of attention."""

    def __init__(self, mixer: type[nn.Module]):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB, DIM), nn.Embedding(POSITIONS, DIM)
        self.ln_1, self.ln_2, self.ln_f = (nn.LayerNorm(DIM) for _ in range(3))
        self.mixer, self.out = mixer(DIM, DIM, batch_first=True), nn.Linear(DIM, DIM)
        self.fc, self.proj = nn.Linear(DIM, 4 * DIM), nn.Linear(4 * DIM, DIM)
        self.head = nn.Linear(DIM, VOCAB, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        x = x + self.out(self.mixer(self.ln_1(x))[0])
        x = x + self.proj(F.gelu(self.fc(self.ln_2(x)), approximate="tanh"))
        return self.head(self.ln_f(x))


def loss_of(model: Model, tokens: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(tokens[:, :-1])[:, -1], tokens[:, -1])


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. (2023)."""

    def __init__(self, parameters, lr, betas, weight_decay):
        super().__init__(parameters, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            rate, (b1, b2), decay = group["lr"], group["betas"], group["weight_decay"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                update = (b1 * m + (1 - b1) * p.grad).sign()
                p.sub_(rate * (update + decay * p))
                m.mul_(b2).add_((1 - b2) * p.grad)


def clipped_adamw(model: Model) -> torch.optim.Optimizer:
    """AdamW in the usual two groups: matrices decay, biases and norms do not."""
    options = {key: value for key, value in CLIPPED.items() if key != "max_norm"}
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() > 1]},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, foreach=False, fused=False, **options)


def names(kind: str) -> dict:
    """Our name of each parameter, and whether ours is the transpose."""
    block, mixer = "transformer.h.0", f"transformer.h.0.{kind}"
    named = {"wte.weight": ("transformer.wte.weight", False),
             "wpe.weight": ("transformer.wpe.weight", False),
             "head.weight": ("lm_head.weight", False)}  # fmt: skip
    for theirs, ours in {"ln_1": f"{block}.ln_1", "ln_2": f"{block}.ln_2",
                         "ln_f": "transformer.ln_f", "out": f"{block}.attn.c_proj",
                         "fc": f"{block}.mlp.c_fc", "proj": f"{block}.mlp.c_proj"}.items():  # fmt: skip
        named |= {f"{theirs}.{part}": (f"{ours}.{part}", True) for part in ("weight", "bias")}
    for theirs, ours in {"ih": f"{mixer}.input", "hh": f"{mixer}.state"}.items():
        named |= {f"mixer.{part}_{theirs}_l0": (f"{ours}.{part}", True) for part in ("weight", "bias")}
    return named


def ours(kind: str, arrays: dict) -> dict:
    """Arrays under our names, in our layout."""
    renamed = {}
    for theirs, (name, transposed) in names(kind).items():
        array = arrays[theirs].detach().clone()
        renamed[name] = array.T.contiguous() if transposed and array.dim() == 2 else array
    assert len(renamed) == len(arrays)
    return renamed


def record(kind: str, mixer: type[nn.Module], seed: int) -> dict:
    draw = torch.Generator().manual_seed(seed)
    model = Model(mixer).double()
    with torch.no_grad():
        for name, p in model.named_parameters():
            gain = name.startswith("ln_") and name.endswith("weight")
            p.copy_(INIT_STD * torch.randn(p.shape, generator=draw, dtype=p.dtype) + float(gain))
    tokens = torch.randint(VOCAB, (BATCH, SENTENCE), generator=draw)
    initial = {name: p.detach().clone() for name, p in model.named_parameters()}
    loss = loss_of(model, tokens)
    loss.backward()
    gradient = {name: p.grad for name, p in model.named_parameters()}
    arrays = {"tokens": tokens, "logits": model(tokens[:, :-1]).detach(), "loss": loss.detach()}
    arrays |= {f"initial/{name}": value for name, value in ours(kind, initial).items()}
    arrays |= {f"gradient/{name}": value for name, value in ours(kind, gradient).items()}
    for what in ("lion", "clipped"):
        model.load_state_dict(initial)
        optimizer = Lion(model.parameters(), **LION) if what == "lion" else clipped_adamw(model)
        losses, norms = [], []
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(model, tokens)
            loss.backward()
            if what == "clipped":
                norms.append(nn.utils.clip_grad_norm_(model.parameters(), CLIPPED["max_norm"]))
            optimizer.step()
            losses.append(loss.detach())
        arrays[f"{what}/losses"] = torch.stack(losses)
        print(kind, what, [round(float(x), 3) for x in losses], [round(float(x), 2) for x in norms])
        after = ours(kind, dict(model.named_parameters()))
        arrays |= {f"{what}/{name}": value for name, value in after.items()}
    return {f"{kind}/{name}": array.contiguous() for name, array in arrays.items()}


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    arrays = record("lstm", nn.LSTM, 1) | record("gru", nn.GRU, 2)
    about = {"recorded_by": {"torch": torch.__version__}, "steps": STEPS, "lion": LION,
             "clipped": CLIPPED}  # fmt: skip
    path = Path(__file__).with_name("recurrent.safetensors")
    save_file(arrays, path, {"record": json.dumps(about)})
    print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
