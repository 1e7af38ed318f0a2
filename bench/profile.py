"""Prints where the time of a training step goes, for the shapes of the table beside the peers.

Each kind of operation stands beside its floor: the greater of its FLOPs over the rate of fused
multiply-adds in registers, and its bytes over the bandwidth of a buffer as large as what the
step works on, both measured in the same process. One run alone, tied head, dropout 0, as many
threads as each run has in the table. The least of several rounds is taken for each operation.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))

from shapes import SHAPES  # noqa: E402


def measure(binary: Path, shape, threads: int, more: list[str]) -> dict:
    settings = {
        "model.layers": shape.layers,
        "model.dim": shape.dim,
        "model.heads": shape.heads,
        "model.dropout": 0,
        "model.tie_head": "true",
    }
    sets = [f"--set={key}={value}" for key, value in settings.items()]
    words = [binary, "bench", *sets, *more, f"--threads={threads}", "--profile", "--json"]
    return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)["profile"]


def least(rounds: list[dict]) -> list[dict]:
    """The passes of a step, each with the least time and the highest floor-setting rates."""
    passes = [dict(row) for row in rounds[0]["passes"]]
    for at, row in enumerate(passes):
        row["ms"] = min(r["passes"][at]["ms"] for r in rounds)
        row["floor_ms"] = min(r["passes"][at]["floor_ms"] for r in rounds)
    return passes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    names = [shape.name for shape in SHAPES]
    parser.add_argument("--shapes", nargs="+", choices=names, default=names, help="layers x dim")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--set", action="append", default=[], help="override a key of the spec as well")
    parser.add_argument("--retrodict", type=Path, default=HERE.parent / "target/release/retrodict")
    args = parser.parse_args()
    more = [f"--set={word}" for word in args.set]
    for shape in (shape for shape in SHAPES if shape.name in args.shapes):
        threads = 1 if shape.seeds > 1 else 2
        rounds = [measure(args.retrodict, shape, threads, more) for _ in range(args.rounds)]
        passes = least(rounds)
        peak = max(r["peak_gflops"] for r in rounds)
        gigabytes = max(r["peak_gigabytes"] for r in rounds)
        total = sum(row["ms"] for row in passes)
        floor = sum(row["floor_ms"] for row in passes)
        print(f"\n### {shape.layers} × {shape.dim}, {threads} thread{'s' if threads > 1 else ''}\n")
        size = rounds[0]["working_set_mib"]
        print(f"At best {peak:.0f} GFLOP/s, and {gigabytes:.0f} GB/s over the {size:.1f} MiB of a step.\n")
        print("| pass | count | ms | share | floor, ms | × floor |\n|---|--:|--:|--:|--:|--:|")
        for row in sorted(passes, key=lambda row: -row["ms"]):
            ms, least_ms = row["ms"], row["floor_ms"]
            share, times = 100 * ms / total, ms / least_ms
            if share >= 0.5:
                print(f"| {row['pass']} | {row['count']} | {ms:.4g} | {share:.1f} % | {least_ms:.3g} | {times:.1f} |")
        print(f"| **all** | | {total:.4g} | | {floor:.4g} | {total / floor:.2f} |")


if __name__ == "__main__":
    main()
