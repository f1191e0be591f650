"""What is descended in training: values and gradients, alone and through an encoder."""

import gradcheck
import numpy as np
import pytest

from spectralot import MSS, ParameterError, harmonic_forward, preset
from spectralot.learn import OBJECTIVES, Guided, Joint, SharedEncoder, objective
from spectralot.learn.objective import _jumps

GRID = {"sample_rate": 16000, "hop_length": 256}
N, T, H = 3072, 12, 4  # whole frames of the pitch salience fit in


@pytest.fixture
def batch(rng):
    """Two sounds, and a moving f0 and amplitudes that are about right."""
    f0_hz = np.array([[300.0], [523.0]]) * (1 + 0.02 * rng.standard_normal((2, T)))
    amplitudes = rng.uniform(0.1, 0.3, (2, T, H))
    true_hz = np.array([[280.0], [540.0]]) * np.ones(T)
    audio, _ = harmonic_forward(true_hz, amplitudes[::-1], n_samples=N, **GRID)
    return audio + 1e-3 * rng.standard_normal(audio.shape), f0_hz, amplitudes


def value_of(descended, step):
    return lambda audio, f0_hz, amplitudes: descended(step, 100, audio, f0_hz, amplitudes)[0]


def check(value, batch, gradients, rng, **options):
    audio, *inputs = batch
    scales = [np.abs(inputs[0]) * 1e-3, 0.1]
    gradcheck.check_projected(
        lambda *moved: value(audio, *moved), inputs, gradients, 1.0, rng=rng, scales=scales,
        **options,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["LIN", "SOT-2048", "SOT-512-LogF"])
def test_gradient_of_one_loss(name, batch, rng):
    descended = Joint(preset(name), GRID)
    value, *gradients = descended(0, 100, *batch)
    audio, f0_hz, amplitudes = batch
    rendered, _ = harmonic_forward(f0_hz, amplitudes, n_samples=N, **GRID)
    assert value == pytest.approx(preset(name)(audio, rendered)[0], rel=1e-12)
    check(value_of(descended, 0), batch, gradients, rng, step=1e-6, tolerance=1e-3)


def test_no_frame_pulls_harder_than_its_share(batch):
    _, free, amplitudes = Joint(preset("LIN"), GRID)(0, 100, *batch)
    _, d_f0_hz, d_amplitudes = Joint(preset("LIN"), GRID, clip=0.5)(0, 100, *batch)
    assert np.array_equal(d_amplitudes, amplitudes)
    before, pull = np.abs(free * batch[1]), np.abs(d_f0_hz * batch[1])
    limit = np.median(before)
    np.testing.assert_allclose(pull * before.size, np.minimum(before / limit, 1), rtol=1e-12)
    assert (before > limit).any() and np.array_equal(np.sign(d_f0_hz), np.sign(free))


def test_frames_that_nothing_pulls_pull_nothing(batch):
    audio, f0_hz, amplitudes = batch
    _, d_f0_hz, _ = Joint(preset("LIN"), GRID, clip=0.5)(0, 100, audio, f0_hz, 0 * amplitudes)
    assert not d_f0_hz.any()


@pytest.mark.parametrize("name", ["SOT-2048", "SOT-512-LogF", "LIN"])
def test_f0_is_moved_by_whole_ratios_however_many_harmonics_sound(name):
    true_hz = np.repeat([110.0, 196.0, 330.0, 440.0, 587.0, 900.0], T).reshape(-1, T)
    n_sounding, H = np.array([8, 1, 3, 5, 2, 8]), 20
    levels = np.where(np.arange(H) < n_sounding[:, None], 0.1, 0.0)
    audio, _ = harmonic_forward(
        true_hz, np.repeat(levels[:, None], T, axis=1), n_samples=N, **GRID
    )  # fmt: skip

    def read(f0_hz):
        """What sounds within a third of a semitone of each harmonic."""
        found = np.zeros((*f0_hz.shape, H))
        for b, t, h, k in np.ndindex(*f0_hz.shape, H, H):
            near = abs(np.log2(f0_hz[b, t] * (h + 1) / (true_hz[b, t] * (k + 1)))) < 1 / 36
            found[b, t, h] = max(found[b, t, h], near * levels[b, k])
        return found

    joint = Joint(preset(name), GRID)
    for ratio in (4, 3, 2, 1, 1 / 2, 1 / 3, 1 / 4):
        moved, convincing = joint.moved(audio, 0.999 * true_hz * ratio, read)
        np.testing.assert_allclose(moved, 0.999 * true_hz, rtol=1e-12)
        assert convincing.all()
    moved, convincing = joint.moved(audio, 1.09 * true_hz, read)
    assert not convincing.any()


