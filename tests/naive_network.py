"""Layers of the encoders by plain loops: one frame, one number at a time."""

import math

import numpy as np


def leaky(v, slope):
    return v if v > 0 else slope * v


def dense(x, weight, bias, slope=1.0):
    """x (P,C), weight (C,D), bias (D,) to (P,D)."""
    P, C = x.shape
    y = np.zeros((P, weight.shape[1]))
    for p in range(P):
        for d in range(weight.shape[1]):
            total = float(bias[d])
            for c in range(C):
                total += float(x[p, c]) * float(weight[c, d])
            y[p, d] = leaky(total, slope)
    return y


def convolution(x, weight, bias, slope=1.0):
    """x (K,C), weight (taps,C,D), bias (D,) to (K,D); beyond the ends x is 0."""
    K, C = x.shape
    taps, _, D = weight.shape
    y = np.zeros((K, D))
    for k in range(K):
        for d in range(D):
            total = float(bias[d])
            for tap in range(taps):
                at = k + tap - (taps - 1) // 2
                if 0 <= at < K:
                    for c in range(C):
                        total += float(x[at, c]) * float(weight[tap, c, d])
            y[k, d] = leaky(total, slope)
    return y


def toeplitz(kernel, n_outputs):
    """kernel (D,I+J-1) to (D*I,J): what input i and channel d give to output j hangs on i - j."""
    D, taps = kernel.shape
    inputs = taps - n_outputs + 1
    matrix = np.zeros((D * inputs, n_outputs))
    for d in range(D):
        for i in range(inputs):
            for j in range(n_outputs):
                matrix[d * inputs + i, j] = kernel[d, i - j + n_outputs - 1]
    return matrix


def normalize(x, power):
    """x (K,) to a power, over the root mean square of that."""
    raised = [float(v) ** power for v in x]
    rms = math.sqrt(math.fsum(v * v for v in raised) / len(raised))
    return np.array([v / rms if rms > 0 else 0.0 for v in raised])


def standardize(x, eps):
    """x (K,) less its mean, over its standard deviation."""
    mean = math.fsum(x) / len(x)
    variance = math.fsum((float(v) - mean) ** 2 for v in x) / len(x)
    return np.array([(float(v) - mean) / math.sqrt(variance + eps) for v in x])


def expected_position(logits, temperature):
    """Softmax (K,) of logits (K,), and the mean bin number under it."""
    top = max(float(v) for v in logits)
    weights = [math.exp((float(v) - top) / temperature) for v in logits]
    total = math.fsum(weights)
    p = np.array([w / total for w in weights])
    return p, math.fsum(k * float(v) for k, v in enumerate(p))


def amplitude(u):
    """One amplitude of one number."""
    return 2.0 * (1.0 / (1.0 + math.exp(-float(u)))) ** math.log(10.0) + 1e-7


def read(x, position, offsets):
    """x (K,) on the lines between its bins, at position + each offset; beyond the ends x is 0."""

    def at(k):
        return float(x[k]) if 0 <= k < len(x) else 0.0

    values = []
    for offset in offsets:
        place = float(position) + float(offset)
        left = math.floor(place)
        values.append(at(left) * (left + 1 - place) + at(left + 1) * (place - left))
    return np.array(values)


# --- whole encoders: one frame (K,), parameters a dictionary, default settings -------------------


def _layers(z, p, name, slopes):
    """Dense layers name.0, name.1, ... of p, all of their outputs."""
    outputs = [z]
    for i, slope in enumerate(slopes):
        outputs.append(dense(outputs[-1], p[f"{name}.{i}.weight"], p[f"{name}.{i}.bias"], slope))
    return outputs


def _f0(logits):
    position = expected_position(logits, 0.1)[1]
    return position, 32.7 * 2.0 ** (position / 36)


def _linear_head(p, z):
    u = dense(z[None], p["amplitude.weight"], p["amplitude.bias"])[0]
    return np.array([amplitude(v) for v in u])


def _factor_head(p, frame, position, n_harmonics, head):
    """Magnitudes at the harmonics, or the level, times what an MLP makes of the spectrum."""
    places = [36 * math.log2(h) for h in range(1, n_harmonics + 1)]
    around = range(-108, math.ceil(places[-1]) + 13)
    seen = [*read(normalize(frame, 0.5), position, around), position / len(frame) - 0.5]
    u = _layers(np.array([seen]), p, "amplitude", [0.3, 1.0])[-1][0]
    level = math.sqrt(math.fsum(float(v) ** 2 for v in frame) / 1.5)
    measured = read(frame, position, places) if head == "read" else level
    return measured * np.array([amplitude(v) for v in u])


def shared_encoder(p, frame, n_layers, n_harmonics, head):
    """f0 and amplitudes (H,)."""
    K = len(frame)
    y = convolution(normalize(frame, 0.5)[:, None], p["conv.weight"], p["conv.bias"], 0.3)
    z = _layers(y, p, "bin", [0.3] * n_layers)[-1].T.reshape(-1)
    logits = dense(z[None], toeplitz(p["pitch.kernel"], K), np.zeros(K))[0]
    position, f0 = _f0(logits)
    if head == "linear":
        return f0, _linear_head(p, z)
    return f0, _factor_head(p, frame, position, n_harmonics, head)


def dense_encoder(p, frame, n_layers):
    """f0 and amplitudes (H,); the layers count the last one, which gives the logits."""
    slopes = [0.3] * (n_layers - 1) + [1.0]
    *_, z, logits = _layers(standardize(frame, 1e-5)[None], p, "dense", slopes)
    return _f0(logits[0])[1], _linear_head(p, z[0])
