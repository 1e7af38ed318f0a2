"""Times one training step of Hugging Face's GPT-2 in PyTorch, as the paper's code takes it.

All three tokens of a sentence go in, the labels are masked to the last one, and the
optimiser is `torch.optim.AdamW` as it comes. Prints one JSON object.
"""

import argparse
import json
import statistics
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from shapes import BATCH, LEARNING_RATE, SENTENCE, VOCAB, WEIGHT_DECAY, add_shape_arguments


def build(args) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=VOCAB,
        n_positions=SENTENCE,
        n_embd=args.dim,
        n_layer=args.layers,
        n_head=args.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=args.tied,
        use_cache=False,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = GPT2LMHeadModel(config).train()
    model.loss_type = "ForCausalLM"  # the default, named to silence a warning
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_shape_arguments(parser)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)

    model = build(args)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    tokens = torch.randint(VOCAB, (BATCH, SENTENCE))
    labels = tokens.clone()
    labels[:, :-1] = -100

    def step():
        loss = model(input_ids=tokens, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    for _ in range(2 + args.steps // 10):
        step()
    times = []
    for _ in range(args.steps):
        start = time.perf_counter()
        loss = step()
        times.append(1000 * (time.perf_counter() - start))

    # One process trains one seed, so ten seeds take ten times as long.
    ms = statistics.median(times)
    result = {"ms_per_step": ms, "ms_per_seed_step": ms, "loss": loss, "torch": torch.__version__}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
