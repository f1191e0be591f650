"""Harmonic and sinusoidal synthesis against loops, finite differences and the reference."""

from fractions import Fraction
from itertools import pairwise

import gradcheck
import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectralot import (
    ParameterError,
    harmonic_backward,
    harmonic_forward,
    sinusoidal_backward,
    sinusoidal_forward,
)

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 8000
SHAPES = [  # batch, frames, harmonics, samples; the last two have segments of many samples
    (1, 1, 1, 1),
    (2, 1, 3, 7),
    (1, 9, 2, 5),
    (3, 4, 5, 61),
    (2, 7, 3, 300),
    (1, 2, 4, 1201),
]
OPTIONS = [
    {},
    {"interpolation": "linear"},
    {"hop_length": 37.5},
    {"hop_length": 20, "interpolation": "linear"},
    {"block": (0.3, 0.8)},  # as parts of n_samples
    {"block": (0.0, 0.5), "hop_length": 50, "interpolation": "linear"},
]


def options_for(options, n_samples):
    options = {"n_samples": n_samples, "sample_rate": RATE, **options}
    if "block" in options:
        start, stop = (int(part * n_samples) for part in options["block"])
        options["block"] = (start, max(stop, start + 1))
    return options


def harmonic_case(rng, shape, *, crossing=False, with_phase=True, stiffness=2e-4):
    B, T, H, _ = shape
    if crossing:  # some harmonics are silent always, some for a while
        f0_hz = rng.uniform(0.5, 1.5, (B, T)) * RATE / 2 / (0.7 * H)
        f0_hz = np.minimum(f0_hz, 0.49 * RATE)
    else:
        f0_hz = gradcheck.below_nyquist(rng, T, H, RATE, (B,))
    amplitudes = rng.standard_normal((B, T, H))
    start_phase = rng.uniform(-9, 9, (B, H)) if with_phase else None
    inharmonicity = None if stiffness is None else stiffness * rng.uniform(0.5, 1.0, B)
    return f0_hz, amplitudes, start_phase, inharmonicity


def pick(values, b):
    return None if values is None else values[b]


def same_angle(found, expected):
    """Largest difference of angles in radians, whole turns aside."""
    return np.max(np.abs(np.angle(np.exp(1j * (np.asarray(found) - np.asarray(expected))))))


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stiffness", [None, 2e-4], ids=["harmonic", "stretched"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_harmonic_matches_the_loops(shape, options, stiffness, rng, full_scale_error):
    options = options_for(options, shape[3])
    f0_hz, amplitudes, start_phase, inharmonicity = harmonic_case(
        rng, shape, crossing=True, stiffness=stiffness
    )
    audio, saved = harmonic_forward(
        f0_hz, amplitudes, start_phase=start_phase, inharmonicity=inharmonicity, **options
    )
    assert audio.dtype == np.float64
    for b in range(shape[0]):
        extra = {"start_phase": start_phase[b], "inharmonicity": pick(inharmonicity, b)}
        expected, end_phase = naive.harmonic(f0_hz[b], amplitudes[b], **extra, **options)
        assert full_scale_error(audio[b], expected) < 1e-11
        assert same_angle(saved.end_phase[b], end_phase) < 1e-11
        single, single_saved = harmonic_forward(f0_hz[b], amplitudes[b], **extra, **options)
        assert np.array_equal(single, audio[b])
        assert np.array_equal(single_saved.end_phase, saved.end_phase[b])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sinusoidal_matches_the_loops(shape, options, rng, full_scale_error):
    options = options_for(options, shape[3])
    B, T, H, _ = shape
    frequencies = rng.uniform(0, 1.1 * RATE / 2, (B, T, H))
    frequencies[0, 0, 0] = 0.0
    amplitudes = rng.standard_normal((B, T, H))
    start_phase = rng.uniform(0.1, 9, (B, H))
    audio, saved = sinusoidal_forward(frequencies, amplitudes, start_phase=start_phase, **options)
    for b in range(B):
        expected, end_phase = naive.sinusoidal(
            frequencies[b], amplitudes[b], start_phase=start_phase[b], **options
        )
        np.testing.assert_allclose(audio[b], expected, rtol=0, atol=1e-11)
        assert same_angle(saved.end_phase[b], end_phase) < 1e-11
        single, _ = sinusoidal_forward(
            frequencies[b], amplitudes[b], start_phase=start_phase[b], **options
        )
        assert np.array_equal(single, audio[b])


