"""Spectral losses between recordings, each with its exact gradient.

A loss is a small object with one call, ``value, d_estimate = loss(target, estimate)``, on audio
of shape (N,) or (B, N). What it computes from the target alone can be kept:
``prepared = loss.prepare(target)`` is accepted wherever a target is. The presets are the rows of
table 1 of arXiv:2312.14507 (Torres, Peeters, Richard, ICASSP 2024).

Names: B batch, N samples, T frames, K bins.
"""

from dataclasses import dataclass, replace

import numpy as np

from . import checks
from .checks import ParameterError
from .cpu import stft as cpu
from .stft import (
    _chunk,
    _offset,
    _scratch,
    _window,
    stft_magnitude_backward,
    stft_magnitude_forward,
)
from .transport import MASSES, wasserstein_1d_forward

__all__ = ["LIN", "LOG", "MSS", "PRESETS", "SOT", "WeightedSum", "preset"]

SIZES = (2048, 1024, 512, 256, 128, 64)
PRESETS = ("LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut", "SOT-2048-SS")


@dataclass(frozen=True)
class Prepared:
    """What a loss keeps of a target: the audio's shape, and its spectra in the loss's order."""

    shape: tuple
    spectra: tuple


class _SpectralLoss:
    """A sum over one or several STFTs, each compared frame by frame."""

    def __init__(self, stfts):
        self._stfts = stfts  # keyword arguments of stft_magnitude_forward, one set a resolution

    def prepare(self, target):
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
        target = checks.float_array("target", target, (1, 2))
        spectra = tuple(stft_magnitude_forward(target, **s)[0] for s in self._stfts)
        return Prepared(target.shape, spectra)

    def __call__(self, target, estimate):
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
            Gradient with respect to the estimate, float32 for a float32 estimate.

        Raises
        ------
        ParameterError
            If target or estimate is empty, not finite, or their shapes differ.
        """
        values, d_estimate = self._per_item(target, estimate)
        return float(np.mean(values)), d_estimate

    def per_item(self, target, estimate):
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
        return values, d_estimate * d_estimate.dtype.type(np.size(values))

    def _per_item(self, target, estimate):
        """Values of the items, and the gradient of their mean."""
        target, estimate = self._pair(target, estimate)
        values, d_estimate = 0.0, np.zeros_like(estimate)
        for stft, spectrum in zip(self._stfts, target.spectra, strict=True):
            frames = self._compare(spectrum, estimate, stft, d_estimate)
            values = values + frames.mean(axis=-1)
        return values, d_estimate

    def per_frame(self, target, estimate):
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
        if len(self._stfts) > 1:
            sizes = tuple(s["n_fft"] for s in self._stfts)
            raise ParameterError(f"per_frame needs a loss with one n_fft, got {sizes}")
        target, estimate = self._pair(target, estimate)
        (stft,), (spectrum,) = self._stfts, target.spectra
        return self._compare(spectrum, estimate, stft, np.zeros_like(estimate))

    def _pair(self, target, estimate):
        """The target prepared, the estimate checked."""
        estimate = checks.float_array("estimate", estimate, (1, 2))
        if not isinstance(target, Prepared):
            target = self.prepare(target)
        checks.same_shape("estimate", estimate, target.shape)
        return target, estimate


class _Vertical(_SpectralLoss):
    """linear * |e - t| + log * |ln e - ln t|, averaged over bins and frames, summed over sizes."""

    def __init__(self, n_fft, hop_length, window, padding, linear, log, floor):
        sizes = (n_fft,) if np.ndim(n_fft) == 0 else tuple(n_fft)
        if not sizes:
            raise ParameterError(f"n_fft must name at least one size, got {n_fft!r}")
        sizes = [checks.integer("n_fft", n, 4) for n in sizes]
        hops = [n // 4 if hop_length is None else hop_length for n in sizes]
        super().__init__(
            [
                dict(n_fft=n, hop_length=h, window=window, padding=padding)
                for n, h in zip(sizes, hops, strict=True)
            ]
        )
        self._linear, self._log = linear, log
        self._floor = checks.number("floor", floor, above=0)

    def _compare(self, spectrum, estimate, stft, d_estimate):
        """Values of the frames; the gradient of their mean is added to d_estimate."""
        x, d_x = np.atleast_2d(estimate), np.atleast_2d(d_estimate)  # views
        target = spectrum.astype(x.dtype, copy=False).reshape(len(x), *spectrum.shape[-2:])
        B, T, K = target.shape
        n_fft, values = stft["n_fft"], np.empty((B, T))
        frames, spectra = _scratch(n_fft, x.dtype)
        number = x.dtype.type  # float64 numbers would draw the kernel's arithmetic to float64
        cpu.vertical_loss(
            x, target, _window(stft["window"], n_fft, x.dtype), stft["hop_length"],
            _offset(n_fft, stft["padding"]), 1 / np.sqrt(n_fft), number(self._linear),
            number(self._log), number(self._floor), number(1 / (B * T * K)),
            _chunk(x.shape, n_fft), frames, spectra, np.empty((len(frames), 3, K), x.dtype),
            values, d_x,
        )  # fmt: skip
        return values.reshape(spectrum.shape[:-1])


class LIN(_Vertical):
    r"""Mean absolute difference of magnitude spectra, bin by bin.

    .. math:: L = \sum_n \frac{1}{BTK} \sum_{b,t,k} \big| |Y| - |X| \big|

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame length, or several, whose values add up.
    hop_length : int, optional
        Step between frames; default ``n_fft // 4``.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.

    References
    ----------
    Engel et al., DDSP, ICLR 2020, arXiv:2001.04643, section 3 (linear term).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import LIN
    >>> value, d_estimate = LIN(512)(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(self, n_fft, *, hop_length=None, window="hann", padding="end"):
        super().__init__(n_fft, hop_length, window, padding, 1.0, 0.0, 1e-5)


class LOG(_Vertical):
    r"""Mean absolute difference of log magnitudes, bin by bin.

    .. math:: L = \sum_n \frac{1}{BTK} \sum_{b,t,k}
              \big| \ln \max(|Y|, \epsilon) - \ln \max(|X|, \epsilon) \big|

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame length, or several, whose values add up.
    hop_length : int, optional
        Step between frames; default ``n_fft // 4``.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    floor : float
        Smallest magnitude that counts; below it the gradient is 0.

    References
    ----------
    Engel et al., DDSP, ICLR 2020, arXiv:2001.04643, section 3 (logarithmic term).

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import LOG
    >>> value, d_estimate = LOG(512)(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(self, n_fft, *, hop_length=None, window="hann", padding="end", floor=1e-5):
        super().__init__(n_fft, hop_length, window, padding, 0.0, 1.0, floor)


class MSS(_Vertical):
    """Multi-scale spectral loss: `LIN` plus `LOG`, summed over several sizes.

    Parameters
    ----------
    n_fft : int or sequence of int
        Frame lengths, whose values add up.
    hop_length : int, optional
        Step between frames; default a quarter of each size.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`.
    floor : float
        Smallest magnitude that counts in the logarithm.

    References
    ----------
    Engel et al., DDSP, ICLR 2020, arXiv:2001.04643, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import MSS
    >>> value, d_estimate = MSS()(np.zeros(4096), np.zeros(4096))
    >>> value
    0.0
    """

    def __init__(self, n_fft=SIZES, *, hop_length=None, window="hann", padding="end", floor=1e-5):
        super().__init__(n_fft, hop_length, window, padding, 1.0, 1.0, floor)


class SOT(_SpectralLoss):
    r"""Spectral optimal transport: how far energy must move along the frequency axis.

    .. math:: L = \frac{1}{BT} \sum_{b,t} W_p^p\big(|X|^{power}, |Y|^{power}\big)

    Parameters
    ----------
    n_fft : int
        Frame length.
    hop_length : int
        Step between frames.
    window : str, tuple or array_like
        As in `spectralot.stft_magnitude_forward`; "flattop" keeps a partial's energy the same
        wherever it falls between two bins.
    padding : {"end", "center", "none"}
        As in `spectralot.frame_count`. The end's cut frames smear energy over all bins: choose
        "none" where every frame should count for what it holds.
    power : {1, 2}
        Transport magnitudes or powers.
    frequency_axis : {"linear", "log"}
        "linear": bin k at ``k / (K - 1)``. "log": on the pitch scale, 0 at 32.7 Hz and 1 at
        ``32.7 * 2**(284 / 36)`` Hz (the range of the paper's constant-Q features); 0 Hz stands
        where MIDI pitch 0 does.
    p : float
        Exponent of the distance, at least 1.
    mass : {"cutoff", "balanced"}
        As in `spectralot.wasserstein_1d_forward`.
    mass_floor : float
        Frames of the target with no more mass than this count nothing.
    sample_rate : float
        In Hz; only the logarithmic axis depends on it.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import SOT
    >>> t = np.arange(4096) / 16000
    >>> value, d_estimate = SOT(2048)(np.sin(2764.6 * t), np.sin(3000 * t))
    >>> value > 0, d_estimate.shape
    (True, (4096,))
    """

    def __init__(
        self,
        n_fft,
        *,
        hop_length=256,
        window="flattop",
        padding="end",
        power=2,
        frequency_axis="linear",
        p=2,
        mass="cutoff",
        mass_floor=1e-7,
        sample_rate=16000,
    ):
        n_fft = checks.integer("n_fft", n_fft, 2)
        checks.one_of("power", power, (1, 2))
        checks.one_of("frequency_axis", frequency_axis, ("linear", "log"))
        super().__init__(
            [dict(n_fft=n_fft, hop_length=hop_length, window=window, padding=padding, power=power)]
        )
        self._positions = _frequency_positions(n_fft, frequency_axis, sample_rate)
        self._transport = dict(
            p=checks.number("p", p, minimum=1),
            mass=checks.one_of("mass", mass, MASSES),
            mass_floor=checks.number("mass_floor", mass_floor, minimum=0),
        )

    def _compare(self, spectrum, estimate, stft, d_estimate):
        magnitude, saved = stft_magnitude_forward(estimate, **stft)
        values, transport = wasserstein_1d_forward(
            spectrum, magnitude, u_positions=self._positions, position_gradients=False,
            **self._transport,
        )  # fmt: skip
        saved = replace(saved, scale=saved.scale / values.size)  # for the mean's gradient
        d_estimate += stft_magnitude_backward(transport.unit("v"), saved)
        return values


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

    def __init__(self, terms):
        if not terms:
            raise ParameterError(f"terms must name at least one loss, got {terms!r}")
        self._terms = {
            name: (checks.number(f"weight of {name!r}", weight), loss)
            for name, (weight, loss) in terms.items()
        }

    def prepare(self, target):
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
        return {name: loss.prepare(target) for name, (_, loss) in self._terms.items()}

    def __call__(self, target, estimate):
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
        target = target if isinstance(target, dict) else self.prepare(target)
        value, d_estimate = 0.0, None
        for name, (weight, loss) in self._terms.items():
            term, d_term = loss(target[name], estimate)
            value += weight * term
            d_term = d_term * d_term.dtype.type(weight)
            d_estimate = d_term if d_estimate is None else d_estimate + d_term
        return value, d_estimate

    def terms(self, target, estimate):
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
        target = target if isinstance(target, dict) else self.prepare(target)
        return {name: loss(target[name], estimate)[0] for name, (_, loss) in self._terms.items()}


def preset(name, sample_rate=16000):
    """Loss of one row of table 1 of arXiv:2312.14507.

    Parameters
    ----------
    name : str
        One of `PRESETS`: "LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut",
        "SOT-2048-SS".
    sample_rate : float
        In Hz; only "SOT-512-LogF" depends on it.

    Returns
    -------
    loss
        An object with ``value, d_estimate = loss(target, estimate)``.

    Raises
    ------
    ParameterError
        If there is no such preset.

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
    sot = SOT(
        512 if "512" in name else 2048,
        frequency_axis="log" if name.endswith("LogF") else "linear",
        mass="balanced" if name.endswith("NoCut") else "cutoff",
        sample_rate=sample_rate,
    )
    weight, lin = (0.1, LIN(512)) if name.endswith("SS") else (0.05, LIN(SIZES))
    return WeightedSum({"sot": (1.0, sot), "lin": (weight, lin)})


def _frequency_positions(n_fft, frequency_axis, sample_rate):
    """Where each bin stands on the axis of the transport (normalised units)."""
    n_bins = n_fft // 2 + 1
    if frequency_axis == "linear":
        return np.arange(n_bins) / (n_bins - 1)
    frequencies = np.arange(n_bins) * checks.number("sample_rate", sample_rate, above=0) / n_fft
    frequencies[0] = 440 * 2 ** (-69 / 12)  # 0 Hz at MIDI pitch 0, as in the reference
    low, high = 32.7, 32.7 * 2 ** (284 / 36)
    return np.log2(frequencies / low) / np.log2(high / low)
