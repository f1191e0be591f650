"""The figures' content: what is drawn where, in which unit. Nothing compares pixels."""

import dataclasses
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


@pytest.fixture(scope="module")
def moving():
    """A glide from 200 to 400 Hz, its first 20 and last 11 frames without pitch; every field."""
    n_frames = 101
    at = np.arange(n_frames)
    voiced = (at >= 20) & (at < 90)
    f0_hz = np.where(voiced, 200 * 2.0 ** ((at - 20) / 70), 3000.0)
    return so.HarmonicTracks(
        time_s=at * 0.01,
        f0_hz=f0_hz,
        confidence=np.where(voiced, 0.4, 0.9),  # voicing must not be read off this
        amplitudes=np.where(voiced[:, None], [0.5, 0.25], 0.0),
        phases=np.zeros((n_frames, 2)),
        sample_rate=RATE,
        n_samples=16100,
        voiced=voiced,
        f0_std_cents=np.where(voiced, 5.0, np.inf),
        octave_costs=np.where(at[:, None] == 50, np.inf, [3.0, 1.0, 1.5, 0.75]),
        settings={"voicing_threshold": 0.3},
    )


def test_voicing_decides_what_is_drawn_over_the_spectrogram(ax, moving):
    _, lines = plot.plot_spectrogram(ax, moving.resynthesize(), RATE, moving)
    np.testing.assert_array_equal(np.isfinite(lines[0].get_ydata()), moving.voiced)
    median_khz = np.median(moving.f0_hz[moving.voiced]) / 1000
    assert ax.get_ylim() == pytest.approx((0, 3 * median_khz))


def test_without_amplitudes_f0_is_drawn_alone_and_partials_have_room(ax, moving):
    bare = dataclasses.replace(moving, amplitudes=None, phases=None)
    _, lines = plot.plot_spectrogram(ax, moving.resynthesize(), RATE, bare, n_partials=5)
    assert [line.get_label() for line in lines] == ["f0"]
    assert ax.get_ylim()[1] == pytest.approx(6 * np.median(moving.f0_hz[moving.voiced]) / 1000)


def test_a_long_sound_has_no_more_columns_than_can_be_seen(ax):
    image, _ = plot.plot_spectrogram(ax, np.ones(1_000_000), RATE)
    assert 1900 < image.get_array().shape[1] <= 2001
    left, right, *_ = image.get_extent()
    assert left <= 0 and right == pytest.approx(1_000_000 / RATE, abs=0.05)


def test_f0_is_coloured_where_voiced_and_the_guess_is_grey(ax, moving):
    (voiced, guess), band = plot.plot_f0(ax, moving)
    np.testing.assert_array_equal(voiced.get_ydata()[20:90], moving.f0_hz[20:90])
    np.testing.assert_array_equal(np.isfinite(voiced.get_ydata()), moving.voiced)
    np.testing.assert_array_equal(np.isfinite(guess.get_ydata()), ~moving.voiced)
    assert voiced.get_color() != guess.get_color() == plot.GREY
    assert ax.get_yscale() == "log"
    low, high = ax.get_ylim()
    assert 170 < low < 200 and 396 < high < 450  # the guesses at 3 kHz do not count
    (path,) = band.get_paths()
    vertices = path.vertices
    assert vertices[:, 0].min() == pytest.approx(0.2) and vertices[:, 0].max() < 0.91
    top = vertices[:, 1].max() / moving.f0_hz[89]
    assert top == pytest.approx(2 ** (10 / 1200))  # two standard errors of 5 cents


def test_f0_of_a_file_without_pitch_or_errors(ax, moving):
    bare = dataclasses.replace(moving, voiced=np.zeros(101, bool), f0_std_cents=None)
    (voiced, guess), band = plot.plot_f0(ax, bare)
    assert band is None and np.isnan(voiced.get_ydata()).all()
    assert ax.get_ylim()[0] < 200 < 3000 < ax.get_ylim()[1]
    assert np.isfinite(guess.get_ydata()).all()


def test_confidence_is_filled_where_voiced_and_the_threshold_is_that_of_the_settings(ax, moving):
    line, threshold = plot.plot_confidence(ax, moving)
    np.testing.assert_array_equal(line.get_ydata(), moving.confidence)
    assert threshold.get_ydata()[0] == 0.3
    (filled,) = ax.collections
    (path,) = filled.get_paths()
    x = path.vertices[:, 0]
    assert x.min() == pytest.approx(0.2, abs=0.006) and x.max() == pytest.approx(0.89, abs=0.006)
    without = dataclasses.replace(moving, settings=None)
    assert plot.plot_confidence(Figure().subplots(), without)[1].get_ydata()[0] == 0.5


def test_octaves_show_how_far_f0_is_ahead(ax, moving):
    lines = plot.plot_octaves(ax, moving)
    assert [line.get_label() for line in lines] == ["f0 / 2", "2 f0", "3 f0"]
    for line, ahead in zip(lines, (2.0, 0.5, -0.25), strict=True):
        y = line.get_ydata()
        np.testing.assert_array_equal(np.isfinite(y), moving.voiced & (np.arange(101) != 50))
        assert y[30] == ahead
    low, high = ax.get_ylim()
    assert low < -0.25 and high > 2
    with pytest.raises(ParameterError, match="tracks must hold octave_costs, got none"):
        plot.plot_octaves(ax, dataclasses.replace(moving, octave_costs=None))


def test_amplitudes_break_where_there_is_nothing(ax, moving):
    lines = plot.plot_amplitudes(ax, moving)
    np.testing.assert_array_equal(np.isfinite(lines[1].get_ydata()), moving.voiced)
    assert ax.get_ylim()[1] == pytest.approx(20 * np.log10(0.5) + 3.5)
    plot.plot_amplitudes(ax, dataclasses.replace(moving, amplitudes=np.zeros((101, 2))))
    bare = dataclasses.replace(moving, amplitudes=None, phases=None)
    with pytest.raises(ParameterError, match="tracks must hold amplitudes, got none"):
        plot.plot_amplitudes(ax, bare)


@pytest.mark.parametrize("kind", ["full", "no amplitudes", "no pitch", "silent", "one frame"])
def test_a_figure_of_any_tracks(moving, kind):
    tracks, audio = moving, moving.resynthesize()
    if kind == "no amplitudes":
        tracks = dataclasses.replace(moving, amplitudes=None, phases=None)
    if kind == "no pitch":
        tracks = dataclasses.replace(moving, voiced=np.zeros(101, bool))
    if kind == "silent":
        audio = np.zeros(16100)
    if kind == "one frame":
        tracks = so.HarmonicTracks([0.0], [300.0], [0.0], [[0.0]], [[0.0]], RATE, 50)
        audio = np.ones(50)
    figure = plot.figure_of_tracks(audio, tracks, title="this take")
    figure.savefig(io.BytesIO())
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels[:2] == ["frequency / kHz", "f0 / Hz"] and "confidence" in labels
    assert ("amplitude / dB re 1" in labels) == (kind != "no amplitudes")
    assert figure.get_suptitle() == "this take"
    panels = [ax for ax in figure.axes if ax.get_ylabel() != "dB re maximum"]
    assert {ax.get_xlim() for ax in panels} == {(0, len(audio) / RATE)}
    edges = np.array([ax.get_position().extents[[0, 2]] for ax in panels])
    np.testing.assert_allclose(edges, edges[:1].repeat(len(edges), 0), atol=1e-9)  # in line
    with pytest.raises(ParameterError, match="audio must have shape"):
        plot.figure_of_tracks(audio[1:], tracks)


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