def test_one_inharmonicity_serves_the_whole_batch(rng):
    shape = (3, 4, 5, 100)
    f0_hz, amplitudes, _, _ = harmonic_case(rng, shape)
    options = options_for({}, 100)
    one, saved = harmonic_forward(f0_hz, amplitudes, inharmonicity=1e-4, **options)
    each, _ = harmonic_forward(f0_hz, amplitudes, inharmonicity=np.full(3, 1e-4), **options)
    assert np.array_equal(one, each)
    d_audio = rng.standard_normal(one.shape)
    assert np.shape(harmonic_backward(d_audio, saved)[3]) == ()


def test_no_inharmonicity_and_a_zero_one_sound_the_same(rng):
    f0_hz, amplitudes, start_phase, _ = harmonic_case(rng, (2, 5, 6, 400), crossing=True)
    options = options_for({"start_phase": start_phase}, 400)
    plain, _ = harmonic_forward(f0_hz, amplitudes, **options)
    zero, _ = harmonic_forward(f0_hz, amplitudes, inharmonicity=0.0, **options)
    np.testing.assert_allclose(zero, plain, rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-5)], ids=["float64", "float32"]
)
def test_reference_audio(dtype, tolerance, reference, full_scale_error):
    """f0_hz stays in float64: its rounding to float32 alone turns the last phases by 2e-4."""
    stored = reference("synth")
    for prefix, expected in [("", stored["audio"]), ("step_", reference("signals")["x_hat"])]:
        f0_hz, amplitudes = stored[prefix + "f0_hz"][..., 0], stored[prefix + "amplitudes"]
        audio, _ = harmonic_forward(
            f0_hz, amplitudes.astype(dtype), n_samples=4096, sample_rate=16000
        )
        assert audio.dtype == dtype
        assert full_scale_error(audio, expected) < tolerance


def test_float32_f0_is_used_as_it_is(reference, full_scale_error):
    stored = reference("synth")
    options = {"n_samples": 4096, "sample_rate": 16000}
    f0_hz, amplitudes = (stored[k].astype(np.float32) for k in ("f0_hz", "amplitudes"))
    audio, _ = harmonic_forward(f0_hz[..., 0], amplitudes, **options)
    exact, _ = harmonic_forward(f0_hz[..., 0].astype(np.float64), stored["amplitudes"], **options)
    assert audio.dtype == np.float32
    assert full_scale_error(audio, exact) < 1e-6


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stiffness", [None, 2e-4], ids=["harmonic", "stretched"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 3, 7), (3, 4, 5, 61), (1, 2, 4, 601)], ids=str)
def test_harmonic_gradients(shape, options, stiffness, rng):
    options = options_for(options, shape[3])
    inputs = harmonic_case(rng, shape, stiffness=stiffness)

    def forward(f0_hz, amplitudes, start_phase, inharmonicity):
        return harmonic_forward(
            f0_hz, amplitudes, start_phase=start_phase, inharmonicity=inharmonicity, **options
        )[0]

    audio, saved = harmonic_forward(
        inputs[0], inputs[1], start_phase=inputs[2], inharmonicity=inputs[3], **options
    )
    d_audio = rng.standard_normal(audio.shape)
    gradients = harmonic_backward(d_audio, saved)
    turn = RATE / shape[3] / shape[2] / 6  # Hz that turn the last phase by about a radian
    scales = (turn, 1.0, 1.0, turn / RATE)
    gradcheck.check_projected(forward, inputs, gradients, d_audio, rng=rng, scales=scales)
    if shape[1] * shape[2] < 30:
        gradcheck.check_elements(forward, inputs, gradients, d_audio, scales=scales)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", [(2, 1, 3, 7), (3, 4, 5, 61), (1, 2, 4, 601)], ids=str)
