"""Losses and presets against loops, finite differences and the reference."""

import pickle

import gradcheck
import naive
import numpy as np
import pytest

from spectralot import LIN, LOG, MSS, PRESETS, SOT, STFT, ParameterError, WeightedSum, preset

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000
NAMES = ["LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut", "SOT-2048-SS"]

# a loss, and its values per frame by loops
CASES = {
    "LIN": (LIN(256), lambda a, b: naive.lin_frames(a, b, n_fft=256)),
    "LIN hop": (
        LIN(100, hop_length=37, window="hamming"),
        lambda a, b: naive.lin_frames(a, b, n_fft=100, hop_length=37, window="hamming"),
    ),
    "LOG": (LOG(256), lambda a, b: naive.log_frames(a, b, n_fft=256)),
    "LOG floor": (
        LOG(128, hop_length=50, floor=0.3),
        lambda a, b: naive.log_frames(a, b, n_fft=128, hop_length=50, floor=0.3),
    ),
    "SOT": (SOT(512), lambda a, b: naive.sot_frames(a, b, n_fft=512)),
}
for number, options in enumerate([
    {"mass": "balanced", "hop_length": 100},
    {"power": 1, "window": "hann"},
    {"frequency_axis": "log", "p": 1.5},
    {"frequency_axis": "log", "mass": "balanced", "sample_rate": 8000},
    {"p": 1, "hop_length": 64},
]):  # fmt: skip
    CASES[f"SOT {number}"] = (
        SOT(128, **options),
        lambda a, b, options=options: naive.sot_frames(a, b, n_fft=128, **options),
    )
SIZES = (256, 64)
COMPOSED = {
    "MSS": (
        MSS(SIZES),
        lambda a, b: sum(
            f(a, b, n_fft=n).mean() for n in SIZES for f in (naive.lin_frames, naive.log_frames)
        ),
    ),
    "sum": (
        WeightedSum({"lin": (0.5, LIN(128)), "sot": (2.0, SOT(256)), "log": (0.1, LOG(64))}),
        lambda a, b: (
            0.5 * naive.lin_frames(a, b, n_fft=128).mean()
            + 2.0 * naive.sot_frames(a, b, n_fft=256).mean()
            + 0.1 * naive.log_frames(a, b, n_fft=64).mean()
        ),
    ),
}
ALL = {name: loss for name, (loss, _) in {**CASES, **COMPOSED}.items()}


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


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_frames_match_the_loops(name, sounds):
    loss, frames = CASES[name]
    expected = np.stack([frames(a, b) for a, b in zip(*sounds, strict=True)])
    np.testing.assert_allclose(loss.per_frame(*sounds), expected, rtol=1e-9)
    value, d_estimate = loss(*sounds)
    assert np.ndim(value) == 0 and value == pytest.approx(expected.mean(), rel=1e-9)
    assert d_estimate.shape == sounds[1].shape


@pytest.mark.parametrize("name", COMPOSED)
def test_composed_values_match_the_loops(name, sounds):
    loss, value_of = COMPOSED[name]
    expected = np.mean([value_of(a, b) for a, b in zip(*sounds, strict=True)])
    assert loss(*sounds)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_one_signal_is_a_batch_of_one(name, sounds):
    loss, (target, estimate) = ALL[name], sounds
    value, d_estimate = loss(target[0], estimate[0])
    batch_value, d_batch = loss(target[:1], estimate[:1])
    assert value == batch_value and d_estimate.shape == (900,)
    assert np.array_equal(d_estimate, d_batch[0])


@pytest.mark.parametrize("name", ALL)
def test_a_batch_gives_the_mean_over_its_items(name, sounds):
    loss, (target, estimate) = ALL[name], sounds
    value, d_estimate = loss(target, estimate)
    items = [loss(a, b) for a, b in zip(target, estimate, strict=True)]
    assert value == pytest.approx(np.mean([v for v, _ in items]), rel=1e-12)
    np.testing.assert_allclose(d_estimate, np.stack([d for _, d in items]) / 2, rtol=1e-9)


# --- gradients -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_gradient(name, sounds, rng):
    loss, (target, estimate) = ALL[name], sounds
    _, d_estimate = loss(target, estimate)
    gradcheck.check_projected(
        lambda x: loss(target, x)[0], (estimate,), (d_estimate,), 1.0, rng=rng, step=1e-7
    )


