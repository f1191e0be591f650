"""Additive synthesis with exact gradients: harmonics of one f0, or partials of their own.

Names: B batch, T frames, N samples, H harmonics. Derivation: docs/derivations/synth.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from . import backend, checks
from .checks import ParameterError
from .cpu.synth import CHUNK, ROWS
from .hints import Array, ArrayLike

__all__ = ["harmonic_backward", "harmonic_forward", "sinusoidal_backward", "sinusoidal_forward"]

_PARTS = 64  # independent pieces of work; a fixed number, so results do not depend on threads


@dataclass(frozen=True)
class SynthSaved:
    """What a forward pass hands to its backward pass, and to the next block.

    Attributes
    ----------
    end_phase : ndarray, shape (B, H) or (H,)
        Phases in radians after the last sample: the `start_phase` of the next block.
    """

    end_phase: Array
    f0_hz: Array
    amplitudes: Array
    start_phase: Array
    phase: Array | None
    grid: tuple[Any, ...]
    sample_rate: float
    dtype: np.dtype[Any]
    batched: bool
    has_start_phase: bool
    inharmonicity: Array | None = None
    partials: SynthSaved | None = None


def _grid(n_samples, n_frames, hop_length, interpolation, block, first_frame):
    """(hop, frequency shift, amplitude shift, first sample, hann) and the block's length."""
    n_samples = checks.integer("n_samples", n_samples, 1)
    checks.one_of("interpolation", interpolation, ("hann", "linear"))
    hann = interpolation == "hann"
    first_frame = checks.integer("first_frame", first_frame, 0)
    if hop_length is None:
        if first_frame:
            raise ParameterError(f"first_frame needs a hop_length, got {first_frame} without one")
        hop = n_samples / n_frames
        f_shift = 0.5 / hop - 0.5
        a_shift = 0.0 if hann else f_shift
    else:
        hop = checks.number("hop_length", hop_length, above=0)
        f_shift = a_shift = float(-first_frame)
    start, stop = (0, n_samples) if block is None else block
    start = checks.integer("block[0]", start, 0)
    stop = checks.integer("block[1]", stop, 1)
    if not start < stop <= n_samples:
        raise ParameterError(
            f"block must lie within 0 <= start < stop <= n_samples = {n_samples}, "
            f"got ({start}, {stop})"
        )
    return (hop, f_shift, a_shift, start, hann), stop - start


def _batch(name, frames, amplitudes, frames_ndim):
    """Both inputs with a batch axis, the output's dtype, and if there was a batch.

    Frames in float64, amplitudes too, but on a device in float32.
    """
    checks.same_place("amplitudes", amplitudes, name, frames)
    frames = checks.float_array(name, frames, (frames_ndim, frames_ndim + 1), dtype=np.float64)
    amplitudes = checks.level_array(
        "amplitudes", amplitudes, (2, 3), largest=checks.LARGEST_AMPLITUDE
    )
    batched = frames.ndim == frames_ndim + 1
    lead = frames.shape[: 1 + batched]
    if amplitudes.shape[:-1] != lead:
        axes = "B, T" if batched else "T"
        raise ParameterError(
            f"amplitudes must have shape ({axes}, H) with {name}'s {axes} = {lead}, "
            f"got {amplitudes.shape}"
        )
    dtype = amplitudes.dtype
    if not backend.on_device(frames):
        amplitudes = amplitudes.astype(np.float64)
    if not batched:
        frames = frames.reshape(1, *frames.shape)
        amplitudes = amplitudes.reshape(1, *amplitudes.shape)
    return frames, amplitudes, dtype, batched


def _start_phase(start_phase, batched, amplitudes):
    n_batch, _, n_partials = amplitudes.shape
    if start_phase is None:
        return backend.constant(np.zeros((n_batch, n_partials)), amplitudes)
    checks.same_place("start_phase", start_phase, "amplitudes", amplitudes)
    start_phase = checks.float_array("start_phase", start_phase, 1 + batched, dtype=np.float64)
    shape = (n_batch, n_partials) if batched else (n_partials,)
    checks.same_shape("start_phase", start_phase, shape)
    return start_phase.reshape(n_batch, n_partials)


