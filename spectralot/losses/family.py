"""One of every kind by name: what the command line and the landscape study choose from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import checks
from ..transforms import ConstantQ, Mel, PitchSalience
from .combine import PRESETS, Loss, WeightedSum, preset
from .pointwise import LogCosh, SmoothMSS, SpectralConvergence
from .transport import SOT
from .vertical import LIN, LOG, MSS, SIZES

__all__ = ["FAMILY", "named_loss"]

# on whole frames, unlike the presets of the paper
WHOLE: dict[str, Callable[..., Loss]] = {
    "LIN-whole": lambda **o: LIN(SIZES, **o),
    "LIN-A": lambda **o: LIN(SIZES, weighting="A", **o),
    "LOG-whole": lambda **o: LOG(SIZES, **o),
    "MSS-whole": lambda **o: MSS(SIZES, **o),
    "SmoothMSS": lambda **o: SmoothMSS(**o),
    "SpectralConvergence": lambda **o: SpectralConvergence(2048, **o),
    "LogCosh": lambda **o: LogCosh(2048, **o),
    "SOT-2048-whole": lambda **o: WeightedSum(
        {"sot": (1.0, SOT(2048, **o)), "lin": (0.05, LIN(SIZES, **o))}
    ),
    "SOT-linear-cutoff": lambda **o: SOT(2048, **o),
    "SOT-linear-balanced": lambda **o: SOT(2048, mass="balanced", **o),
}
# also balanced, p = 1, on an axis in cents, if nothing else is said
CENTS: dict[str, dict[str, Any]] = {
    "SOT-Hz": dict(frequency_axis="hz"),
    "SOT-mel": dict(frequency_axis="mel"),
    "SOT-ERB": dict(frequency_axis="erb"),
    "SOT-chroma": dict(frequency_axis="chroma"),
    "SOT-cents": {},
    "SOT-cents-p2": dict(p=2),
    "SOT-magnitudes": dict(power=1),
    "SOT-2048+1024+512": dict(transform=(2048, 1024, 512)),
    "SOT-level": dict(level_weight=10),
    "SOT-A": dict(weighting="A"),
    "SOT-floor": dict(noise_floor=4),
    "SOT-floor-p2": dict(noise_floor=4, p=2),
    "SOT-partial": dict(mass="partial", share=0.8),
    "SOT-unbalanced": dict(mass="unbalanced", reach=600),
    "SOT-time": dict(transform=256, hop_length=64, along="time"),
}
# the same of other transforms
TRANSFORMS: dict[str, Callable[[float], Any]] = {
    "SOT-mel-bands": lambda rate: Mel(
        128, 2048, hop_length=256, padding="none", power=2, sample_rate=rate
    ),
    "SOT-constant-Q": lambda rate: ConstantQ(power=2, sample_rate=rate),
    "SOT-salience": lambda rate: PitchSalience(sample_rate=rate),
}
FAMILY = (*PRESETS[:-1], *WHOLE, *CENTS, *TRANSFORMS, PRESETS[-1])


def named_loss(name: str, sample_rate: float = 16000) -> Loss:
    """Loss of the family by name: the presets, and one of every other kind with plain settings.

    Parameters
    ----------
    name : str
        One of `FAMILY`. Besides the `PRESETS`, which look at frames that the end cuts as the
        paper does, all are on whole frames; those of SOT use a flat-top window of 2048 samples,
        hop 256, and are balanced, with p = 1, on an axis in cents, unless the name says more.
    sample_rate : float
        In Hz.

    Returns
    -------
    loss
        An object with ``value, d_estimate = loss(target, estimate)``.

    Raises
    ------
    ParameterError
        If there is no such loss.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.losses import named_loss
    >>> t = np.arange(4096) / 16000
    >>> loss = named_loss("SOT-cents")
    >>> round(loss(np.sin(2000 * np.pi * t), np.sin(2200 * np.pi * t))[0])
    165
    """
    checks.one_of("name", name, FAMILY)
    whole: dict = dict(padding="none", sample_rate=sample_rate)
    plain: dict = dict(frequency_axis="cents", p=1, mass="balanced")
    if name in WHOLE:
        return WHOLE[name](**whole)
    if name in CENTS:
        return SOT(**{"transform": 2048, **plain, **whole, **CENTS[name]})
    if name in TRANSFORMS:
        return SOT(TRANSFORMS[name](sample_rate), **plain)
    return preset(name, sample_rate)
