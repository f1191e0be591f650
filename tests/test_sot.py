"""SOT's choices: axes, masses, transforms, time, floors, levels; values by loops, gradients."""

import math

import gradcheck
import naive
import numpy as np
import pytest

from spectralot import SOT, ConstantQ, Mel, ParameterError, PitchSalience

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000
STFT = dict(n_fft=128, hop_length=100, window="hann", power=2)
SHORT = dict(window="hann", hop_length=100)
BALANCED = dict(mass="balanced", p=1, **SHORT)
AXES = ["hz", "linear", "log", "cents", "mel", "erb", np.sqrt(np.arange(65.0))]
MASSES = {
    "balanced": {},
    "cutoff": {},
    "partial": {"p": 1, "share": 0.7},
    "unbalanced": {"p": 1, "reach": 0.2},
}
TRANSFORMS = {
    "mel": Mel(12, 128, hop_length=100, sample_rate=RATE),
    "constant-Q": ConstantQ(fmin=500, n_bins=30, bins_per_octave=12, hop_length=100),
    "constant-Q power": ConstantQ(fmin=500, n_bins=30, bins_per_octave=12, hop_length=100, power=2),
    "salience": PitchSalience(256, hop_length=100, fmin=200, fmax=2000, bins_per_octave=12),
}


def variants():
    """Every option once, on its own or with another that it meets."""
    for axis in AXES:
        yield f"axis {axis if isinstance(axis, str) else 'own'}", 128, dict(frequency_axis=axis)
    for mass, options in MASSES.items():
        own = {"mass": mass, "p": 2, **options}
        yield f"mass {mass}", 128, own
        for factor in (0.5, 2):
            yield f"floor {factor}, {mass}", 128, dict(noise_floor=factor, **own)
        for name, transform in TRANSFORMS.items():
            axis = "cents" if mass == "balanced" else "linear"
            yield f"{name}, {mass}", transform, dict(frequency_axis=axis, **own)
    yield "level", 128, dict(level_weight=0.3)
    yield "level of magnitudes", 128, dict(level_weight=0.3, power=1)
    yield "level, floor, A", 128, dict(level_weight=0.3, noise_floor=1, weighting="A")
    yield "A", 128, dict(weighting="A")
    yield "A of magnitudes", 128, dict(weighting="A", power=1)
    yield "time", 128, dict(along="time")
    yield "time, cutoff", 128, dict(along="time", hop_length=50, mass="cutoff", p=2)
    yield "time, constant-Q", TRANSFORMS["constant-Q"], dict(along="time")
    yield "chroma", 128, dict(frequency_axis="chroma")
    yield "chroma, floor, p = 2", 128, dict(frequency_axis="chroma", noise_floor=1, p=2)
    yield "resolutions", (256, 128, 100), dict(frequency_axis="mel")
    both = [TRANSFORMS["mel"], TRANSFORMS["salience"]]
    yield "transforms", both, dict(frequency_axis="cents")


def with_defaults(transform, options):
    """What is under test, on short frames where the transform leaves the choice."""
    frames = {} if hasattr(transform, "forward") or isinstance(transform, list) else SHORT
    return SOT(transform, **{**frames, "mass": "balanced", "p": 1, **options})


VARIANTS = {name: with_defaults(transform, options) for name, transform, options in variants()}


@pytest.fixture
def sounds(rng):
    """Two tones in noise against two other ones, (2, 900) each."""
    time = np.arange(900) / RATE
    target, estimate = (
        np.stack([np.sin(2 * np.pi * f * time) for f in pair]) for pair in [(440, 1200), (700, 900)]
    )
    return (
        target + 0.3 * rng.standard_normal(target.shape),
        0.8 * estimate + 0.3 * rng.standard_normal(estimate.shape),
    )


def rows_of(target, estimate):
    return (naive.stft_magnitude(x, **STFT) for x in (target, estimate))


# --- values --------------------------------------------------------------------------------------

HZ = np.arange(65) * RATE / 128
PLACES = {
    "hz": HZ,
    "linear": HZ / 8000,
    "cents": [1200 * math.log2(max(f, 62.5) / 440) for f in HZ],
    "mel": [2595 * math.log10(1 + f / 700) for f in HZ],
    "erb": [21.4 * math.log10(1 + 0.00437 * f) for f in HZ],
}


