"""Slow and plain float64 versions of every operation: the oracle of the tests.

Each function follows the equations one sample, bin or frame at a time. Nothing here comes from
spectralot, nothing is compiled, and no gradient is derived except two adjoints of linear maps:
gradients are tested by finite differences. Single rows and single signals only; the tests loop
over batches.

The names B, T, N, H, K are batch, frames, samples, harmonics and bins.
"""

import math

import numpy as np
from scipy.signal import get_window

# --- synthesis -----------------------------------------------------------------------------------


def _linear(values, position):
    """`values` at a fractional frame position, held beyond the first and the last frame."""
    last = len(values) - 1
    position = min(max(position, 0.0), float(last))
    left = min(math.floor(position), last)
    right = min(left + 1, last)
    return float(values[left] + (values[right] - values[left]) * (position - left))


def _hann_overlap(values, position):
    """Overlapping Hann windows: a raised cosine from each frame to the next, the last one held."""
    last = len(values) - 1
    left = min(math.floor(position), last)
    right = min(left + 1, last)
    weight = 0.5 - 0.5 * math.cos(math.pi * (position - math.floor(position)))
    return float(values[left] * (1.0 - weight) + values[right] * weight)


def sinusoidal(
    frequencies_hz,
    amplitudes,
    *,
    n_samples,
    sample_rate,
    start_phase=None,
    interpolation="hann",
    hop_length=None,
    block=None,
):
    """Sum of sines with independent frequencies: (T, H) and (T, H) to (N,) and end phases (H,)."""
    frequencies_hz = np.asarray(frequencies_hz, dtype=np.float64)
    amplitudes = np.asarray(amplitudes, dtype=np.float64)
    n_frames, n_partials = frequencies_hz.shape
    nyquist = sample_rate / 2
    audible = np.where(frequencies_hz < nyquist, amplitudes, 0.0)
    start, stop = (0, n_samples) if block is None else block
    audio = np.zeros(stop - start)
    end_phase = np.zeros(n_partials)
    for h in range(n_partials):
        phase = 0.0 if start_phase is None else float(start_phase[h])
        for n in range(start, stop):
            if hop_length is None:
                centred = (n + 0.5) * n_frames / n_samples - 0.5
                placed = n * n_frames / n_samples
            else:
                centred = placed = n / hop_length
            frequency = _linear(frequencies_hz[:, h], centred)
            phase = math.fmod(phase + 2.0 * math.pi * frequency / sample_rate, 2.0 * math.pi)
            if frequency >= nyquist:
                continue
            if interpolation == "hann":
                amplitude = _hann_overlap(audible[:, h], placed)
            else:
                amplitude = _linear(audible[:, h], centred)
            audio[n - start] += amplitude * math.sin(phase)
        end_phase[h] = phase
    return audio, end_phase


def harmonic(f0_hz, amplitudes, *, inharmonicity=None, **options):
    """Harmonics of one f0: (T,) and (T, H) to audio (N,) and end phases (H,)."""
    f0_hz = np.asarray(f0_hz, dtype=np.float64)
    n_harmonics = np.asarray(amplitudes).shape[1]
    stiffness = 0.0 if inharmonicity is None else float(inharmonicity)
    frequencies = np.empty((len(f0_hz), n_harmonics))
    for h in range(1, n_harmonics + 1):
        frequencies[:, h - 1] = h * f0_hz * math.sqrt(1.0 + stiffness * h * h)
    return sinusoidal(frequencies, amplitudes, **options)


# --- short-time spectra --------------------------------------------------------------------------


def window_values(window, n_fft):
    """A window as an array: any scipy name or tuple (periodic), or the array itself."""
    if isinstance(window, str | tuple):
        return get_window(window, n_fft, fftbins=True)
    return np.asarray(window, dtype=np.float64)


