"""A laboratory for the training dynamics behind the reversal curse.

    import retrodict

    spec = retrodict.Spec.ready("reversal-quick").set(model__layers=4)
    runs = retrodict.run(spec, seeds=10)
    runs["held_out_nll"]          # one number a run, in nats
    runs.table()                  # for polars, pandas and DuckDB, without a copy
    runs.figure()                 # shows itself in a notebook

`retrodict.Trainer` makes single steps, on data and with losses of your own;
`retrodict.theory` simulates the paper's two models; `retrodict.bridges` leads to PyTorch.
"""

from . import bridges, theory
from ._data import data
from ._errors import RetrodictError, RunError, RunWarning, SpecError, StoreError
from ._native import (
    VERSION as __version__,
    Dataset,
    Figure,
    Run,
    Runs,
    Spec,
    Store,
    Table,
    ready_specs,
    spec_reference,
)
from ._run import run, sweep
from ._trainer import Parameters, Scores, Trainer

__all__ = [
    "Dataset",
    "Figure",
    "Parameters",
    "RetrodictError",
    "Run",
    "RunError",
    "RunWarning",
    "Runs",
    "Scores",
    "Spec",
    "SpecError",
    "Store",
    "StoreError",
    "Table",
    "Trainer",
    "__version__",
    "bridges",
    "data",
    "ready_specs",
    "run",
    "spec_reference",
    "sweep",
    "theory",
]
