"""Records steps of training with torch's AdamW, from the checkpoints that `record.py` wrote.

Run as `python record_steps.py`; README.md says what it writes. Everything is on one thread of a CPU,
in double precision.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
RATES = [0.003, 0.02, 0.01]
# The tokens of each sequence, the number of the first that is trained, and its weight.
SEQUENCES = [(9, 1, 1.0), (4, 3, 2.0), (13, 6, 0.5), (2, 1, 1.0), (9, 2, 1.0)]
DECAY, CLIP = 0.1, 0.5


def record(name):
    torch.manual_seed(len(name))
    model = AutoModelForCausalLM.from_pretrained(
        HERE / name, dtype=torch.float64, attn_implementation="eager"
    )
    before = {of: parameter.detach().clone() for of, parameter in model.named_parameters()}
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": DECAY}, {"params": vectors, "weight_decay": 0.0}]
    )
    steps = []
    for rate in RATES:
        sequences, sum_of_losses, sum_of_weights = [], 0.0, 0.0
        for length, first, weight in SEQUENCES:
            tokens = torch.randint(1, 300, (length,))
            logs = model(tokens[None, :-1]).logits[0].log_softmax(-1)
            losses = -logs.gather(1, tokens[1:, None])[first - 1 :]
            sum_of_losses = sum_of_losses + weight * losses.sum()
            sum_of_weights += weight * len(losses)
            sequences.append({"tokens": tokens.tolist(), "first": first, "weight": weight})
        loss = sum_of_losses / sum_of_weights
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        steps.append({"rate": rate, "loss": loss.item(), "sequences": sequences})
    changes = {}
    for of, parameter in model.named_parameters():
        change = (parameter.detach() - before[of]).flatten()
        wave = torch.cos(torch.arange(len(change), dtype=torch.float64))
        changes[of] = [(change * change).sum().item(), (change * wave).sum().item()]
    text = {"weight_decay": DECAY, "clip": CLIP, "steps": steps, "changes": changes}
    (HERE / f"{name}_steps.json").write_text(json.dumps(text) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for case in ("gpt2", "llama", "qwen2"):
        record(case)
