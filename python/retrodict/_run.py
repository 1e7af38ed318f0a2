"""`run` and `sweep`: many seeds of an experiment, and of its variants."""

import os
from collections.abc import Sequence
from typing import Literal

from . import _native
from ._progress import Progress, chosen

Seeds = int | Sequence[int] | range | str
Keep = Literal["all", "probes", "metrics"]


def run(
    spec: "_native.Spec | str | os.PathLike[str]",
    seeds: "Seeds | None" = None,
    *,
    out: "str | os.PathLike[str]" = "retrodict-out",
    keep: Keep = "all",
    jobs: "int | None" = None,
    threads: "int | None" = None,
    memory: "int | None" = None,
    allow_mixed: bool = False,
    progress: "bool | Progress" = True,
) -> _native.Runs:
    """Trains an experiment once for each seed, and returns the runs in the order of the seeds.

    Runs that the folder `out` already has are read from there, and unfinished ones resume: results
    are bit-identical to those of the command line. The interpreter lock is released meanwhile.
    Ctrl-C, or the stop button of a notebook, ends the runs under way after their present step; each
    writes a checkpoint, and the same call resumes.

    - `spec`: a `Spec`, the name of a ready one, or the path of a TOML file.
    - `seeds`: a count (seeds 0 to n − 1), a list, or a range such as `"5..8"`; those of the spec if
      not given.
    - `keep`: `"all"` (a folder for each run, with checkpoints), `"probes"` or `"metrics"` (packed).
    - `jobs`, `threads`: runs at a time, and cores in total; chosen if not given. `memory`: bytes to
      use at most.
    - `allow_mixed`: resume what another version or instruction set began.
    - `progress`: True, False, or a function (see `retrodict._progress.Progress`).

    A diverged run is among the results, with a `RunWarning`. Raises `SpecError` for a wrong spec,
    `StoreError` where `out` cannot be written, `RunError` where runs failed.
    """
    return _native.run(
        spec, seeds, out, keep, jobs, threads, memory, allow_mixed, chosen(progress)
    )


def sweep(
    spec: "_native.Spec | str | os.PathLike[str]",
    *,
    seeds: "Seeds | None" = None,
    out: "str | os.PathLike[str]" = "retrodict-out",
    keep: Keep = "metrics",
    jobs: "int | None" = None,
    threads: "int | None" = None,
    memory: "int | None" = None,
    allow_mixed: bool = False,
    progress: "bool | Progress" = True,
    **axes: object,
) -> _native.Runs:
    """Trains the product of some axes: `sweep(spec, model__layers=[1, 2, 4], train__lr=[1e-3, 1e-2])`.

    An axis is a list of values, or a function as text, such as `"log_range(1e-4, 1e-1, 7)"`; a
    single value sets a key at all points. A section `[sweep]` of a TOML file, which has conditions
    and samples too, is taken if `spec` is the path of the file. A point of a sweep is the plain run
    with its values. The other arguments are those of `run`; runs are packed unless `keep="all"`.
    """
    return _native.sweep(
        spec, axes, seeds, out, keep, jobs, threads, memory, allow_mixed, chosen(progress)
    )
