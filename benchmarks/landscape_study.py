"""``python -m benchmarks.landscape_study``: where the slope of each loss leads, and its minimum.

A tone of 220 Hz with 8 partials is compared with candidates from 50 to 1600 Hz, in 161 equal
steps of pitch. A cell of the table holds the share of candidates whose slope points to the
target, and the error of the global minimum: the worst of 5 seeds, which draw the target's phases
and the noise. Writes docs/reproduction.md's table, its figure, and every number as JSON.
"""

import argparse
import json
from functools import partial
from pathlib import Path

import numpy as np

from spectralot.landscape import landscape, minimum_error, noisy_tone, slope_accuracy, timbre
from spectralot.losses import FAMILY, named_loss

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reproduction.md"
FIGURE = ROOT / "docs/images/landscape_study.png"
RESULTS = ROOT / "benchmarks/landscape_study.json"

RATE, N_SAMPLES, F0_HZ = 16000, 4096, 220.0
CENTS = 1200 * np.log2(np.geomspace(50, 1600, 161) / F0_HZ)
ORDERS = np.arange(1, 9)
FALLING, UNIFORM = timbre("1/k", 8), timbre("uniform", 8)
SEEDS = 5


def target(seed, amplitudes=FALLING, **noise):
    """A tone of random phases."""
    duration_s = N_SAMPLES / RATE
    return noisy_tone(
        F0_HZ, amplitudes, duration_s=duration_s, sample_rate=RATE, seed=seed, **noise
    )


# the target of a seed, and the candidates' amplitudes
CASES = {
    "clean": (target, FALLING),
    "wrong timbre": (target, UNIFORM),
    "missing fundamental": (partial(target, amplitudes=FALLING * (ORDERS > 1)), FALLING),
    **{
        f"{kind} {snr_db} dB": (partial(target, noise=kind, snr_db=snr_db), FALLING)
        for kind in ("white", "pink")
        for snr_db in (20, 10, 0)
    },
}


def study(family, seeds):
    """For each case and loss: curves of every seed, values and slopes (seeds, 161)."""
    curves = {}
    for case, (target_of, amplitudes) in CASES.items():
        for seed in range(seeds):
            x = target_of(seed)
            _, found = landscape(x, F0_HZ, amplitudes, family, cents=CENTS, sample_rate=RATE)
            for name, curve in found.items():
                curves.setdefault(case, {}).setdefault(name, []).append(curve)
        print(case, flush=True)
    return curves


def scores(curves):
    """Worst share of right slopes in percent and worst error of the minimum, by case and loss."""
    return {
        case: {
            name: (
                100 * min(slope_accuracy(CENTS, slopes) for _, slopes in seeds),
                max((minimum_error(CENTS, values) for values, _ in seeds), key=abs),
            )
            for name, seeds in found.items()
        }
        for case, found in curves.items()
    }


def table(worst):
    """Rows are losses, columns cases."""
    lines = ["| loss | " + " | ".join(worst) + " |", "|---|" + "---|" * len(worst)]
    for name in next(iter(worst.values())):
        cells = (f"{worst[case][name][0]:.0f} / {worst[case][name][1]:+.0f}" for case in worst)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


# other sounds: amplitudes of the target's harmonics 1 to 8; candidates have 1/k, a sine has its own
SOUNDS = {
    "1/k": 1 / ORDERS,
    "all equal": np.ones(8),
    "pure sine": (ORDERS == 1) * 1.0,
    "fundamental 20 dB down": np.where(ORDERS == 1, 0.1, 1 / ORDERS),
    "odd harmonics": (ORDERS % 2) / ORDERS,
    "without 1 and 2": (ORDERS > 2) / ORDERS,
    "even ones 20 dB up": np.where(ORDERS % 2 == 1, 0.1, 1.0) / ORDERS,
}
PITCHES = (73.4, 110.0, 220.0, 440.0, 880.0)


