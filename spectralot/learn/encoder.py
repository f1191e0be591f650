"""Encoders: from frames of a constant-Q transform to f0 and harmonic amplitudes.

An encoder describes a network and has no state: parameters come in as an argument, and gradients
are added to another. Equations: docs/derivations/network.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from .. import backend, checks
from ..checks import ParameterError
from ..hints import Array
from . import _network as nn
from ._heads import SLOPE, FactorHead, LinearHead, harmonic_bins, read
from ._network import DeviceParameters, Parameters

__all__ = ["ENCODERS", "DenseEncoder", "Encoder", "PaperEncoder", "SharedEncoder"]

TAPS = 15  # of convolutions over bins


class Encoder:
    """What all encoders share: the frequency scale of their bins, and the last layer of f0.

    A subclass sets ``_head`` and ``_trunk_shapes`` and gives ``_start_trunk(parameters, rng)``,
    ``_trunk(parameters, x, rng)``, which returns channels (R,C) and logits (R,K), and
    ``_trunk_backward(parameters, gradient, d_z, d_logits, saved)``.

    Parameters
    ----------
    n_bins : int
        Bins K of a frame.
    n_harmonics : int
        Amplitudes H of a frame.
    fmin : float
        Frequency of the lowest bin in Hz.
    bins_per_octave : int
        Bins in an octave.
    temperature : float
        Of the softmax over bins: the lower, the fewer of them share in f0.

    Raises
    ------
    ParameterError
        If an argument is out of range.
    """

    _joined: str | None = None  # what lies before this name is worked on as one

    _head: LinearHead | FactorHead
    _trunk_shapes: dict[str, tuple[int, ...]]
    _start_trunk: Callable[..., Any]
    _trunk: Callable[..., Any]
    _trunk_backward: Callable[..., Any]

    def __init__(
        self,
        n_bins: int = 285,
        n_harmonics: int = 20,
        fmin: float = 32.7,
        bins_per_octave: int = 36,
        temperature: float = 0.1,
    ) -> None:
        self.n_bins = checks.integer("n_bins", n_bins, 2)
        self.n_harmonics = checks.integer("n_harmonics", n_harmonics, 1)
        self.fmin = checks.number("fmin", fmin, above=0)
        self.bins_per_octave = checks.integer("bins_per_octave", bins_per_octave, 1)
        self.temperature = checks.number("temperature", temperature, above=0)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters.

        Returns
        -------
        dict of str to tuple of int
            In the order in which they lie in the flat vector.
        """
        return self._trunk_shapes | self._head.shapes

    def init(self, seed: int | Sequence[int], dtype: DTypeLike = np.float32) -> Parameters:
        """Fresh parameters.

        Parameters
        ----------
        seed : int or sequence of int
            Of the random numbers.
        dtype : dtype
            float32 or float64: all further work is done in it.

        Returns
        -------
        Parameters
            The same for the same seed.
        """
        parameters, rng = Parameters(self.shapes, dtype), np.random.default_rng(seed)
        self._start_trunk(parameters, rng)
        self._head.start(parameters, rng)
        return parameters

    def to_device(self, runs: Sequence[Parameters]) -> DeviceParameters:
        """Take parameters to a CUDA device, where they work on features that are there.

        Parameters
        ----------
        runs : sequence of Parameters
            From `init`, in float32: of one network, or of several that are to be trained side by
            side, each on as many of the frames, in their order.

        Returns
        -------
        DeviceParameters
            ``fetched()`` gives them back, ``like()`` makes zeros for gradients.
        """
        return nn.DeviceParameters(list(runs), self._joined)

    def forward(
        self, parameters: Parameters | DeviceParameters, features: Array, rng: Any = None
    ) -> tuple[Array, Array, tuple[Any, ...]]:
        """Encode frames.

        Parameters
        ----------
        parameters : Parameters
            From `init`.
        features : ndarray, shape (R, K), dtype of the parameters
            Magnitudes of a constant-Q transform, not negative. On a device if the parameters are,
            as from `to_device`; then all else is there too.
        rng : numpy.random.Generator, optional
            Switches on what is random in training (dropout). On a device: an integer array of one
            number there, such as a counter of steps, which decides it.

        Returns
        -------
        f0_hz : ndarray, shape (R,), float64
            Between the frequencies of the first and the last bin.
        amplitudes : ndarray, shape (R, H)
            Linear peak amplitudes, not negative.
        saved : tuple
            For `backward`.
        """
        with nn.one_blas_thread():
            z, logits, trunk = self._trunk(parameters, features, rng)
            kernels = backend.kernels("network", logits)
            p = backend.empty(logits.shape, logits.dtype, logits)
            bins, f0_hz = (backend.empty(len(logits), np.float64, logits) for _ in range(2))
            kernels.expected_position_forward(logits, self.temperature, p, bins)
            kernels.frequency_forward(bins, self.fmin, self.bins_per_octave, f0_hz)
            amplitudes, head = self._head.forward(parameters, z, features, bins)
        return f0_hz, amplitudes, (trunk, p, bins, f0_hz, head)

    def backward(
        self,
        parameters: Parameters | DeviceParameters,
        gradient: Parameters | DeviceParameters,
        d_f0_hz: Array,
        d_amplitudes: Array,
        saved: tuple[Any, ...],
        *,
        steering: float = 1.0,
    ) -> None:
        """Add the gradients of the parameters.

        Parameters
        ----------
        parameters : Parameters
            As in `forward`.
        gradient : Parameters
            Changed in place.
        d_f0_hz : ndarray, shape (R,)
            Gradient of the loss with respect to f0.
        d_amplitudes : ndarray, shape (R, H), dtype of the parameters
            The same of the amplitudes.
        saved : tuple
            From `forward`.
        steering : float
            Amplitudes that are read off the spectrum depend on where, that is, on f0. By how much
            f0 learns from that; 1 is the gradient.
        """
        trunk, p, bins, f0_hz, head = saved
        with nn.one_blas_thread():
            kernels = backend.kernels("network", p)
            d_z, from_head = self._head.backward(
                parameters, gradient, d_amplitudes, head, wanted=steering != 0
            )
            d_bins = backend.empty(len(p), np.float64, p)
            kernels.frequency_backward(d_f0_hz, f0_hz, self.bins_per_octave, d_bins)
            if from_head is not None:
                backend.add(d_bins, from_head, steering)
            d_logits = backend.empty(p.shape, p.dtype, p)
            kernels.expected_position_backward(p, bins, self.temperature, d_bins, d_logits)
            self._trunk_backward(parameters, gradient, d_z, d_logits, trunk)

    def read(self, features: Array, f0_hz: Array) -> Array:
        """Magnitudes at the harmonics of any f0; nothing of it is learned.

        Parameters
        ----------
        features : ndarray, shape (R, K)
            As in `forward`.
        f0_hz : ndarray, shape (R,)
            In Hz.

        Returns
        -------
        ndarray, shape (R, H), dtype of the features
            Read between bins; 0 where there is none.
        """
        bins = backend.empty(len(f0_hz), np.float64, f0_hz)
        backend.kernels("network", f0_hz).bin_of(f0_hz, self.fmin, self.bins_per_octave, bins)
        return read(features, bins, harmonic_bins(self.bins_per_octave, self.n_harmonics))[0]


