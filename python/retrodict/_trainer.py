"""`Trainer`: a training loop that one can stand inside."""

from collections.abc import Callable, Iterator, MutableMapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from . import _native
from ._arrays import Array


class Scores(NamedTuple):
    """The scores of some sentences, one number each, without dropout."""

    nll: npt.NDArray[np.float64]
    """−ln of the probability of the last entity, in nats."""
    first_token_nll: npt.NDArray[np.float64]
    """The same of its first token."""
    top1: npt.NDArray[np.bool_]
    """Whether every token of it ranks first in the vocabulary."""


class Parameters(MutableMapping[str, Array]):
    """The parameters of a trainer by name. Reading copies; writing sets: `parameters[name] *= 0.5`."""

    def __init__(self, trainer: _native.Trainer) -> None:
        self._trainer = trainer

    def __getitem__(self, name: str) -> Array:
        return self._trainer.parameter(name)

    def __setitem__(self, name: str, values: npt.ArrayLike) -> None:
        self._trainer.set_parameter(name, values)

    def __delitem__(self, name: str) -> None:
        raise TypeError("a model keeps all its parameters")

    def __iter__(self) -> Iterator[str]:
        return iter(self._trainer.parameter_names)

    def __len__(self) -> int:
        return len(self._trainer.parameter_names)

    def __repr__(self) -> str:
        shapes = (f"{name} {list(values.shape)}" for name, values in self.items())
        return f"<Parameters: {', '.join(shapes)}>"


class Trainer(_native.Trainer):
    """A model in training, one step at a time: `Trainer(spec, seed=0)`.

    `step()` takes the next batch in the order of a run with the same seed, so that the parameters
    after every step are those of `retrodict.run`, bit for bit. `step(batch)` takes yours.

    - `sentences`: an integer array `[sentences, tokens]` (or a list of lists) that takes the place
      of the data set's training sentences; `weights`: their weights in the loss.
    - `threads`: cores that share a step; 1 is best for models of this size.
    """

    @property
    def parameters(self) -> Parameters:
        """The parameters by name, to read and to write."""
        return Parameters(self)

    @parameters.setter
    def parameters(self, values: "MutableMapping[str, Array] | dict[str, Array]") -> None:
        """Sets those that are given."""
        if isinstance(values, Parameters) and values._trainer is self:
            return
        self.parameters.update(values)

    def evaluate(self, sentences: "npt.ArrayLike | None" = None) -> Scores:
        """Scores sentences, those held out if none are given: `trainer.evaluate().nll.mean()`."""
        return Scores(*self.scores(sentences))

    def train(
        self,
        steps: int,
        *,
        every: "int | None" = None,
        callback: "Callable[[Trainer], object] | None" = None,
    ) -> npt.NDArray[np.float64]:
        """Makes so many steps, and returns the mean NLL of each batch, in nats.

        `callback` receives the trainer after every `every` steps, counted from the first of all,
        and at the end; training ends early where it returns False. Ctrl-C ends it after a step.
        """
        if steps < 0:
            raise ValueError(f"steps is {steps}; it must be 0 or more")
        if every is not None and every < 1:
            raise ValueError(f"every is {every}; it must be 1 or more")
        if callback is None:
            if every is not None:
                raise ValueError("every is how often `callback` is called")
            return self.steps(steps)
        parts = []
        left = steps
        while left > 0:
            count = left if every is None else min(left, every - self.step_count % every)
            parts.append(self.steps(count))
            left -= count
            if callback(self) is False:
                break
        return np.concatenate(parts) if parts else np.empty(0)