def test_sinusoidal_gradients(shape, options, rng):
    options = options_for(options, shape[3])
    B, T, H, N = shape
    inputs = (
        rng.uniform(0.01, 0.49, (B, T, H)) * RATE,
        rng.standard_normal((B, T, H)),
        rng.uniform(-9, 9, (B, H)),
    )

    def forward(frequencies_hz, amplitudes, start_phase):
        return sinusoidal_forward(frequencies_hz, amplitudes, start_phase=start_phase, **options)[0]

    audio, saved = sinusoidal_forward(*inputs[:2], start_phase=inputs[2], **options)
    d_audio = rng.standard_normal(audio.shape)
    gradients = sinusoidal_backward(d_audio, saved)
    scales = (RATE / N / 6, 1.0, 1.0)
    gradcheck.check_projected(forward, inputs, gradients, d_audio, rng=rng, scales=scales)
    gradcheck.check_elements(forward, inputs, gradients, d_audio, scales=scales)


def test_gradients_of_inputs_that_were_not_given_are_none(rng):
    f0_hz, amplitudes, _, _ = harmonic_case(rng, (2, 3, 2, 50))
    audio, saved = harmonic_forward(f0_hz, amplitudes, n_samples=50, sample_rate=RATE)
    d_f0_hz, d_amplitudes, d_start_phase, d_inharmonicity = harmonic_backward(audio, saved)
    assert d_f0_hz.shape == f0_hz.shape and d_amplitudes.shape == amplitudes.shape
    assert d_start_phase is None and d_inharmonicity is None
    audio, saved = sinusoidal_forward(amplitudes**2, amplitudes, n_samples=50, sample_rate=RATE)
    assert sinusoidal_backward(audio, saved)[2] is None


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(np.float64, 1e-7), (np.float32, 2e-4)], ids=["float64", "float32"]
)
def test_reference_gradients(dtype, tolerance, reference, relative_error):
    stored = {key: np.asarray(value, dtype) for key, value in reference("synth").items()}
    audio, saved = harmonic_forward(
        stored["f0_hz"][..., 0], stored["amplitudes"], n_samples=4096, sample_rate=16000
    )
    d_f0_hz, d_amplitudes, _, _ = harmonic_backward(stored["d_audio"], saved)
    assert audio.dtype == d_f0_hz.dtype == d_amplitudes.dtype == dtype
    expected = reference("synth")
    assert relative_error(d_f0_hz[..., None], expected["d_f0_hz"]) < tolerance
    assert relative_error(d_amplitudes, expected["d_amplitudes"]) < tolerance


def test_partials_at_or_above_nyquist_are_silent_and_have_no_gradient(rng):
    n, nyquist = 640, RATE / 2
    f0_hz = np.full(8, nyquist / 3)  # the third harmonic stands exactly at Nyquist
    amplitudes = rng.uniform(0.5, 1.0, (8, 5))
    audio, saved = harmonic_forward(f0_hz, amplitudes, n_samples=n, sample_rate=RATE)
    two, _ = harmonic_forward(f0_hz, amplitudes[:, :2], n_samples=n, sample_rate=RATE)
    assert np.array_equal(audio, two)
    d_f0_hz, d_amplitudes, _, _ = harmonic_backward(rng.standard_normal(n), saved)
    assert np.all(d_amplitudes[:, 2:] == 0) and np.all(d_amplitudes[:, :2] != 0)
    assert np.all(d_f0_hz != 0)
    silent, saved = sinusoidal_forward(
        np.full((8, 1), nyquist), amplitudes[:, :1], n_samples=n, sample_rate=RATE
    )
    assert np.all(silent == 0)
    assert all(np.all(g == 0) for g in sinusoidal_backward(np.ones(n), saved)[:2])
    falling = np.array([[1.0], [0.9], [1.0]]) * nyquist  # between the frames it is heard
    audio, saved = sinusoidal_forward(falling, np.ones((3, 1)), n_samples=n, sample_rate=RATE)
    d_amplitudes = sinusoidal_backward(audio, saved)[1]
    assert np.array_equal(d_amplitudes != 0, [[False], [True], [False]])