@pytest.mark.parametrize("axis", PLACES)
def test_axis_matches_the_loops(axis, sounds):
    target, estimate = (x[0] for x in sounds)
    expected = [
        naive.wasserstein_1d(u, v, np.asarray(PLACES[axis]), p=1)
        for u, v in zip(*rows_of(target, estimate), strict=True)
    ]
    found = SOT(128, frequency_axis=axis, **BALANCED).per_frame(target, estimate)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_floor_level_and_weighting_match_the_loops(sounds):
    target, estimate = (x[0] for x in sounds)
    f2 = np.maximum(HZ, 1e-9) ** 2
    curve = 12194**2 * f2**2 / (
        (f2 + 20.6**2) * np.sqrt((f2 + 107.7**2) * (f2 + 737.9**2)) * (f2 + 12194**2)
    )  # fmt: skip
    one = 1e6
    curve /= 12194**2 * one**2 / (
        (one + 20.6**2) * np.sqrt((one + 107.7**2) * (one + 737.9**2)) * (one + 12194**2)
    )  # fmt: skip
    expected = []
    for u, v in zip(*rows_of(target, estimate), strict=True):
        u, v = ([w * g**2 for w, g in zip(row, curve, strict=True)] for row in (u, v))
        u, v = ([max(w - 1.5 * np.median(row), 0) for w in row] for row in (u, v))
        level_db = 10 * math.log10(sum(v) / sum(u))
        expected.append(naive.wasserstein_1d(u, v, HZ, p=1) + 0.3 * abs(level_db))
    loss = SOT(128, frequency_axis="hz", noise_floor=1.5, level_weight=0.3, weighting="A",
               **BALANCED)  # fmt: skip
    # the A curve of IEC 61672-1 is given to the hundredth of a dB
    np.testing.assert_allclose(loss.per_frame(target, estimate), expected, rtol=3e-3)


def test_along_time_matches_the_loops(sounds):
    target, estimate = (x[0] for x in sounds)
    u, v = rows_of(target, estimate)
    seconds = (np.arange(len(u)) * 100 + 64) / RATE
    moved = [naive.wasserstein_1d(u[:, k], v[:, k], seconds, p=1) for k in range(65)]
    expected = sum(w * u[:, k].sum() for k, w in enumerate(moved)) / u.sum()
    loss = SOT(128, along="time", **BALANCED)
    assert loss(target, estimate)[0] == pytest.approx(expected, rel=1e-9)


def test_a_delay_costs_its_length_in_seconds():
    x = np.zeros(4000)
    x[1000:1050] = np.hanning(50)
    loss = SOT(128, hop_length=16, along="time", mass="balanced", p=1)
    assert loss(x, np.roll(x, 320))[0] == pytest.approx(320 / RATE, rel=1e-3)


