"""Checks that transformers reads saved models as they are: `python check_saved.py FOLDER…`.

The test `saves` of `tests/tune.rs` writes the folders, each with the log probabilities that it should
have.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

for folder in map(Path, sys.argv[1:]):
    model, loading = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(loading.values()), (folder, loading)
    assert model.dtype == torch.float32, (folder, model.dtype)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for line in json.loads((folder / "scores.json").read_text()):
        encoding = tokenizer(line["prompt"] + line["answer"], return_offsets_mapping=True)
        ids, offsets = encoding["input_ids"], encoding["offset_mapping"]
        first = next(i for i, (_, end) in enumerate(offsets) if end > len(line["prompt"]))
        with torch.no_grad():
            logs = model(torch.tensor([ids])).logits.log_softmax(-1)[0]
        total = sum(logs[i - 1, ids[i]].item() for i in range(first, len(ids)))
        ours = line["log_probability"]
        print(f"{folder} {model.config.architectures}: {total:.6f}, ours {ours:.6f}")
        assert abs(total - ours) < 1e-4 * abs(ours), (folder, line, total)