@given(
    st.integers(1, 9), st.integers(1, 7), st.integers(1, 400),
    st.sampled_from(["hann", "linear"]), st.sampled_from([None, 33.3]), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_synthesis_is_linear_in_the_amplitudes(n_frames, n_harmonics, n_samples, how, hop, seed):
    """<S a, y> = <a, S' y> whatever the shape, crossings of Nyquist included."""
    rng = np.random.default_rng(seed)
    options = {"interpolation": how, "hop_length": hop, "sample_rate": RATE}
    f0_hz = rng.uniform(50, 1500, n_frames)
    a, y = rng.standard_normal((n_frames, n_harmonics)), rng.standard_normal(n_samples)
    audio, saved = harmonic_forward(f0_hz, a, n_samples=n_samples, **options)
    _, adjoint, _, _ = harmonic_backward(y, saved)
    size = np.linalg.norm(audio) * np.linalg.norm(y) + np.linalg.norm(a) * np.linalg.norm(adjoint)
    assert abs(audio @ y - np.sum(a * adjoint)) <= 1e-13 * size
    doubled, _ = harmonic_forward(f0_hz, 2 * a, n_samples=n_samples, **options)
    assert np.array_equal(doubled, 2 * audio)


# --- long and rich sounds ------------------------------------------------------------------------


@pytest.mark.parametrize("stiffness", [None, 2e-4], ids=["harmonic", "stretched"])
@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_blocks_equal_the_whole(options, stiffness, rng):
    shape = (2, 7, 5, 1500)
    f0_hz, amplitudes, start_phase, inharmonicity = harmonic_case(
        rng, shape, crossing=True, stiffness=stiffness
    )
    options = {**options_for(options, 1500), "inharmonicity": inharmonicity}
    whole, saved = harmonic_forward(f0_hz, amplitudes, start_phase=start_phase, **options)
    phase, pieces, edges = start_phase, [], [0, 1, 300, 301, 1024, 1500]
    for block in pairwise(edges):
        piece, piece_saved = harmonic_forward(
            f0_hz, amplitudes, start_phase=phase, block=block, **options
        )
        pieces.append(piece)
        phase = piece_saved.end_phase
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, rtol=0, atol=1e-11)
    assert same_angle(phase, saved.end_phase) < 1e-11