class SharedEncoder(Encoder):
    """A short convolution over bins, a small MLP for each bin, a Toeplitz head.

    A sound transposed by a bin moves the logits by one bin, less those of silence, and f0 with
    them: what is learned at one pitch holds at all others. The Toeplitz head starts at 0, f0 at the
    middle of the scale, and its low temperature lets it become sure within a few hundred steps.

    Parameters
    ----------
    n_bins, n_harmonics, fmin, bins_per_octave, temperature
        As in `Encoder`.
    channels : int
        Channels of the convolution and between the layers for each bin.
    layers : int
        Layers for each bin.
    out_channels : int
        Channels D that the heads see.
    power : float
        Magnitudes are raised to it: below 1, weak partials count more.
    amplitudes : {"read", "level", "linear"}
        Magnitudes read at the harmonics of f0, each times a factor of an MLP; the level of the
        frame times such factors; or a linear map of all bins, as in the paper.
    hidden : int
        Width of that MLP's hidden layer.
    start : float
        The first harmonic's factor starts here, below 2.
    tilt : float
        Each harmonic's factor starts lower than the one before by this much, before the sigmoid.

    Raises
    ------
    ParameterError
        If an argument is out of range.

    References
    ----------
    Riou, Lattner, Hadjeres, Peeters, *PESTO: Pitch Estimation with Self-Supervised
    Transposition-Equivariant Objective*, ISMIR 2023 (Toeplitz head); docs/derivations/network.md.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.learn import SharedEncoder
    >>> encoder = SharedEncoder()
    >>> parameters = encoder.init(0)
    >>> f0_hz, amplitudes, saved = encoder.forward(parameters, np.ones((2, 285), np.float32))
    >>> gradient = parameters.like()
    >>> encoder.backward(parameters, gradient, np.ones(2), np.ones_like(amplitudes), saved)
    >>> amplitudes.shape, bool(gradient["pitch.kernel"].any())
    ((2, 20), True)
    """

    def __init__(
        self,
        *,
        n_bins: int = 285,
        n_harmonics: int = 20,
        fmin: float = 32.7,
        bins_per_octave: int = 36,
        temperature: float = 0.01,
        channels: int = 8,
        layers: int = 2,
        out_channels: int = 4,
        power: float = 0.5,
        amplitudes: Literal["read", "level", "linear"] = "read",
        hidden: int = 64,
        start: float = 1.0,
        tilt: float = 0.0,
    ) -> None:
        super().__init__(n_bins, n_harmonics, fmin, bins_per_octave, temperature)
        self.power = checks.number("power", power, above=0)
        widths = [checks.integer("channels", channels, 1)]
        widths += [channels] * (checks.integer("layers", layers, 1) - 1)
        self._widths = [*widths, checks.integer("out_channels", out_channels, 1)]
        self._joined = "pitch.kernel"
        checks.one_of("amplitudes", amplitudes, ("read", "level", "linear"))
        if amplitudes == "linear":
            self._head = LinearHead(n_bins * out_channels, n_harmonics)
        else:
            hidden = checks.integer("hidden", hidden, 1)
            start, tilt = checks.number("start", start, above=0), checks.number("tilt", tilt)
            if start >= 2:
                raise ParameterError(f"start must be below 2, got {start:g}")
            self._head = FactorHead(
                n_bins, n_harmonics, bins_per_octave, hidden, self.power, amplitudes == "read",
                start, tilt,
            )  # fmt: skip

    @property
    def _trunk_shapes(self):
        shapes = {"conv.weight": (TAPS, 1, self._widths[0]), "conv.bias": (self._widths[0],)}
        for i, pair in enumerate(zip(self._widths, self._widths[1:], strict=False)):
            shapes |= {f"bin.{i}.weight": pair, f"bin.{i}.bias": pair[1:]}
        return shapes | {"pitch.kernel": (self._widths[-1], 2 * self.n_bins - 1)}

    def _start_trunk(self, parameters, rng):
        for name in self._trunk_shapes:
            if name.endswith("weight"):
                nn.uniform(rng, parameters[name], 1.0)

    def _trunk(self, parameters, features, rng):
        R, K = features.shape
        x = nn.normalize(features, self.power)
        z, last = nn.bins_forward(x, parameters.before("pitch.kernel"), self._widths, TAPS, SLOPE)
        matrix, flat = nn.toeplitz(parameters["pitch.kernel"], K), last.reshape(R, -1)
        return flat, nn.product(flat, matrix), (x, z, last, matrix)

    def _trunk_backward(self, parameters, gradient, d_z, d_logits, saved):
        x, z, last, matrix = saved
        d_matrix = nn.outer_product(last.reshape(len(x), -1), d_logits, parameters.runs)
        nn.toeplitz_backward(d_matrix, gradient["pitch.kernel"])
        d_last = nn.product_transposed(d_logits, matrix)
        if d_z is not None:
            backend.add(d_last, d_z)
        d_last = d_last.reshape(last.shape)
        weights, d_weights = (part.before("pitch.kernel") for part in (parameters, gradient))
        nn.bins_backward(d_last, x, z, last, weights, d_weights, self._widths, TAPS, SLOPE)


