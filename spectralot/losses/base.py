"""What all spectral losses share: targets prepared once, values by batch, item or frame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeAlias

import numpy as np

from .. import backend, checks
from ..checks import ParameterError
from ..hints import Array, ArrayLike
from ..stft import stft_magnitude_forward

__all__ = ["Prepared", "SpectralLoss"]


@dataclass(frozen=True)
class Prepared:
    """What a loss keeps of a target: the audio's shape, its spectra, and for which loss."""

    shape: tuple[int, ...]
    spectra: tuple[Any, ...]
    loss: str


# a target, or what the loss that is called has prepared of it
Target: TypeAlias = ArrayLike | Prepared | dict[str, Any]


def _described(value):
    """Text that tells settings apart, arrays included."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, dict):
        return "".join(f"{_described(k)}:{_described(v)};" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_described, value))}]"
    return repr(value)


class SpectralLoss:
    """A sum over one or several resolutions, each compared frame by frame.

    A subclass calls this ``__init__`` and gives ``_compare(spectrum, estimate, resolution,
    d_estimate)``, which returns the values of the frames and adds the gradient of their mean.

    Parameters
    ----------
    resolutions : list
        One entry for each resolution: keyword arguments of `stft_magnitude_forward`, unless the
        subclass has its own ``_spectrum``.
    """

    _compare: Callable[..., Any]

    def __init__(self, resolutions: list[Any]) -> None:
        self._resolutions = resolutions

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self._resolutions))})"

    @cached_property
    def _settings(self):
        """A target prepared by one loss is no use to another: what tells them apart."""
        own = {name: value for name, value in vars(self).items() if name != "_settings"}
        return sha256(f"{type(self).__name__}{_described(own)}".encode()).hexdigest()

    def _spectrum(self, target, resolution):
        """What is kept of the target at one resolution."""
        return stft_magnitude_forward(target, **resolution)[0]

    def prepare(self, target: ArrayLike) -> Prepared:
        """Compute what depends on the target alone.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N)
            What is to be reached.

        Returns
        -------
        Prepared
            Accepted by every method in place of the target.
        """
        target = checks.level_array("target", target, (1, 2))
        spectra = tuple(self._spectrum(target, r) for r in self._resolutions)
        return Prepared(target.shape, spectra, self._settings)

    def __call__(self, target: Target, estimate: ArrayLike) -> tuple[float, Array]:
        """Value and gradient.

        Parameters
        ----------
        target : array_like or Prepared, shape (N,) or (B, N)
            What is to be reached.
        estimate : array_like, shape of the target
            What is to be changed.

        Returns
        -------
        value : float
            Mean over items, frames and, for vertical losses, bins; summed over resolutions.
        d_estimate : ndarray, shape of the estimate
            Gradient with respect to the estimate, float32 for a float32 estimate; on the device
            where target and estimate are on one, which `LIN`, `LOG`, `MSS` and the `SOT` of an
            STFT can be.

        Raises
        ------
        ParameterError
            If target or estimate is empty, not finite, or their shapes differ.
        """
        values, d_estimate = self._per_item(target, estimate)
        return float(np.mean(backend.to_host(values))), d_estimate

    def per_item(self, target: Target, estimate: ArrayLike) -> tuple[Array, Array]:
        """Value of each item of a batch, and each item's own gradient.

        Parameters
        ----------
        target : array_like or Prepared, shape (B, N)
            What is to be reached.
        estimate : array_like, shape (B, N)
            What is to be changed.

        Returns
        -------
        values : ndarray, shape (B,)
        d_estimate : ndarray, shape (B, N)
            Gradient of the sum of `values`: B times that of the mean.

        Raises
        ------
        ParameterError
            As for a call.
        """
        values, d_estimate = self._per_item(target, estimate)
        return values, backend.scale(d_estimate, np.size(values))

    def _per_item(self, target, estimate):
        """Values of the items, and the gradient of their mean."""
        target, estimate = self._pair(target, estimate)
        values, d_estimate = None, backend.zeros(estimate.shape, estimate.dtype, estimate)
        for resolution, spectrum in zip(self._resolutions, target.spectra, strict=True):
            frames = self._compare(spectrum, estimate, resolution, d_estimate)
            values = backend.add_means(values, frames)
        return values, d_estimate

    def per_frame(self, target: Target, estimate: ArrayLike) -> Array:
        """Values of the frames, not averaged.

        Parameters
        ----------
        target : array_like or Prepared, shape (N,) or (B, N)
            What is to be reached.
        estimate : array_like, shape of the target
            What is to be changed.

        Returns
        -------
        ndarray, shape (T,) or (B, T)
            Their mean is the value of the loss.

        Raises
        ------
        ParameterError
            If the loss has several resolutions, whose frames differ.
        """
        if len(self._resolutions) > 1:
            raise ParameterError(
                f"per_frame needs a loss with one resolution, got {len(self._resolutions)}"
            )
        target, estimate = self._pair(target, estimate)
        (resolution,), (spectrum,) = self._resolutions, target.spectra
        d_estimate = backend.zeros(estimate.shape, estimate.dtype, estimate)
        return self._compare(spectrum, estimate, resolution, d_estimate)

    def _pair(self, target, estimate):
        """The target prepared, the estimate checked."""
        estimate = checks.level_array("estimate", estimate, (1, 2))
        if not isinstance(target, Prepared):
            target = self.prepare(target)
        if target.loss != self._settings:
            raise ParameterError(
                f"target must be prepared by this very loss, {self}, got one by other settings"
            )
        checks.same_shape("estimate", estimate, target.shape)
        for spectrum in target.spectra[:1]:
            first = spectrum[0] if isinstance(spectrum, tuple) else spectrum
            checks.same_place("estimate", estimate, "the target", first)
        return target, estimate