@pytest.mark.parametrize("stiffness", [None, 2e-4], ids=["harmonic", "stretched"])
@pytest.mark.parametrize("hop", [100, 98.72])
def test_a_block_needs_only_the_frames_around_it(hop, stiffness, rng):
    f0_hz, amplitudes, start_phase, inharmonicity = harmonic_case(
        rng, (2, 16, 5, 1700), crossing=True, stiffness=stiffness
    )
    options = dict(
        n_samples=1700, sample_rate=16000, hop_length=hop, block=(650, 1100),
        start_phase=start_phase, inharmonicity=inharmonicity,
    )  # fmt: skip
    first, last = int(650 / hop), int(np.ceil(1100 / hop))
    frames = slice(first, last + 1)
    whole, saved = harmonic_forward(f0_hz, amplitudes, **options)
    part, part_saved = harmonic_forward(
        f0_hz[:, frames], amplitudes[:, frames], first_frame=first, **options
    )
    np.testing.assert_allclose(part, whole, rtol=0, atol=1e-11)
    d_whole = harmonic_backward(whole, saved)
    d_part = harmonic_backward(whole, part_saved)
    for whole_frames, of_part in zip(d_whole[:2], d_part[:2], strict=True):
        np.testing.assert_allclose(of_part, whole_frames[:, frames], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("stiffness", [None, 0.0], ids=["harmonic", "stretched"])
def test_phase_does_not_drift_over_an_hour(stiffness):
    rate, f0_hz = 8000, Fraction(443125, 1000)
    n_samples, n_blocks = 3600 * rate, 60
    size = n_samples // n_blocks
    phase = np.zeros(1)
    for k in range(n_blocks):
        audio, saved = harmonic_forward(
            [float(f0_hz)], [[1.0]], n_samples=n_samples, sample_rate=rate, start_phase=phase,
            inharmonicity=stiffness, block=(k * size, (k + 1) * size),
        )  # fmt: skip
        phase = saved.end_phase
    last = range(n_samples - 100, n_samples)
    exact = np.array([float(2 * ((n + 1) * f0_hz / rate % 1)) * np.pi for n in last])
    assert same_angle(phase, exact[-1]) < 1e-7
    assert np.max(np.abs(audio[-100:] - np.sin(exact))) < 1e-7


@pytest.mark.parametrize("f0_hz", [0.5, 3.7, 39.0])
def test_recurrence_stays_below_float32_rounding_at_200_harmonics(f0_hz):
    """One harmonic at a time, against sin(h * phase) in extended precision."""
    rate, n, H = 16000, 8192, 200
    turns = np.arange(1, n + 1, dtype=np.longdouble) * f0_hz / rate
    for h in (2, 50, 199, 200):
        amplitudes = np.zeros((1, H))
        amplitudes[0, h - 1] = 1.0
        audio, saved = harmonic_forward([f0_hz], amplitudes, n_samples=n, sample_rate=rate)
        angle = 2 * np.pi * (h * turns % 1).astype(np.float64)
        assert np.max(np.abs(audio - np.sin(angle))) < 2.0**-25
        _, d_amplitudes, _, _ = harmonic_backward(np.sin(angle), saved)
        assert d_amplitudes[0, h - 1] == pytest.approx(np.sum(np.sin(angle) ** 2), rel=2.0**-25)


def test_silence_is_silent_and_has_finite_gradients(rng):
    f0_hz = np.full((2, 5), 200.0)
    audio, saved = harmonic_forward(f0_hz, np.zeros((2, 5, 3)), n_samples=90, sample_rate=RATE)
    assert np.all(audio == 0)
    d_f0_hz, d_amplitudes, _, _ = harmonic_backward(rng.standard_normal((2, 90)), saved)
    assert np.all(d_f0_hz == 0) and np.all(np.isfinite(d_amplitudes)) and np.any(d_amplitudes)
    d_f0_hz, d_amplitudes, _, _ = harmonic_backward(np.zeros((2, 90)), saved)
    assert np.all(d_f0_hz == 0) and np.all(d_amplitudes == 0)


# --- reproducibility, dtypes, memory -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stiffness", [None, 2e-4], ids=["harmonic", "stretched"])
def test_bitwise_equal_for_any_thread_count_and_on_repetition(stiffness, dtype, rng, with_threads):
    f0_hz, amplitudes, start_phase, inharmonicity = harmonic_case(
        rng, (5, 13, 6, 3000), crossing=True, stiffness=stiffness
    )
    d_audio = rng.standard_normal((5, 3000)).astype(dtype)

    def run():
        audio, saved = harmonic_forward(
            f0_hz.astype(dtype), amplitudes.astype(dtype), start_phase=start_phase,
            inharmonicity=inharmonicity, n_samples=3000, sample_rate=RATE,
        )  # fmt: skip
        return audio, *(g for g in harmonic_backward(d_audio, saved) if g is not None)

    first = with_threads(2, run)
    for n_threads in (1, 2, 1):
        again = with_threads(n_threads, run)
        assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("stiffness", [None, 2e-4], ids=["harmonic", "stretched"])
def test_dtypes_follow_the_inputs(stiffness, rng, full_scale_error):
    f0_hz, amplitudes, _, _ = harmonic_case(rng, (2, 4, 3, 200))
    options = options_for({"inharmonicity": stiffness}, 200)

    def run(f0_hz, amplitudes):
        audio, saved = harmonic_forward(f0_hz, amplitudes, **options)
        d_f0_hz, d_amplitudes, _, _ = harmonic_backward(audio, saved)
        assert audio.dtype == d_f0_hz.dtype == d_amplitudes.dtype
        return audio

    f0_32, amplitudes_32 = f0_hz.astype(np.float32), amplitudes.astype(np.float32)
    single = run(f0_32, amplitudes_32)
    double = run(f0_32.astype(np.float64), amplitudes_32.astype(np.float64))
    assert single.dtype == np.float32 and double.dtype == np.float64
    assert full_scale_error(single, double) < 1e-6
    # the amplitudes decide: a float64 f0 keeps its exact phase in float32 audio
    assert run(f0_hz, amplitudes_32).dtype == np.float32
    assert run(f0_32, amplitudes).dtype == np.float64
    integers = run(f0_hz.astype(int), np.ones((2, 4, 3), dtype=int))
    assert integers.dtype == np.float64
    assert np.array_equal(integers, run(np.trunc(f0_hz), np.ones((2, 4, 3))))
    assert run(f0_hz.tolist(), amplitudes.tolist()).dtype == np.float64


def test_inputs_may_be_strided_and_are_never_written_to(rng):
    f0_hz, amplitudes, start_phase, _ = harmonic_case(rng, (2, 6, 4, 150))
    spread = [np.repeat(a, 2, axis=-1)[..., ::2] for a in (f0_hz, amplitudes, start_phase)]
    spread[1] = np.asfortranarray(spread[1])
    copies = [a.copy() for a in spread]
    assert not any(a.flags.c_contiguous for a in spread)
    for a in spread:
        a.setflags(write=False)
    options = options_for({}, 150)
    expected, saved = harmonic_forward(f0_hz, amplitudes, start_phase=start_phase, **options)
    audio, strided_saved = harmonic_forward(*spread[:2], start_phase=spread[2], **options)
    assert np.array_equal(audio, expected)
    d_audio = np.repeat(rng.standard_normal((2, 150)), 2, axis=1)[:, ::2]
    d_audio.setflags(write=False)
    found = harmonic_backward(d_audio, strided_saved)
    for a, b in zip(found[:3], harmonic_backward(d_audio.copy(), saved)[:3], strict=True):
        assert np.array_equal(a, b)
    again = harmonic_backward(d_audio, strided_saved)  # the saved arrays survive a backward pass
    assert all(np.array_equal(a, b) for a, b in zip(found[:3], again[:3], strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(spread, copies, strict=True))

    frequencies = f0_hz[..., None] * np.arange(1, 5)
    expected, saved = sinusoidal_forward(frequencies, amplitudes, **options)
    audio, strided_saved = sinusoidal_forward(np.asfortranarray(frequencies), spread[1], **options)
    assert np.array_equal(audio, expected)
    found, again = (sinusoidal_backward(d_audio, s)[:2] for s in (saved, strided_saved))
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))