def frame_starts(n_samples, n_fft, hop_length, padding):
    """First sample of every frame; negative where a centred frame begins before the signal."""
    if padding == "end":
        return list(range(0, n_samples, hop_length))
    if padding == "center":
        return [c - n_fft // 2 for c in range(0, n_samples + 1, hop_length)]
    return list(range(0, n_samples - n_fft + 1, hop_length))


_FOURIER = {}


def _fourier(n_fft):
    """The (K, n_fft) matrix exp(-2 pi i k n / n_fft) of the transform of a real frame."""
    if n_fft not in _FOURIER:
        turns = np.outer(np.arange(n_fft // 2 + 1), np.arange(n_fft)) % n_fft
        _FOURIER[n_fft] = np.exp(-2j * np.pi * turns / n_fft)
    return _FOURIER[n_fft]


def stft(x, *, n_fft, hop_length, window="hann", padding="end", normalized=True):
    """Complex spectra (T, K) of (N,), each frame against every sinusoid of the transform."""
    x = np.asarray(x, dtype=np.float64)
    taper = window_values(window, n_fft)
    scale = 1.0 / math.sqrt(n_fft) if normalized else 1.0
    starts = frame_starts(len(x), n_fft, hop_length, padding)
    spectra = np.empty((len(starts), n_fft // 2 + 1), dtype=np.complex128)
    for t, first in enumerate(starts):
        frame = np.zeros(n_fft)
        for m in range(max(0, -first), min(n_fft, len(x) - first)):
            frame[m] = x[first + m]
        spectra[t] = _fourier(n_fft) @ (frame * taper) * scale
    return spectra


def stft_magnitude(x, *, power=1, **options):
    """|STFT|**power as (T, K)."""
    return np.abs(stft(x, **options)) ** power


def stft_magnitude_adjoint(d_magnitude, x, *, n_fft, hop_length, window="hann", padding="end"):
    """Gradient with respect to x of sum(d_magnitude * |STFT|), orthonormal scaling.

    Each bin pulls x along its own unit phasor; a zero bin pulls nowhere.
    """
    spectra = stft(x, n_fft=n_fft, hop_length=hop_length, window=window, padding=padding)
    size = np.abs(spectra)
    phasor = np.where(size > 0, spectra / np.where(size > 0, size, 1.0), 0.0)
    taper = window_values(window, n_fft) / math.sqrt(n_fft)
    d_x = np.zeros(len(x))
    for t, first in enumerate(frame_starts(len(x), n_fft, hop_length, padding)):
        pull = np.real(np.conj(d_magnitude[t] * phasor[t]) @ _fourier(n_fft)) * taper
        for m in range(max(0, -first), min(n_fft, len(x) - first)):
            d_x[first + m] += pull[m]
    return d_x


# --- transport -----------------------------------------------------------------------------------


def wasserstein_1d(
    u_weights, v_weights, u_positions, v_positions=None, *, p=2, mass="balanced", mass_floor=0.0
):
    """W_p^p between two weighted point sets on the line, one row each.

    Walks the steps of the two quantile functions. `cutoff` measures both sides in the mass of
    u and stops at the level 1; where v ends below that, its largest position serves the rest.
    """
    if v_positions is None:
        v_positions = u_positions
    u_order = np.argsort(u_positions, kind="stable")
    v_order = np.argsort(v_positions, kind="stable")
    u_points, u_mass = np.asarray(u_positions)[u_order], np.asarray(u_weights)[u_order]
    v_points, v_mass = np.asarray(v_positions)[v_order], np.asarray(v_weights)[v_order]
    u_total, v_total = math.fsum(u_mass), math.fsum(v_mass)
    if u_total <= mass_floor or (mass == "balanced" and v_total <= mass_floor):
        return 0.0
    v_unit = v_total if mass == "balanced" else u_total
    u_left, v_left = u_mass[0] / u_total, v_mass[0] / v_unit
    i = j = 0
    terms = []
    while True:
        while u_left <= 0.0 and i < len(u_mass) - 1:
            i += 1
            u_left = u_mass[i] / u_total
        while v_left <= 0.0 and j < len(v_mass) - 1:
            j += 1
            v_left = v_mass[j] / v_unit
        if u_left <= 0.0:
            break
        step = min(u_left, v_left) if v_left > 0.0 else u_left
        terms.append(step * abs(u_points[i] - v_points[j]) ** p)
        u_left -= step
        v_left -= step
    return math.fsum(terms)


# --- losses --------------------------------------------------------------------------------------

SIZES = (2048, 1024, 512, 256, 128, 64)


def lin_frames(target, estimate, *, n_fft, hop_length=None, window="hann"):
    """Mean absolute difference of magnitudes per frame, (T,)."""
    options = {"n_fft": n_fft, "hop_length": hop_length or n_fft // 4, "window": window}
    difference = stft_magnitude(target, **options) - stft_magnitude(estimate, **options)
    return np.abs(difference).mean(axis=1)


def log_frames(target, estimate, *, n_fft, hop_length=None, window="hann", floor=1e-5):
    """Mean absolute difference of ln(max(magnitude, floor)) per frame, (T,)."""
    options = {"n_fft": n_fft, "hop_length": hop_length or n_fft // 4, "window": window}
    a = np.log(np.maximum(stft_magnitude(target, **options), floor))
    b = np.log(np.maximum(stft_magnitude(estimate, **options), floor))
    return np.abs(a - b).mean(axis=1)


def frequency_positions(n_fft, axis, sample_rate=16000):
    """Normalised positions (K,) of the bins on the linear or the logarithmic axis.

    The linear axis runs from 0 at bin 0 to 1 at the Nyquist bin. The logarithmic one is in
    octaves over the range of the constant-Q transform: 0 at 32.7 Hz, 1 at 284/36 octaves above;
    bin 0 takes the place of MIDI note 0.
    """
    n_bins = n_fft // 2 + 1
    if axis == "linear":
        return np.array([k / (n_bins - 1) for k in range(n_bins)])

    def midi(frequency):
        return 69.0 + 12.0 * math.log2(frequency / 440.0) if frequency > 0 else 0.0

    low, high = midi(32.7), midi(32.7 * 2.0 ** (284 / 36))
    return np.array([(midi(k * sample_rate / n_fft) - low) / (high - low) for k in range(n_bins)])


def sot_frames(
    target,
    estimate,
    *,
    n_fft,
    hop_length=256,
    window="flattop",
    power=2,
    frequency_axis="linear",
    p=2,
    mass="cutoff",
    sample_rate=16000,
):
    """Transport of the energy of one spectrum into the other per frame, (T,)."""
    options = {"n_fft": n_fft, "hop_length": hop_length, "window": window, "power": power}
    u, v = stft_magnitude(target, **options), stft_magnitude(estimate, **options)
    positions = frequency_positions(n_fft, frequency_axis, sample_rate)
    return np.array(
        [wasserstein_1d(a, b, positions, p=p, mass=mass) for a, b in zip(u, v, strict=True)]
    )


def loss_value(name, target, estimate):
    """The preset losses by name: (N,) or (B, N) twice to a number, the mean over items."""
    targets, estimates = np.atleast_2d(target), np.atleast_2d(estimate)
    return float(np.mean([_one_loss(name, a, b) for a, b in zip(targets, estimates, strict=True)]))


def _one_loss(name, target, estimate):
    def lin(sizes):
        return sum(lin_frames(target, estimate, n_fft=n).mean() for n in sizes)

    def log(sizes):
        return sum(log_frames(target, estimate, n_fft=n).mean() for n in sizes)

    def sot(n_fft, **options):
        return sot_frames(target, estimate, n_fft=n_fft, **options).mean()

    if name == "LIN":
        return lin(SIZES)
    if name == "MSS":
        return lin(SIZES) + log(SIZES)
    if name == "SOT-2048":
        return sot(2048) + 0.05 * lin(SIZES)
    if name == "SOT-512":
        return sot(512) + 0.05 * lin(SIZES)
    if name == "SOT-512-LogF":
        return sot(512, frequency_axis="log") + 0.05 * lin(SIZES)
    if name == "SOT-NoCut":
        return sot(2048, mass="balanced") + 0.05 * lin(SIZES)
    if name == "SOT-2048-SS":
        return sot(2048) + 0.1 * lin((512,))
    raise KeyError(name)
