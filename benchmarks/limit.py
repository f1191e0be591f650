"""``python -m benchmarks.limit``: the error of f0 against what statistics allow.

One frame of 64 ms at 16 kHz holds a tone of constant pitch, with harmonics of amplitude 1/k and
random phases, in white noise. f0 is drawn within +- 50 cents of its nominal value. The root mean
square error of each estimator stands beside the Cramer-Rao bound for unknown f0, amplitudes and
phases, from the exact Fisher matrix. SNR: power of all harmonics over that of the noise. Trackers
that need more get 0.3 s of the same tone and are read in its middle; what they use of it is
theirs, and the bound remains that of 64 ms.

Writes docs/limit.md's tables, its figure, and every number as JSON; estimators that are not named
keep the numbers they have there.
"""

import argparse
import json
from pathlib import Path

from . import one_thread

if __name__ == "__main__":
    one_thread()

import numpy as np

from .landscape_study import write_table
from .trackers import TRACKERS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/limit.md"
FIGURE = ROOT / "docs/images/limit.png"
RESULTS = ROOT / "benchmarks/limit.json"

RATE, N_SAMPLES, LONG = 16000, 1024, 4800
PITCHES_HZ = (60, 110, 220, 440, 1000)
HARMONICS = (1, 8, 20)
SNRS_DB = tuple(range(-10, 61, 5))
PEERS = ("yin", "praat_ac", "harvest")
PEER_HARMONICS = 8
LEAVES = 2.0  # times the bound: where an estimator counts as having left it


def times(n):
    """Seconds from the middle of a frame."""
    return (np.arange(n) - (n - 1) / 2) / RATE


def orders(f0_hz, n_harmonics):
    """The harmonics of a tone, those below Nyquist even 50 cents higher."""
    h = np.arange(1, n_harmonics + 1)
    return h[h * f0_hz * 1.03 < RATE / 2]


def bound_hz(f0_hz, amplitudes, phases, noise_rms, n=N_SAMPLES, *, slope=False):
    """Least standard deviation of f0 in Hz, for unknown amplitudes, phases and, it may be, slope.

    The Fisher matrix is J'J / sigma^2. What is left of the column of f0 off the span of the others
    has the length sigma / (standard deviation): no inverse is needed.
    """
    t, h = times(n), np.arange(1, len(amplitudes) + 1)
    angle = 2 * np.pi * f0_hz * t[:, None] * h
    turned = amplitudes * h * np.sin(angle + phases)
    by_f0 = -2 * np.pi * t * turned.sum(axis=1)
    others = np.hstack([np.cos(angle), np.sin(angle)])
    if slope:
        by_slope = np.square(t) * turned.sum(axis=1)
        others = np.hstack([others, by_slope[:, None]])
    others = others / np.linalg.norm(others, axis=0)
    left = by_f0 - others @ np.linalg.lstsq(others, by_f0, rcond=1e-10)[0]
    return noise_rms / np.linalg.norm(left)


def draw(rng, f0_hz, n_harmonics, snr_db, n, slope):
    """A noisy tone of n samples, its f0 and the bound in cents of its middle 64 ms."""
    f0_hz = f0_hz * 2 ** (rng.uniform(-50, 50) / 1200)
    h = orders(f0_hz / 1.03, n_harmonics)
    amplitudes, phases = 0.2 / h, rng.uniform(0, 2 * np.pi, len(h))
    tone = np.cos(2 * np.pi * f0_hz * times(n)[:, None] * h + phases) @ amplitudes
    noise_rms = np.sqrt(0.5 * np.sum(amplitudes**2)) * 10 ** (-snr_db / 20)
    bound = bound_hz(f0_hz, amplitudes, phases, noise_rms, slope=slope)
    return tone + noise_rms * rng.standard_normal(n), f0_hz, 1200 / np.log(2) * bound / f0_hz


def spectralot(slope):
    """f0 of one frame and its standard error in cents: a global search that is told nothing."""
    from spectralot import fit_harmonics

    def estimate(frame):
        found = fit_harmonics(frame, RATE, slope=slope)
        return found.f0_hz, found.f0_std_cents

    return estimate


