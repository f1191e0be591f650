"""The page of `spectralot report` in headless Chromium, which is told what to do by DevTools.

Set CHROMIUM to the browser if it has another name.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from urllib.parse import urlsplit

import numpy as np
import pytest

from spectralot import HarmonicTracks
from spectralot.report import report_page

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")

_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --mute-audio "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage --remote-debugging-pipe"
).split()
# DevTools listens on descriptor 3 and answers on 4, messages end in a zero
_LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Chromium:
    """One tab, and what went wrong or out of it."""

    def __init__(self, profile):
        theirs_in, self._out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self._process = subprocess.Popen(
            [
                sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), BROWSER, *_FLAGS,
                f"--user-data-dir={profile}", "about:blank",
            ],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._n_sent, self._session = os.fdopen(ours_in, "rb"), 0, None
        self._rest, self.events = b"", []
        pages = [
            each for each in self("Target.getTargets")["targetInfos"] if each["type"] == "page"
        ]
        self._session = self("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __call__(self, method, **params):
        """Send a command and return its answer; what else arrives is kept in `events`."""
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._n_sent:
            self.events.append(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def _receive(self):
        while b"\0" not in self._rest:
            piece = self._in.read1(1 << 16)
            assert piece, "the browser died"
            self._rest += piece
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, path, width=1440, height=900, scheme="light"):
        """Load a page on a screen of this size."""
        self.events.clear()
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self("Emulation.setEmulatedMedia", features=features)
        self("Page.navigate", url=path.as_uri())
        self.until("document.readyState === 'complete' && document.querySelector('a[href]')")
        self.until("document.querySelector('#now').textContent.includes('·')")

    def js(self, expression):
        """The value of an expression, promises awaited."""
        answer = self(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, condition, seconds=20):
        """Wait for a condition."""
        end = time.monotonic() + seconds
        while not self.js(f"Boolean({condition})"):
            assert time.monotonic() < end, f"never came true: {condition}"
            time.sleep(0.03)

    def press(self, key, code=0, text=""):
        """Press and release a key."""
        pressed = dict(key=key, windowsVirtualKeyCode=code)
        self("Input.dispatchKeyEvent", type="keyDown", text=text, **pressed)
        self("Input.dispatchKeyEvent", type="keyUp", **pressed)

    def mouse(self, kind, x, y, buttons=0):
        """Move the mouse, press or release its left button."""
        button = "left" if kind != "mouseMoved" else "none"
        self(
            "Input.dispatchMouseEvent",
            type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1,
        )  # fmt: skip

    def click(self, x, y):
        """Click there."""
        self.mouse("mousePressed", x, y, 1)
        self.mouse("mouseReleased", x, y)

    def box(self, selector):
        """Where the first element of a selector is: x, y, width, height."""
        return self.js(
            f"(({{x, y, width, height}}) => [x, y, width, height])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )

    def screenshot(self):
        """The whole page as PNG."""
        answer = self("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def close(self):
        """End the browser."""
        self._session = None
        self("Browser.close")
        self._process.wait(20)
        os.close(self._out)
        self._in.close()


RATE, DURATION_S = 16000, 6.0


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    opened = Chromium(tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def tracks():
    """Six seconds that rise from 200 to 400 Hz; the last has no pitch."""
    ramp = np.linspace(0, 1, 601)
    return HarmonicTracks(
        time_s=np.arange(601) * 0.01,
        f0_hz=200 * 2**ramp,
        confidence=np.where(ramp < 5 / 6, 0.9, 0.1),
        amplitudes=np.outer(ramp < 5 / 6, [0.3, 0.1, 0.03]) * 1.0,
        phases=np.full((601, 3), 0.5),
        f0_std_cents=np.full(601, 1.5),
        octave_costs=np.tile([0.5, 0.1, 0.3, 0.6], (601, 1)),
        sample_rate=RATE,
        n_samples=int(DURATION_S * RATE),
        settings={"method": "by hand"},
    )


@pytest.fixture(scope="module")
def page(tracks, tmp_path_factory):
    noise = np.random.default_rng(3).standard_normal(tracks.n_samples)
    path = tmp_path_factory.mktemp("page") / "a take of a #1 <b>.html"
    audio = tracks.resynthesize() + 0.002 * noise
    path.write_text(report_page(audio, tracks, "a take of a #1 <b>.wav"), encoding="utf-8")
    return path


def place_of_cursors(browser):
    """Where each picture's cursor is, from 0 to 1."""
    return browser.js(
        "plots.map((plot) => new DOMMatrix(getComputedStyle(plot, '::after').transform).e"
        " / plot.getBoundingClientRect().width)"
    )


