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

import spectralot as so
from spectralot.landscape import landscape, minimum_error, noisy_tone, slope_accuracy, timbre

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/reproduction.md"
FIGURE = ROOT / "docs/images/landscape_study.png"
RESULTS = ROOT / "benchmarks/landscape_study.json"

RATE, N_SAMPLES, F0_HZ = 16000, 4096, 220.0
CENTS = 1200 * np.log2(np.geomspace(50, 1600, 161) / F0_HZ)
ORDERS = np.arange(1, 9)
FALLING, UNIFORM = timbre("1/k", 8), timbre("uniform", 8)
SIZES = (2048, 1024, 512, 256, 128, 64)
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


def losses():
    """Every loss of the family: the paper's with its own padding, the rest on whole frames."""
    whole = dict(padding="none", sample_rate=RATE)
    cents = dict(frequency_axis="cents", p=1, mass="balanced", **whole)
    bands = dict(frequency_axis="cents", p=1, mass="balanced")
    paper = ("SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut", "SOT-2048-SS")
    return {
        "LIN": so.LIN(SIZES, padding="none"),
        "LIN, A-weighted": so.LIN(SIZES, weighting="A", **whole),
        "LOG": so.LOG(SIZES, padding="none"),
        "MSS": so.MSS(SIZES, padding="none"),
        "SmoothMSS": so.SmoothMSS(padding="none"),
        "SpectralConvergence 2048": so.SpectralConvergence(2048, padding="none"),
        "LogCosh 2048": so.LogCosh(2048, padding="none"),
        **{f"preset {name}": so.preset(name, RATE) for name in paper},
        "SOT-2048 on whole frames": so.WeightedSum(
            {"sot": (1.0, so.SOT(2048, **whole)), "lin": (0.05, so.LIN(SIZES, padding="none"))}
        ),
        "SOT linear, p = 2, balanced": so.SOT(2048, mass="balanced", **whole),
        "SOT linear, p = 2, cutoff": so.SOT(2048, **whole),
        "SOT Hz": so.SOT(2048, **{**cents, "frequency_axis": "hz"}),
        "SOT mel": so.SOT(2048, **{**cents, "frequency_axis": "mel"}),
        "SOT ERB": so.SOT(2048, **{**cents, "frequency_axis": "erb"}),
        "SOT cents": so.SOT(2048, **cents),
        "SOT cents, p = 2": so.SOT(2048, **{**cents, "p": 2}),
        "SOT cents, magnitudes": so.SOT(2048, power=1, **cents),
        "SOT cents, 2048 + 1024 + 512": so.SOT((2048, 1024, 512), **cents),
        "SOT cents, level kept": so.SOT(2048, level_weight=10, **cents),
        "SOT cents, A-weighted": so.SOT(2048, weighting="A", **cents),
        "SOT cents, floor": so.SOT(2048, noise_floor=4, **cents),
        "SOT cents, floor, p = 2": so.SOT(2048, noise_floor=4, **{**cents, "p": 2}),
        "SOT cents, partial 0.8": so.SOT(2048, **{**cents, "mass": "partial"}, share=0.8),
        "SOT cents, unbalanced 600": so.SOT(2048, **{**cents, "mass": "unbalanced"}, reach=600),
        "SOT mel bands": so.SOT(
            so.Mel(128, 2048, hop_length=256, padding="none", power=2, sample_rate=RATE), **bands
        ),
        "SOT constant-Q": so.SOT(so.ConstantQ(power=2, sample_rate=RATE), **bands),
        "SOT along time": so.SOT(256, hop_length=64, along="time", p=1, mass="balanced", **whole),
        "SOT pitch salience": so.SOT(so.PitchSalience(sample_rate=RATE), **bands),
        "preset SOT-Pitch": so.preset("SOT-Pitch", RATE),
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


def draw(curves, worst, path):
    """Four losses in four cases."""
    from matplotlib.figure import Figure

    from spectralot.plot import BLUE, GREEN, GREY, VERMILLION

    shown = {"MSS": GREY, "preset SOT-2048": VERMILLION, "SOT cents, floor": GREEN,
             "preset SOT-Pitch": BLUE}  # fmt: skip
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
        ax.set_ylabel(name.removeprefix("preset "))
    figure.supxlabel("error of f0 / octaves")
    figure.supylabel("loss / maximum; black: the slope leads away")
    figure.savefig(path, dpi=110)


def write_table(text, page, name):
    """Put the table between the page's two comments of this name."""
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    head, rest = page.read_text(encoding="utf-8").split(start, 1)
    tail = rest.split(end, 1)[1]
    page.write_text(f"{head}{start}{text}\n{end}{tail}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="losses whose name contains this; prints, writes nothing")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    family = {name: loss for name, loss in losses().items() if (options.only or "") in name}
    curves = study(family, options.seeds)
    worst = scores(curves)
    print(table(worst))
    if options.only is None:
        write_table(table(worst), PAGE, "study")
        draw(curves, worst, FIGURE)
        RESULTS.write_text(json.dumps({"seeds": options.seeds, "worst": worst}, indent=1) + "\n")


if __name__ == "__main__":
    main()