def peer(name):
    track = TRACKERS[name]()

    def estimate(audio):
        t, f0, _ = track(audio.astype(np.float32), RATE)
        middle = len(audio) / 2 / RATE
        return (float(f0[np.argmin(np.abs(t - middle))]) if len(f0) else 0.0), np.nan

    return estimate


def curve(estimate, rng, f0_hz, n_harmonics, n, trials, slope=False):
    """Errors of one estimator over the SNRs: rmse and bound in cents, gross errors, coverage."""
    out = {key: [] for key in ("rmse_cents", "bound_cents", "gross", "coverage")}
    for snr_db in SNRS_DB:
        error, std, bound = np.empty((3, trials))
        for k in range(trials):
            x, truth, bound[k] = draw(rng, f0_hz, n_harmonics, snr_db, n, slope)
            found, std[k] = estimate(x)
            error[k] = 1200 * np.log2(found / truth) if found > 0 else np.inf
        out["rmse_cents"].append(float(np.sqrt(np.mean(np.minimum(np.abs(error), 9600) ** 2))))
        out["bound_cents"].append(float(np.sqrt(np.mean(bound**2))))
        out["gross"].append(float(np.mean(np.abs(error) > 50)))
        inside = np.abs(error) <= 1.96 * std
        out["coverage"].append(None if np.isnan(std).any() else float(np.mean(inside)))
    return {k: [v if v is None else float(f"{v:.5g}") for v in column] for k, column in out.items()}


def threshold_db(result):
    """The SNR from which on the error stays within twice the bound; None if it never does."""
    ratio = np.array(result["rmse_cents"]) / result["bound_cents"]
    inside = np.flatnonzero(ratio > LEAVES)
    first = inside[-1] + 1 if len(inside) else 0
    return SNRS_DB[first] if first < len(SNRS_DB) else None


def study(names, trials, peer_trials, slope, seed=0):
    """Curves of the estimators named: {estimator: {"f0 H": curve}}."""
    jobs = []
    for name in names:
        try:
            if name == "spectralot":
                jobs.append((name, spectralot(slope), HARMONICS, N_SAMPLES, trials))
            else:
                jobs.append((name, peer(name), (PEER_HARMONICS,), LONG, peer_trials))
        except ImportError as error:
            print(f"without {name}: {error}")
    results = {}
    for name, estimate, counts, n, count in jobs:
        for f0_hz in PITCHES_HZ:
            # where Nyquist leaves 20 no more harmonics than 8, they are the same tone
            for h in sorted({len(orders(f0_hz, h)): h for h in reversed(counts)}.values()):
                rng = np.random.default_rng([seed, f0_hz, h])
                found = curve(estimate, rng, f0_hz, h, n, count, slope)
                results.setdefault(name, {})[f"{f0_hz} {h}"] = found
        print(name, flush=True)
    return results


