"""Adam, written out (Kingma and Ba, ICLR 2015, arXiv:1412.6980, algorithm 1)."""

from __future__ import annotations

import numpy as np

from .hints import Array

__all__ = ["Adam"]


class Adam:
    """State of Adam for one array of parameters.

    Parameters
    ----------
    shape : tuple of int
        Shape of the parameters.
    beta1, beta2 : float
        Decay of the running mean and of the running mean square of the gradient.
    eps : float
        Added to the root of the running mean square: gradients much smaller count less.
    shared : bool
        One running mean square for the whole array instead of one an element: elements whose
        gradient is small then move little, where plain Adam would move them as far as any.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.adam import Adam
    >>> adam, x = Adam((2,)), np.array([1.0, -2.0])
    >>> for _ in range(200):
    ...     x -= adam.step(2 * x, 0.1)
    >>> bool(abs(x).max() < 0.1)
    True
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        beta1: float = 0.9,
        beta2: float = 0.99,
        eps: float = 1e-30,
        shared: bool = False,
    ) -> None:
        self.beta1, self.beta2, self.eps, self.shared = beta1, beta2, eps, shared
        self.mean = np.zeros(shape)
        self.square = np.zeros(()) if shared else np.zeros(shape)
        self.n_steps = 0

    def step(self, gradient: Array, rate: float) -> Array:
        """Update the state by one gradient.

        Parameters
        ----------
        gradient : ndarray, shape of the parameters
            Gradient of what is to be made small.
        rate : float
            Step size.

        Returns
        -------
        ndarray, shape of the parameters
            What to subtract from them.
        """
        self.n_steps += 1
        square = gradient**2
        self.mean += (1 - self.beta1) * (gradient - self.mean)
        self.square += (1 - self.beta2) * ((square.mean() if self.shared else square) - self.square)
        mean = self.mean / (1 - self.beta1**self.n_steps)
        square = self.square / (1 - self.beta2**self.n_steps)
        return rate * mean / (np.sqrt(square) + self.eps)
