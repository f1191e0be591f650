"""Terms of the study of ideas: their gradients; an octave more or less is the same sound."""

import gradcheck
import numpy as np
import pytest

from benchmarks import ideas
from spectralot.learn import SharedEncoder


@pytest.mark.parametrize(
    "term", [ideas.cost_of_high_harmonics, ideas.empty_odd_harmonics, ideas.smooth_envelope]
)
def test_gradient_of_a_term(term, rng):
    amplitudes = rng.uniform(0.1, 1, (2, 3, 8))
    amplitudes[1, :, ::2] *= 0.1  # odd harmonics are nearly empty
    value, slopes = term(0.8, amplitudes)
    assert value > 0 and slopes.any()
    gradcheck.check_elements(
        lambda a: term(0.8, a)[0], (amplitudes,), (slopes,), 1.0, tolerance=1e-6
    )


def test_high_harmonics_cost_nothing_early():
    value, slopes = ideas.cost_of_high_harmonics(0.4, np.ones((2, 3, 8)))
    assert value == 0 and not slopes.any()


@pytest.mark.parametrize("octaves", [-1, 1])
def test_a_move_by_an_octave(octaves, rng):
    encoder = SharedEncoder(n_bins=180, bins_per_octave=12, n_harmonics=8, amplitudes="level")
    parameters = encoder.init(0, np.float64)
    parameters.flat += 0.01 * rng.standard_normal(parameters.flat.shape)
    parameters["pitch.kernel"][...] = 0
    parameters["pitch.kernel"][:, 179] = [3, -2, 1, 2]  # f0 lies where channels are loud
    features = np.zeros((4, 180))
    features[np.arange(4), [80, 84, 88, 92]] = 1.0
    before, amplitudes, _ = encoder.forward(parameters, features)
    after, moved, _ = encoder.forward(ideas.moved(encoder, parameters, octaves), features)
    np.testing.assert_allclose(np.log2(after / before), octaves, atol=0.02)
    k = np.arange(4)
    old, new = (2 * k + 1, k) if octaves > 0 else (k, 2 * k + 1)
    np.testing.assert_allclose(moved[:, new], amplitudes[:, old], rtol=0.05)
