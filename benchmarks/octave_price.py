"""Which price of an octave makes `fit_note` decide right: how `OCTAVE_PRICE` was chosen.

    python -m benchmarks.octave_price            # needs fluidsynth and the FluidR3 GM soundfont

Renders notes of instruments that the project's recordings do not hold, fits the candidates of
each and prints between which two prices the true f0 wins: it must exceed what a candidate below
gains in misfit for each octave, and stay below what a candidate above loses.
"""

import sys
from pathlib import Path

import click
import numpy as np

from spectralot.audio import resample
from spectralot.estimate import fit

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "notes"))

from render import SAMPLE_RATE, render

# General MIDI program (from 0) and the range of its notes; organ and accordion (19, 21) have
# registers with partials an octave below the key, where the key's f0 is not the sound's
PROGRAMS = {
    6: (40, 84), 16: (40, 88), 19: (36, 90), 21: (48, 88), 22: (60, 88), 25: (40, 80),
    26: (40, 80), 33: (36, 60), 46: (36, 90), 52: (48, 78), 56: (55, 84), 60: (41, 72),
    69: (52, 80), 70: (36, 65), 71: (50, 90), 72: (74, 96), 77: (55, 84), 78: (60, 90),
    80: (40, 90), 104: (50, 76), 105: (50, 80), 110: (55, 90),
}  # fmt: skip


def margins(audio, f0_hz):
    """Lowest and highest price at which f0_hz wins, or None if it is no candidate."""
    x = resample(audio / np.abs(audio).max(), SAMPLE_RATE, fit.RATE)
    x = fit._loudest(x.astype(np.float64), fit.EXCERPT)
    starts = np.geomspace(40, 4200, 82)
    f0s, _ = fit._descend_transport(x, fit.RATE, starts, lambda: None)
    f0s = fit._with_relatives(x, fit.RATE, f0s, 40, 4200)
    misfit, _, _ = fit._fit_candidates(x, fit.RATE, f0s, lambda: None)
    octaves = np.log2(f0s / f0_hz)
    true = int(np.argmin(np.abs(octaves)))
    if abs(octaves[true]) > 0.04:
        return None
    cost = np.log2(misfit + fit.MISFIT_FLOOR)
    above = (octaves > 0.5) & fit._explains(misfit)
    below = octaves < -0.5
    gains = (cost[true] - cost) / np.where(octaves == 0, 1, -octaves)
    return gains[below].max(initial=-np.inf), gains[above].min(initial=np.inf)


@click.command()
@click.option("--soundfont", default="/usr/share/sounds/sf2/FluidR3_GM.sf2", show_default=True)
@click.option("--notes", default=4, show_default=True, help="Notes of each instrument.")
def main(soundfont, notes):
    """Print the two prices of every note."""
    for program, (low, high) in PROGRAMS.items():
        for pitch in np.linspace(low, high, notes).astype(int):
            audio, _ = render(soundfont, program, int(pitch))
            found = margins(audio, 440 * 2 ** ((pitch - 69) / 12))
            text = "not among the candidates" if found is None else "{:.3f} < {:.3f}".format(*found)
            print(f"program {program:3d} pitch {pitch:2d}: {text}", flush=True)


if __name__ == "__main__":
    main()