@pytest.mark.parametrize("name", NAMES)
def test_preset_gradient(name, sounds, rng):
    loss, (target, estimate) = preset(name), sounds
    _, d_estimate = loss(target[0], estimate[0])
    gradcheck.check_projected(
        lambda x: loss(target[0], x)[0], (estimate[0],), (d_estimate,), 1.0, rng=rng, step=1e-7,
        draws=2,
    )  # fmt: skip


# --- composition ---------------------------------------------------------------------------------


def test_weighted_sum_adds_its_terms(sounds):
    parts = {"a": (0.5, LIN(128)), "b": (3.0, SOT(256)), "c": (0.0, LOG(64))}
    loss = WeightedSum(parts)
    value, d_estimate = loss(*sounds)
    alone = {name: part(*sounds) for name, (_, part) in parts.items()}
    terms = loss.terms(*sounds)
    assert list(terms) == ["a", "b", "c"]
    assert all(terms[name] == alone[name][0] for name in parts)
    assert value == pytest.approx(sum(w * terms[n] for n, (w, _) in parts.items()), rel=1e-14)
    expected = sum(w * alone[name][1] for name, (w, _) in parts.items())
    np.testing.assert_allclose(d_estimate, expected, rtol=1e-12, atol=1e-18)


@pytest.mark.parametrize("name", ALL)
def test_a_prepared_target_gives_the_same_numbers_again_and_again(name, sounds, rng):
    loss, (target, estimate) = ALL[name], sounds
    ready = loss.prepare(target)
    for x in (estimate, rng.standard_normal(estimate.shape), estimate):
        value, d_estimate = loss(target, x)
        ready_value, ready_d = loss(ready, x)
        assert ready_value == value and np.array_equal(ready_d, d_estimate)


@pytest.mark.parametrize("name", CASES)
def test_a_prepared_target_serves_the_frames_too(name, sounds):
    loss, (target, estimate) = ALL[name], sounds
    expected = loss.per_frame(target, estimate)
    assert np.array_equal(loss.per_frame(loss.prepare(target), estimate), expected)


def test_presets_are_those_of_the_paper_and_one_more():
    assert [*PRESETS] == [*NAMES, "SOT-Pitch"]
    assert sorted(preset("SOT-2048").terms(np.ones(99), np.ones(99))) != []


# --- the reference -------------------------------------------------------------------------------


def lin_512_gradient(x, xh):
    """Gradient of LIN(512) on a batch of 4 with respect to its first item, from the adjoint."""
    options = {"n_fft": 512, "hop_length": 128}
    difference = naive.stft_magnitude(xh, **options) - naive.stft_magnitude(x, **options)
    d_magnitude = np.sign(difference) / (4 * difference.size)
    return naive.stft_magnitude_adjoint(d_magnitude, xh, **options)


def expected_of(name, reference):
    """Value on the four stored pairs, and gradient for the first items, from stored numbers."""
    losses, sot, signals = reference("losses"), reference("sot"), reference("signals")
    if name == "LIN":
        return losses["loss_lin"], losses["d_xh_lin"]
    if name == "MSS":
        return losses["loss_linlog"], losses["d_xh_linlog"]
    n_fft, key = {
        "SOT-2048": (2048, "2048_p2_cut_lin"),
        "SOT-512": (512, "512_p2_cut_lin"),
        "SOT-512-LogF": (512, "512_p2_cut_log"),
        "SOT-NoCut": (2048, "2048_p2_nocut_lin"),
        "SOT-2048-SS": (2048, "2048_p2_cut_lin"),
    }[name]
    x, xh = signals["x"], signals["xh"]
    value = sot[f"loss_{key}"].mean()
    options = {"n_fft": n_fft, "hop_length": 256, "window": "flattop"}
    gradient = naive.stft_magnitude_adjoint(sot[f"dY_of_mean_{key}"], xh[0], **options)
    if name == "SOT-2048-SS":
        lin = [naive.lin_frames(a, b, n_fft=512).mean() for a, b in zip(x, xh, strict=True)]
        return value + 0.1 * np.mean(lin), (gradient + 0.1 * lin_512_gradient(x[0], xh[0]))[None]
    return value + 0.05 * losses["loss_lin"], (gradient + 0.05 * losses["d_xh_lin"][0])[None]