def _check_f0(f0_hz, sample_rate):
    if backend.on_device(f0_hz):
        return
    low, high = f0_hz.min(), f0_hz.max()
    if low <= 0 or high >= 0.5 * sample_rate:
        raise ParameterError(
            f"f0_hz must be above 0 and below sample_rate / 2 = {0.5 * sample_rate:g} Hz, "
            f"got {low if low <= 0 else high:g}"
        )


def _check_d_audio(d_audio, shape, batched, amplitudes):
    checks.same_place("d_audio", d_audio, "the audio", amplitudes)
    d_audio = checks.float_array("d_audio", d_audio, 1 + batched, dtype=amplitudes.dtype)
    checks.same_shape("d_audio", d_audio, shape if batched else shape[1:])
    return d_audio.reshape(shape)


def harmonic_forward(
    f0_hz: ArrayLike,
    amplitudes: ArrayLike,
    *,
    n_samples: int,
    sample_rate: float,
    start_phase: ArrayLike | None = None,
    inharmonicity: ArrayLike | None = None,
    interpolation: Literal["hann", "linear"] = "hann",
    hop_length: float | None = None,
    block: tuple[int, int] | None = None,
    first_frame: int = 0,
) -> tuple[Array, SynthSaved]:
    r"""Render harmonics of a time-varying fundamental.

    .. math:: x[n] = \sum_h a_h[n] \sin(h \Phi[n] + \varphi_h), \quad
              \Phi[n] = \frac{2\pi}{s} \sum_{m \le n} f_0[m]

    Partials at or above half the sample rate are silent. All arithmetic is in float64, so the
    phase of an hour does not drift; give `f0_hz` in float64 where its rounding would be heard.
    Harmonics of one phase follow from each other by a two-term recurrence. Of arrays on a device
    only f0 and phases are exact beyond float32, f0 is not looked at, and the result is there too.

    Parameters
    ----------
    f0_hz : array_like, shape (T,) or (B, T)
        Fundamental frequency of each frame in Hz, above 0 and below ``sample_rate / 2``.
    amplitudes : array_like, shape (T, H) or (B, T, H)
        Linear peak amplitude of harmonics 1..H in each frame; any sign, at most 1e15.
    n_samples : int
        Length N of the whole signal.
    sample_rate : float
        Samples per second.
    start_phase : array_like, shape (H,) or (B, H), optional
        Phases in radians before the first rendered sample; default 0.
    inharmonicity : float or array_like, shape (B,), optional
        Stiffness coefficient: partial h stands at ``h * f0 * sqrt(1 + inharmonicity * h**2)``.
    interpolation : {"hann", "linear"}
        From frames to samples. "hann": amplitudes by overlapping Hann windows, frame t at sample
        ``t * N / T``; "linear": amplitudes like frequencies, which are always linear between
        frame centres ``(t + 0.5) * N / T - 0.5`` and constant beyond the first and last.
    hop_length : float, optional
        Place frame t of both inputs at sample ``t * hop_length`` instead, as a centred analysis
        does; values hold after the last frame.
    block : (int, int), optional
        Render samples ``start <= n < stop`` only. Rendering block after block, each with the
        ``end_phase`` of the one before as its `start_phase`, equals the whole.
    first_frame : int
        Place frame t at sample ``(first_frame + t) * hop_length``, so that a block can do with
        the frames around it: those from ``floor(start / hop_length)`` to
        ``ceil(stop / hop_length)``.

    Returns
    -------
    audio : ndarray, shape (N,) or (B, N)
        Samples of the block, with the dtype of `amplitudes` (float32 or float64).
    saved : SynthSaved
        For `harmonic_backward`; ``saved.end_phase`` continues the next block.

    Raises
    ------
    ParameterError
        If an argument is empty, not finite, has the wrong shape, or f0_hz is out of range.

    References
    ----------
    Torres, Peeters, Richard, "Unsupervised harmonic parameter estimation using differentiable
    DSP and spectral optimal transport", ICASSP 2024, arXiv:2312.14507, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import harmonic_forward
    >>> audio, saved = harmonic_forward(
    ...     np.full(10, 220.0), np.ones((10, 3)), n_samples=1600, sample_rate=16000
    ... )
    >>> audio.shape, saved.end_phase.shape
    ((1600,), (3,))
    """
    f0_hz, amplitudes, dtype, batched = _batch("f0_hz", f0_hz, amplitudes, 1)
    sample_rate = checks.number("sample_rate", sample_rate, above=0)
    _check_f0(f0_hz, sample_rate)
    B, T, H = amplitudes.shape
    orders = np.arange(1, H + 1)
    if inharmonicity is not None:
        if backend.on_device(f0_hz):
            raise ParameterError("inharmonicity must be None for arrays on a device, got another")
        return _inharmonic_forward(
            f0_hz, amplitudes, inharmonicity, dtype, batched, orders,
            dict(n_samples=n_samples, sample_rate=sample_rate, start_phase=start_phase,
                 interpolation=interpolation, hop_length=hop_length, block=block,
                 first_frame=first_frame),
        )  # fmt: skip
    grid, length = _grid(n_samples, T, hop_length, interpolation, block, first_frame)
    phase0, kernels = (
        _start_phase(start_phase, batched, amplitudes),
        backend.kernels("synth", f0_hz),
    )
    turns = np.uint32 if backend.on_device(f0_hz) else np.float64
    phase = backend.empty((B, length), turns, f0_hz)
    audio = backend.empty((B, length), amplitudes.dtype, f0_hz)
    end_phase = backend.empty((B, H), np.float64, f0_hz)
    kernels.harmonic_phase(f0_hz, grid[0], grid[1], grid[3], sample_rate, phase)
    kernels.harmonic_forward(
        f0_hz, amplitudes, phase0, phase, grid, 0.5 * sample_rate, _scratch(B * T), audio
    )
    kernels.harmonic_end(phase, phase0, end_phase)
    saved = SynthSaved(
        end_phase if batched else end_phase[0], f0_hz, amplitudes, phase0, phase, grid,
        sample_rate, dtype, batched, start_phase is not None,
    )  # fmt: skip
    audio = _as(audio, dtype)
    return (audio if batched else audio[0]), saved


