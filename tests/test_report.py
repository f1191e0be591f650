"""`spectralot report`: what stands on a page, that it needs nothing else, and the command."""

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import stand_in
from click.testing import CliRunner

from spectralot import HarmonicTracks, ParameterError
from spectralot.cli import main
from spectralot.corpus import Summary
from spectralot.report import report_file, report_page
from spectralot.report.page import note_name

RATE = 8000


def some_tracks(n_frames=101, n_harmonics=3, rate=RATE, **others):
    """A glide from 200 to 400 Hz in 10 ms frames; the first five have no pitch."""
    ramp = np.linspace(0, 1, n_frames)
    fields = dict(
        time_s=np.arange(n_frames) * 0.01,
        f0_hz=200 * 2**ramp,
        confidence=np.where(np.arange(n_frames) < 5, 0.1, 0.9),
        amplitudes=np.outer(10 ** (-ramp), 0.3 * 0.1 ** np.arange(n_harmonics)),
        phases=np.full((n_frames, n_harmonics), 0.5),
        f0_std_cents=np.full(n_frames, 20.0),
        octave_costs=np.tile([0.5, 0.1, 0.3, np.inf], (n_frames, 1)),
        sample_rate=rate,
        n_samples=round((n_frames - 1) * 0.01 * rate),
        settings={"version": "0.0.7", "method": "by hand", "voicing_threshold": 0.25},
    )
    return HarmonicTracks(**(fields | others))


@pytest.fixture(scope="module")
def tracks():
    return some_tracks()


@pytest.fixture(scope="module")
def audio(tracks):
    noise = np.random.default_rng(7).standard_normal(tracks.n_samples)
    return tracks.resynthesize() + 0.003 * noise


@pytest.fixture(scope="module")
def page(audio, tracks):
    return Parsed(report_page(audio, tracks, "take.wav"))


class Parsed(HTMLParser):
    """Elements of a page in order: tag, attributes, and the text directly inside."""

    def __init__(self, source):
        super().__init__()
        self.source, self.elements, self._open = source, [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])
        if tag not in ("meta", "link", "img", "input"):
            self._open.append(self.elements[-1])

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag  # properly nested

    def handle_data(self, data):
        if self._open:
            self._open[-1][2] += data

    def texts(self, tag):
        return [text for name, _, text in self.elements if name == tag]

    def ids(self):
        return [attrs["id"] for _, attrs, _ in self.elements if "id" in attrs]

    def held(self, key):
        """The bytes of an element."""
        ((attrs, text),) = [(a, t) for _, a, t in self.elements if a.get("id") == key]
        content = base64.b64decode(text)
        return gzip.decompress(content) if "data-file" in attrs else content

    def sound(self, kind):
        return sf.read(io.BytesIO(self.held(f"sound-{kind}")))

    def figure(self, key):
        return re.search(rf'<figure id="{key}".*?</figure>', self.source, re.DOTALL)[0]

    def notes(self):
        notes = [text for _, attrs, text in self.elements if attrs.get("class") == "note"]
        return [note for note in notes if "JavaScript" not in note]


def points(path):
    """The points of a path that `_svg.outline` wrote, one array a stretch, places from 0 to 1."""
    stretches = []
    for start, steps in re.findall(r"M(-?\d+ -?\d+)h0((?:l-?\d+ -?\d+)*)", path):
        first = np.array(start.split(), float)
        moves = [np.array(step.split(), float) for step in steps.split("l")[1:]]
        stretches.append(np.cumsum([first, *moves], axis=0))
    return [(s[:, 0] / 20000, s[:, 1]) for s in stretches]


def ticks(figure):
    """Value and place from below of the labels beside a picture."""
    found = re.findall(r"top:calc\(var\(--height\) \* ([-\d.]+)\)\">([^<]+)<", figure)
    return np.array([(float(text.replace("\N{MINUS SIGN}", "-")), 1 - float(top))
                     for top, text in found])  # fmt: skip


