"""Progress of runs: a line on a terminal, a bar in a notebook, now and then a line elsewhere."""

import html
import sys
import time
from typing import Any, Protocol

LINE_EVERY = 10.0


class Progress(Protocol):
    """Called ten times a second while runs are made, and once when they have ended.

    `fraction` is the share of all work that is done, 0 to 1. The NLLs are means over the runs under
    way, in nats; NaN where there is none.
    """

    def __call__(
        self,
        runs: int,
        finished: int,
        failed: int,
        fraction: float,
        train_nll: float,
        held_out_nll: float,
        last: bool,
        /,
    ) -> object: ...


def chosen(progress: "bool | Progress") -> "Progress | None":
    """The progress function for an argument."""
    if progress is False:
        return None
    if progress is True:
        return Shown()
    if not callable(progress):
        raise TypeError(f"progress is {progress!r}; it must be True, False or a function")
    return progress


def _in_notebook() -> bool:
    """Whether this is a kernel of Jupyter."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return shell is not None and hasattr(shell, "kernel")


class Shown:
    """Shows progress where this process runs."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.lines = 0
        self.handle: Any = None
        self.kind = "lines"
        if _in_notebook():
            self.kind = "notebook"
        elif sys.stderr is not None and sys.stderr.isatty():
            self.kind = "terminal"

    def __call__(
        self,
        runs: int,
        finished: int,
        failed: int,
        fraction: float,
        train_nll: float,
        held_out_nll: float,
        last: bool,
        /,
    ) -> None:
        elapsed = time.monotonic() - self.begun
        words = [f"{finished} of {runs} runs", f"{100 * fraction:.0f} %"]
        if 0.02 < fraction < 1:
            words.append(f"{_seconds(elapsed * (1 - fraction) / fraction)} left")
        if failed:
            words.append(f"{failed} failed")
        if train_nll == train_nll:
            words.append(f"train {train_nll:.3f}")
        if held_out_nll == held_out_nll:
            words.append(f"held-out {held_out_nll:.2f}")
        text = ", ".join(words)
        if self.kind == "notebook":
            self._notebook(text, fraction)
        elif self.kind == "terminal":
            end = "\r\x1b[K" if last else ""
            print(f"\r\x1b[K{text}{end}", end="", file=sys.stderr, flush=True)
        elif not last and elapsed >= LINE_EVERY * (self.lines + 1) and sys.stderr is not None:
            self.lines += 1
            print(text, file=sys.stderr, flush=True)

    def _notebook(self, text: str, fraction: float) -> None:
        from IPython.display import HTML, display

        bar = HTML(f'<progress value="{fraction:.3f}"></progress> {html.escape(text)}')
        if self.handle is None:
            self.handle = display(bar, display_id=True)
        else:
            self.handle.update(bar)


def _seconds(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
