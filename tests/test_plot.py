"""The figures' content: what is drawn where, in which unit. Nothing compares pixels."""

import io

import numpy as np
import pytest

import spectralot as so
from spectralot import ParameterError, plot

pytest.importorskip("matplotlib")
from matplotlib.figure import Figure

RATE = 16000


@pytest.fixture
def ax():
    axes = Figure().subplots()
    yield axes
    axes.figure.savefig(io.BytesIO())  # whatever was drawn must render without a warning


@pytest.fixture(scope="module")
def tracks():
    """Half a second of 440 Hz that falls by 20 dB; no pitch is claimed in the first five frames."""
    n_frames = 51
    levels = np.array([0.5, 0.25, 0.1]) * np.geomspace(1, 0.1, n_frames)[:, None]
    return so.HarmonicTracks(
        time_s=np.arange(n_frames) * 0.01,
        f0_hz=np.full(n_frames, 440.0),
        confidence=np.where(np.arange(n_frames) < 5, 0.0, 1.0),
        amplitudes=levels,
        phases=np.zeros((n_frames, 3)),
        sample_rate=RATE,
        n_samples=8160,
        loss_history={"first": [4.0, 2.0], "second": [0.5, 0.4, 0.1]},
    )


@pytest.fixture(scope="module")
def audio(tracks):
    return tracks.resynthesize()


def test_spectrogram_shows_the_partial_where_it_is(ax, audio, tracks):
    image, lines = plot.plot_spectrogram(ax, audio, RATE, tracks)
    level_db = image.get_array()
    left, right, bottom, top = image.get_extent()
    row = level_db.mean(axis=1).argmax()
    bin_khz = (top - bottom) / len(level_db)
    assert bottom + (row + 0.5) * bin_khz == pytest.approx(0.44, abs=bin_khz / 2)
    assert level_db.max() == 0 and image.get_clim() == (-70, 0)
    assert left <= 0 and right >= 8160 / RATE and ax.get_xlim() == (0, 8160 / RATE)
    assert ax.get_ylim() == pytest.approx((0, 4 * 0.44))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["f0", "partials"]
    assert len(lines) == 3


def test_f0_and_partials_are_drawn_only_where_the_confidence_allows(ax, audio, tracks):
    _, lines = plot.plot_spectrogram(ax, audio, RATE, tracks, n_partials=2)
    assert len(lines) == 2
    for h, line in enumerate(lines, start=1):
        assert np.isnan(line.get_ydata()[:5]).all()
        np.testing.assert_allclose(line.get_ydata()[5:], 0.44 * h)


def test_spectrogram_without_tracks_reaches_up_to_nyquist(ax, audio):
    _, lines = plot.plot_spectrogram(ax, audio, RATE)
    assert lines == [] and ax.get_ylim() == (0, RATE / 2000) and ax.get_legend() is None


def test_amplitudes_are_in_db_and_the_axis_spans_the_range(ax, tracks):
    lines = plot.plot_amplitudes(ax, tracks, n_harmonics=2, range_db=40)
    assert [line.get_label() for line in lines] == ["1", "2"]
    np.testing.assert_allclose(lines[1].get_ydata(), 20 * np.log10(tracks.amplitudes[:, 1]))
    bottom, top = ax.get_ylim()
    assert top - bottom == pytest.approx(40) and top > 20 * np.log10(0.5)
    assert "dB" in ax.get_ylabel()


def test_sixteen_harmonics_all_look_different(ax):
    fixed = dict(time_s=[0.0], f0_hz=[100.0], confidence=[1.0], sample_rate=RATE, n_samples=100)
    tracks = so.HarmonicTracks(amplitudes=np.ones((1, 16)), phases=np.zeros((1, 16)), **fixed)
    lines = plot.plot_amplitudes(ax, tracks, n_harmonics=20)
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 16


def test_loss_history_puts_the_stages_one_after_the_other(ax, tracks):
    first, second = plot.plot_loss_history(ax, tracks)
    assert (first.get_label(), second.get_label()) == ("first", "second")
    np.testing.assert_array_equal(first.get_xdata(), [0, 1])
    np.testing.assert_array_equal(second.get_xdata(), [2, 3, 4])
    np.testing.assert_allclose(second.get_ydata(), [1.0, 0.8, 0.2])
    assert ax.get_yscale() == "log"


