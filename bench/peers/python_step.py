"""Times one training step of retrodict from Python: a loop over `Trainer.step(batch)`.

Each seed has a trainer; as many threads as cores make their steps, which release the
interpreter lock. One seed has all cores to itself. With `--own-order` each step takes the next
batch of the run instead of an array. Prints one JSON object, with the cost of a call from Python:
the difference to the same steps in one call.
"""

import argparse
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import retrodict

from shapes import BATCH, LEARNING_RATE, SENTENCE, VOCAB, WEIGHT_DECAY, add_shape_arguments

CALLS = 500
ROUNDS = 60
# Steps of so small a model vary by less than a call costs.
TINY = {
    "data__vocab_size": 8,
    "train__batch_size": "full",
    "model__layers": 1,
    "model__dim": 4,
    "model__heads": 1,
}


def cost_of_a_call() -> dict:
    """Microseconds that a step called from Python takes above one of many in a call: the least of
    all rounds, and the median over rounds."""
    trainer = retrodict.Trainer(retrodict.Spec.ready("reversal-quick").set(**TINY))
    batch = trainer.sentences
    trainer.steps(CALLS)

    def timed(work) -> float:
        start = time.perf_counter()
        work()
        return 1e6 * (time.perf_counter() - start) / CALLS

    ways = {"step()": trainer.step, "step(batch)": lambda: trainer.step(batch)}
    times = {name: [] for name in ["steps", *ways]}
    for _ in range(ROUNDS):
        times["steps"].append(timed(lambda: trainer.steps(CALLS)))
        for name, step in ways.items():
            times[name].append(timed(lambda: [step() for _ in range(CALLS)]))
    return {
        name: {
            "least": min(times[name]) - min(times["steps"]),
            "median": statistics.median(a - b for a, b in zip(times[name], times["steps"])),
        }
        for name in ways
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_shape_arguments(parser)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--own-order", action="store_true", help="batches of the run, no arrays")
    parser.add_argument("--calls", action="store_true", help="also measure the cost of a call")
    args = parser.parse_args()

    spec = retrodict.Spec.ready("reversal-quick").set(
        data__vocab_size=VOCAB - 2,
        model__layers=args.layers,
        model__dim=args.dim,
        model__heads=args.heads,
        model__dropout=0,
        model__tie_head=args.tied,
        train__lr=LEARNING_RATE,
        train__weight_decay=WEIGHT_DECAY,
        train__batch_size=BATCH,
    )
    assert spec.vocab == VOCAB
    threads = args.threads if args.seeds == 1 else 1
    trainers = [retrodict.Trainer(spec, seed, threads=threads) for seed in range(args.seeds)]
    batch = np.random.default_rng(0).integers(VOCAB, size=(BATCH, SENTENCE))

    def train(trainer, steps):
        for _ in range(steps):
            loss = trainer.step() if args.own_order else trainer.step(batch)
        return loss

    with ThreadPoolExecutor(args.threads if args.seeds > 1 else 1) as pool:
        list(pool.map(train, trainers, [2 + args.steps // 10] * args.seeds))
        start = time.perf_counter()
        losses = list(pool.map(train, trainers, [args.steps] * args.seeds))
        ms = 1000 * (time.perf_counter() - start) / (args.seeds * args.steps)
    result = {"ms_per_seed_step": ms, "loss": losses[0], "retrodict": retrodict.__version__}
    if args.calls:
        result["us_per_call"] = cost_of_a_call()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
