"""The exceptions of the package. Their texts are those of the command line."""


class RetrodictError(Exception):
    """The base of all exceptions of the package."""


class SpecError(RetrodictError, ValueError):
    """A spec, a key, a value or a setting that is refused; the text names it and what is right."""


class StoreError(RetrodictError, OSError):
    """A store that cannot be read or written, or is damaged."""


class RunError(RetrodictError, RuntimeError):
    """Some runs failed; the text has a line for each."""


class RunWarning(UserWarning):
    """A run diverged, or resumed from an earlier checkpoint than the newest."""


for _class in (RetrodictError, SpecError, StoreError, RunError, RunWarning):
    _class.__module__ = "retrodict"
