"""What is descended: from f0 and amplitudes of a batch to a loss and its gradients.

Equations and the reasons: docs/derivations/learning.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import backend, checks
from ..hints import Array
from ..losses import MSS, PRESETS, SOT, WeightedSum, preset
from ..losses.combine import Loss
from ..synth import harmonic_backward, harmonic_forward
from ..transforms import PitchSalience

__all__ = ["OBJECTIVES", "Guided", "Joint", "objective"]

OBJECTIVES = ("guided", *PRESETS)
GUIDE_LEVEL = 0.3  # of its first harmonic; transport of pitch does not hear levels
RATIOS = (4, 3, 2, 3 / 2, 1, 2 / 3, 1 / 2, 1 / 3, 1 / 4)
NEARLY = 1.3  # times the least loss: as good, for readings are not exact
BESIDE, DIP = 1 / 24, 1.5  # octaves, and how much larger the loss is there if f0 is right


class Joint:
    """One loss of the rendered sound, which teaches f0 and amplitudes, as in the paper.

    Parameters
    ----------
    loss : object
        As from `spectralot.preset`.
    grid : dict
        "sample_rate" in Hz and "hop_length" in samples: frame t stands at ``t * hop_length``.
    clip : float
        Below 1: no frame pulls its f0 harder, per octave, than this share of the batch's frames,
        and whoever does so has one vote. Where a loss is rugged, a few steep frames outweigh all
        others, and half of them are wrong. 1: slopes as they are.

    Attributes
    ----------
    steering : float
        As `Encoder.backward` wants it: f0 does not learn from where amplitudes are read, as in the
        paper, whose amplitudes do not look at f0.
    """

    steering = 0.0

    def __init__(self, loss: Loss, grid: dict[str, Any], clip: float = 1.0) -> None:
        self._loss, self._grid, self._clip = loss, grid, clip

    @property
    def loss(self) -> Loss:
        """The loss that was given.

        Returns
        -------
        object
        """
        return self._loss

    def __call__(
        self, step: int, n_steps: int, audio: Array, f0_hz: Array, amplitudes: Array
    ) -> tuple[float, Array, Array]:
        """Value and gradients of one batch.

        Parameters
        ----------
        step, n_steps : int
            How far training is.
        audio : ndarray, shape (B, N)
            What is to be reached.
        f0_hz : ndarray, shape (B, T)
            In Hz.
        amplitudes : ndarray, shape (B, T, H)
            Linear.

        Returns
        -------
        value : float
        d_f0_hz : ndarray, shape (B, T)
        d_amplitudes : ndarray, shape (B, T, H)
        """
        value, d_f0, d_amplitudes = _descend(self._loss, self._grid, audio, f0_hz, amplitudes)
        if self._clip < 1:
            pull = d_f0 * f0_hz
            limit = np.quantile(np.abs(pull), self._clip) + np.finfo(float).tiny
            d_f0 = np.clip(pull / limit, -1, 1) / (f0_hz * f0_hz.size)
        return value, d_f0, d_amplitudes

    def moved(
        self, audio: Array, f0_hz: Array, read: Callable[[Array], Array]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Move f0 by a small whole ratio, to the highest at which the loss is about at its least.

        Parameters
        ----------
        audio : ndarray, shape (B, N)
            Sounds.
        f0_hz : ndarray, shape (B, T)
            In Hz; in memory.
        read : callable
            ``read(f0_hz)`` gives the amplitudes, (B, T, H), that the sounds have at the harmonics
            of any f0. Those of the network would not do: it knows those of its own f0 alone. Both
            are on the device if the sounds are.

        Returns
        -------
        f0_hz : ndarray, shape (B, T)
            In Hz; one ratio for all frames of a sound.
        convincing : ndarray of bool, shape (B,)
            Where the loss is half as large again, or more, half a semitone up and down.
        """
        target = audio.shape[1], self._loss.prepare(audio), read
        losses = np.array([self._losses(*target, f0_hz * ratio) for ratio in RATIOS])
        best = np.argmax(losses <= NEARLY * losses.min(axis=0), axis=0)
        f0_hz = f0_hz * np.take(RATIOS, best)[:, None]
        below, above = (self._losses(*target, f0_hz * 2.0**step) for step in (-BESIDE, BESIDE))
        least = np.take_along_axis(losses, best[None], axis=0)[0]
        return f0_hz, np.minimum(below, above) > DIP * least

    def _losses(self, n_samples, target, read, f0_hz):
        """Loss of each sound as it is read at f0, which is kept below the Nyquist frequency."""
        f0_hz = np.minimum(f0_hz, 0.49 * self._grid["sample_rate"])
        amplitudes = read(f0_hz)
        f0_hz = backend.where(f0_hz, amplitudes)
        rendered, _ = _render(self._grid, n_samples, f0_hz, amplitudes)
        return backend.to_host(self._loss.per_item(target, rendered)[0])


