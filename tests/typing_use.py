"""A user's code as a type checker reads it; nothing here is run. `mypy` must accept every line.

Where it must not, the line says `type: ignore`, which is an error of its own once it is not needed.
"""

from pathlib import Path
from typing import Any, assert_type

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

import spectralot as so
from spectralot import learn, plot, report
from spectralot.hints import Array
from spectralot.landscape import landscape
from spectralot.losses import Loss


def recordings(path: Path) -> so.HarmonicTracks:
    audio, sample_rate = so.read_audio(path)
    assert_type(audio, NDArray[np.float32])
    assert_type(sample_rate, int)
    estimator = so.HarmonicEstimator(step_ms=5, n_harmonics="auto")
    tracks = estimator.estimate(audio, sample_rate)
    assert_type(tracks, so.HarmonicTracks)
    assert_type(tracks.f0_hz, NDArray[np.floating])
    assert_type(tracks.voiced, NDArray[np.bool_])
    assert_type(tracks.amplitudes, NDArray[np.floating] | None)
    assert_type(tracks.loss_history, dict[str, Array])
    assert_type(tracks.f0_hz[tracks.voiced], NDArray[np.floating])
    assert_type(tracks.step_s, float)
    tracks.save_csv("a.csv", unvoiced="zero")
    tracks.save_csv("a.csv", unvoiced="none")  # type: ignore[arg-type]
    blocks = so.read_blocks(path)
    assert_type(estimator.estimate_blocks(blocks, blocks.sample_rate), so.HarmonicTracks)
    so.HarmonicEstimator(n_harmonics="all")  # type: ignore[arg-type]
    estimator.estimate(audio)  # type: ignore[call-arg]
    return so.HarmonicTracks([0.0, 0.5], [220, 220], [1.0, 1.0], None, None, 8000, 8000)


def one_frame(frame: list[float]) -> float:
    fit = so.fit_harmonics(frame, 16000, n_harmonics=10)
    assert_type(fit.amplitudes, Array)
    return fit.f0_hz


def descent(target: Array, f0_hz: Array, amplitudes: Array) -> Array:
    loss = so.WeightedSum({"sot": (1.0, so.SOT(2048, p=1)), "lin": (0.05, so.LIN([512, 256]))})
    prepared = loss.prepare(target)
    audio, saved = so.harmonic_forward(
        f0_hz, amplitudes, n_samples=target.size, sample_rate=16000, hop_length=256.0
    )
    value, d_audio = loss(prepared, audio)
    assert_type(value, float)
    d_f0_hz, _, d_start_phase, _ = so.harmonic_backward(d_audio, saved)
    assert_type(d_f0_hz, Array)
    assert_type(d_start_phase, Array | None)
    so.harmonic_forward(f0_hz, amplitudes, n_samples=9, sample_rate=9, interpolation="cubic")  # type: ignore[arg-type]
    return f0_hz - d_f0_hz


def of_any_kind(loss: Loss, target: Array) -> dict[str, tuple[Array, Array]]:
    prepared = so.preset("SOT-2048").prepare(target)
    value, _ = so.preset("SOT-2048")(prepared, target)
    assert_type(value, float)
    _, curves = landscape(target, 440.0, [0.5, 0.2], {"mine": loss, "lin": so.LIN(512)})
    return curves


def transport(spectrum: Array) -> so.TransportPlan:
    value, saved = so.wasserstein_1d_forward([0, 1], [1, 0], u_positions=[0, 1], p=1)
    d_u, _, d_positions, _ = so.wasserstein_1d_backward(1.0, saved)
    assert_type(d_u, Array)
    assert_type(d_positions, Array | None)
    plan = so.transport_plan(spectrum, spectrum, u_positions=np.arange(spectrum.size))
    assert_type(plan.cost(2), float)
    assert_type(plan.source, NDArray[np.int64])
    assert_type(float(value), float)
    return plan


def transforms(audio: Array) -> Array:
    transform = so.ConstantQ(hop_length=512)
    magnitude, saved = transform.forward(audio)
    assert_type(magnitude, Array)
    assert_type(transform.frequencies_hz, Array)
    assert_type(so.Mel(80, 2048).n_bands, int)
    return transform.backward(magnitude, saved)


def files(tracks: so.HarmonicTracks) -> so.HarmonicTracks:
    so.write_tracks(so.shift_pitch(tracks, 12), "take.mid", minimum_s=0.1)
    return so.read_tracks("take.jams")


def figures(audio: Array, tracks: so.HarmonicTracks) -> Figure:
    _, lines = plot.plot_spectrogram(Figure().subplots(), audio, 16000, tracks)
    assert_type(lines, list[Line2D])
    assert_type(report.report_page(audio, tracks, "a"), str)
    return plot.figure_of_tracks(audio, tracks, title="a")


def learning(config: learn.TrainConfig) -> dict[str, float]:
    training, validation, test = learn.paper_sounds(100).split()
    result = learn.train(config, training, validation)
    assert_type(result.model.encode(np.zeros((2, 285), np.float32)), tuple[Array, Array])
    parameters = learn.SharedEncoder().init(0)
    assert_type(parameters["pitch.kernel"], Array)
    return learn.scores(result.model, test)


def unknown() -> Any:
    return so.no_such_name  # type: ignore[attr-defined]