def test_numbers_are_those_of_the_tracks(page, tracks, tmp_path):
    tracks.save_csv(tmp_path / "a.csv")
    tracks.save_json(tmp_path / "a.json")
    assert page.held("csv") == (tmp_path / "a.csv").read_bytes()
    assert page.held("json") == (tmp_path / "a.json").read_bytes()
    files = {a["data-file"] for _, a, _ in page.elements if "data-file" in a}
    assert files == {"take.f0.csv", "take.json"}


def test_f0_stands_where_its_axis_says(page, tracks):
    figure = page.figure("f0")
    (path,) = re.findall(r'class="f0 line" d="([^"]*)"', figure)
    ((x, y),) = points(path)
    values, places = ticks(figure).T
    slope, offset = np.polyfit(places, np.log(values), 1)
    found_hz = np.exp(offset + slope * (1 - y / 4000))
    expected_hz = 200 * 2**x  # the glide, whichever of its points were left out
    assert x.min() == pytest.approx(0.05) and x.max() == pytest.approx(1)
    np.testing.assert_allclose(found_hz, expected_hz, rtol=2e-3)


def test_error_band_is_two_standard_errors_wide(page):
    figure = page.figure("f0")
    (path,) = re.findall(r'class="f0 band" d="([^"]*)Z"', figure)
    ((x, y),) = points(path)
    values, places = ticks(figure).T
    slope, _ = np.polyfit(places, np.log2(values), 1)
    at_end = y[np.isclose(x, 1)]
    width_cents = 1200 * slope * (at_end.max() - at_end.min()) / 4000
    assert width_cents == pytest.approx(80, rel=0.02)


def test_unvoiced_frames_are_dots(page):
    (path,) = re.findall(r'class="guess line" d="([^"]*)"', page.figure("f0"))
    assert [float(x[0]) for x, _ in points(path)] == [0, 0.01, 0.02, 0.03, 0.04]


def test_partials_are_f0_stretched(page, tracks):
    figure = page.figure("spectrogram")
    (path,) = re.findall(r'id="f0-line" d="([^"]*)"', figure)
    ((x, y),) = points(path)
    values, places = ticks(figure).T
    khz_per_place = np.polyfit(places, values, 1)[0]
    np.testing.assert_allclose(khz_per_place * (1 - y / 4000), 0.2 * 2**x, rtol=5e-3)
    stretched = re.findall(r"matrix\(1 0 0 (\d+) 0 (-\d+)\)", figure)
    assert stretched == [("2", "-4000"), ("3", "-8000")]


def test_strips_show_decibels(page, tracks):
    figure = page.figure("harmonics")
    strips = re.findall(r'translate\(0 (\d+)\)" d="([^"]*)Z"', figure)
    assert [down for down, _ in strips] == ["0", "100", "200"]
    top_db = 20 * np.log10(0.3)
    for h, (_, path) in enumerate(strips):
        ((x, y),) = points(path)
        level_db = top_db - 60 * y / 100
        expected_db = np.maximum(top_db - 20 * h - 20 * x, top_db - 60)
        np.testing.assert_allclose(level_db[1:-1], expected_db[1:-1], atol=0.7)
    assert "−70 to −10 dB" in figure  # noqa: RUF001


def test_levels_of_recording_and_residual(page):
    figure = page.figure("levels")
    values, places = ticks(figure).T
    slope, offset = np.polyfit(places, values, 1)
    (path,) = re.findall(r'class="residual line" d="([^"]*)"', figure)
    ((_, y),) = points(path)
    level_db = offset + slope * (1 - y / 4000)
    assert np.median(level_db) == pytest.approx(20 * np.log10(0.003), abs=0.5)


def test_octave_report(page):
    table = re.search(r'"octave-title">.*?</section>', page.source, re.DOTALL)[0]
    assert "In every voiced frame" in table
    cell = "<td>(.*?)<[^>]*>"
    rows = re.findall(rf"<tr><th scope='row'>(.*?)</th>{3 * cell}", table)
    assert rows == [
        ("f0 / 2", "0.0 %", "0.4", "0.4 at "), ("2 f0", "0.0 %", "0.2", "0.2 at "),
        ("3 f0", "0.0 %", "inf", "ruled out"),
    ]  # fmt: skip
    costs = some_tracks().octave_costs.copy()
    costs[50, 0] = -1.0
    other = some_tracks(octave_costs=costs)
    lost = report_page(other.resynthesize(), other, "x")
    assert "In 99.0 % of the voiced frames" in lost  # 95 of 96
    assert '<button type="button" class="go" value="0.50">0.50 s</button>' in lost


