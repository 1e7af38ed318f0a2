"""Times one training step of retrodict, PyTorch and JAX side by side.

Each contestant runs in a process of its own, in turn, several rounds, on the same
processor cores. Prints a Markdown table and keeps the raw results under results/.
Run it on a machine that does nothing else.
"""

import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import venv
from importlib.util import find_spec
from pathlib import Path

from shapes import SHAPES

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CONTESTANTS = ["retrodict", "retrodict-python", "pytorch", "jax", "jax-vmap", "jax-loop"]
PACKAGES = {
    "retrodict": [],
    "retrodict-python": [],  # takes part where this Python has the package
    "pytorch": ["torch", "transformers"],
    "jax": ["jax"],
    "jax-vmap": ["jax"],
    "jax-loop": ["jax"],
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    names = [shape.name for shape in SHAPES]
    parser.add_argument("--shapes", nargs="+", choices=names, default=names, help="layers x dim")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--skip", nargs="+", choices=CONTESTANTS, default=[])
    parser.add_argument("--threads", type=int, default=2, help="cores for each (default: 2)")
    parser.add_argument("--tied", action="store_true", help="tie the head to the token embeddings")
    parser.add_argument("--retrodict", type=Path, default=ROOT / "target/release/retrodict")
    args = parser.parse_args()
    if args.repeats < 1 or args.threads < 1:
        parser.error("--repeats and --threads are at least 1")
    if not find_spec("retrodict"):
        args.skip.append("retrodict-python")
    args.contestants = [name for name in CONTESTANTS if name not in args.skip]
    if not args.contestants:
        parser.error("--skip leaves nobody to time")
    if "retrodict" in args.contestants and not args.retrodict.is_file():
        parser.error(f"no binary at {args.retrodict}: run `cargo build --release`, or name it with --retrodict")
    return args


def python_with_packages(contestants: list[str]) -> str:
    """This Python if it has what the contestants import, else that of .venv, made if needed."""
    needed = [package for name in contestants for package in PACKAGES[name]]
    if all(find_spec(package) for package in needed):
        return sys.executable
    python = HERE / ".venv/bin/python"
    installed = HERE / ".venv/requirements.txt"  # what the venv was made from, copied last
    requirements = (HERE / "requirements.txt").read_text()
    if not installed.exists() or installed.read_text() != requirements:
        print("installing requirements.txt into .venv …", file=sys.stderr)
        venv.create(HERE / ".venv", with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", HERE / "requirements.txt"], check=True)
        installed.write_text(requirements)
    return str(python)


def restrict_to_cores(count: int):
    """Keeps this process and all it starts on `count` cores: JAX has no other setting for it."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def takes_part(contestant: str, shape) -> bool:
    """One seed is not a `vmap`: it would be the contestant `jax` again."""
    return contestant != "jax-vmap" or shape.seeds > 1


def command(contestant: str, shape, args, python: str) -> list[str]:
    if contestant == "retrodict":
        settings = {
            "layers": shape.layers,
            "heads": shape.heads,
            "dim": shape.dim,
            "dropout": 0,
            "tie_head": str(args.tied).lower(),
        }
        sets = [word for key, value in settings.items() for word in ("--set", f"model.{key}={value}")]
        counts = [f"--seeds={shape.seeds}", f"--threads={args.threads}", f"--steps={shape.steps}"]
        return [str(args.retrodict), "bench", *sets, *counts, "--json"]
    sizes = [f"--{key}={getattr(shape, key)}" for key in ("layers", "dim", "heads", "steps")]
    if contestant == "retrodict-python":
        words = [sys.executable, str(HERE / "python_step.py"), *sizes, f"--seeds={shape.seeds}"]
        return [*words, f"--threads={args.threads}", *(["--tied"] if args.tied else [])]
    program, _, way = contestant.partition("-")
    options = [f"--seeds={shape.seeds if way else 1}"] if program == "jax" else []
    options += ["--loop"] if way == "loop" else []
    options += ["--tied"] if args.tied else []
    return [python, str(HERE / f"{program}_step.py"), *sizes, *options, f"--threads={args.threads}"]


def measure(contestant: str, shape, args, python: str) -> dict:
    words = command(contestant, shape, args, python)
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True)  # its errors go to ours
    if done.returncode != 0:
        sys.exit(f"{contestant} failed at {shape.name} with status {done.returncode}: {' '.join(words)}")
    try:
        result = json.loads(done.stdout)
        float(result["ms_per_seed_step"])
    except (ValueError, KeyError, TypeError):
        sys.exit(f"{contestant} printed no JSON object with ms_per_seed_step at {shape.name}: {done.stdout!r}")
    return result


def processor() -> str:
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:
        info = ""
    name = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    return name.group(1).strip() if name else platform.processor() or platform.machine()


def three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def ratio(peer: list[float], ours: list[float]) -> str:
    """Ratio of the medians (least–most ratio of one round); empty where the peer took no part."""
    if not peer:
        return ""
    rounds = [theirs / mine for theirs, mine in zip(peer, ours)]
    middle = statistics.median(peer) / statistics.median(ours)
    return f"{middle:.1f} ({min(rounds):.1f}–{max(rounds):.1f})"


def table(measurements: list[dict], args) -> str:
    def milliseconds(shape, contestant):
        return [
            m["result"]["ms_per_seed_step"]
            for m in measurements
            if m["shape"] == shape.name and m["contestant"] == contestant
        ]

    # From Python, all contestants make the same loop.
    ours = [name for name in ("retrodict-python", "retrodict") if name in args.contestants]
    ratios = [name for name in args.contestants if name not in ours] if ours else []
    head = ["layers × dim", "heads", "seeds", *args.contestants, *(f"{peer} / {ours[0]}" for peer in ratios)]
    rows = [head, ["---"] * len(head)]
    for shape in (shape for shape in SHAPES if shape.name in args.shapes):
        times = {name: milliseconds(shape, name) for name in args.contestants}
        median = {name: statistics.median(values) for name, values in times.items() if values}
        spans = [f"{three_digits(median[n])} ({three_digits(min(v))}–{three_digits(max(v))})" if v else "" for n, v in times.items()]
        factors = [ratio(times[peer], times[ours[0]]) for peer in ratios]
        rows.append([f"{shape.layers} × {shape.dim}", str(shape.heads), str(shape.seeds), *spans, *factors])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main():
    args = parse_arguments()
    python = python_with_packages(args.contestants)
    restrict_to_cores(args.threads)
    begin = datetime.datetime.now(datetime.timezone.utc)

    measurements = []
    for shape in (shape for shape in SHAPES if shape.name in args.shapes):
        for round_number in range(1, args.repeats + 1):
            for contestant in (name for name in args.contestants if takes_part(name, shape)):
                result = measure(contestant, shape, args, python)
                print(
                    f"{shape.name} round {round_number}: {contestant} {three_digits(result['ms_per_seed_step'])} ms",
                    file=sys.stderr,
                )
                measurements.append(
                    {"shape": shape.name, "round": round_number, "contestant": contestant, "result": result}
                )

    name = processor()
    print(f"\nMilliseconds a seed-step, median (least–most) of {args.repeats} rounds; {args.threads} cores, {name}\n")
    print(table(measurements, args))

    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    path = HERE / "results" / f"{begin:%Y-%m-%dT%H%M}-{slug}.json"
    path.parent.mkdir(exist_ok=True)
    raw = {
        "date": begin.isoformat(timespec="seconds"),
        "processor": name,
        "threads": args.threads,
        "tied": args.tied,
        "shapes": [vars(shape) for shape in SHAPES if shape.name in args.shapes],
        "measurements": measurements,
    }
    path.write_text(json.dumps(raw, indent=1) + "\n")
    print(f"\nraw results: {path.relative_to(HERE)}", file=sys.stderr)


if __name__ == "__main__":
    main()
