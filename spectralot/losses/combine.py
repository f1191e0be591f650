"""Weighted sums of losses, and the rows of the paper's table as presets."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from .. import backend, checks
from ..checks import ParameterError
from ..hints import Array, ArrayLike
from ..transforms import PitchSalience
from .base import SpectralLoss, Target
from .transport import SOT
from .vertical import LIN, MSS, SIZES

__all__ = ["PRESETS", "Loss", "WeightedSum", "preset"]

PRESETS = (
    "LIN",
    "MSS",
    "SOT-2048",
    "SOT-512",
    "SOT-512-LogF",
    "SOT-NoCut",
    "SOT-2048-SS",
    "SOT-Pitch",
)


class WeightedSum:
    """A weighted sum of named losses.

    Parameters
    ----------
    terms : dict of str to (float, loss)
        Weight and loss of each term.

    Raises
    ------
    ParameterError
        If there is no term, or a weight is not a finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import LIN, SOT, WeightedSum
    >>> loss = WeightedSum({"sot": (1.0, SOT(2048)), "lin": (0.05, LIN(512))})
    >>> loss.terms(np.zeros(4096), np.zeros(4096))
    {'sot': 0.0, 'lin': 0.0}
    """

    def __init__(self, terms: Mapping[str, tuple[float, Loss]]) -> None:
        _check_terms(terms)
        self._losses = {name: loss for name, (_, loss) in terms.items()}
        self._weights = {
            name: checks.number(f"weight of {name!r}", weight)
            for name, (weight, _) in terms.items()
        }

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each term.

        Returns
        -------
        mapping of str to float
            Cannot be written to.
        """
        return MappingProxyType(self._weights)

    @classmethod
    def matched(
        cls,
        terms: Mapping[str, tuple[float, Loss]],
        target: ArrayLike,
        estimate: ArrayLike | None = None,
    ) -> WeightedSum:
        """Weighted sum in which each term's value on a reference error is its share.

        Values of different losses have nothing in common: a weight that suits one level, sample
        rate or ground axis is wrong for the next. Say instead what each term shall cost for an
        error that you know.

        Parameters
        ----------
        terms : dict of str to (float, loss)
            Share, not negative, and loss of each term.
        target : array_like, shape (N,) or (B, N)
            What is to be reached: one sound, or the first batch.
        estimate : array_like, shape of the target, optional
            With the target, the reference error: for instance what the first batch looks like
            before training. By default the target one semitone lower (and 6 % slower), so that a
            semitone of detuning costs the share.

        Returns
        -------
        WeightedSum
            With ``weight = share / value of the reference error``, constant from then on.

        Raises
        ------
        ParameterError
            If a share is negative, or a term's value on the reference error is 0, as on silence.

        Notes
        -----
        Values are matched, not gradients: the norm of a gradient with respect to audio hardly
        depends on the size of the error (docs/derivations/vertical.md), so it cannot say what an
        error costs. Values can be read, compared and added, and exist at kinks. The target is
        lowered, not raised, because that needs no samples from behind its end: silence there can
        cost a thousand times what the detuning does.

        References
        ----------
        docs/derivations/vertical.md, equation 17.

        Examples
        --------
        >>> import numpy as np
        >>> from spectralot import LIN, SOT, WeightedSum
        >>> target = np.sin(2 * np.pi * 440 / 16000 * np.arange(8192))
        >>> parts = {"sot": (1.0, SOT(2048, padding="none")), "lin": (0.2, LIN(512))}
        >>> loss = WeightedSum.matched(parts, target)
        >>> detuned = np.sin(2 * np.pi * 415.3 / 16000 * np.arange(8192))
        >>> round(loss(target, detuned)[0], 1)
        1.2
        """
        _check_terms(terms)
        target = checks.level_array("target", target, (1, 2))
        if estimate is None:
            estimate = _semitone_lower(target)
        weighted = {}
        for name, (share, loss) in terms.items():
            share = checks.number(f"share of {name!r}", share, minimum=0)
            value = loss(target, estimate)[0]
            weight = share / value if value > 0 else np.inf
            if not np.isfinite(weight):
                raise ParameterError(
                    f"term {name!r} must have a value above 0 on the reference error, got {value:g}"
                )
            weighted[name] = (weight, loss)
        return cls(weighted)

    def prepare(self, target: ArrayLike) -> dict[str, Any]:
        """Compute what depends on the target alone.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N)
            What is to be reached.

        Returns
        -------
        dict
            One entry a term; accepted by every method in place of the target.
        """
        return {name: loss.prepare(target) for name, loss in self._losses.items()}

    def __call__(self, target: Target, estimate: ArrayLike) -> tuple[float, Array]:
        """Weighted value and gradient, as of one loss.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N), or what `prepare` returned
            What is to be reached.
        estimate : array_like, shape of the target
            What is to be changed.

        Returns
        -------
        value : float
        d_estimate : ndarray, shape of the estimate
        """
        return self._sum(target, estimate, lambda loss: loss)

    def per_item(self, target: Target, estimate: ArrayLike) -> tuple[Array, Array]:
        """Weighted value of each item of a batch, and each item's own gradient.

        Parameters
        ----------
        target : array_like, shape (B, N), or what `prepare` returned
            What is to be reached.
        estimate : array_like, shape (B, N)
            What is to be changed.

        Returns
        -------
        values : ndarray, shape (B,)
        d_estimate : ndarray, shape (B, N)
            Gradient of the sum of `values`.
        """
        return self._sum(target, estimate, lambda loss: loss.per_item)

    def _per_item(self, target, estimate):
        """Values of the items, and the gradient of their mean."""
        return self._sum(target, estimate, lambda loss: loss._per_item)

    def _ready(self, target):
        """The target prepared."""
        if not isinstance(target, dict):
            return self.prepare(target)
        if target.keys() != self._losses.keys():
            raise ParameterError(
                f"target must be prepared for the terms {', '.join(self._losses)}, "
                f"got {', '.join(map(str, target))}"
            )
        return target

    def _sum(self, target, estimate, call):
        """What `call` makes of each loss, times its weight, added up."""
        target = self._ready(target)
        value, d_estimate = None, None
        for name, loss in self._losses.items():
            term, d_term = call(loss)(target[name], estimate)
            value = backend.add(value, term, self._weights[name])
            d_estimate = backend.add(d_estimate, d_term, self._weights[name])
        return value, d_estimate

    def terms(self, target: Target, estimate: ArrayLike) -> dict[str, float]:
        """Value of each term, before its weight.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N), or what `prepare` returned
            What is to be reached.
        estimate : array_like, shape of the target
            What is to be changed.

        Returns
        -------
        dict of str to float
        """
        target = self._ready(target)
        return {name: loss(target[name], estimate)[0] for name, loss in self._losses.items()}