def test_facts_settings_and_versions(page):
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Duration"] == "1.000 s" and facts["Sample rate"] == "8000 Hz"
    assert facts["Voiced"] == "95.0 % of the frames" and facts["Standard error of f0"] == "20 cents"
    rows = dict(re.findall(r"<tr><th scope='row'>(.*?)</th><td>(.*?)</td></tr>", page.source))
    assert rows["method"] == "by hand" and rows["estimated by spectralot"] == "0.0.7"
    assert rows["numpy"] == np.__version__
    assert "threshold 0.25" in page.figure("confidence")


@pytest.mark.parametrize(
    ("f0_hz", "name"),
    [
        (440.0, "A4 +0 cents"), (261.6256, "C4 +0 cents"), (27.5, "A0 +0 cents"),
        (452.0, "A4 +47 cents"), (453.0, "A♯4 \N{MINUS SIGN}50 cents"),
        (17.0, "C♯0 \N{MINUS SIGN}33 cents"),
    ],
)  # fmt: skip
def test_note_names(f0_hz, name):
    assert note_name(f0_hz) == name


def test_sounds_are_lossless_while_they_are_short(page, audio, tracks):
    model = tracks.resynthesize()
    for kind, sound in (("recording", audio), ("model", model), ("residual", audio - model)):
        found, rate = page.sound(kind)
        assert rate == RATE
        np.testing.assert_allclose(found, sound, atol=1 / 32768)
    assert page.notes() == []


def test_sounds_too_loud_are_made_softer_alike(audio, tracks):
    loud = Parsed(report_page(5 * audio, tracks, "x"))
    (note,) = loud.notes()
    assert "softer" in note
    ratio = np.abs(loud.sound("recording")[0]).max() / np.abs(5 * audio).max()
    np.testing.assert_allclose(loud.sound("model")[0], ratio * tracks.resynthesize(), atol=1e-4)


def test_rates_that_browsers_do_not_know_are_brought_to_48_khz():
    odd = some_tracks(rate=11127)
    found, rate = Parsed(report_page(odd.resynthesize(), odd, "x")).sound("model")
    assert rate == 48000 and len(found) == pytest.approx(48000, abs=2)


OUTSIDE = re.compile(r"https?:|\bwss?:|//[a-z]|@import|\burl\(|\bfetch\(|XMLHttp|import\(")


def test_nothing_is_fetched(page):
    for tag, attrs, text in page.elements:
        for name, value in attrs.items():
            if name in ("src", "href", "action", "poster", "data", "srcset", "background"):
                assert value.startswith(("data:", "#")), (tag, name)
            else:
                assert not OUTSIDE.search(value or ""), (tag, name, value)
        if attrs.get("type") != "text/plain":
            assert not OUTSIDE.search(text), (tag, OUTSIDE.search(text))


def test_the_browser_is_told_to_fetch_nothing_and_run_nothing_else(page):
    (policy,) = [a["content"] for _, a, _ in page.elements if "http-equiv" in a]
    assert policy.startswith("default-src 'none';")
    (script,) = [t for tag, a, t in page.elements if tag == "script" and "type" not in a]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert not [name for _, attrs, _ in page.elements for name in attrs if name.startswith("on")]


def test_what_users_name_is_escaped(audio):
    evil = """<img src=x onerror="alert(1)">'&amp;</script>.wav"""
    tracks = some_tracks(settings={"<b>": "</table><script>alert(2)</script>"})
    page = Parsed(report_page(audio, tracks, evil))
    assert page.texts("h1") == [evil] and page.texts("title") == [f"{evil} · spectralot"]
    assert len([t for t, *_ in page.elements if t == "img"]) == 1  # the spectrogram
    assert page.texts("b") == [] and "</table><script>alert(2)</script>" in page.texts("td")
    files = [a["data-file"] for _, a, _ in page.elements if "data-file" in a]
    assert files[1] == evil.removesuffix(".wav") + ".json"