def test_triangles_point_downhill_and_are_filled_towards_the_note(ax):
    cents = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    slopes = np.array([1.0, -1.0, 0.0, 1.0, 1.0])  # the first leads away
    (line,), (right, left) = plot.plot_landscape(ax, cents, {"L": (cents**2, slopes)})
    assert line.get_label() == "L: 75 %"
    np.testing.assert_allclose(line.get_ydata(), [1.0, 0.25, 0.0, 0.25, 1.0])
    np.testing.assert_array_equal(right.get_offsets()[:, 0], [-1.0])
    np.testing.assert_array_equal(left.get_offsets()[:, 0], [-2.0, 1.0, 2.0])
    white = (left.get_facecolor() == 1).all(axis=1)
    np.testing.assert_array_equal(white, [True, False, False])


@pytest.mark.parametrize("n_losses", [1, 3, 4, 8, 11])
def test_each_loss_looks_different_and_the_legend_hides_no_curve(ax, n_losses):
    cents = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    curves = {f"SOT-2048-{i}": (np.ones(5), cents) for i in range(n_losses)}
    lines, arrows = plot.plot_landscape(ax, cents, curves)
    looks = {(line.get_color(), line.get_linestyle()) for line in lines}
    assert len(looks) == n_losses == len(arrows) / 2
    ax.figure.set_size_inches(9, 5)
    ax.figure.draw_without_rendering()
    bottom = ax.get_legend().get_window_extent().transformed(ax.transData.inverted()).y0
    assert bottom > 1


def test_transport_is_drawn_from_who_gives_to_who_receives(ax):
    hz = np.array([50.0, 100.0, 200.0, 400.0, 8000.0])
    spectra, plan = plot.plot_transport(
        ax, hz, [0, 4.0, 0, 0, 0], [0, 0, 1.0, 3.0, 1e-9], labels=("here", "there")
    )
    (first, second) = plan.get_segments()
    np.testing.assert_allclose(first[:, 0], [100, 200])
    np.testing.assert_allclose(second[:, 0], [100, 400])
    assert first[0, 1] > 0 > first[1, 1]
    np.testing.assert_allclose(plan.get_alpha(), [np.sqrt(1 / 3), 1.0])
    upper, lower = (line.get_ydata() for line in spectra)
    assert upper.max() == 1.25 and upper.argmax() == 1 and lower.min() == -1.25
    assert lower[2] == pytest.approx(-1.25 - 10 * np.log10(1 / 3) / 60)
    assert lower[4] == -0.25  # under the range: at the edge, and no reason to show 8 kHz
    assert ax.get_xscale() == "log" and ax.get_xlim() == (80, 500)
    marks = dict(zip(ax.get_yticks(), (t.get_text() for t in ax.get_yticklabels()), strict=True))
    assert marks[1.25] == "0" == marks[-1.25] and marks[0.25] == "-60" == marks[-0.25]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["here", "there"]


def test_wrong_arguments_are_named(audio, tracks):
    ax = Figure().subplots()
    for args, message in (
        (([0.0, 1.0], [1, 1], [1, 1]), "frequencies_hz must be above 0 and ascending"),
        (([2.0, 1.0], [1, 1], [1, 1]), "frequencies_hz must be above 0 and ascending"),
        (([1.0, 2.0], [1, 1], [0, 0]), "v_power of B must not be silent, got zeros only"),
        (([1.0, 2.0], [1, 1, 1], [1, 1]), r"u_power must have shape \(2,\), got \(3,\)"),
        (([1.0, 2.0], [1, -1], [1, 1]), "u_power must not be negative, got -1"),
    ):
        with pytest.raises(ParameterError, match=message):
            plot.plot_transport(ax, *args)
    with pytest.raises(ParameterError, match="audio must not be silent, got zeros only"):
        plot.plot_spectrogram(ax, np.zeros(100), RATE)
    with pytest.raises(ParameterError, match="range_db must be above 0, got -3"):
        plot.plot_spectrogram(ax, audio, RATE, range_db=-3)
    with pytest.raises(ParameterError, match="n_harmonics must be at least 1, got 0"):
        plot.plot_amplitudes(ax, tracks, n_harmonics=0)
    silent = so.HarmonicTracks([0.0], [100.0], [1.0], [[0.3]], [[0.0]], RATE, 100)
    with pytest.raises(ParameterError, match="tracks must hold a loss history, got none"):
        plot.plot_loss_history(ax, silent)
    with pytest.raises(ParameterError, match=r"slopes must have shape \(2,\), got \(3,\)"):
        plot.plot_landscape(ax, [1.0, 2.0], {"L": ([1.0, 2.0], [1.0, 2.0, 3.0])})
    assert not ax.lines and not ax.images