class DenseEncoder(Encoder):
    """A plain fully connected MLP over the bins: it shares nothing, and is here to be compared.

    Parameters
    ----------
    n_bins, n_harmonics, fmin, bins_per_octave, temperature
        As in `Encoder`.
    widths : sequence of int
        Hidden layers.

    Raises
    ------
    ParameterError
        If an argument is out of range.
    """

    def __init__(
        self,
        *,
        n_bins: int = 285,
        n_harmonics: int = 20,
        fmin: float = 32.7,
        bins_per_octave: int = 36,
        temperature: float = 0.1,
        widths: Sequence[int] = (512, 256),
    ) -> None:
        super().__init__(n_bins, n_harmonics, fmin, bins_per_octave, temperature)
        self._widths = [n_bins, *_checked_widths(widths)]
        self._head = LinearHead(self._widths[-1], n_harmonics)

    @property
    def _trunk_shapes(self):
        shapes = {}
        for i, pair in enumerate(zip(self._widths, [*self._widths[1:], self.n_bins], strict=True)):
            shapes |= {f"dense.{i}.weight": pair, f"dense.{i}.bias": pair[1:]}
        return shapes

    def _start_trunk(self, parameters, rng):
        for name in self._trunk_shapes:
            if name.endswith("weight"):
                nn.uniform(rng, parameters[name], 1.0)

    def _slopes(self):
        return [SLOPE] * (len(self._widths) - 1) + [1.0]

    def _trunk(self, parameters, features, rng):
        z = [nn.standardize(features, 1e-5)]
        for i, slope in enumerate(self._slopes()):
            weight, bias = parameters[f"dense.{i}.weight"], parameters[f"dense.{i}.bias"]
            z.append(nn.dense_forward(z[-1], weight, bias, slope))
        return z[-2], z[-1], z

    def _trunk_backward(self, parameters, gradient, d_z, d_logits, z):
        d_last = d_logits
        for i, slope in reversed(list(enumerate(self._slopes()))):
            d_last = nn.dense_backward(
                d_last, z[i], z[i + 1], parameters[f"dense.{i}.weight"],
                gradient[f"dense.{i}.weight"], gradient[f"dense.{i}.bias"], slope, wanted=i > 0,
            )  # fmt: skip
            if i == len(self._widths) - 1:
                backend.add(d_last, d_z)