def test_names_are_there_for_whoever_does_not_see(page):
    for tag, attrs, _ in page.elements:
        if attrs.get("role") == "img":
            assert len(attrs["aria-label"]) > 20
        if "aria-labelledby" in attrs:
            assert attrs["aria-labelledby"] in page.ids()
        if tag == "img":
            assert attrs["alt"] == ""  # said by the picture it is part of
    assert len(set(page.ids())) == len(page.ids())
    assert "lang" in page.elements[0][1]


def test_the_same_page_every_time(audio, tracks, page):
    assert report_page(audio, tracks, "take.wav") == page.source


def test_f0_alone(audio):
    bare = some_tracks(amplitudes=None, phases=None, octave_costs=None, f0_std_cents=None)
    page = Parsed(report_page(audio, bare, "x"))
    (note,) = page.notes()
    assert "f0 only" in note
    assert "sound-recording" in page.ids() and "sound-model" not in page.ids()
    assert not {"harmonics", "octaves"} & set(page.ids())
    assert "band" not in page.figure("f0")


def test_without_phases_there_is_no_residual(audio):
    page = Parsed(report_page(audio, some_tracks(phases=np.zeros((101, 3))), "x"))
    (note,) = page.notes()
    assert "no phases" in note
    assert "sound-model" in page.ids() and "sound-residual" not in page.ids()
    assert 'class="residual' not in page.figure("levels")


def test_silence():
    nothing = some_tracks(
        confidence=np.zeros(101), amplitudes=np.zeros((101, 3)), phases=np.zeros((101, 3)),
        octave_costs=np.full((101, 4), np.inf), f0_std_cents=np.full(101, np.inf),
    )  # fmt: skip
    page = Parsed(report_page(np.zeros(RATE), nothing, "x"))
    assert "The recording is silent." in page.figure("spectrogram")
    assert page.notes() == [] and not {"harmonics", "octaves"} & set(page.ids())


def test_a_single_frame_holds_throughout():
    one = HarmonicTracks([0.0], [1000.0], [1.0], [[0.5]], [[0.1]], RATE, 800)
    figure = Parsed(report_page(one.resynthesize(), one, "x")).figure("f0")
    (path,) = re.findall(r'class="f0 line" d="([^"]*)"', figure)
    ((x, _),) = points(path)
    assert x.tolist() == [0, 1]


def test_tracks_of_another_recording_are_refused(audio, tracks):
    with pytest.raises(ParameterError, match=r"audio must have shape \(8000,\), got \(7999,\)"):
        report_page(audio[:-1], tracks, "x")


def test_half_a_minute_stays_below_5_mb(rng):
    """The worst there is: noise, and 40 harmonics whose numbers do not compress."""
    n_frames, rate = 3001, 44100
    shape = (n_frames, 40)
    tracks = some_tracks(
        n_frames, 40, rate,
        f0_hz=400 * 2 ** (0.2 * rng.standard_normal(n_frames)).clip(-1, 1),
        f0_std_cents=rng.uniform(0, 50, n_frames), confidence=rng.uniform(0, 1, n_frames),
        amplitudes=10 ** rng.uniform(-4, -2, shape), phases=rng.uniform(-3, 3, shape),
        amplitudes_std=10 ** rng.uniform(-6, -4, shape), noise_db=rng.uniform(-90, -30, n_frames),
        octave_costs=rng.uniform(0, 1, (n_frames, 4)),
    )  # fmt: skip
    page = report_page(0.1 * rng.standard_normal(tracks.n_samples), tracks, "noise.wav")
    assert 1e6 < len(page.encode()) < 5e6
    parsed = Parsed(page)
    found, found_rate = parsed.sound("recording")
    assert (len(found), found_rate) == (tracks.n_samples, rate)  # MP3, of the same length
    assert parsed.notes() == [] and "MP3" in page