def other_sounds(loss):
    """Table of scores by sound and f0, within two octaves and 45 to 2000 Hz."""
    lines = ["| target | " + " | ".join(f"{f0:g} Hz" for f0 in PITCHES) + " |"]
    lines.append("|---|" + "---|" * len(PITCHES))
    for name, own in SOUNDS.items():
        cells = []
        for f0_hz in PITCHES:
            x = noisy_tone(f0_hz, 0.2 * own, duration_s=N_SAMPLES / RATE, seed=11)
            cents = np.linspace(-2400, 2400, 129)
            cents = cents[np.abs(np.log2(f0_hz * 2 ** (cents / 1200) / 300)) < np.log2(2000 / 300)]
            held = own if name == "pure sine" else 1 / ORDERS
            _, found = landscape(x, f0_hz, 0.2 * held, {"it": loss}, cents=cents)
            values, slopes = found["it"]
            share = 100 * slope_accuracy(cents, slopes)
            cells.append(f"{share:.0f} / {minimum_error(cents, values):+.0f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(curves, worst, path):
    """Four losses in four cases."""
    from matplotlib.figure import Figure

    from spectralot.plot import BLUE, GREEN, GREY, VERMILLION

    shown = {"MSS": GREY, "SOT-2048": VERMILLION, "SOT-floor": GREEN, "SOT-Pitch": BLUE}
    cases = ("clean", "wrong timbre", "missing fundamental", "white 0 dB")
    figure = Figure(figsize=(11, 8.2), layout="constrained")
    axes = figure.subplots(len(shown), len(cases), sharex=True, sharey=True)
    for row, (name, color) in zip(axes, shown.items(), strict=True):
        for ax, case in zip(row, cases, strict=True):
            values, slopes = curves[case][name][0]
            right = slopes * CENTS > 0
            scaled = values / values.max()
            ax.plot(CENTS / 1200, scaled, color=color, lw=1.5)
            ax.scatter(CENTS[~right] / 1200, scaled[~right], s=9, color="black", zorder=3)
            ax.axvline(0, color=GREY, lw=0.8, ls=":")
            share, error = worst[case][name]
            ax.text(0.5, 0.96, f"{share:.0f} %, {error:+.0f} cents", transform=ax.transAxes,
                    ha="center", va="top", fontsize=9)  # fmt: skip
            ax.set(ylim=(0, 1.25), yticks=(0, 0.5, 1), xticks=range(-2, 3))
            ax.grid(alpha=0.3)
    for ax, case in zip(axes[0], cases, strict=True):
        ax.set_title(case)
    for ax, name in zip(axes[:, 0], shown, strict=True):
        ax.set_ylabel(name)
    figure.supxlabel("error of f0 / octaves")
    figure.supylabel("loss / maximum; black: the slope leads away")
    figure.savefig(path, dpi=110)


def write_table(text, page, name):
    """Put the table between the page's two comments of this name."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, rest = page.read_text(encoding="utf-8").split(start, 1)
    tail = rest.split(end, 1)[1]
    page.write_text(f"{head}{start}{text}\n{end}{tail}", encoding="utf-8")


def page_with(name):
    """What argparse makes a page of that has both comments of this name."""
    marks = f"<!-- {name} -->", f"<!-- end of {name} -->"

    def page_of(text):
        page = Path(text)
        if not page.is_file() or any(m not in page.read_text(encoding="utf-8") for m in marks):
            raise argparse.ArgumentTypeError(f"{text} must be a page with {' and '.join(marks)}")
        return page

    return page_of


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="losses whose name contains this; prints, writes nothing")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    family = {name: named_loss(name, RATE) for name in FAMILY if (options.only or "") in name}
    curves = study(family, options.seeds)
    worst = scores(curves)
    print(table(worst))
    if options.only is None:
        write_table(table(worst), PAGE, "study")
        write_table(other_sounds(named_loss("SOT-Pitch", RATE)), PAGE, "other sounds")
        draw(curves, worst, FIGURE)
        RESULTS.write_text(json.dumps({"seeds": options.seeds, "worst": worst}, indent=1) + "\n")


if __name__ == "__main__":
    main()