def value_tolerance(name):
    """Rounding decides whether the reference counts the last step of the cutoff in a row."""
    return 1e-6 if name in ("SOT-2048", "SOT-2048-SS") else 1e-9


@pytest.mark.parametrize("name", NAMES)
def test_reference_values_and_gradients(name, reference, relative_error):
    signals = reference("signals")
    expected, d_expected = expected_of(name, reference)
    value, d_estimate = preset(name)(signals["x"], signals["xh"])
    assert d_estimate.dtype == np.float64
    assert value == pytest.approx(float(expected), rel=value_tolerance(name))
    assert relative_error(d_estimate[: len(d_expected)], d_expected) < 1e-7


@pytest.mark.parametrize("name", NAMES)
def test_reference_in_float32(name, reference, relative_error):
    """Gradients to 2e-4, or to a few times what rounding the audio to float32 does to them.

    The magnitudes of the stored signals reach down to 1e-8, where LIN and LOG pull as hard as
    anywhere. Rounding the audio alone turns the phases of these bins and moves the exact
    gradients of LIN and MSS by 3 and 6 %.
    """
    signals = reference("signals")
    expected, d_expected = expected_of(name, reference)
    x, xh = (signals[key].astype(np.float32) for key in ("x", "xh"))
    loss, kept = preset(name), slice(len(d_expected))
    value, d_estimate = loss(x, xh)
    assert d_estimate.dtype == np.float32
    assert value == pytest.approx(float(expected), rel=max(value_tolerance(name), 1e-5))
    _, d_rounded = loss(x.astype(np.float64), xh.astype(np.float64))
    unavoidable = relative_error(d_rounded[kept], d_expected)
    assert relative_error(d_estimate[kept], d_expected) < max(2e-4, 4 * unavoidable)


@pytest.mark.parametrize("name", ALL)
def test_float32_follows_float64_where_no_bin_is_near_zero(name, sounds, relative_error):
    target, estimate = (x.astype(np.float32) for x in sounds)
    value, d_estimate = ALL[name](target, estimate)
    exact, d_exact = ALL[name](target.astype(np.float64), estimate.astype(np.float64))
    assert d_estimate.dtype == np.float32 and d_exact.dtype == np.float64
    assert value == pytest.approx(exact, rel=1e-5)
    assert relative_error(d_estimate, d_exact) < 2e-4


def test_reference_training_step(reference):
    signals, stored = reference("signals"), reference("losses")
    loss = preset("SOT-2048")
    x, x_hat = signals["x"], signals["x_hat"]
    value, _ = loss(x, x_hat)
    assert value == pytest.approx(float(stored["step_loss"]), rel=2e-6)
    assert preset("LIN")(x, x_hat)[0] == pytest.approx(float(stored["step_loss_lin"]), rel=1e-9)
    assert SOT(2048)(x, x_hat)[0] == pytest.approx(float(stored["step_loss_sot"]), rel=2e-6)
    assert len(loss.terms(x, x_hat)) == 2


PREPARING = [LIN(128), LIN(256), LIN(128, hop_length=16), LOG(128), SOT(128), SOT(128, p=1),
             MSS((128, 64)), SOT((128, 64))]  # fmt: skip


@pytest.mark.parametrize("first", range(len(PREPARING)))
@pytest.mark.parametrize("second", range(len(PREPARING)))
def test_a_target_prepared_by_another_loss_is_refused(first, second, sounds):
    ready = pickle.loads(pickle.dumps(PREPARING[first])).prepare(sounds[0])
    if first == second:
        assert PREPARING[second](ready, sounds[1])[0] > 0
    else:
        with pytest.raises(ParameterError, match="target must be prepared by this very loss, "):
            PREPARING[second](ready, sounds[1])


def test_equal_settings_share_prepared_targets_however_given(sounds):
    value, _ = LIN(128)(sounds[0], sounds[1])
    for other in (LIN((128,)), LIN(n_fft=128, hop_length=32), LIN(128, padding="end")):
        assert LIN(128)(other.prepare(sounds[0]), sounds[1])[0] == value
    assert repr(SOT(64)) == f"SOT({STFT(64, hop_length=256, window='flattop', power=2)!r})"