def outcry(browser):
    """What the page complained of."""
    loud = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
    return [event["params"] for event in browser.events if event.get("method") in loud]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_loads_without_errors_and_fetches_nothing(browser, page, width, scheme):
    browser.open(page, width, 844, scheme)
    browser.js("setZoom(4)")
    assert outcry(browser) == []
    requests = [
        event["params"]["request"]["url"]
        for event in browser.events
        if event.get("method") == "Network.requestWillBeSent"
    ]
    assert page.as_uri() in requests
    assert {urlsplit(url).scheme for url in requests if url != page.as_uri()} <= {"data", "blob"}
    # whatever sticks out makes the page scroll sideways; pictures do so on their own
    assert browser.js("document.documentElement.scrollWidth") <= width
    assert browser.js("scroll.scrollWidth > 2 * scroll.clientWidth")
    red, green, blue = browser.js("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)")
    assert (int(red) + int(green) + int(blue) < 150) == (scheme == "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_lines_stand_out(browser, page, scheme):
    """Contrast by WCAG 2: 4.5 for text, 3 for what is drawn."""
    browser.open(page, scheme=scheme)
    colors = browser.js("""
        Object.fromEntries("paper raised ink soft blue vermillion green grey cursor".split(" ")
          .map((name) => {
            document.body.style.outlineColor = `var(--${name})`;
            const color = getComputedStyle(document.body).outlineColor;
            return [name, color.match(/\\d+/g).map(Number)];
          }))""")

    def luminance(name):
        c = np.array(colors[name][:3]) / 255
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(one, other):
        low, high = sorted([luminance(one), luminance(other)])
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "soft", "blue"):
        assert contrast(text, "paper") >= 4.5
    assert contrast("ink", "raised") >= 4.5
    for line in ("vermillion", "green", "grey", "cursor"):
        assert contrast(line, "paper") >= 3


def press_play(browser):
    x, y, width, height = browser.box("#play")
    browser.click(x + width / 2, y + height / 2)


def test_plays_and_the_cursor_follows(browser, page):
    browser.open(page)
    press_play(browser)
    browser.until("source && time > 0.1")
    assert browser.js("play.getAttribute('aria-label')") == "Pause"
    first = browser.js("[context.currentTime, time]")
    time.sleep(0.5)
    places = np.array(place_of_cursors(browser))
    last = browser.js("[context.currentTime, time]")
    elapsed, moved = np.subtract(last, first)
    assert elapsed > 0.4 and moved == pytest.approx(elapsed, abs=0.3)
    assert len(places) == 6 and np.ptp(places) < 1e-5
    assert first[1] + 0.1 < places[0] * DURATION_S <= last[1] + 1e-5 * DURATION_S
    assert browser.js("seek.valueAsNumber") == pytest.approx(browser.js("time"), abs=0.1)
    press_play(browser)
    assert browser.js("[playing, source, play.getAttribute('aria-label')]") == [False, None, "Play"]
    browser.js("go(5.8)")
    press_play(browser)
    browser.until("!playing && play.getAttribute('aria-label') === 'Play'")
    np.testing.assert_allclose(place_of_cursors(browser), 1, atol=1e-5)
    press_play(browser)  # from the start again
    browser.until("playing && source && time > 0.1 && time < 4")
    assert outcry(browser) == []