def test_a_move_is_by_the_ratio_of_the_least_loss_as_a_loop_finds_it(batch):
    audio, f0_hz, amplitudes = batch
    loss, limit = preset("SOT-2048"), 0.49 * 16000
    f0_hz = f0_hz * np.array([[20.0], [2.0]])  # 4 times the first is above the limit

    def read(f0_hz):
        return amplitudes * 100 / f0_hz[..., None]

    def loss_of(b, hz):
        hz = np.minimum(hz, limit)[None]
        sound, _ = harmonic_forward(
            hz, amplitudes[b : b + 1] * 100 / hz[..., None], n_samples=N, **GRID
        )
        return loss(audio[b : b + 1], sound)[0]

    moved, convincing = Joint(loss, GRID).moved(audio, f0_hz, read)
    for b in range(2):
        losses = {
            r: loss_of(b, f0_hz[b] * r) for r in (4, 3, 2, 1.5, 1, 2 / 3, 1 / 2, 1 / 3, 1 / 4)
        }
        ratio = max(r for r, value in losses.items() if value <= 1.3 * min(losses.values()))
        np.testing.assert_allclose(moved[b], f0_hz[b] * ratio, rtol=1e-12)
        beside = min(loss_of(b, moved[b] * 2**octaves) for octaves in (-1 / 24, 1 / 24))
        assert convincing[b] == (beside > 1.5 * losses[ratio])


def test_gradient_of_the_guide_is_that_of_f0_alone(batch, rng):
    guided = Guided(GRID, amplitudes_from=1.0)
    value, d_f0_hz, d_amplitudes = guided(0, 100, *batch)
    assert value > 0 and not d_amplitudes.any()
    other = guided(0, 100, batch[0], batch[1], 3 * batch[2])
    assert other[0] == value and np.array_equal(other[1], d_f0_hz)  # amplitudes are not heard
    check(value_of(guided, 0), batch, [d_f0_hz, None], rng, step=1e-4, tolerance=2e-3)


def test_jumps_are_counted_in_octaves(rng):
    f0_hz = np.array([[100.0, 200.0, 200.0, 50.0]])
    value, _ = _jumps(f0_hz)
    assert value == pytest.approx((1 + 0 + 2) / 3)
    f0_hz = rng.uniform(100, 200, (3, 5))
    value, d_f0_hz = _jumps(f0_hz)
    gradcheck.check_projected(
        lambda x: _jumps(x)[0], [f0_hz], [d_f0_hz], 1.0, rng=rng, scales=[f0_hz * 1e-3]
    )
    value, d_f0_hz = _jumps(f0_hz[:, :1])  # one frame has no neighbour
    assert value == 0 and d_f0_hz.shape == (3, 1) and not d_f0_hz.any()


def test_amplitudes_learn_from_the_vertical_loss_and_do_not_move_f0(batch, rng):
    guided = Guided(GRID, amplitudes_from=0.2, refine_from=1.0)
    early, late = guided(19, 100, *batch), guided(20, 100, *batch)
    assert not early[2].any() and late[2].any()
    assert np.array_equal(early[1], late[1])
    audio, f0_hz, amplitudes = batch

    def vertical(amplitudes):
        rendered, _ = harmonic_forward(f0_hz, amplitudes, n_samples=N, **GRID)
        return MSS(floor=0.03)(audio, rendered)[0]

    assert late[0] - early[0] == pytest.approx(vertical(amplitudes), rel=1e-9)
    gradcheck.check_projected(
        vertical, [amplitudes], [late[2]], 1.0, rng=rng, scales=[0.1], step=1e-6, tolerance=1e-3
    )