def _as(array, dtype):
    """In the dtype of the caller's arrays; on a device it is."""
    if backend.on_device(array):
        return array
    with np.errstate(over="ignore"):  # what is infinite then is refused
        return array.astype(dtype, copy=False)


def harmonic_backward(
    d_audio: ArrayLike, saved: SynthSaved
) -> tuple[Array, Array, Array | None, Array | None]:
    """Gradients of a scalar with respect to the inputs of `harmonic_forward`.

    Parameters
    ----------
    d_audio : array_like, shape of the audio
        Gradient of the scalar with respect to the rendered samples.
    saved : SynthSaved
        From `harmonic_forward`.

    Returns
    -------
    d_f0_hz : ndarray, shape (T,) or (B, T)
    d_amplitudes : ndarray, shape (T, H) or (B, T, H)
    d_start_phase : ndarray, shape (H,) or (B, H), or None
        None if no start phase was given.
    d_inharmonicity : ndarray, shape () or (B,), or None
        None if no inharmonicity was given.

    Raises
    ------
    ParameterError
        If `d_audio` is not finite or has another shape than the audio.

    Notes
    -----
    Equations 5 to 7 of docs/derivations/synth.md. A silent partial (at or above Nyquist) has
    zero gradient. Gradients have the dtype of the amplitudes.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import harmonic_backward, harmonic_forward
    >>> audio, saved = harmonic_forward(
    ...     np.full(10, 220.0), np.ones((10, 3)), n_samples=1600, sample_rate=16000
    ... )
    >>> d_f0_hz, d_amplitudes, _, _ = harmonic_backward(audio, saved)
    >>> d_f0_hz.shape, d_amplitudes.shape
    ((10,), (10, 3))
    """
    if saved.inharmonicity is not None:
        return _inharmonic_backward(d_audio, saved)
    if saved.phase is None:
        raise ParameterError("saved must be of harmonic_forward, got that of sinusoidal_forward")
    (B, T, H), phase, amplitudes = saved.amplitudes.shape, saved.phase, saved.amplitudes
    d_audio = _check_d_audio(d_audio, phase.shape, saved.batched, amplitudes)
    wanted, kernels = saved.has_start_phase, backend.kernels("synth", phase)
    d_phase, d_segment, d_amp = (
        backend.empty(shape, amplitudes.dtype, phase)
        for shape in (phase.shape, (B, T, 2 + wanted, H), (B, T, H))
    )
    d_f0 = backend.empty((B, T), np.float64, phase)
    d_start = backend.constant(np.empty((B, 0)), phase)
    if wanted:
        d_start = backend.empty((B, H), np.float64, phase)
    kernels.harmonic_backward(
        d_audio, saved.f0_hz, amplitudes, saved.start_phase, phase, saved.grid,
        0.5 * saved.sample_rate, _scratch(B * T), d_phase, d_segment,
    )  # fmt: skip
    hop, shift, _, start, _ = saved.grid
    kernels.harmonic_gather(
        d_phase, d_segment, hop, shift, start, saved.sample_rate, d_f0, d_amp, d_start
    )
    gradients = [
        checks.gradient_fits("d_audio", _as(g, saved.dtype)) for g in (d_f0, d_amp, d_start)
    ]
    d_f0, d_amp, d_start = gradients if saved.batched else (g[0] for g in gradients)
    return d_f0, d_amp, (d_start if saved.has_start_phase else None), None