def test_what_is_played_is_what_was_asked_for(browser, page, tracks):
    browser.open(page)
    browser.js("go(1)")
    press_play(browser)
    browser.until("source && time > 1.1")
    rms = "Math.sqrt(source.buffer.getChannelData(0).reduce((sum, x) => sum + x * x, 0)"
    rms += " / source.buffer.length)"
    louder = browser.js(rms)
    x, y, width, height = browser.box("[value=residual]")
    browser.click(x + width / 2, y + height / 2)
    browser.until("source && kind === 'residual' && source.buffer === decoded.get('residual')")
    assert browser.js("source.buffer.duration") == pytest.approx(DURATION_S, abs=0.001)
    assert 1.1 <= browser.js("time") < 5.9
    softer = browser.js(rms)
    model = tracks.resynthesize()
    assert louder == pytest.approx(np.sqrt(np.mean(model**2)), rel=0.02)
    assert softer == pytest.approx(0.002, rel=0.1)  # the noise, less what resampling takes
    assert browser.js("context.currentTime - origin - time") < 0.3


HEARD = """
(async () => {
  const tap = new AnalyserNode(context, { fftSize: 512 });
  source.connect(tap);
  await new Promise((done) => setTimeout(done, 200));
  const heard = new Float32Array(512), all = source.buffer.getChannelData(0);
  tap.getFloatTimeDomainData(heard);
  const at = context.currentTime - origin;
  let best = Infinity, place = 0;
  for (let i = 0; i + 512 <= all.length; i++) {
    let error = 0;
    for (let k = 0; k < 512 && error < best; k++) error += (all[i + k] - heard[k]) ** 2;
    if (error < best) [best, place] = [error, i];
  }
  return [place / context.sampleRate, at, time];
})()
"""


@pytest.mark.parametrize("start_s", [0.0, 1.5])
def test_what_is_heard_stands_where_the_cursor_is(browser, page, start_s):
    """The samples on their way to the loudspeaker, looked up in the recording."""
    browser.open(page)
    browser.js(f"go({start_s})")
    press_play(browser)
    browser.until(f"source && time > {start_s} + 0.2")
    heard, at, shown = browser.js(HEARD)
    assert start_s < heard < DURATION_S
    assert heard == pytest.approx(at, abs=0.06)
    assert heard == pytest.approx(shown, abs=0.3)  # and the latency of the output


def test_keys_seek_and_play(browser, page):
    browser.open(page)
    browser.press("End", 35)
    np.testing.assert_allclose(place_of_cursors(browser), 1, atol=1e-5)
    browser.press("Home", 36)
    browser.press("ArrowRight", 39)
    browser.press("ArrowRight", 39)
    assert browser.js("time") == pytest.approx(0.12)
    browser.press("ArrowLeft", 37)
    assert browser.js("time") == pytest.approx(0.06)
    browser.press(" ", 32, " ")
    browser.until("playing && source && time > 0.15")
    browser.press(" ", 32, " ")
    assert browser.js("[playing, source]") == [False, None]
    # the slider alone, as a screen reader uses it
    browser.js("seek.focus()")
    start = browser.js("time")
    browser.press("ArrowRight", 39)
    assert browser.js("time") - start == pytest.approx(0.01, abs=0.0051)
    assert "Hz" in browser.js("seek.getAttribute('aria-valuetext')")


def test_tab_reaches_all_that_can_be_used(browser, page):
    browser.open(page)
    browser.js("document.body.focus()")
    reached = []
    for _ in range(30):
        browser.press("Tab", 9)
        reached.append(browser.js(
            "(({id, name, dataset, className, ariaLabel}) =>"
            " id || dataset.of || name || className || ariaLabel)(document.activeElement)"
        ))  # fmt: skip
    assert {"lines", "go", "csv", "json", "play", "sound", "seek", "Zoom in"} <= set(reached)