def test_a_long_recording_is_thinned_and_silent():
    tracks = some_tracks(31001, 17)
    page = report_page(tracks.resynthesize(), tracks, "x")
    assert len(page.encode()) < 2e6
    parsed = Parsed(page)
    many, long = parsed.notes()
    assert "amplitudes" in many and "5 minutes" in long
    assert not [key for key in parsed.ids() if key.startswith("sound-") or key == "play"]
    numbers = json.loads(parsed.held("json"))
    assert len(numbers["f0_hz"]) == 31001 and "amplitudes" not in numbers
    assert parsed.held("csv").count(b"\n") == 31002
    (path,) = re.findall(r'class="f0 line" d="([^"]*)"', parsed.figure("f0"))
    assert 1000 < path.count("l") < 4001


# The command


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, so that messages hold short names."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def wav(path, n_samples=400, rate=RATE):
    sf.write(path, np.linspace(-0.5, 0.5, n_samples), rate)


def run(*args, stdin=None):
    return CliRunner().invoke(main, ["report", *map(str, args)], input=stdin)


FOUND = "(75 % voiced, median 220.0 Hz)"


def test_writes_a_page_beside_each_file(folder, estimator):
    (folder / "in").mkdir()
    wav("in/a.b.wav")
    wav("c.wav")
    result = run("in", "c.wav")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"in/a.b.wav -> in/a.b.html {FOUND}\nc.wav -> c.html {FOUND}\n"
    assert sorted(os.listdir("in")) == ["a.b.html", "a.b.wav"]
    assert "<h1>a.b.wav</h1>" in Path("in/a.b.html").read_text("utf-8")


def test_writes_one_page_or_into_a_folder(folder, estimator):
    wav("a.wav")
    assert run("-q", "a.wav", "-o", "new/page.html").output == ""
    assert run("-q", "a.wav", "-o", "pages").output == ""
    pages = [Path("new/page.html").read_bytes(), Path("pages/a.html").read_bytes()]
    assert pages[0] == pages[1]


def test_replaces_nothing_unless_told_to(folder, estimator):
    wav("a.wav")
    Path("a.html").write_text("mine")
    result = run("a.wav")
    assert result.exit_code == 1 and result.stdout == "" and not estimator  # before the work
    assert result.stderr == (
        "a.wav: cannot write a.html: it exists already; set overwrite to replace it\n"
    )
    assert Path("a.html").read_text() == "mine"
    assert run("a.wav", "--overwrite").exit_code == 0
    assert Path("a.html").read_text("utf-8").startswith("<!DOCTYPE html>")


def test_each_failure_costs_a_line_and_leaves_nothing(folder, estimator):
    wav("short.wav", 7)
    wav("good.wav")
    Path("text.wav").write_text("no sound")
    result = run("short.wav", "gone.wav", "text.wav", "good.wav", "no*.wav", "-o", "out")
    assert result.exit_code == 1
    assert result.stdout == f"good.wav -> out/good.html {FOUND}\n"
    lines = result.stderr.splitlines()
    assert len(lines) == 4 and all(
        any(name in line for line in lines)
        for name in ("short.wav", "gone.wav", "text.wav", "no*.wav")
    )
    assert os.listdir("out") == ["good.html"]


def test_shows_an_estimate_made_before(folder):
    tracks = some_tracks()
    sf.write("a.wav", tracks.resynthesize(), RATE, subtype="FLOAT")
    tracks.save_npz("a.npz")
    result = run("a.wav", "--tracks", "a.npz")
    assert (result.exit_code, result.stderr) == (0, "")
    page = Parsed(Path("a.html").read_text("utf-8"))
    assert np.allclose(json.loads(page.held("json"))["f0_hz"], tracks.f0_hz, atol=1e-4)
    wav("b.wav")
    result = run("b.wav", "--tracks", "a.npz")
    assert result.exit_code == 1 and not Path("b.html").exists()
    assert result.stderr == (
        "b.wav: a.npz must be of this recording, 400 samples at 8000 Hz, "
        "got 8000 samples at 8000 Hz\n"
    )


def test_standard_input(folder, estimator):
    wav("a.wav")
    result = run("-", "-o", "a.html", stdin=Path("a.wav").read_bytes())
    assert (result.exit_code, result.stdout) == (0, f"- -> a.html {FOUND}\n")
    assert "<h1>standard input</h1>" in Path("a.html").read_text("utf-8")