Loss: TypeAlias = SpectralLoss | WeightedSum


def _semitone_lower(target):
    """The target played slower by a semitone, cut to its length."""
    from ..audio import resample

    rows = target.reshape(-1, target.shape[-1])
    lower = np.zeros_like(rows)
    for row, out in zip(rows, lower, strict=True):
        slow = resample(row, 1.0, 2 ** (1 / 12))[: len(out)]
        out[: len(slow)] = slow
    return lower.reshape(target.shape)


def _check_terms(terms):
    """Names with pairs of number and loss."""
    if not terms:
        raise ParameterError(f"terms must name at least one loss, got {terms!r}")
    pairs = terms.values() if isinstance(terms, dict) else [None]
    for pair in pairs:
        if not (isinstance(pair, tuple) and len(pair) == 2 and hasattr(pair[1], "prepare")):
            raise ParameterError(
                f"terms must be a dictionary of name: (number, loss), got {terms!r}"
            )


def preset(name: str, sample_rate: float = 16000) -> Loss:
    """Loss of one row of table 1 of arXiv:2312.14507, or "SOT-Pitch", the one to begin with.

    "SOT-Pitch" is the distance of pitch in octaves, `SOT` of `PitchSalience`, plus 0.05 times
    `LIN`: the first leads f0 from octaves away, whatever the timbre, and the second sees to the
    amplitudes. Both look at whole frames only: the sound must last 128 ms, or up to 256 ms at
    sample rates that are not 16 kHz times a power of two. A frame in which the estimate has no
    pitch between 27.5 and 3500 Hz costs seven octaves.

    Parameters
    ----------
    name : str
        One of `PRESETS`: "LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut",
        "SOT-2048-SS", "SOT-Pitch".
    sample_rate : float
        In Hz; only "SOT-512-LogF" and "SOT-Pitch" depend on it.

    Returns
    -------
    loss
        An object with ``value, d_estimate = loss(target, estimate)``.

    Raises
    ------
    ParameterError
        If there is no such preset.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, table 1. "SOT-Pitch":
    docs/reproduction.md.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import preset
    >>> preset("SOT-2048")(np.zeros(4096), np.zeros(4096))[0]
    0.0
    """
    checks.one_of("name", name, PRESETS)
    sample_rate = checks.number("sample_rate", sample_rate, above=0)
    if name == "LIN":
        return LIN(SIZES)
    if name == "MSS":
        return MSS(SIZES)
    if name == "SOT-Pitch":
        return _pitch_and_spectrum(sample_rate)
    sot = SOT(
        512 if "512" in name else 2048,
        frequency_axis="log" if name.endswith("LogF") else "linear",
        mass="balanced" if name.endswith("NoCut") else "cutoff",
        sample_rate=sample_rate,
    )
    weight, lin = (0.1, LIN(512)) if name.endswith("SS") else (0.05, LIN(SIZES))
    return WeightedSum({"sot": (1.0, sot), "lin": (weight, lin)})


def _pitch_and_spectrum(sample_rate):
    """Transport of pitch salience in octaves, and LIN at its usual weight."""
    salience = PitchSalience(sample_rate=sample_rate)
    pitch = SOT(salience, frequency_axis="cents", p=1, mass="balanced")
    sizes = [n for n in SIZES if n <= salience.n_fft]
    return WeightedSum({"pitch": (1 / 1200, pitch), "lin": (0.05, LIN(sizes, padding="none"))})