def test_pointer_seeks(browser, page):
    browser.open(page)
    for selector in ("#spectrogram .plot", "#f0 .plot"):
        x, y, width, height = browser.box(selector)
        browser.click(x + width / 4, y + height / 2)
        assert browser.js("time") == pytest.approx(DURATION_S / 4, abs=DURATION_S / width)
        browser.mouse("mousePressed", x + width / 4, y + height / 2, 1)
        browser.mouse("mouseMoved", x + width / 2, y + height / 2, 1)
        assert browser.js("time") == pytest.approx(DURATION_S / 2, abs=DURATION_S / width)
        browser.mouse("mouseReleased", x + width / 2, y + height / 2)
        browser.mouse("mouseMoved", x + width / 3, y + height / 2)  # no button: nothing happens
        assert browser.js("time") == pytest.approx(DURATION_S / 2, abs=DURATION_S / width)


def test_numbers_at_the_cursor(browser, page, tracks):
    browser.open(page)
    browser.js("go(1.0)")
    f0_hz = tracks.f0_hz[100]
    assert browser.js("now.textContent") == f"1.00 s · {f0_hz:.2f} Hz ± 1.5 cents · A3 +35"
    levels = browser.js("[...strips].map((strip) => strip.textContent)")
    assert levels == [f"\N{MINUS SIGN}{level}" for level in (10, 20, 30)]
    browser.js("document.querySelector('.go').click()")
    assert browser.js("time") == 0.0
    browser.js("go(5.9)")
    assert "no pitch, best guess" in browser.js("now.textContent")


def test_numbers_are_downloaded(browser, page, tracks, tmp_path):
    browser.open(page)
    browser("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path / "down"))
    tracks.save_csv(tmp_path / "a.csv")
    tracks.save_json(tmp_path / "a.json")
    for key, suffix in (("csv", ".f0.csv"), ("json", ".json")):
        browser.js(f"document.querySelector('[data-of={key}]').scrollIntoView({{block: 'center'}})")
        x, y, width, height = browser.box(f"[data-of={key}]")
        browser.click(x + width / 2, y + height / 2)
        end = time.monotonic() + 20
        while not (found := list((tmp_path / "down").glob(f"a take*{suffix}"))):
            assert time.monotonic() < end
            time.sleep(0.05)
        assert found[0].read_bytes() == (tmp_path / f"a.{key}").read_bytes()


def test_zoomed_pictures_keep_the_cursor_in_view(browser, page):
    browser.open(page, 390)
    width = browser.js("plots[0].clientWidth")
    for _ in range(3):
        x, y, wide, high = browser.box("#zoom button[value='2']")
        browser.click(x + wide / 2, y + high / 2)
    assert browser.js("plots[0].clientWidth") > 7.5 * width
    browser.press("Home", 36)
    press_play(browser)
    browser.until("time > 0.8")
    place = browser.js("plots[0].clientWidth * time / duration - scroll.scrollLeft")
    assert 0 <= place <= browser.js("scroll.clientWidth")
    assert browser.js("scroll.scrollLeft") > 0
    browser.press(" ", 32, " ")
    assert browser.js("document.documentElement.scrollWidth") <= 390


def test_everything_has_a_name(browser, page):
    browser.open(page)
    browser("Accessibility.enable")
    nodes = browser("Accessibility.getFullAXTree")["nodes"]
    named = {"button", "link", "slider", "radio", "checkbox", "image", "img", "table", "heading"}
    seen = set()
    for node in nodes:
        role = node.get("role", {}).get("value")
        if not node.get("ignored") and role in named:
            assert role == "table" or node["name"]["value"].strip(), node
            seen.add((role, node["name"]["value"]))
    assert {("slider", "Time in the recording"), ("button", "Play"), ("radio", "model")} <= seen
    browser("Accessibility.disable")


def test_lines_can_be_hidden(browser, page):
    browser.open(page)
    shown = "getComputedStyle(document.querySelector('#spectrogram svg')).visibility"
    assert browser.js(shown) == "visible"
    x, y, width, height = browser.box("#lines")
    browser.click(x + width / 2, y + height / 2)
    assert browser.js(shown) == "hidden"


def test_prints_in_full(browser, page):
    browser.open(page, scheme="dark")
    browser.js("setZoom(8)")
    printed = base64.b64decode(browser("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF") and browser.js("zoom") == 1
