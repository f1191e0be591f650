"""STFT magnitude with its exact adjoint.

Names: B batch, N samples, T frames, K = n_fft // 2 + 1 bins. Derivation: docs/derivations/stft.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numba
import numpy as np
from numpy.typing import NDArray

from . import backend, checks
from .checks import ParameterError
from .hints import Array, ArrayLike, Padding, Window

__all__ = ["frame_count", "frame_times", "stft_magnitude_backward", "stft_magnitude_forward"]

PADDINGS = ("end", "center", "none")
# by power and bytes of a float: what a sound may reach, so that all its magnitudes are numbers
LARGEST = {1: {4: 1e30, 8: 1e145}, 2: {4: 1e15, 8: 1e145}}
SIZES_ON_DEVICE = tuple(2**bits for bits in range(6, 13))


@dataclass(frozen=True)
class StftSaved:
    """What `stft_magnitude_forward` hands to `stft_magnitude_backward`."""

    spectrum: NDArray[np.complexfloating]
    magnitude: Array
    window: Array
    hop_length: int
    offset: int
    scale: float
    power: int
    n_samples: int
    batched: bool


def frame_count(n_samples: int, *, n_fft: int, hop_length: int, padding: Padding = "end") -> int:
    """Number of frames that an STFT of `n_samples` samples has.

    Parameters
    ----------
    n_samples : int
        Length N of the signal.
    n_fft, hop_length : int
        Frame length and step in samples.
    padding : {"end", "center", "none"}
        "end": frames start at 0, hop, 2 hop, ... below N, zeros appended: ``ceil(N / hop)``.
        "center": frame t is centred on sample ``t * hop``, zeros on both sides:
        ``1 + N // hop``. "none": whole frames only: ``1 + (N - n_fft) // hop``.

    Returns
    -------
    int
        T, at least 1.

    Raises
    ------
    ParameterError
        If an argument is out of range, or no whole frame fits with padding "none".

    Examples
    --------
    >>> from spectralot import frame_count
    >>> frame_count(4096, n_fft=2048, hop_length=256)
    16
    """
    n_samples = checks.integer("n_samples", n_samples, 1)
    n_fft = checks.integer("n_fft", n_fft, 1)
    hop_length = checks.integer("hop_length", hop_length, 1)
    checks.one_of("padding", padding, PADDINGS)
    if padding == "end":
        return -(-n_samples // hop_length)
    if padding == "center":
        return 1 + n_samples // hop_length
    if n_samples < n_fft:
        raise ParameterError(
            f"x must have at least n_fft = {n_fft} samples with padding 'none', got {n_samples}"
        )
    return 1 + (n_samples - n_fft) // hop_length


def frame_times(
    n_frames: int, *, n_fft: int, hop_length: int, sample_rate: float, padding: Padding = "end"
) -> Array:
    """Centre of each frame in seconds.

    Parameters
    ----------
    n_frames : int
        Number of frames T.
    n_fft, hop_length : int
        Frame length and step in samples.
    sample_rate : float
        Samples per second.
    padding : {"end", "center", "none"}
        As in `frame_count`.

    Returns
    -------
    ndarray, shape (T,), float64
        ``t * hop / sample_rate`` for "center"; half a frame later for "end" and "none".

    Raises
    ------
    ParameterError
        If an argument is out of range.

    Examples
    --------
    >>> from spectralot import frame_times
    >>> frame_times(3, n_fft=512, hop_length=160, sample_rate=16000, padding="center").tolist()
    [0.0, 0.01, 0.02]
    """
    n_frames = checks.integer("n_frames", n_frames, 1)
    n_fft = checks.integer("n_fft", n_fft, 1)
    hop_length = checks.integer("hop_length", hop_length, 1)
    sample_rate = checks.number("sample_rate", sample_rate, above=0)
    checks.one_of("padding", padding, PADDINGS)
    half = 0.0 if padding == "center" else 0.5 * n_fft
    return (np.arange(n_frames) * hop_length + half) / sample_rate


@lru_cache(maxsize=64)
def _named_window(window, n_fft, dtype):
    from scipy.signal import get_window

    try:
        values = get_window(window, n_fft)
    except (ValueError, TypeError) as error:
        raise ParameterError(
            f"window must be a scipy window name or an array, got {window!r} ({error})"
        ) from None
    return np.ascontiguousarray(values, dtype=dtype)


def _window(window, n_fft, dtype):
    if isinstance(window, (str, tuple)):
        return _named_window(window, n_fft, dtype)
    window = checks.level_array("window", window, 1, dtype=dtype, largest=1000)
    checks.same_shape("window", window, (n_fft,))
    return window


def stft_magnitude_forward(
    x: ArrayLike,
    *,
    n_fft: int,
    hop_length: int,
    window: Window = "hann",
    padding: Padding = "end",
    normalized: bool = True,
    power: Literal[1, 2] = 1,
) -> tuple[Array, StftSaved]:
    r"""Magnitude (or power) of the short-time Fourier transform.

    .. math:: M[t, k] = \Big| c \sum_i w[i]\, x[t\,hop + o + i]\, e^{-2\pi j k i / n} \Big|^{power}

    Parameters
    ----------
    x : array_like, shape (N,) or (B, N)
        Signals; float32 stays float32, anything else becomes float64. On a device, where the result
        is then too: float32. No sample beyond 1e30 (float32; 1e15 with power 2) or 1e145 (float64).
    n_fft : int
        Frame length n in samples; any size. On a device a power of two from 64 to 4096.
    hop_length : int
        Step between frames in samples.
    window : str, tuple or array_like, shape (n_fft,)
        A name (or name and parameters) known to `scipy.signal.get_window`, periodic; or values.
    padding : {"end", "center", "none"}
        Where frames stand and what surrounds the signal, see `frame_count`.
    normalized : bool
        Divide by ``sqrt(n_fft)`` (orthonormal scaling).
    power : {1, 2}
        1 for the magnitude, 2 for its square.

    Returns
    -------
    magnitude : ndarray, shape (T, K) or (B, T, K)
        K = n_fft // 2 + 1 bins, of the dtype of `x`.
    saved : StftSaved
        For `stft_magnitude_backward`.

    Raises
    ------
    ParameterError
        If an argument is empty, not finite, out of range or has the wrong shape, or if `x` is
        shorter than one frame with padding "none".

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import stft_magnitude_forward
    >>> magnitude, saved = stft_magnitude_forward(np.ones(4096), n_fft=2048, hop_length=256)
    >>> magnitude.shape
    (16, 1025)
    """
    checks.one_of("power", power, (1, 2))
    x = checks.level_array("x", x, (1, 2), largest=LARGEST[power])
    batched = x.ndim == 2
    x = x.reshape(-1, x.shape[-1])
    n_fft = checks.integer("n_fft", n_fft, 2)
    if backend.on_device(x) and n_fft not in SIZES_ON_DEVICE:
        raise ParameterError(
            f"n_fft must be a power of two from 64 to 4096 on a device, got {n_fft}"
        )
    T = frame_count(x.shape[1], n_fft=n_fft, hop_length=hop_length, padding=padding)
    window = _window(window, n_fft, x.dtype)
    scale = 1 / np.sqrt(n_fft) if normalized else 1.0
    offset = _offset(n_fft, padding)
    frames = None if backend.on_device(x) else _scratch(x, T, n_fft)[0]
    spectrum, magnitude = _outputs(x, (len(x), T, n_fft // 2 + 1))
    backend.kernels("stft", x).stft_forward(
        x, backend.constant(window, x), int(hop_length), offset, float(scale), int(power), frames,
        spectrum, magnitude,
    )  # fmt: skip
    saved = StftSaved(
        spectrum, magnitude, window, int(hop_length), offset, float(scale), int(power),
        x.shape[1], batched,
    )  # fmt: skip
    return (magnitude if batched else magnitude[0]), saved


def _outputs(x, shape):
    if backend.on_device(x):
        return backend.empty(shape, np.complex64, x), backend.empty(shape, x.dtype, x)
    # one piece of memory: the C library reuses it, while two would be given back at every call
    block = np.empty((3, np.prod(shape)), x.dtype)
    spectrum = block[:2].reshape(-1).view(np.result_type(x.dtype, np.complex64)).reshape(shape)
    return spectrum, block[2].reshape(shape)


def stft_magnitude_backward(d_magnitude: ArrayLike, saved: StftSaved) -> Array:
    """Gradient of a scalar with respect to the signal, given that of the magnitude.

    Parameters
    ----------
    d_magnitude : array_like, shape (T, K) or (B, T, K)
        Gradient with respect to what `stft_magnitude_forward` returned.
    saved : StftSaved
        From `stft_magnitude_forward`.

    Returns
    -------
    d_x : ndarray, shape (N,) or (B, N)
        With the dtype of the signal.

    Raises
    ------
    ParameterError
        If `d_magnitude` is not finite or has another shape than the magnitude.

    Notes
    -----
    The magnitude has no derivative where it is zero; there the gradient is defined as 0
    (docs/derivations/stft.md, equation 3).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import stft_magnitude_backward, stft_magnitude_forward
    >>> magnitude, saved = stft_magnitude_forward(np.ones(4096), n_fft=2048, hop_length=256)
    >>> stft_magnitude_backward(np.ones_like(magnitude), saved).shape
    (4096,)
    """
    magnitude, n_fft = saved.magnitude, len(saved.window)
    d_magnitude = checks.float_array(
        "d_magnitude", d_magnitude, 2 + saved.batched, dtype=magnitude.dtype
    )
    checks.same_shape("d_magnitude", d_magnitude, magnitude.shape[not saved.batched :])
    checks.same_place("d_magnitude", d_magnitude, "the magnitude", magnitude)
    d_x = backend.empty((len(magnitude), saved.n_samples), magnitude.dtype, magnitude)
    backend.kernels("stft", d_x).stft_backward(
        d_magnitude.reshape(magnitude.shape), saved.spectrum, magnitude,
        backend.constant(saved.window, d_x), saved.hop_length, saved.offset, saved.scale,
        saved.power, _chunk(d_x.shape, n_fft), *_scratch(d_x, magnitude.shape[1], n_fft), d_x,
    )  # fmt: skip
    checks.gradient_fits("d_magnitude", d_x)
    return d_x if saved.batched else d_x[0]


def _offset(n_fft, padding):
    """Sample at which frame 0 starts."""
    return -(n_fft // 2) if padding == "center" else 0


def _scratch(x, n_frames, n_fft):
    """Frames and spectra of one call of the FFT for each thread; on a device, all frames.

    Fewer frames in a call lose the FFT's SIMD, more of them leave the cache.
    """
    if backend.on_device(x):
        return backend.empty((len(x), n_frames, n_fft), x.dtype, x), None
    size = max(16, 16384 // n_fft)
    threads = numba.config.NUMBA_NUM_THREADS
    complex_dtype = np.result_type(x.dtype, np.complex64)
    return (
        np.empty((threads, size, n_fft), x.dtype),
        np.empty((threads, size, n_fft // 2 + 1), complex_dtype),
    )


def _chunk(shape, n_fft):
    """Samples that one thread owns: whole items, or pieces where there are few items.

    It must not depend on the number of threads, nor then do results.
    """
    B, N = shape
    return N if B >= 16 else max(4 * n_fft, -(-B * N // 16))