def test_resolutions_add_up(sounds):
    sizes = (256, 128)
    parts = [SOT(n, **BALANCED)(*sounds) for n in sizes]
    value, d_estimate = SOT(sizes, **BALANCED)(*sounds)
    assert value == pytest.approx(sum(v for v, _ in parts), rel=1e-14)
    np.testing.assert_allclose(d_estimate, sum(d for _, d in parts), rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("power", [1, 2])
def test_level_is_heard_only_if_asked_for(power, sounds):
    target, _ = sounds
    options = dict(power=power, **BALANCED)
    assert SOT(128, **options)(target, 2 * target)[0] == pytest.approx(0, abs=1e-12)
    value, d_estimate = SOT(128, level_weight=0.5, **options)(target, 2 * target)
    assert value == pytest.approx(0.5 * 20 * math.log10(2), rel=1e-9)
    assert np.sum(d_estimate * target) > 0  # descent makes it softer


def test_below_the_mass_floor_levels_stand_still(sounds):
    target, estimate = sounds
    loss = SOT(128, level_weight=1, mass_floor=1e9, **BALANCED)
    value, d_estimate = loss(target, estimate)
    assert value == 0 and np.all(d_estimate == 0)


def test_the_noise_floor_lets_a_tone_in_noise_match_the_clean_tone(rng):
    t = np.arange(8192) / RATE
    tone = np.sin(2 * np.pi * 1000 * t)
    noisy = tone + 0.5 * rng.standard_normal(8192)
    options = dict(padding="none", frequency_axis="cents", mass="balanced", p=1)
    plain, without = (SOT(2048, noise_floor=k, **options)(noisy, tone)[0] for k in (0, 8))
    assert without < 0.1 * plain


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_gradient(name, sounds, rng):
    loss, (target, estimate) = VARIANTS[name], sounds
    _, d_estimate = loss(target, estimate)
    assert np.any(d_estimate != 0)
    gradcheck.check_projected(
        lambda x: loss(target, x)[0], (estimate,), (d_estimate,), 1.0, rng=rng, step=1e-7,
        tolerance=2e-6,
    )  # fmt: skip


# --- what must never break ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_finite_on_silence_clicks_equal_inputs_and_any_scale(name, dtype, sounds):
    loss, sound = VARIANTS[name], sounds[0].astype(dtype)
    silence, click = np.zeros_like(sound), np.zeros_like(sound)
    click[:, 450] = 1
    constant = np.ones_like(sound)
    for target in (sound, silence, click, constant):
        for estimate in (sound, silence, click, constant, sounds[1].astype(dtype)):
            for gain in (1e-12, 1, 1e6):
                gain = dtype(gain)
                value, d_estimate = loss(gain * target, gain * estimate)
                assert np.isfinite(value) and value >= 0
                assert d_estimate.dtype == dtype and np.all(np.isfinite(d_estimate))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_equal_sounds_pull_nowhere(name, dtype, sounds):
    sound = sounds[0].astype(dtype)
    value, d_estimate = VARIANTS[name](sound, sound.copy())
    # partial transport of a share of nothing is nothing; so is a plan along the diagonal
    assert value == pytest.approx(0, abs=1e-12) and np.all(d_estimate == 0)


def test_chroma_is_blind_to_the_octave():
    t = np.arange(4096) / RATE
    low, high, other = (np.sin(2 * np.pi * f * t) for f in (440, 880, 660))
    loss = SOT(2048, padding="none", frequency_axis="chroma", mass="balanced", p=1)
    assert loss(low, high)[0] < 0.02  # the lobes are wider for the lower tone
    assert loss(low, other)[0] == pytest.approx(np.log2(4 / 3), abs=0.01)  # a fourth, downwards


@pytest.mark.parametrize("name", ["axis cents", "axis hz", "mass partial", "salience, balanced",
                                  "chroma", "time", "mass unbalanced", "mass cutoff"])  # fmt: skip
def test_silence_is_no_way_to_a_low_value(name, sounds):
    loss, (target, estimate) = VARIANTS[name], sounds
    silence = np.zeros_like(estimate)
    value, d_estimate = loss(target, silence)
    assert value > loss(target, estimate)[0] and np.all(d_estimate == 0)
    assert loss(silence, target)[0] == 0 or name == "mass cutoff"
    half = np.where(np.arange(900) < 450, target, 0)
    assert loss(target, half)[0] < value or name == "time"


@pytest.mark.parametrize("name", ["axis cents", "salience, balanced", "floor 2, partial", "time",
                                  "mass unbalanced", "level, floor, A"])  # fmt: skip
def test_a_batch_gives_the_mean_and_items_and_threads_agree(name, sounds, with_threads):
    loss = VARIANTS[name]
    value, d_estimate = with_threads(2, loss, *sounds)
    items = [loss(a, b) for a, b in zip(*sounds, strict=True)]
    assert value == pytest.approx(np.mean([v for v, _ in items]), rel=1e-12)
    np.testing.assert_allclose(d_estimate, np.stack([d for _, d in items]) / 2, rtol=1e-9)
    ready = with_threads(1, loss, loss.prepare(sounds[0]), sounds[1])
    assert ready[0] == value and np.array_equal(ready[1], d_estimate)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SOT(()), r"transform must name at least one, got \(\)"),
        (lambda: SOT("stft"), r"transform \(as n_fft\) must be an integer, got 'stft'"),
        (
            lambda: SOT(TRANSFORMS["mel"], window="hann"),
            "window must be left to the transform, got Mel",
        ),
        (lambda: SOT(64, along="both"), "along must be one of 'frequency', 'time', got 'both'"),
        (lambda: SOT(64, noise_floor=-1), "noise_floor must be at least 0, got -1"),
        (lambda: SOT(64, level_weight=-1), "level_weight must be at least 0, got -1"),
        (
            lambda: SOT(64, frequency_axis="chroma"),
            "mass must be 'balanced' and along 'frequency' on the axis 'chroma', got 'cutoff'",
        ),
        (lambda: SOT(64, weighting="B"), "weighting must be one of None, 'A', got 'B'"),
        (lambda: SOT(64, mass="partial", share=0.5), "p must be 1 with mass 'partial', got 2"),
        (lambda: SOT(64, mass="partial", p=1), "share must be given with mass 'partial'"),
        (lambda: SOT(64, reach=1), "reach must be left out unless mass is 'unbalanced', got 1"),
        (lambda: SOT(64, frequency_axis=np.ones(5)), r"axis must have shape \(33,\), got \(5,\)"),
        (lambda: SOT((64, 32)).per_frame(np.ones(99), np.ones(99)), "one resolution, got 2"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
