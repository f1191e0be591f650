"""Learning f0 and amplitudes from sounds alone, without labels.

Equations: docs/derivations/network.md and docs/derivations/learning.md.
"""

from .encoder import ENCODERS, DenseEncoder, PaperEncoder, SharedEncoder
from .estimator import ModelEstimator
from .frames import Frames
from .model import HarmonicModel
from .objective import OBJECTIVES, Guided, Joint, objective
from .side_by_side import train_side_by_side
from .sounds import Sounds, paper_sounds, recorded_sounds, varied_sounds
from .trainer import Result, TrainConfig, scores, train

__all__ = [
    "ENCODERS",
    "OBJECTIVES",
    "DenseEncoder",
    "Frames",
    "Guided",
    "HarmonicModel",
    "Joint",
    "ModelEstimator",
    "PaperEncoder",
    "Result",
    "SharedEncoder",
    "Sounds",
    "TrainConfig",
    "objective",
    "paper_sounds",
    "recorded_sounds",
    "scores",
    "train",
    "train_side_by_side",
    "varied_sounds",
]