def test_names_that_are_no_text(folder, estimator):
    name = os.fsdecode(b"t\xffke.wav")
    wav(os.fsencode(name))
    assert run(name).exit_code == 0
    assert "t?ke.wav" in Path(os.fsdecode(b"t\xffke.html")).read_text("utf-8")


def test_where_the_work_is_done(folder, monkeypatch):
    asked = []

    def run_jobs(jobs, **options):
        asked.append(options)
        yield from ((job, Summary(job.outputs, False, 1.0, 100.0)) for job in jobs)

    monkeypatch.setattr("spectralot.runners.run_jobs", run_jobs)
    monkeypatch.setattr("spectralot.runners.n_cores", lambda: "cores")
    for args in ((), ("-j", 3), ("-j", 0)):
        assert run("a.wav", "b.wav", *args).exit_code == 0
    assert [options["n_processes"] for options in asked] == [1, 3, "cores"]
    assert all(options["work"] is report_file for options in asked)


INTERRUPTED = f"""
import signal, sys, time
from contextlib import contextmanager
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
import stand_in
from spectralot.report import job

writing, report_page = job.writing, job.report_page

@contextmanager
def half_written(path, **options):
    with writing(path, **options) as part:
        part.write_text("half")
        yield part

def slow(audio, tracks, name):
    if name == "slow.wav":
        Path("mark").write_text("at work")
        time.sleep(60)
    return report_page(audio, tracks, name)

job.writing, job.report_page = half_written, slow
stand_in.install()  # in worker processes too, which import this file
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script's "&" has it ignored
    from spectralot.cli import main
    main(["report", "a.wav", "slow.wav", "-o", "out", *sys.argv[1:]])
"""


@pytest.mark.parametrize("args", [[], ["-j", "2"]])
def test_an_interrupt_is_one_line_and_leaves_no_half(folder, args):
    wav("a.wav")
    wav("slow.wav")
    Path("main.py").write_text(INTERRUPTED)
    status, out, err = stand_in.interrupted(args, "out/a.html")
    assert (status, err) == (130, "interrupted: 1 of 2 files done\n")
    assert out == f"a.wav -> out/a.html {FOUND}\n"
    assert os.listdir("out") == ["a.html"]


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ((), "FILE"),
        (("a.wav", "b.wav", "-o", "x.html"), "-o OUT.html is for one FILE, got 2"),
        (("a.wav", "b.wav", "--tracks", "a.wav"), "--tracks is for one FILE, got 2"),
        (("a.wav", "--tracks", "a.wav", "--method", "fit"), "--tracks excludes"),
        (("a.wav", "--model", "a.wav", "--method", "fit"), "--model is for --method model"),
        (("-",), "standard input needs -o OUT.html"),
        (("a.wav", "a.wav", "-o", "out"), "would both write out/a.html"),
        (("a.wav", "--method", "guess"), "guess"),
        (("a.wav", "-j", "-1"), "-1 is not in the range x>=0"),
    ],
)
def test_wrong_usage_is_refused(folder, estimator, args, word):
    wav("a.wav")
    result = run(*args)
    assert result.exit_code == 2 and word in result.stderr
    assert os.listdir() == ["a.wav"] and not estimator


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from spectralot.cli import main\n"
        "main(['report', '--help'], standalone_mode=False)\n"
        "heavy = {'numpy', 'numba', 'scipy', 'matplotlib', 'rich'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_all_that_the_estimator_finds_in_a_note_is_shown():
    import spectralot as so

    audio, rate = so.read_audio(Path(__file__).parents[1] / "examples/notes/clarinet_F4.wav")
    tracks = so.HarmonicEstimator().estimate(audio, rate)
    page = Parsed(report_page(audio, tracks, "clarinet"))
    assert {"spectrogram", "f0", "confidence", "harmonics", "levels", "octaves"} <= set(page.ids())
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert facts["Nearest note"].startswith("F4 ")
    share = np.mean(tracks.residual(audio) ** 2) / np.mean(audio**2)
    level = facts["Residual to recording"].removesuffix(" dB").replace("\N{MINUS SIGN}", "-")
    assert float(level) == pytest.approx(10 * np.log10(share), abs=0.06)
    assert dataclasses.asdict(tracks)["settings"]["method"] in page.texts("td")
