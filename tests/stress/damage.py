"""Files of every kind that is read, and what chance does to their bytes."""

import io
import json
import re

import numpy as np
import soundfile as sf

import spectralot as so

CONTAINERS = {
    "WAV": "PCM_16", "WAVEX": "PCM_24", "RF64": "FLOAT", "AIFF": "PCM_24", "FLAC": "PCM_16",
    "OGG": "VORBIS", "MP3": "MPEG_LAYER_III", "AU": "PCM_16", "CAF": "PCM_16", "W64": "PCM_16",
}  # fmt: skip
TEXT = ("csv", "json", "txt", "PitchTier", "jams", "svl", "spear.txt")
WORDS = (
    "nan", "inf", "-inf", "-1", "0", "1e309", "1e-320", "9" * 5000, "", "null", "true", "[", "]",
    "{", "}", '"', "\\", "\x00", "é", "\ufeff", ",", "\t", "<", ">", "&lt;", "&x;", "=", "1e99",
    "99999999999", "0x10", "1_0", "é" * 40, "--", "#",
)  # fmt: skip


def sounds(rng):
    """A short recording in each container that this libsndfile writes: name and bytes."""
    audio = rng.uniform(-0.5, 0.5, (1500, 2))
    for container, subtype in CONTAINERS.items():
        if container in sf.available_formats():
            file = io.BytesIO()
            sf.write(file, audio, 48000, format=container, subtype=subtype)
            yield container, file.getvalue()


def tracks(rng):
    """Tracks that have every field."""
    T, H = 30, 3
    return so.HarmonicTracks(
        time_s=0.01 * np.arange(T), f0_hz=220 * 2 ** rng.uniform(-0.1, 0.1, T),
        confidence=rng.uniform(0, 1, T), amplitudes=rng.uniform(0, 0.3, (T, H)),
        phases=rng.uniform(-3, 3, (T, H)), sample_rate=16000, n_samples=4800, residual_db=-20.0,
        loss_history={"track": [3.0, 2.0]}, f0_std_cents=rng.uniform(1, 2, T),
        amplitudes_std=rng.uniform(0, 0.1, (T, H)), inharmonicity=np.zeros(T),
        noise_db=rng.uniform(-60, -50, T), snr_db=rng.uniform(10, 20, T),
        octave_costs=rng.uniform(0, 1, (T, 4)), octave_margin=rng.uniform(-1, 1, T),
        settings={"method": "signal", "n_harmonics": 3},
    )  # fmt: skip


def flipped(rng, data):
    """One bit is another."""
    data = bytearray(data)
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _bytes(rng, data):
    data = np.frombuffer(data, np.uint8).copy()
    end = min(rng.choice([16, 64, 256, len(data)]), len(data))
    where = rng.integers(0, end, rng.integers(1, 9))
    data[where] = rng.choice([0, 1, 127, 128, 255, rng.integers(0, 256)], len(where))
    return data.tobytes()


def _number(rng, data):
    """A field of 2, 4 or 8 bytes says something else."""
    size = int(rng.choice([2, 4, 8]))
    at = int(rng.integers(0, max(1, min(rng.choice([64, 256, len(data)]), len(data) - size))))
    value = int(rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62]))
    claim = value.to_bytes(8, "little")[:size]
    return data[:at] + (claim if rng.integers(2) else claim[::-1]) + data[at + size :]


def _piece(rng, data):
    """Some bytes are gone, there twice, zero, or elsewhere."""
    a, b = sorted(rng.integers(0, len(data) + 1, 2))
    if rng.integers(2):
        b = min(b, a + int(rng.integers(1, 64)))
    part, at = data[a:b], int(rng.integers(0, len(data) + 1))
    return (
        data[:a] + data[b:],
        data[:b] + part + data[b:],
        data[:a] + bytes(b - a) + data[b:],
        data[:at] + part + data[at:],
    )[rng.integers(4)]


def _cut(rng, data):
    return data[: rng.integers(0, len(data))]


def _text(rng, data):
    """A word, a number or a line is another."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return _bytes(rng, data)
    pattern = (r"[-+.\deE]+", r"\w+", r"[^\n]*\n", r"[^\w\s]")[rng.integers(4)]
    found = list(re.finditer(pattern, text))
    if not found:
        return _cut(rng, data)
    one, other = (found[i] for i in rng.integers(0, len(found), 2))
    word = WORDS[rng.integers(len(WORDS))] if rng.integers(3) else other.group()
    return (text[: one.start()] + word + text[one.end() :]).encode()


def damaged(rng, data, text=False):
    """The bytes after one to three accidents."""
    kinds = [flipped, _bytes, _number, _piece, _cut] + 6 * [_text] * text
    for _ in range(rng.integers(1, 4)):
        data = kinds[rng.integers(len(kinds))](rng, data) or b"\0"
    return data


def restored(rng, data):
    """A NumPy archive whose checksums are right again, but one of whose arrays is another."""
    with np.load(io.BytesIO(data)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = [*arrays][rng.integers(len(arrays))]
    array = arrays[name]
    flat = array.reshape(-1)
    choices = [
        None, array[..., None], flat, flat[:0], np.zeros(3), np.array("text"), array.astype("U"),
        np.full(array.shape, 7), np.zeros(array.shape, complex), np.zeros(array.shape, bool),
        np.full(array.shape, np.nan), np.full(array.shape, -np.inf), np.full(array.shape, 1e300),
        np.full(array.shape, -1.0), np.zeros((2,) * 5), np.array(b"bytes"), np.zeros(0, "V8"),
        np.array(0, "M8[s]"), np.full(array.shape, 2**62), np.atleast_1d(array)[..., :1],
    ]  # fmt: skip
    if array.dtype.kind == "U" and rng.integers(4):
        text = _text(rng, str(array).encode()).decode(errors="replace")
        choices = [np.array(text), np.array(json.dumps([text])), np.array("{}"), np.array("[]")]
    changed = choices[rng.integers(len(choices))]
    del arrays[name]
    if changed is not None:
        arrays[name] = changed
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()
