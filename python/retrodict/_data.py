"""`data`: the sentences of a data set."""

from . import _native


def data(kind: str, *, seed: int = 1234, **keys: object) -> _native.Dataset:
    """The data set of a kind, equal to what NumPy's generator gives the authors' code.

    `kind` is `reversal`, `chain`, `icl`, `related`, `relations`, `family`, `hops`, `biographies`
    or `one-to-many`; `keys` are the sizes of that kind, such as `vocab_size=80`.
    The sentences are integer arrays: `data("chain").train`.
    """
    return _native.data(kind, seed, keys)
