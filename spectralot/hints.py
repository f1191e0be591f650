"""Names that signatures share. An array on a device passes for either kind of array."""

import os
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Array", "ArrayLike", "Padding", "PathLike", "Unvoiced", "Window"]

Array: TypeAlias = NDArray[np.floating]  # float32 or float64, as the docstring says
PathLike: TypeAlias = str | os.PathLike[str]
Window: TypeAlias = str | tuple[Any, ...] | ArrayLike  # a name, with parameters, or the numbers
Padding: TypeAlias = Literal["end", "center", "none"]
Unvoiced: TypeAlias = Literal["keep", "zero", "nan", "negative"]