def sinusoidal_forward(
    frequencies_hz: ArrayLike,
    amplitudes: ArrayLike,
    *,
    n_samples: int,
    sample_rate: float,
    start_phase: ArrayLike | None = None,
    interpolation: Literal["hann", "linear"] = "hann",
    hop_length: float | None = None,
    block: tuple[int, int] | None = None,
    first_frame: int = 0,
) -> tuple[Array, SynthSaved]:
    """Render partials that each have a frequency of their own.

    Parameters
    ----------
    frequencies_hz : array_like, shape (T, H) or (B, T, H)
        Frequency of each partial in Hz, not negative; silent at or above ``sample_rate / 2``.
    amplitudes : array_like, shape (T, H) or (B, T, H)
        Linear peak amplitudes; any sign, at most 1e15.
    n_samples, sample_rate, start_phase, interpolation, hop_length, block, first_frame
        As in `harmonic_forward`.

    Returns
    -------
    audio : ndarray, shape (N,) or (B, N)
        Samples of the block, with the dtype of `amplitudes` (float32 or float64).
    saved : SynthSaved
        For `sinusoidal_backward`; ``saved.end_phase`` continues the next block.

    Raises
    ------
    ParameterError
        If an argument is empty, not finite, negative where it must not be, or misshapen.

    References
    ----------
    Equation 10 of docs/derivations/synth.md.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import sinusoidal_forward
    >>> audio, saved = sinusoidal_forward(
    ...     np.tile([220.0, 331.0], (10, 1)), np.ones((10, 2)), n_samples=1600, sample_rate=16000
    ... )
    >>> audio.shape
    (1600,)
    """
    frequencies, amplitudes, dtype, batched = _batch(
        "frequencies_hz", frequencies_hz, amplitudes, 2
    )
    checks.same_shape("amplitudes", amplitudes, frequencies.shape)
    sample_rate = checks.number("sample_rate", sample_rate, above=0)
    if not backend.on_device(frequencies) and frequencies.min() < 0:
        raise ParameterError(f"frequencies_hz must not be negative, got {frequencies.min():g}")
    B, T, H = amplitudes.shape
    grid, length = _grid(n_samples, T, hop_length, interpolation, block, first_frame)
    phase0 = _start_phase(start_phase, batched, amplitudes)
    end_phase = backend.empty((B, H), np.float64, amplitudes)
    audio = backend.empty((B, length), amplitudes.dtype, amplitudes)
    backend.kernels("synth", audio).sinusoidal_forward(
        frequencies, amplitudes, phase0, grid, sample_rate, end_phase, audio
    )
    saved = SynthSaved(
        end_phase if batched else end_phase[0], frequencies, amplitudes, end_phase, None,
        (*grid, length), sample_rate, dtype, batched, start_phase is not None,
    )  # fmt: skip
    audio = _as(audio, dtype)
    return (audio if batched else audio[0]), saved


