"""Spectral optimal transport between recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from .. import backend, checks
from ..axes import a_weighting_db, axis_positions
from ..checks import ParameterError
from ..circular import chroma_positions, circular_wasserstein_1d_forward
from ..hints import ArrayLike, Padding, Window
from ..noise_floor import _subtract, _subtract_backward
from ..transforms import STFT, PitchSalience
from ..transforms.base import Transform
from ..transport import MASSES, _mass, wasserstein_1d_forward
from .base import SpectralLoss

__all__ = ["SOT"]

# what spectra are made by; an int is the length of the frames of an STFT
Resolution: TypeAlias = int | Transform | PitchSalience
DIRECTIONS = ("frequency", "time")


class SOT(SpectralLoss):
    r"""Spectral optimal transport: how far energy must move along the frequency axis.

    .. math:: L = \frac{1}{BT} \sum_{b,t} W_p^p\big(|X|^{power}, |Y|^{power}\big)

    Parameters
    ----------
    transform : int, object, or sequence of these
        Frame length of an STFT; or an `STFT`, `Mel`, `ConstantQ` or `PitchSalience`. Values of
        several add up.
    hop_length : int, optional
        Of an STFT given by its length: step between frames, default 256.
    window : str, tuple or array_like, optional
        Of an STFT given by its length: as in `spectralot.stft_magnitude_forward`. Default
        "flattop", which keeps a partial's energy the same wherever it falls between two bins.
    padding : {"end", "center", "none"}, optional
        Of an STFT given by its length: as in `spectralot.frame_count`, default "end". The end's
        cut frames smear energy over all bins: choose "none" where every frame should count for
        what it holds.
    power : {1, 2}, optional
        Of an STFT given by its length: transport magnitudes or, by default, powers.
    frequency_axis : str or array_like, shape (K,)
        Where the bins stand, as in `spectralot.axis_positions`: "linear" (0 to 1), "hz",
        "cents", "mel", "erb", "log" (the paper's pitch scale), or positions. The value is in
        this unit, to the power p. "chroma": round the circle of pitch classes, in octaves, blind
        to the octave; for balanced mass, and slower.
    along : {"frequency", "time"}
        Along time, each bin's energy moves between the frames, whose centres are in seconds; bins
        weigh by their share of the target's energy, and the frequency axis does not matter.
    p : float
        Exponent of the distance, at least 1.
    mass : {"cutoff", "balanced", "partial", "unbalanced"}
        As in `spectralot.wasserstein_1d_forward`.
    share, reach : float, optional
        As in `spectralot.wasserstein_1d_forward`.
    mass_floor : float, optional
        Frames of the target with no more mass than this count nothing; default 1e-7, or 1e-30
        for `PitchSalience`, whose mass says nothing about level.
    noise_floor : float
        This many times the median of each frame is subtracted first, from target and estimate, as
        in `spectralot.noise_floor_forward`; 4 removes most of white noise.
    level_weight : float
        What one decibel of difference in level between two frames costs; transport of balanced
        mass does not hear levels. Levels stop at `mass_floor`.
    weighting : {None, "A"}
        "A" weighs frequencies as the A curve does.
    sample_rate : float
        In Hz, of an STFT given by its length.

    Raises
    ------
    ParameterError
        If an argument breaks its rule, or a transform is given together with what it has itself.

    Notes
    -----
    Where only the estimate is silent, balanced and partial transport have nothing to move. Such
    a frame costs the width of the axis to the power p, as if all had to cross it, and has no
    slope. A frame whose target is silent costs nothing.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, section 3. Equations:
    docs/derivations/sot.md.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import SOT
    >>> t = np.arange(4096) / 16000
    >>> target, estimate = np.sin(2 * np.pi * 440 * t), np.sin(2 * np.pi * 466.16 * t)
    >>> loss = SOT(2048, padding="none", frequency_axis="cents", p=1, mass="balanced")
    >>> value, d_estimate = loss(target, estimate)
    >>> round(value), d_estimate.shape  # a semitone
    (100, (4096,))
    """

    def __init__(
        self,
        transform: Resolution | Sequence[Resolution],
        *,
        hop_length: int | None = None,
        window: Window | None = None,
        padding: Padding | None = None,
        power: Literal[1, 2] | None = None,
        frequency_axis: str | ArrayLike = "linear",
        along: Literal["frequency", "time"] = "frequency",
        p: float = 2,
        mass: Literal["cutoff", "balanced", "partial", "unbalanced"] = "cutoff",
        share: float | None = None,
        reach: float | None = None,
        mass_floor: float | None = None,
        noise_floor: float = 0.0,
        level_weight: float = 0.0,
        weighting: Literal["A"] | None = None,
        sample_rate: float = 16000,
    ) -> None:
        stft = dict(hop_length=hop_length, window=window, padding=padding, power=power)
        several = transform if isinstance(transform, (list, tuple)) else (transform,)
        super().__init__([_transform(t, stft, sample_rate) for t in several])
        if not several:
            raise ParameterError(f"transform must name at least one, got {transform!r}")
        levels = all(t.power is not None for t in self._resolutions)
        mass_floor = (1e-7 if levels else 1e-30) if mass_floor is None else mass_floor
        self._transport = dict(
            p=checks.number("p", p, minimum=1), mass=checks.one_of("mass", mass, MASSES),
            share=share, reach=reach,
            mass_floor=checks.number("mass_floor", mass_floor, minimum=0),
        )  # fmt: skip
        _mass(mass, share, reach, self._transport["p"])
        self._along = checks.one_of("along", along, DIRECTIONS)
        self._noise_floor = checks.number("noise_floor", noise_floor, minimum=0)
        self._level_weight = checks.number("level_weight", level_weight, minimum=0)
        checks.one_of("weighting", weighting, (None, "A"))
        if level_weight and not levels:
            raise ParameterError(
                f"level_weight must be 0 for a transform without level, got {level_weight:g}"
            )
        self._chroma = isinstance(frequency_axis, str) and frequency_axis == "chroma"
        if self._chroma and (mass != "balanced" or along != "frequency"):
            raise ParameterError(
                f"mass must be 'balanced' and along 'frequency' on the axis 'chroma', "
                f"got {mass!r} and {along!r}"
            )
        self._positions = {t: _places(t, frequency_axis) for t in self._resolutions}
        self._gains = {t: _gains(t, weighting, self._chroma) for t in self._resolutions}

    def _spectrum(self, target, transform):
        """The target's mass by rows of the transport, its level in each frame, and what rows weigh.

        Rows are frames; along time they are bins, which weigh by their share of the mass.
        """
        self._check_place(target, transform)
        mass, _ = self._mass(transform.forward(target)[0], transform)
        level, _ = self._level(mass, transform)
        rows, weights = self._rows(mass), None
        if self._along == "time":
            weights = rows.sum(axis=-1, dtype=np.float64)
            weights /= np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300)
        return rows, level, weights

    def _check_place(self, target, transform):
        """What is not to be had on a device."""
        if backend.on_device(target) and (
            not isinstance(transform, STFT)
            or self._along == "time"
            or self._chroma
            or self._noise_floor
            or self._level_weight
            or self._gains[transform] is not None
        ):
            raise ParameterError(
                "target must be in memory unless frames of an STFT are transported along frequency "
                "without noise floor, level and weighting, got one on a device"
            )

    def _mass(self, magnitude, transform):
        """What is transported: weighted, less the noise floor; and what the way back needs."""
        gains = self._gains[transform]
        mass = magnitude if gains is None else magnitude * gains.astype(magnitude.dtype)
        return _subtract(mass, self._noise_floor) if self._noise_floor else (mass, None)

    def _rows(self, mass):
        if self._along == "frequency":
            return mass
        return np.ascontiguousarray(np.swapaxes(mass, -1, -2))

    def _compare(self, spectrum, estimate, transform, d_estimate):
        (u, u_level, weights), (magnitude, saved) = spectrum, transform.forward(estimate)
        v, floor = self._mass(magnitude, transform)
        values, d_v = self._move(u, self._rows(v), weights, transform, estimate.shape[-1])
        if self._level_weight:
            v_level, d_mass = self._level(v, transform)
            values = values + self._level_weight * np.abs(v_level - u_level)
            slope = self._level_weight * np.sign(v_level - u_level) * d_mass
            d_v = d_v + slope[..., None].astype(d_v.dtype)
        if self._noise_floor:
            d_v = _subtract_backward(d_v, floor)
        if self._gains[transform] is not None:
            d_v = d_v * self._gains[transform].astype(d_v.dtype)
        backend.add(d_estimate, transform.backward(d_v, saved), 1 / values.size)
        return values

    def _move(self, u, v, weights, transform, n_samples):
        """Cost of each frame, and the gradient of their sum with respect to the mass (T,K)."""
        time = self._along == "time"
        places = transform.frame_times(n_samples) if time else self._positions[transform]
        if self._chroma:
            options = {name: self._transport[name] for name in ("p", "mass_floor")}
            values, saved = circular_wasserstein_1d_forward(u, v, u_positions=places, **options)
        else:
            values, saved = wasserstein_1d_forward(
                u, v, u_positions=places, position_gradients=False, **self._transport
            )
        self._charge_silence(u, v, places, values)
        d_v = saved.unit("v")
        if not time:
            return values, d_v
        # every frame is given the item's value, so that means over frames come out right
        item, n_frames = (values * weights).sum(axis=-1, keepdims=True), v.shape[-1]
        d_v *= (n_frames * weights[..., None]).astype(d_v.dtype)
        return np.repeat(item, n_frames, axis=-1), np.ascontiguousarray(np.swapaxes(d_v, -1, -2))

    def _charge_silence(self, u, v, places, values):
        """Rows of which only the estimate has no mass cost as much as the axis is wide."""
        if self._transport["mass"] not in ("balanced", "partial"):
            return  # the others charge for it themselves
        width = 0.5 if self._chroma else np.ptp(places)
        backend.kernels("transport", values).charge_silence(
            u.reshape(-1, u.shape[-1]), v.reshape(-1, v.shape[-1]), self._transport["mass_floor"],
            float(width ** self._transport["p"]), values.reshape(-1),
        )  # fmt: skip

    def _level(self, mass, transform):
        """Level of each frame in dB, and its derivative by the mass of any bin."""
        if not self._level_weight:
            return None, None
        total = mass.sum(axis=-1, dtype=np.float64)
        floor = max(self._transport["mass_floor"], 1e-30)  # its reciprocal must fit float32
        factor = 20 / transform.power
        heard = np.maximum(total, floor)
        slope = np.where(total > floor, factor / np.log(10) / heard, 0.0)
        return factor * np.log10(heard), slope


def _transform(given, stft, sample_rate):
    """The transform itself, or the STFT of a given length."""
    named = [name for name, value in stft.items() if value is not None]
    if hasattr(given, "forward") and not isinstance(given, type):
        if named:
            raise ParameterError(f"{named[0]} must be left to the transform, got {given!r} too")
        return given
    n_fft = checks.integer("transform (as n_fft)", given, 2)
    defaults = dict(hop_length=256, window="flattop", padding="end", power=2)
    return STFT(n_fft, **(defaults | {k: stft[k] for k in named}), sample_rate=sample_rate)


def _places(transform, frequency_axis):
    """Where the bins stand on the axis."""
    if isinstance(frequency_axis, str) and frequency_axis == "chroma":
        return chroma_positions(transform.frequencies_hz)
    return axis_positions(transform.frequencies_hz, frequency_axis)


def _gains(transform, weighting, chroma):
    """Factor of each bin, or None; 0 Hz has no pitch class."""
    power = transform.power or 1
    gains = np.ones(len(transform.frequencies_hz))
    if weighting is not None:
        gains = 10 ** (a_weighting_db(transform.frequencies_hz) * power / 20)
    elif not chroma:
        return None
    return np.where(transform.frequencies_hz > 0, gains, 0.0) if chroma else gains
