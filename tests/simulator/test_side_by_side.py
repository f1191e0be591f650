"""Trainings side by side on a simulated device, against each of them alone on the CPU."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest

from spectralot import LIN, SOT, WeightedSum
from spectralot.checks import ParameterError
from spectralot.learn import Sounds, TrainConfig, scores, train
from spectralot.learn.objective import Joint
from spectralot.learn.side_by_side import SideBySide, train_side_by_side

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # integers are to wrap
CONFIG = TrainConfig(
    objective="SOT-2048", clip=0.5, moves=1, steps=3, batch_size=1, validate_every=2, warmup=0,
    gradient_limit=0.0,
    encoder={"kind": "shared", "n_harmonics": 2, "channels": 2, "layers": 1, "out_channels": 1,
             "hidden": 3, "temperature": 0.3, "amplitudes": "level", "start": 0.39},
    frames={"hop_length": 64, "fmin": 1000.0, "n_bins": 12, "bins_per_octave": 6},
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    sizes = {
        "cuda.stft": {"THREADS": 16}, "cuda.synth": {"THREADS": 8, "LANES": 4},
        "cuda.transport": {"THREADS": 4, "SUMS": 5}, "cuda.arrays": {"THREADS": 16},
        "cuda.network": {
            "THREADS": 4, "TILE": 2, "EACH": 2, "SIDE": 4, "ROW": 5, "BINS": 4, "STRIDE": 5,
        },
        "cuda.training": {"THREADS": 4}, "learn._heads": {"BELOW": 3, "ABOVE": 1},
        "learn._network": {"PIECES": 2, "PARTS": 2, "FEW_PARTS": 2},
        "learn.side_by_side": {"PIECE": 2, "LSD": {"n_fft": 64, "hop_length": 64}},
        "learn.trainer": {"QUORUM": 0.1}, "learn.objective": {"RATIOS": (2, 1), "DIP": 0.0},
    }  # fmt: skip
    for module, constants in sizes.items():
        for name, value in constants.items():
            monkeypatch.setattr(import_module(f"spectralot.{module}"), name, value)
    monkeypatch.setattr(import_module("spectralot.learn.side_by_side"), "QUORUM", 0.1)

    def tiny_objective(name, grid, *, refine=True, clip=1.0):
        mass = "cutoff" if name == "SOT-2048" else "balanced"
        terms = {"sot": (1.0, SOT(64, hop_length=64, mass=mass)), "lin": (0.05, LIN(64))}
        return Joint(WeightedSum(terms), grid, clip)

    for module in ("trainer", "side_by_side"):
        monkeypatch.setattr(
            import_module(f"spectralot.learn.{module}"), "objective", tiny_objective
        )


@pytest.fixture
def parts():
    rng = np.random.default_rng(0)
    f0 = rng.uniform(1100, 2000, (4, 1))
    phase = 2 * np.pi * f0 * np.arange(128) / 16000
    audio = (np.sin(phase) + 0.5 * np.sin(2 * phase)).astype(np.float32)
    sounds = Sounds(audio, np.repeat(f0, 2, axis=1))
    return sounds[:3], sounds[3:]


def test_runs_side_by_side_are_those_alone_on_the_cpu(parts, monkeypatch):
    from spectralot.learn import trainer

    with_lsd = trainer.log_spectral_distance
    monkeypatch.setattr(
        trainer, "log_spectral_distance",
        lambda *a, **o: with_lsd(*a, n_fft=64, hop_length=64, **o),
    )  # fmt: skip
    configs, told, drawn = [CONFIG, replace(CONFIG, objective="SOT-NoCut", seed=1)], [], []
    aim = SideBySide._aim

    def watched(runs, wanted):
        aim(runs, wanted)
        drawn.append(np.isfinite(runs.targets.copy_to_host()).any())

    monkeypatch.setattr(SideBySide, "_aim", watched)
    results = train_side_by_side(
        configs, *parts, progress=lambda step, rows: told.append((step, len(rows)))
    )
    assert told == [(2, 2), (3, 2)]
    assert drawn == [False, True, False]  # f0 is moved, and followed for a step
    for config, result in zip(configs, results, strict=True):
        alone = train(config, *parts)
        expected = alone.model.parameters.flat
        found = result.model.parameters.flat
        assert np.linalg.norm(found - expected) <= 1e-4 * np.linalg.norm(expected)
        for row, wanted in zip(result.log, alone.log, strict=True):
            for key in ("step", "loss", "lsd", "rpa", "rca", "cents"):
                assert row[key] == pytest.approx(wanted[key], rel=1e-3), key
    runs = SideBySide(configs[:1], *parts)
    one = runs.scores(parts[1])[0]
    assert one["lsd"] == pytest.approx(scores(runs.model, parts[1])["lsd"], rel=1e-4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 2}, "configs must differ in objective and seed alone"),
        ({"objective": "guided"}, "objective must be a preset on an STFT on a device, got 'guid"),
    ],
)
def test_what_cannot_be_trained_side_by_side_is_refused(parts, changed, message):
    with pytest.raises(ParameterError, match=message):
        train_side_by_side([CONFIG, replace(CONFIG, **changed)], *parts)
    with pytest.raises(ParameterError, match="gradient_limit must be 0 on a device, got 2"):
        train_side_by_side([replace(CONFIG, gradient_limit=2.0)], *parts)