class Guided:
    """Transport of pitch teaches f0, heard on amplitudes not its own; amplitudes learn apart.

    f0 is heard on a guide of fixed amplitudes 1/h: whatever the network makes of the amplitudes,
    the guide at f0 / 2 has another pitch, so there is no octave to fall into. Amplitudes learn from
    the vertical loss MSS once f0 is about right; late in training it refines f0 too, further than
    transport can.

    Parameters
    ----------
    grid : dict
        As of `Joint`.
    amplitudes_from : float
        Share of the training after which amplitudes are learned.
    refine_from : float
        Share after which the vertical loss refines f0.
    refine_weight : float
        Its weight then.
    refine_limit : float
        How hard it may pull at a frame at most, where transport pulls by 1: a vertical loss can be
        steep and wrong, in noise above all.
    continuity : float
        What an octave between two frames costs. Frames at the edge of a sound hardly sound
        themselves; they learn from their neighbours.
    floor : float
        Smallest magnitude that counts in the logarithm of MSS: above the noise.

    Attributes
    ----------
    steering : float
        As `Encoder.backward` wants it. Louder readings must not draw f0 off: it would be wrong by
        some cents, and lost in noise.
    """

    steering = 0.0

    def __init__(
        self,
        grid: dict[str, Any],
        amplitudes_from: float = 0.2,
        refine_from: float = 0.5,
        refine_weight: float = 0.01,
        refine_limit: float = 0.3,
        continuity: float = 0.5,
        floor: float = 0.03,
    ) -> None:
        self._grid, self._spectrum = grid, MSS(floor=floor)
        self._pitch = _pitch(grid["sample_rate"])
        self._amplitudes_from, self._refine_from = amplitudes_from, refine_from
        self._refine_weight, self._refine_limit = refine_weight, refine_limit
        self._continuity = continuity

    def __call__(
        self, step: int, n_steps: int, audio: Array, f0_hz: Array, amplitudes: Array
    ) -> tuple[float, Array, Array]:
        """Value and gradients of one batch, as of `Joint`."""
        H = amplitudes.shape[-1]
        guide = (GUIDE_LEVEL / np.arange(1, H + 1)).astype(amplitudes.dtype)
        guide = np.broadcast_to(guide, amplitudes.shape)
        value, d_f0, _ = _descend(self._pitch, self._grid, audio, f0_hz, guide)
        jumps, d_jumps = _jumps(f0_hz)
        value, d_f0 = value + self._continuity * jumps, d_f0 + self._continuity * d_jumps
        if step < self._amplitudes_from * n_steps:
            return value, d_f0, np.zeros_like(amplitudes)
        more, d_f0_more, d_amplitudes = _descend(
            self._spectrum, self._grid, audio, f0_hz, amplitudes
        )
        if step >= self._refine_from * n_steps:
            per_octave = f0_hz * np.log(2)
            limit = self._refine_limit / f0_hz.size
            pull = np.clip(self._refine_weight * d_f0_more * per_octave, -limit, limit)
            d_f0 = d_f0 + pull / per_octave
        return value + more, d_f0, d_amplitudes


def _pitch(sample_rate):
    """The first term of the preset "SOT-Pitch": transport of pitch salience, in octaves."""
    salience = PitchSalience(sample_rate=sample_rate)
    pitch = SOT(salience, frequency_axis="cents", p=1, mass="balanced")
    return WeightedSum({"pitch": (1 / 1200, pitch)})


def _jumps(f0_hz):
    """Mean distance of neighbouring frames in octaves, and its gradient."""
    steps = np.diff(np.log2(f0_hz), axis=1)
    if steps.size == 0:
        return 0.0, np.zeros_like(f0_hz)
    signs = np.pad(np.sign(steps), ((0, 0), (1, 1))) / steps.size
    return float(np.abs(steps).mean()), -np.diff(signs, axis=1) / (f0_hz * np.log(2))


def _descend(loss, grid, audio, f0_hz, amplitudes):
    """Value of the loss of what is rendered, and its gradients."""
    rendered, saved = _render(grid, audio.shape[-1], f0_hz, amplitudes)
    value, d_rendered = loss(audio, rendered)
    d_f0_hz, d_amplitudes, *_ = harmonic_backward(d_rendered, saved)
    return value, d_f0_hz, d_amplitudes


def _render(grid, n_samples, f0_hz, amplitudes):
    return harmonic_forward(f0_hz, amplitudes, n_samples=n_samples, **grid)


def objective(
    name: str, grid: dict[str, Any], *, refine: bool = True, clip: float = 1.0
) -> Guided | Joint:
    """The objective of this name.

    Parameters
    ----------
    name : str
        "guided", or a preset of `spectralot.preset`, which makes a `Joint`.
    grid : dict
        As of `Joint`.
    refine : bool
        Whether the second half of "guided" refines f0.
    clip : float
        As of `Joint`; "guided" needs none.

    Returns
    -------
    Guided or Joint

    Raises
    ------
    ParameterError
        If there is none of this name.
    """
    checks.one_of("objective", name, OBJECTIVES)
    if name == "guided":
        return Guided(grid) if refine else Guided(grid, refine_from=1.0)
    return Joint(preset(name, grid["sample_rate"]), grid, clip)
