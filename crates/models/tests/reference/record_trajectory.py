"""Records 200 steps of training in PyTorch, in f64 and in f32, for our trainer to follow.

Run as `python record_trajectory.py`; it writes `trajectory.safetensors` beside itself.
README.md says what the file holds. The models are those of `record_gpt2.py`.
"""

from dataclasses import asdict

import torch
from record_gpt2 import ADAMW, Case, be_reproducible, build, snapshot, train, write

STEPS = 200
RATE = 3e-3  # the loss then comes down to 0.05 just before the end
FORWARD, BACKWARD = 0, 1  # the relation tokens

# The training sentences of `retrodict data reversal --vocab-size 40`: seven pairs are trained in
# both directions, three in one.
BOTH_WAYS = [(33, 12), (23, 9), (6, 36), (41, 5), (19, 8), (3, 2), (10, 4)]
ONE_WAY = [(22, 31), (16, 20), (15, 29)]
VOCAB = 42
SENTENCES = [
    sentence
    for x, y in BOTH_WAYS
    for sentence in ([x, FORWARD, y], [y, BACKWARD, x])
] + [[x, FORWARD, y] for x, y in ONE_WAY]  # fmt: skip

CASES = [
    Case(position, False, 2, 2, 12, VOCAB, positions=2, batch=len(SENTENCES), sentence=3,
         scored=1, seed=1, position=position, rotated=rotated)
    for position, rotated in [("absolute", 0), ("none", 0), ("rotary", 6)]
]  # fmt: skip


def record(case: Case) -> dict:
    model = build(case).float()  # rounded, so that both precisions start from the same numbers
    initial = snapshot(model)
    tokens = torch.tensor(SENTENCES)
    arrays = {"tokens": tokens}
    arrays |= {f"initial/{name}": value for name, value in initial.items()}
    for name, dtype in {"f32": torch.float32, "f64": torch.float64}.items():
        model.to(dtype).load_state_dict(initial)
        losses = train(case, model, tokens, "adamw", STEPS, lr=RATE)
        assert losses.dtype == dtype, f"{case.name}: losses are {losses.dtype}"
        arrays[f"{name}/losses"] = losses
        print(case.name, name, f"{losses[0]:.3f} → {losses[-1]:.3f}")
    return {f"{case.name}/{name}": array.contiguous() for name, array in arrays.items()}


def main():
    be_reproducible()
    arrays = {}
    for case in CASES:
        arrays |= record(case)
    about = {
        "steps": STEPS,
        "adamw": ADAMW | {"lr": RATE},
        "cases": [asdict(case) for case in CASES],
    }
    write("trajectory.safetensors", arrays, about)


if __name__ == "__main__":
    main()