def test_refining_adds_the_vertical_slope_up_to_a_limit(batch):
    _, f0_hz, _ = batch
    plain = Guided(GRID, refine_from=1.0)(60, 100, *batch)[1]
    _, slope, _ = Joint(MSS(floor=0.03), GRID)(60, 100, *batch)
    free = Guided(GRID, refine_limit=1e9)(60, 100, *batch)[1] - plain
    np.testing.assert_allclose(free, 0.01 * slope, rtol=1e-9, atol=1e-15)
    limited = Guided(GRID, refine_limit=1e-3)(60, 100, *batch)[1] - plain
    per_octave = limited * f0_hz * np.log(2)
    limit = 1e-3 / f0_hz.size
    cut = np.abs(free * f0_hz * np.log(2)) > limit
    assert cut.any()
    np.testing.assert_allclose(np.abs(per_octave[cut]), limit, rtol=1e-6)
    assert np.array_equal(np.sign(limited), np.sign(free))
    assert np.array_equal(Guided(GRID)(49, 100, *batch)[1], plain)  # not yet


def test_the_whole_chain_from_parameters_to_the_loss(rng):
    """Frames to encoder to sound to loss, and all the way back."""
    encoder = SharedEncoder(
        n_bins=120, n_harmonics=H, bins_per_octave=24, channels=3, hidden=5, temperature=0.1
    )
    parameters = encoder.init(0, np.float64)
    parameters.flat += 0.1 * rng.standard_normal(parameters.flat.shape)
    features = rng.uniform(0, 1, (2 * T, 120))
    true_hz = np.array([[150.0], [250.0]]) * np.ones(T)
    audio, _ = harmonic_forward(true_hz, np.full((2, T, H), 0.2), n_samples=N, **GRID)
    descended = Joint(preset("LIN"), GRID)

    def forward(flat):
        moved = parameters.like()
        moved.flat[:] = flat
        f0_hz, amplitudes, saved = encoder.forward(moved, features)
        shaped = f0_hz.reshape(2, T), amplitudes.reshape(2, T, H)
        return descended(0, 1, audio, *shaped), saved

    (_, d_f0_hz, d_amplitudes), saved = forward(parameters.flat)
    gradients = [parameters.like(), parameters.like()]
    for steering, gradient in zip((1.0, 0.0), gradients, strict=True):
        d_outputs = d_f0_hz.ravel(), d_amplitudes.reshape(-1, H).copy()
        encoder.backward(parameters, gradient, *d_outputs, saved, steering=steering)

    def compare(gradient):
        gradcheck.check_projected(
            lambda flat: forward(flat)[0][0], [parameters.flat], [gradient.flat], 1.0, rng=rng,
            scales=[0.1], step=1e-6, tolerance=1e-3,
        )  # fmt: skip

    compare(gradients[0])
    with pytest.raises(gradcheck.GradientError):
        compare(gradients[1])  # without what f0 learns from the place of reading


def test_objectives_have_names():
    assert OBJECTIVES[0] == "guided"
    assert isinstance(objective("guided", GRID), Guided)
    assert isinstance(objective("MSS", GRID), Joint)
    assert objective("guided", GRID).steering == 0 and objective("MSS", GRID).steering == 0
    with pytest.raises(ParameterError, match=r"^objective must be one of 'guided', .* got 'L2'$"):
        objective("L2", GRID)


def test_refining_can_be_left_out(batch):
    without = objective("guided", GRID, refine=False)(99, 100, *batch)[1]
    assert np.array_equal(without, Guided(GRID, refine_from=1.0)(99, 100, *batch)[1])
    assert not np.array_equal(without, objective("guided", GRID)(99, 100, *batch)[1])
