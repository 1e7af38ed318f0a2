"""Arrays of numbers, and how those of other libraries become NumPy's."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating[Any]]


def as_array(values: Any) -> Array:
    """A NumPy array of numbers, or of a tensor of PyTorch on any device and of any precision."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        # NumPy has no bfloat16.
        if str(values.dtype) == "torch.bfloat16":
            values = values.float()
        values = values.numpy()
    return np.asarray(values)