# --- errors --------------------------------------------------------------------------------------

GOOD = {
    "f0_hz": np.full(4, 200.0),
    "amplitudes": np.ones((4, 3)),
    "n_samples": 40,
    "sample_rate": 16000,
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"f0_hz": []}, r"f0_hz must not be empty, got shape \(0,\)"),
        ({"amplitudes": np.ones((4, 0))}, r"amplitudes must not be empty, got shape \(4, 0\)"),
        ({"f0_hz": [200.0, np.nan, 1, 1]}, r"f0_hz must be finite, got nan at index \(1\)"),
        (
            {"amplitudes": np.full((4, 3), np.inf)},
            r"amplitudes must be finite, got inf at index \(0, 0\)",
        ),
        ({"f0_hz": ["a"] * 4}, "f0_hz must hold real numbers"),
        ({"f0_hz": np.full(4, 1j)}, "f0_hz must hold real numbers, got dtype complex128"),
        (
            {"f0_hz": np.zeros(4)},
            r"f0_hz must be above 0 and below sample_rate / 2 = 8000 Hz, got 0$",
        ),
        ({"f0_hz": [300.0, 0, 300, 300]}, r"f0_hz must be above 0 .* got 0$"),
        ({"f0_hz": [300.0, -0.5, 300, 300]}, r"f0_hz must be above 0 .* got -0.5$"),
        ({"f0_hz": [1.0, 2, 3, -5]}, r"f0_hz must be above 0 .* got -5$"),
        ({"f0_hz": np.full(4, 8000.0)}, r"f0_hz must be .* below sample_rate / 2 .* got 8000$"),
        ({"f0_hz": np.full(4, 9000.0)}, r"f0_hz must be .* below sample_rate / 2 .* got 9000$"),
        ({"f0_hz": 200.0}, r"f0_hz must have 1 or 2 dimension\(s\), got shape \(\)"),
        ({"f0_hz": np.full(5, 200.0)}, r"amplitudes must have shape .*, got \(4, 3\)"),
        ({"amplitudes": np.ones((1, 4, 3))}, r"amplitudes must have shape .*, got \(1, 4, 3\)"),
        (
            {"f0_hz": np.full((2, 4), 200.0), "amplitudes": np.ones((3, 4, 3))},
            r"amplitudes must have shape \(B, T, H\) .*'s B, T = \(2, 4\), got \(3, 4, 3\)",
        ),
        ({"n_samples": 0}, "n_samples must be at least 1, got 0"),
        ({"n_samples": 2.5}, "n_samples must be an integer, got 2.5"),
        ({"sample_rate": 0}, "sample_rate must be above 0, got 0"),
        ({"sample_rate": np.nan}, "sample_rate must be finite, got nan"),
        ({"start_phase": np.zeros(2)}, r"start_phase must have shape \(3,\), got \(2,\)"),
        ({"start_phase": [0, 0, np.nan]}, r"start_phase must be finite, got nan at index \(2\)"),
        ({"inharmonicity": -1e-4}, "inharmonicity must not be negative, got -0.0001"),
        ({"inharmonicity": np.nan}, "inharmonicity must be finite, got nan"),
        ({"interpolation": "cubic"}, "interpolation must be one of 'hann', 'linear', got 'cubic'"),
        ({"hop_length": 0}, "hop_length must be above 0, got 0"),
        ({"block": (5, 5)}, r"block must lie within .* n_samples = 40, got \(5, 5\)"),
        ({"block": (0, 41)}, r"block must lie within .* n_samples = 40, got \(0, 41\)"),
        ({"block": (-1, 4)}, r"block\[0\] must be at least 0, got -1"),
        ({"first_frame": 2}, "first_frame needs a hop_length, got 2 without one"),
        ({"first_frame": -1, "hop_length": 9}, "first_frame must be at least 0, got -1"),
    ],
)
def test_harmonic_errors_name_argument_rule_and_value(changes, message):
    arguments = {**GOOD, **changes}
    with pytest.raises(ParameterError, match=message):
        harmonic_forward(arguments.pop("f0_hz"), arguments.pop("amplitudes"), **arguments)