class PaperEncoder(Encoder):
    """The encoder of the paper: 46,012 parameters in the default size.

    Normalisation with a learned scale and offset for each bin, a convolution to 40 channels, a
    residual convolution, layers for each bin, a Toeplitz head over the channels laid end to end,
    a linear head for the amplitudes.

    Parameters
    ----------
    n_bins, n_harmonics, fmin, bins_per_octave, temperature
        As in `Encoder`.
    channels : int
        Of both convolutions.
    widths : sequence of int
        Of the layers for each bin.
    dropout : float
        Share of the last but one layer's numbers that are left out in training.

    Raises
    ------
    ParameterError
        If an argument is out of range.

    References
    ----------
    Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507, section 4.
    """

    def __init__(
        self,
        *,
        n_bins: int = 285,
        n_harmonics: int = 20,
        fmin: float = 32.7,
        bins_per_octave: int = 36,
        temperature: float = 0.1,
        channels: int = 40,
        widths: Sequence[int] = (30, 30, 10, 3),
        dropout: float = 0.2,
    ) -> None:
        super().__init__(n_bins, n_harmonics, fmin, bins_per_octave, temperature)
        self._widths = [checks.integer("channels", channels, 1), *_checked_widths(widths)]
        self.dropout = checks.number("dropout", dropout, minimum=0)
        if self.dropout >= 1:
            raise ParameterError(f"dropout must be below 1, got {self.dropout:g}")
        self._head = LinearHead(n_bins * self._widths[-1], n_harmonics)

    @property
    def _trunk_shapes(self):
        C, K = self._widths[0], self.n_bins
        shapes = {"norm.weight": (K,), "norm.bias": (K,)}
        shapes |= {"conv.weight": (TAPS, 1, C), "conv.bias": (C,)}
        shapes |= {"residual.weight": (TAPS, C, C), "residual.bias": (C,)}
        for i, pair in enumerate(zip(self._widths, self._widths[1:], strict=False)):
            shapes |= {f"bin.{i}.weight": pair, f"bin.{i}.bias": pair[1:]}
        return shapes | {"pitch.kernel": (1, (self._widths[-1] + 1) * K - 1)}

    def _start_trunk(self, parameters, rng):
        for name in self._trunk_shapes:
            if name.endswith("weight"):
                nn.uniform(rng, parameters[name], 1.0)
        parameters["norm.weight"][...] = 1.0
        kernel = parameters["pitch.kernel"]
        kernel[...] = rng.uniform(-1, 1, kernel.shape) / np.sqrt(kernel.size)

    def _trunk(self, parameters, features, rng):
        # on a device rng is an integer, or an array of one there, such as a counter of steps;
        # it decides what dropout leaves out, which differs from run to run
        R, K = features.shape
        normal = nn.standardize(features, 1e-5)
        x = nn.affine_forward(normal, parameters["norm.weight"], parameters["norm.bias"])
        x = x.reshape(R, K, 1)
        y = nn.conv_forward(x, parameters["conv.weight"], parameters["conv.bias"], SLOPE)
        more = nn.conv_forward(y, parameters["residual.weight"], parameters["residual.bias"], SLOPE)
        total = backend.add(backend.copy(y), more)
        z, kept, last = [total.reshape(R * K, -1)], None, len(self._widths) - 2
        for i in range(last + 1):
            if i == last and rng is not None and self.dropout:
                kept = nn.dropout(z[-1], self.dropout, rng)
                z[-1] = nn.times(z[-1], kept)
            weight, bias = parameters[f"bin.{i}.weight"], parameters[f"bin.{i}.bias"]
            z.append(nn.dense_forward(z[-1], weight, bias, 1.0 if i == last else SLOPE))
        flat = nn.exchanged(z[-1].reshape(R, K, -1)).reshape(R, -1)
        matrix = nn.toeplitz(parameters["pitch.kernel"], K)
        return flat, nn.product(flat, matrix), (normal, x, y, more, z, kept, flat, matrix)

    def _trunk_backward(self, parameters, gradient, d_z, d_logits, saved):
        normal, x, y, more, z, kept, flat, matrix = saved
        R, K = normal.shape
        d_matrix = nn.outer_product(flat, d_logits, parameters.runs)
        nn.toeplitz_backward(d_matrix, gradient["pitch.kernel"])
        d_z = backend.add(nn.product_transposed(d_logits, matrix), d_z)
        d_z = nn.exchanged(d_z.reshape(R, -1, K)).reshape(R * K, -1)
        last = len(self._widths) - 2
        for i in reversed(range(last + 1)):
            d_z = nn.dense_backward(
                d_z, z[i], z[i + 1], parameters[f"bin.{i}.weight"],
                gradient[f"bin.{i}.weight"], gradient[f"bin.{i}.bias"], 1.0 if i == last else SLOPE,
            )  # fmt: skip
            if i == last and kept is not None:
                d_z = nn.times(d_z, kept)
        d_z = d_z.reshape(y.shape)
        d_y = nn.conv_backward(
            backend.copy(d_z), y, more, parameters["residual.weight"], gradient["residual.weight"],
            gradient["residual.bias"], SLOPE,
        )  # fmt: skip
        backend.add(d_y, d_z)
        d_x = nn.conv_backward(
            d_y, x, y, parameters["conv.weight"], gradient["conv.weight"], gradient["conv.bias"],
            SLOPE,
        ).reshape(R, K)  # fmt: skip
        nn.affine_backward(d_x, normal, gradient["norm.weight"], gradient["norm.bias"])


def _checked_widths(widths):
    if np.ndim(widths) != 1 or len(widths) == 0:
        raise ParameterError(f"widths must name one layer at least, got {widths!r}")
    return [checks.integer("widths", width, 1) for width in widths]


ENCODERS = {"shared": SharedEncoder, "dense": DenseEncoder, "paper": PaperEncoder}
