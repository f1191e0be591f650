"""Weighted sums: matched weights, items of a batch, and what they refuse."""

import gradcheck
import numpy as np
import pytest

from spectralot import LIN, LOG, MSS, SOT, ParameterError, WeightedSum
from spectralot.losses.pointwise import SmoothMSS

pytestmark = pytest.mark.usefixtures("one_thread")

RATE = 16000


def tone(f0_hz, n_samples=4096):
    time = np.arange(n_samples) / RATE
    return sum(np.sin(2 * np.pi * h * f0_hz * time) / h for h in range(1, 6))


def terms():
    return {"sot": (2.0, SOT(512)), "lin": (0.5, LIN(128)), "off": (0.0, LOG(64))}


@pytest.fixture
def sounds(rng):
    return rng.standard_normal((2, 3, 1200))


# --- matched weights -----------------------------------------------------------------------------


def test_each_term_costs_its_share_on_the_reference_error(sounds):
    loss = WeightedSum.matched(terms(), *sounds)
    shares = {name: loss.weights[name] * v for name, v in loss.terms(*sounds).items()}
    assert shares == pytest.approx({"sot": 2.0, "lin": 0.5, "off": 0.0}, rel=1e-12)
    assert loss(*sounds)[0] == pytest.approx(2.5, rel=1e-12)


def test_without_an_estimate_a_semitone_costs_the_share():
    target, detuned = tone(440), tone(440 * 2 ** (-1 / 12))
    parts = {
        "sot": (1.0, SOT(2048, padding="none")),
        "mss": (0.3, MSS((512, 128))),
        "smooth": (0.1, SmoothMSS()),
    }
    loss = WeightedSum.matched(parts, target)
    costs = {name: loss.weights[name] * v for name, v in loss.terms(target, detuned).items()}
    assert costs == pytest.approx({"sot": 1.0, "mss": 0.3, "smooth": 0.1}, rel=0.1)


def test_a_batch_and_float32_are_matched_too():
    target = np.stack([tone(300), tone(500)])
    both = WeightedSum.matched({"lin": (1.0, LIN(512))}, target)
    alone = [WeightedSum.matched({"lin": (1.0, LIN(512))}, row).weights["lin"] for row in target]
    assert 1 / both.weights["lin"] == pytest.approx(np.mean(1 / np.array(alone)), rel=1e-9)
    rough = WeightedSum.matched({"lin": (1.0, LIN(512))}, target.astype(np.float32))
    assert rough.weights["lin"] == pytest.approx(both.weights["lin"], rel=1e-4)
    assert rough(target, 0.5 * target.astype(np.float32))[1].dtype == np.float32


@pytest.mark.parametrize("n_samples", [1, 2, 17, 100])
def test_short_targets_are_matched_or_refused(n_samples):
    try:
        loss = WeightedSum.matched({"lin": (1.0, LIN(64))}, tone(440, n_samples))
        assert np.isfinite(loss.weights["lin"])
    except ParameterError as error:
        assert "term 'lin'" in str(error)


@pytest.mark.parametrize("scale", [1e-12, 1e6])
def test_matched_weights_follow_the_level(scale):
    parts = {"lin": (1.0, LIN(512)), "log": (1.0, LOG(512, floor=1e-30))}
    quiet = WeightedSum.matched(parts, scale * tone(440)).weights
    usual = WeightedSum.matched(parts, tone(440)).weights
    assert quiet["lin"] * scale == pytest.approx(usual["lin"], rel=1e-6)
    assert all(np.isfinite(w) for w in quiet.values())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: WeightedSum.matched({"sot": (1.0, SOT(64))}, np.zeros(256)),
            "term 'sot' must have a value above 0 on the reference error, got 0",
        ),
        (
            lambda: WeightedSum.matched(terms(), tone(440), tone(440)),
            "term 'sot' must have a value above 0 on the reference error, got 0",
        ),
        (
            lambda: WeightedSum.matched({"lin": (-1, LIN(64))}, tone(440)),
            "share of 'lin' must be at least 0, got -1",
        ),
        (lambda: WeightedSum.matched({}, tone(440)), "terms must name at least one loss, got {}"),
        (
            lambda: WeightedSum.matched(terms(), tone(440), tone(440)[:-1]),
            r"estimate must have shape \(4096,\), got \(4095,\)",
        ),
        (lambda: WeightedSum({"lin": (np.inf, LIN(64))}), "weight of 'lin' must be finite"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


# --- items of a batch ----------------------------------------------------------------------------


def test_items_match_calls_on_each(sounds):
    loss = WeightedSum(terms())
    values, d_estimate = loss.per_item(*sounds)
    each = [loss(a, b) for a, b in zip(*sounds, strict=True)]
    np.testing.assert_allclose(values, [v for v, _ in each], rtol=1e-12)
    np.testing.assert_allclose(d_estimate, np.stack([d for _, d in each]), rtol=1e-9, atol=1e-15)
    assert values.mean() == pytest.approx(loss(*sounds)[0], rel=1e-12)


def test_items_of_prepared_targets_and_of_sums_of_sums(sounds):
    inner = WeightedSum(terms())
    loss = WeightedSum({"inner": (0.5, inner), "lin": (1.0, LIN(64))})
    values, _ = loss.per_item(loss.prepare(sounds[0]), sounds[1])
    expected = 0.5 * inner.per_item(*sounds)[0] + LIN(64).per_item(*sounds)[0]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_gradient_of_the_items_is_that_of_their_sum(sounds, rng):
    loss = WeightedSum(terms())
    _, d_estimate = loss.per_item(*sounds)
    gradcheck.check_projected(
        lambda x: loss.per_item(sounds[0], x)[0], (sounds[1],), (d_estimate,), np.ones(3),
        rng=rng, step=1e-7,
    )  # fmt: skip


def test_weights_can_be_read_but_not_written():
    loss = WeightedSum(terms())
    assert dict(loss.weights) == {"sot": 2.0, "lin": 0.5, "off": 0.0}
    with pytest.raises(TypeError):
        loss.weights["sot"] = 1.0
    with pytest.raises(AttributeError):
        loss.weights = {}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silence_is_finite(dtype):
    loss = WeightedSum({"smooth": (1e6, SmoothMSS()), "mss": (1.0, MSS())})
    silence, sound = np.zeros((2, 3000), dtype), np.ones((2, 3000), dtype)
    for pair in ((silence, silence), (silence, sound), (sound, silence)):
        values, d_estimate = loss.per_item(*pair)
        assert np.isfinite(values).all() and np.isfinite(d_estimate).all()
        assert d_estimate.dtype == dtype