@pytest.mark.parametrize("f0_hz", [0.01, 7999.9])
def test_any_f0_between_0_and_half_the_sample_rate_will_do(f0_hz):
    arguments = {**GOOD, "f0_hz": np.full(4, f0_hz)}
    audio, _ = harmonic_forward(arguments.pop("f0_hz"), arguments.pop("amplitudes"), **arguments)
    assert np.isfinite(audio).all() and audio.any()


def test_batched_inharmonicity_must_fit_the_batch():
    with pytest.raises(ParameterError, match=r"inharmonicity must have shape \(2,\), got \(3,\)"):
        harmonic_forward(
            np.full((2, 4), 200.0), np.ones((2, 4, 3)), n_samples=40, sample_rate=16000,
            inharmonicity=np.zeros(3),
        )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frequencies_hz": np.full((4, 3), -1.0)}, "frequencies_hz must not be negative, got -1"),
        ({"frequencies_hz": np.ones((4, 2))}, r"amplitudes must have shape \(1?,? ?4, 2\)"),
        ({"sample_rate": 0}, "sample_rate must be above 0, got 0"),
        ({"frequencies_hz": np.ones(4)}, r"frequencies_hz must have 2 or 3 dimension\(s\)"),
        ({"frequencies_hz": np.full((4, 3), np.nan)}, r"frequencies_hz must be finite, got nan"),
        ({"frequencies_hz": np.ones((0, 3))}, r"frequencies_hz must not be empty"),
        ({"start_phase": np.zeros((2, 3))}, r"start_phase must have 1 dimension\(s\)"),
    ],
)
def test_sinusoidal_errors_name_argument_rule_and_value(changes, message):
    arguments = {**GOOD, "frequencies_hz": np.full((4, 3), 200.0), **changes}
    del arguments["f0_hz"]
    with pytest.raises(ParameterError, match=message):
        sinusoidal_forward(
            arguments.pop("frequencies_hz"), arguments.pop("amplitudes"), **arguments
        )


@pytest.mark.parametrize(
    ("d_audio", "message"),
    [
        (np.ones(39), r"d_audio must have shape \(40,\), got \(39,\)"),
        (np.ones((1, 40)), r"d_audio must have 1 dimension\(s\), got shape \(1, 40\)"),
        (np.full(40, np.nan), r"d_audio must be finite, got nan at index \(0\)"),
    ],
)
def test_backward_errors_name_argument_rule_and_value(d_audio, message):
    f0_hz, amplitudes = GOOD["f0_hz"], GOOD["amplitudes"]
    _, saved = harmonic_forward(f0_hz, amplitudes, n_samples=40, sample_rate=16000)
    with pytest.raises(ParameterError, match=message):
        harmonic_backward(d_audio, saved)
    _, saved = sinusoidal_forward(amplitudes, amplitudes, n_samples=40, sample_rate=16000)
    with pytest.raises(ParameterError, match=message):
        sinusoidal_backward(d_audio, saved)
    with pytest.raises(ParameterError, match="saved must be of harmonic_forward, got that of sin"):
        harmonic_backward(np.ones(40), saved)