def ratios(results, snrs_db=(0, 10, 20, 40, 60)):
    """Table: rmse / bound, threshold and coverage of every tone."""
    head = "| f0 / Hz | harmonics | " + " | ".join(f"{s} dB" for s in snrs_db)
    lines = [head + " | leaves 2 x bound below | 95 % interval holds |"]
    lines.append("|---:" * (len(snrs_db) + 4) + "|")
    for key, found in results["spectralot"].items():
        ratio = np.array(found["rmse_cents"]) / found["bound_cents"]
        cells = [f"{ratio[SNRS_DB.index(s)]:.3g}" for s in snrs_db]
        edge = threshold_db(found)
        above = [c for s, c in zip(SNRS_DB, found["coverage"], strict=True) if s >= (edge or 0)]
        cells += [
            "never reached" if edge is None else f"{edge} dB",
            f"{100 * np.mean(above):.1f} %",
        ]
        f0_hz, h = (int(v) for v in key.split())
        lines.append(f"| {f0_hz} | {len(orders(f0_hz, h))} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def comparison(results, snrs_db=(0, 10, 20, 40, 60)):
    """Table: rmse in cents of every estimator, 8 harmonics."""
    lines = ["| f0 / Hz | | " + " | ".join(f"{s} dB" for s in snrs_db) + " |"]
    lines.append("|---:|---|" + "---:|" * len(snrs_db))
    for f0_hz in PITCHES_HZ:
        key = f"{f0_hz} {PEER_HARMONICS}"
        rows = {"bound": results["spectralot"][key]["bound_cents"]}
        rows |= {name: found[key]["rmse_cents"] for name, found in results.items()}
        for name, values in rows.items():
            cells = (f"{values[SNRS_DB.index(s)]:.3g}" for s in snrs_db)
            lines.append(f"| {f0_hz} | {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def figure(results, path):
    """Errors over SNR, one panel for each f0, and their ratio to the bound."""
    from matplotlib.figure import Figure

    from spectralot.plot import BLUE, GREEN, GREY, VERMILLION

    colors = {"spectralot": VERMILLION, "yin": GREY, "praat_ac": BLUE, "harvest": GREEN}
    labels = {"harvest": "Harvest + StoneMask", "yin": "YIN", "praat_ac": "Praat"}
    sheet = Figure(figsize=(11, 6.4), layout="constrained")
    axes = sheet.subplots(2, 3, sharex=True).ravel()
    for ax, f0_hz in zip(axes, PITCHES_HZ, strict=False):
        key = f"{f0_hz} {PEER_HARMONICS}"
        bound = results["spectralot"][key]["bound_cents"]
        ax.fill_between(SNRS_DB, bound, 1e-5, color="0.88", lw=0)
        ax.plot(SNRS_DB, bound, color="black", lw=1, label="Cramér-Rao bound")
        for name in reversed(results):
            rmse = results[name][key]["rmse_cents"]
            style = dict(marker="o", ms=4) if name == "spectralot" else dict(lw=1.3)
            ax.plot(SNRS_DB, rmse, color=colors[name], label=labels.get(name, name), **style)
        ax.set(yscale="log", ylim=(1e-4, 1e4), title=f"{f0_hz} Hz")
        ax.grid(alpha=0.3)
    last = axes[-1]
    shades = ("#E69F00", "#56B4E9", "#CC79A7", "#009E73", "#000000")
    styles = dict(zip(HARMONICS, (":", "-", "--"), strict=True))
    for key, found in results["spectralot"].items():
        f0_hz, h = (int(v) for v in key.split())
        ratio = np.array(found["rmse_cents"]) / found["bound_cents"]
        last.plot(SNRS_DB, ratio, styles[h], color=shades[PITCHES_HZ.index(f0_hz)], lw=1.2)
    last.set(yscale="log", ylim=(0.5, 100), title="spectralot / bound, all tones")
    last.axhline(1, color="black", lw=0.8)
    last.axhline(LEAVES, color="black", lw=0.8, ls=":")
    last.grid(alpha=0.3)
    for f0_hz, shade in zip(PITCHES_HZ, shades, strict=True):
        last.plot([], [], color=shade, label=f"{f0_hz} Hz")
    for h, style in styles.items():
        last.plot([], [], style, color="0.3", label=f"{h} harmonic{'s' * (h > 1)}")
    last.legend(fontsize=7.5, ncols=2)
    axes[0].legend(fontsize=7.5)
    sheet.supxlabel("SNR / dB")
    sheet.supylabel("root mean square error of f0 / cents")
    sheet.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limit", description=__doc__)
    parser.add_argument("--estimators", default=",".join(("spectralot", *PEERS)))
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--peer-trials", type=int, default=50)
    parser.add_argument("--slope", action="store_true", help="f0 may move; only prints")
    parser.add_argument("--draft", action="store_true", help="print tables, write nothing")
    options = parser.parse_args()
    options.draft |= options.slope
    names = options.estimators.split(",")
    results = study(names, options.trials, options.peer_trials, options.slope)
    if RESULTS.exists() and not options.draft:
        kept = json.loads(RESULTS.read_text(encoding="utf-8"))["results"]
        results = {n: (kept | results)[n] for n in ("spectralot", *PEERS) if n in kept | results}
    if not options.draft:
        RESULTS.write_text(json.dumps({"snrs_db": SNRS_DB, "results": results}) + "\n")
    if "spectralot" in results:
        print(ratios(results), comparison(results), sep="\n\n")
        if not options.draft:
            write_table(ratios(results), PAGE, "ratios")
            write_table(comparison(results), PAGE, "comparison")
            figure(results, FIGURE)


if __name__ == "__main__":
    main()