def test_a_sum_wants_its_own_terms_prepared(sounds):
    loss = WeightedSum({"a": (1.0, LIN(64)), "b": (1.0, LIN(128))})
    with pytest.raises(ParameterError, match="prepared for the terms a, b, got a"):
        loss({"a": LIN(64).prepare(sounds[0])}, sounds[1])


def test_the_recommended_preset_is_pitch_in_octaves_and_a_little_lin():
    loss = preset("SOT-Pitch")
    assert dict(loss.weights) == {"pitch": 1 / 1200, "lin": 0.05}
    t = np.arange(8000) / RATE
    low, high = (
        sum(np.sin(2 * np.pi * h * f * t) / h for h in range(1, 6)) for f in (220, 220 * 2**0.5)
    )
    terms = loss.terms(low, high)
    assert terms["pitch"] == pytest.approx(600, rel=0.05)
    sizes = (2048, 1024, 512, 256, 128, 64)
    assert terms["lin"] == pytest.approx(LIN(sizes, padding="none")(low, high)[0], rel=1e-12)


# --- silence, equality ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_silence_and_equal_sounds_cost_nothing_and_pull_nowhere(name, dtype, sounds):
    loss = preset(name)
    sound = sounds[0].astype(dtype)
    for x in (np.zeros((2, 500), dtype), sound, np.where(np.arange(900) < 450, sound, dtype(0))):
        value, d_estimate = loss(x, x.copy())
        assert value == 0 and d_estimate.dtype == dtype and np.all(d_estimate == 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", NAMES)
def test_one_silent_side_gives_finite_numbers(name, dtype, sounds):
    loss, sound = preset(name), sounds[0].astype(dtype)
    silence = np.zeros_like(sound)
    for target, estimate in [(sound, silence), (silence, sound)]:
        value, d_estimate = loss(target, estimate)
        assert np.isfinite(value) and value > 0 and np.all(np.isfinite(d_estimate))
    assert np.all(loss(sound, silence)[1] == 0)  # no phase tells the way out of a zero bin
    assert np.any(loss(silence, sound)[1] != 0)


@pytest.mark.parametrize("mass", ["balanced", "cutoff"])
def test_a_silent_target_costs_no_transport(mass, sounds):
    value, d_estimate = SOT(256, mass=mass)(np.zeros((2, 900)), sounds[1])
    assert value == 0 and np.all(d_estimate == 0)


# --- reproducibility, dtypes, memory -------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["MSS", "SOT-2048", "SOT-512-LogF", "SOT-NoCut"])
def test_bitwise_equal_for_any_thread_count_and_on_repetition(name, dtype, sounds, with_threads):
    loss = preset(name)
    target, estimate = (x.astype(dtype) for x in sounds)
    value, d_estimate = with_threads(2, loss, target, estimate)
    for n_threads in (1, 2, 1):
        again, d_again = with_threads(n_threads, loss, target, estimate)
        assert again == value and np.array_equal(d_again, d_estimate)


@pytest.mark.parametrize("name", ["MSS", "SOT-512"])
def test_the_gradient_has_the_dtype_of_the_estimate(name):
    loss, target = preset(name), np.arange(600) % 7
    estimate = np.arange(600) % 5
    value, expected = loss(target.astype(np.float64), estimate.astype(np.float64))
    assert expected.dtype == np.float64
    for a, b in [(target, estimate), (target.tolist(), estimate.tolist())]:
        found, d_estimate = loss(a, b)
        assert found == value and np.array_equal(d_estimate, expected)
    for a in (target, target.astype(np.float32), loss.prepare(target)):
        assert loss(a, estimate.astype(np.float32))[1].dtype == np.float32
    assert loss(target.astype(np.float32), estimate)[1].dtype == np.float64


@pytest.mark.parametrize("name", NAMES)
def test_inputs_may_be_strided_and_are_never_written_to(name, sounds):
    loss = preset(name)
    value, expected = loss(*sounds)
    spread = [np.repeat(x, 2, axis=1)[:, ::2] for x in sounds]
    for x in spread:
        x.setflags(write=False)
    found, d_estimate = loss(*spread)
    assert found == value and np.array_equal(d_estimate, expected)
    assert all(np.array_equal(a, b) for a, b in zip(spread, sounds, strict=True))
    first = d_estimate.copy()
    loss(sounds[1], sounds[0])
    assert np.array_equal(d_estimate, first)  # a result is not a buffer of the loss


# --- errors --------------------------------------------------------------------------------------

ONES = np.ones(400)


@pytest.mark.parametrize(
    ("target", "estimate", "message"),
    [
        (ONES, np.ones(399), r"estimate must have .*\(400,\).*, got (shape )?\(399,\)"),
        (np.ones((2, 400)), ONES, r"estimate must have .*\(2, 400\).*, got (shape )?\(400,\)"),
        (np.ones((2, 400)), np.ones((3, 400)), r"estimate must have .*got (shape )?\(3, 400\)"),
        ([], ONES, r"target must not be empty, got shape \(0,\)"),
        (ONES, [], r"estimate must not be empty, got shape \(0,\)"),
        (ONES * np.nan, ONES, r"target must be finite, got nan at index \(0\)"),
        (ONES, ONES * np.inf, r"estimate must be finite, got inf at index \(0\)"),
        (ONES * 1j, ONES, "target must hold real numbers, got dtype complex128"),
        (1.0, 1.0, r"(target|estimate) must have 1 or 2 dimension\(s\), got shape \(\)"),
        (
            np.ones((1, 2, 3)),
            np.ones((1, 2, 3)),
            r"(target|estimate) must have 1 or 2 dimension\(s\)",
        ),
    ],
)
@pytest.mark.parametrize("name", ["LIN", "MSS", "SOT-512"])
def test_errors_of_the_audio(name, target, estimate, message):
    loss = preset(name)
    with pytest.raises(ParameterError, match=message):
        loss(target, estimate)


@pytest.mark.parametrize("name", ["LIN", "MSS", "SOT-512"])
def test_a_prepared_target_must_fit_the_estimate(name):
    ready = preset(name).prepare(np.ones((2, 400)))
    for wrong in (np.ones((3, 400)), np.ones((2, 700)), ONES):
        with pytest.raises(ParameterError, match="estimate must have"):
            preset(name)(ready, wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LIN(1), "n_fft must be at least 4, got 1"),
        (lambda: LIN(64.0), "n_fft must be an integer, got 64.0"),
        (lambda: LIN(64, hop_length=0), "hop_length must be at least 1, got 0"),
        (lambda: LIN(64, window="nothing"), "window .*nothing"),
        (lambda: LOG(64, floor=0.0), "floor must be above 0, got 0"),
        (lambda: LOG(64, floor=np.nan), "floor must be finite, got nan"),
        (lambda: MSS(()), r"n_fft must name at least one size, got \(\)"),
        (lambda: SOT(64, p=0.9), "p must be at least 1, got 0.9"),
        (lambda: SOT(64, power=3), "power must be one of 1, 2, got 3"),
        (lambda: SOT(64, mass="all"), "mass must be one of 'balanced', .*'unbalanced', got 'all'"),
        (
            lambda: SOT(64, frequency_axis="bark"),
            "axis must be one of 'hz', 'linear', .*, got 'bark'",
        ),
        (
            lambda: SOT(64, frequency_axis="log", sample_rate=0),
            "sample_rate must be above 0, got 0",
        ),
        (lambda: SOT(64, hop_length=0), "hop_length must be at least 1, got 0"),
        (lambda: preset("SOT"), "name must be one of .*'SOT-2048-SS'.*, got 'SOT'"),
        (lambda: preset("SOT-2048", sample_rate=-1), "sample_rate must be above 0, got -1"),
        (lambda: WeightedSum({"a": 1}), r"terms must be a dictionary of name: \(number, loss\)"),
        (lambda: WeightedSum([("a", 1)]), "terms must be a dictionary"),
        (lambda: SOT(64, weighting=np.ones(3)), "weighting must be one of None, 'A', got array"),
        (lambda: WeightedSum({}), "terms must name at least one loss, got {}"),
        (lambda: WeightedSum({"a": (np.nan, LIN(64))}), "weight of 'a' must be finite, got nan"),
    ],
)
def test_errors_of_the_arguments(make, message):
    with pytest.raises(ParameterError, match=message):
        make()(ONES, ONES)  # some are told only when there is audio
