"""Spectral losses between recordings, each with its exact gradient.

A loss is a small object with one call, ``value, d_estimate = loss(target, estimate)``, on audio
of shape (N,) or (B, N). What it computes from the target alone can be kept:
``prepared = loss.prepare(target)`` is accepted wherever a target is. The presets are the rows of
table 1 of arXiv:2312.14507 (Torres, Peeters, Richard, ICASSP 2024).

Names: B batch, N samples, T frames, K bins.
"""

from .base import Prepared
from .combine import PRESETS, Loss, WeightedSum, preset
from .family import FAMILY, named_loss
from .lines import LineSOT
from .pointwise import LogCosh, SmoothMSS, SpectralConvergence
from .transport import SOT
from .vertical import LIN, LOG, MSS, SIZES

__all__ = [
    "FAMILY",
    "LIN",
    "LOG",
    "MSS",
    "PRESETS",
    "SIZES",
    "SOT",
    "LineSOT",
    "LogCosh",
    "Loss",
    "Prepared",
    "SmoothMSS",
    "SpectralConvergence",
    "WeightedSum",
    "named_loss",
    "preset",
]