def sinusoidal_backward(d_audio: ArrayLike, saved: SynthSaved) -> tuple[Array, Array, Array | None]:
    """Gradients of a scalar with respect to the inputs of `sinusoidal_forward`.

    Parameters
    ----------
    d_audio : array_like, shape of the audio
        Gradient of the scalar with respect to the rendered samples.
    saved : SynthSaved
        From `sinusoidal_forward`.

    Returns
    -------
    d_frequencies_hz : ndarray, shape (T, H) or (B, T, H)
    d_amplitudes : ndarray, shape (T, H) or (B, T, H)
    d_start_phase : ndarray, shape (H,) or (B, H), or None
        None if no start phase was given.

    Raises
    ------
    ParameterError
        If `d_audio` is not finite or has another shape than the audio.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import sinusoidal_backward, sinusoidal_forward
    >>> audio, saved = sinusoidal_forward(
    ...     np.tile([220.0, 331.0], (10, 1)), np.ones((10, 2)), n_samples=1600, sample_rate=16000
    ... )
    >>> sinusoidal_backward(audio, saved)[0].shape
    (10, 2)
    """
    (B, T, H), amplitudes = saved.amplitudes.shape, saved.amplitudes
    *grid, length = saved.grid
    d_audio = _check_d_audio(d_audio, (B, length), saved.batched, amplitudes)
    d_a = backend.empty((B, T, H), amplitudes.dtype, amplitudes)
    d_f, d_start, scratch = (
        backend.empty(shape, np.float64, amplitudes) for shape in ((B, T, H), (B, H), (B, 2, H))
    )
    backend.kernels("synth", amplitudes).sinusoidal_backward(
        d_audio, saved.f0_hz, amplitudes, saved.start_phase, tuple(grid), saved.sample_rate,
        scratch, d_f, d_a, d_start,
    )  # fmt: skip
    gradients = [checks.gradient_fits("d_audio", _as(g, saved.dtype)) for g in (d_f, d_a, d_start)]
    d_f, d_a, d_start = gradients if saved.batched else (g[0] for g in gradients)
    return d_f, d_a, (d_start if saved.has_start_phase else None)


def _inharmonic_forward(f0_hz, amplitudes, inharmonicity, dtype, batched, orders, options):
    """Stretched partials share no phase, so each gets its own (eq. 11)."""
    stiffness = checks.float_array(
        "inharmonicity", inharmonicity, (0, 1) if batched else 0, dtype=np.float64
    )
    if stiffness.ndim == 1:
        checks.same_shape("inharmonicity", stiffness, (len(f0_hz),))
    if stiffness.min() < 0:
        raise ParameterError(f"inharmonicity must not be negative, got {stiffness.min():g}")
    stretch = orders * np.sqrt(1 + stiffness.reshape(-1, 1) * orders**2)  # (1 or B, H)
    frequencies = f0_hz[:, :, None] * stretch[:, None, :]
    if not batched:
        frequencies, amplitudes = frequencies[0], amplitudes[0]
    audio, partials = sinusoidal_forward(frequencies, amplitudes.astype(dtype), **options)
    saved = SynthSaved(
        partials.end_phase, f0_hz, partials.amplitudes, partials.start_phase, None, (),
        partials.sample_rate, dtype, batched, partials.has_start_phase, stiffness, partials,
    )  # fmt: skip
    return audio, saved


def _inharmonic_backward(d_audio, saved):
    d_frequencies, d_amplitudes, d_start_phase = sinusoidal_backward(d_audio, saved.partials)
    orders = np.arange(1, saved.amplitudes.shape[2] + 1)
    stiffness = saved.inharmonicity
    root = np.sqrt(1 + stiffness.reshape(-1, 1) * orders**2)[:, None, :]  # (1 or B, 1, H)
    d_f = d_frequencies.reshape(saved.amplitudes.shape).astype(np.float64)
    d_f0 = (d_f * orders * root).sum(axis=2).astype(saved.dtype)
    d_stiffness = (d_f * saved.f0_hz[:, :, None] * orders**3 / (2 * root)).sum(axis=(1, 2))
    if stiffness.ndim == 0:
        d_stiffness = d_stiffness.sum()
    d_stiffness = np.asarray(d_stiffness, saved.dtype)
    return (d_f0 if saved.batched else d_f0[0]), d_amplitudes, d_start_phase, d_stiffness


def _scratch(n_jobs):
    return np.empty((min(_PARTS, n_jobs), ROWS, CHUNK))
