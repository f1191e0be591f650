"""What each idea does alone for learning f0 without labels: ``python -m benchmarks.ideas``.

The base is one loss of everything, SOT-2048, descended along its whole gradient, with amplitudes as
factors of the frame's level and a constant learning rate. An idea changes one thing. Runs that are
in ideas.json are not repeated.
"""

import argparse
import json
import os
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from spectralot.files import writing

from .landscape_study import write_table

RESULTS = Path("benchmarks/ideas.json")
STEPS, SEEDS = 1000, 5
ENCODER = {"kind": "shared", "amplitudes": "level", "temperature": 0.1}
BASE = dict(objective="SOT-2048", learning_rate=2e-3, schedule="constant", warmup=0, refine=False)


# --- ideas that are terms of the objective: (progress, amplitudes) to value and gradient ---------


def cost_of_high_harmonics(progress, amplitudes):
    """Amplitude times harmonic number, from half of the training on: f / 2 costs more than f."""
    weight = 0.02 * (progress >= 0.5) / amplitudes[..., 0].size
    slopes = np.broadcast_to(weight * np.arange(1, amplitudes.shape[-1] + 1), amplitudes.shape)
    return float((slopes * amplitudes).sum()), slopes


def empty_odd_harmonics(progress, amplitudes):
    """A tenth of the energy, at least, should be odd: at f / 2 the odd harmonics are empty."""
    odd = np.arange(amplitudes.shape[-1]) % 2 == 0
    energy = np.square(amplitudes).sum(axis=-1, keepdims=True) + 1e-12
    share = np.square(amplitudes[..., odd]).sum(axis=-1, keepdims=True) / energy
    weight = 0.1 * (share < 0.1) / share.size
    value = float((weight * (0.1 - share)).sum())
    return value, -weight * 2 * amplitudes * (odd - share) / energy


def smooth_envelope(progress, amplitudes):
    """Neighbouring harmonics of about one level: the square of their difference in nepers."""
    steps = np.diff(np.log(amplitudes + 1e-3), axis=-1)
    weight = 1e-3 / steps.size
    slopes = np.zeros_like(amplitudes)
    slopes[..., 1:] += 2 * weight * steps
    slopes[..., :-1] -= 2 * weight * steps
    return weight * float(np.square(steps).sum()), slopes / (amplitudes + 1e-3)


# --- ideas that change the run --------------------------------------------------------------------


class Changed:
    """An objective with a term more, or with other losses as the training goes on."""

    def __init__(self, objective, term=None, losses=None, steering=1.0):
        self._objective, self._term, self._losses = objective, term, losses
        self.steering = steering
        self.moved = getattr(objective, "moved", None)

    def __call__(self, step, n_steps, audio, f0_hz, amplitudes):
        if self._losses is not None:
            self._objective._loss = self._losses(step / n_steps)
        value, d_f0, d_amplitudes = self._objective(step, n_steps, audio, f0_hz, amplitudes)
        if self._term is not None:
            more, slopes = self._term(step / n_steps, amplitudes)
            value, d_amplitudes = value + more, d_amplitudes + slopes.astype(amplitudes.dtype)
        return value, d_f0, d_amplitudes


def without_floor(progress):
    """The paper's loss on what stands above four medians of each frame."""
    from spectralot import LIN, SOT, WeightedSum

    return WeightedSum({"sot": (1.0, SOT(2048, noise_floor=4.0)), "lin": (0.05, LIN())})


def from_transport_to_mss(progress):
    """Transport fades out, MSS comes in."""
    from spectralot import LIN, MSS, SOT, WeightedSum

    vertical = {"lin": (0.05, LIN()), "mss": (0.05 * progress, MSS(floor=0.03))}
    return WeightedSum({"sot": (1 - progress, SOT(2048))} | vertical)


def octave_moves(run):
    """Every 300 steps: up if the loss does not grow, else down, to see what comes of it."""
    if run.step % 300 or not 0 < run.step < run.config.steps - 300:
        return
    encoder, here = run.model.encoder, run.parameters
    up = moved(encoder, here, 1)
    if loss_of(run, up) <= 1.02 * loss_of(run, here):
        here.flat[:] = up.flat
    elif run.step < run.config.steps - 600:
        here.flat[:] = moved(encoder, here, -1).flat
    run.adam.mean[:] = 0


def moved(encoder, parameters, octaves):
    """The same sounds at an octave more or less: harmonic k becomes k / 2 or 2k."""
    new = parameters.like()
    new.flat[:] = parameters.flat
    bins = -octaves * encoder.bins_per_octave
    new["pitch.kernel"][...] = shifted(parameters["pitch.kernel"].T, bins).T
    seen = parameters["amplitude.0.weight"]  # the spectrum around f0, and f0
    new["amplitude.0.weight"][:-1] = shifted(seen[:-1], bins)
    new["amplitude.0.bias"][...] += seen[-1] * np.float32(bins / encoder.n_bins)
    weight, bias = "amplitude.1.weight", "amplitude.1.bias"
    few, even = np.arange(encoder.n_harmonics // 2), np.arange(1, encoder.n_harmonics, 2)
    old, now = (even, few) if octaves > 0 else (few, even)
    new[weight][...], new[bias][...] = 0, -2.0  # what is new starts quietly
    new[weight][:, now], new[bias][now] = parameters[weight][:, old], parameters[bias][old]
    return new


def shifted(rows, n):
    """Rows moved down by n, or up; zeros come in."""
    new = np.zeros_like(rows)
    new[max(n, 0) : len(rows) + min(n, 0)] = rows[max(-n, 0) : len(rows) + min(-n, 0)]
    return new


def loss_of(run, parameters):
    """Loss of some validation sounds with these parameters."""
    audio, T = run.validation.audio[:96], run.n_frames
    features = run.model.frames(audio, T)
    f0, amplitudes, _ = run.model.encoder.forward(
        parameters, features.reshape(-1, features.shape[2])
    )
    shaped = f0.reshape(-1, T), amplitudes.reshape(len(audio), T, -1)
    return run.objective(run.step, run.config.steps, audio, *shaped)[0]


# name: changes of the settings, of the encoder, of the objective, and what is done in every step
IDEAS = {
    "nothing": {},
    "amplitudes start in the first harmonic": {"encoder": {"tilt": 1.0}},
    "amplitudes start alike and loud": {"encoder": {"start": 0.45}},
    "one vote a frame at most": {"settings": {"clip": 0.5}},
    "f0 does not learn from where spectra are read": {"changed": {"steering": 0.0}},
    "warm-up and cosine": {"settings": {"schedule": "cosine", "warmup": 100}},
    "sharper softmax, 0.01": {"encoder": {"temperature": 0.01}},
    "octave moves of the whole network": {"every_step": octave_moves},
    "moves of each sound by whole ratios": {"settings": {"moves": 3}},
    "cost of high harmonics, late": {"changed": {"term": cost_of_high_harmonics}},
    "no empty odd harmonics": {"changed": {"term": empty_odd_harmonics}},
    "smooth envelope": {"changed": {"term": smooth_envelope}},
    "noise floor subtracted": {"changed": {"losses": without_floor}},
    "from transport to MSS": {"changed": {"losses": from_transport_to_mss}},
    "transport of pitch salience": {"settings": {"objective": "SOT-Pitch"}},
    "guide, transport of pitch, MSS for amplitudes": {
        "settings": {"objective": "guided"},
        "changed": {"steering": 0.0},
    },
}


def run_idea(name, seed, steps, n_sounds):
    """Train and test once."""
    from spectralot.learn import TrainConfig, paper_sounds, scores
    from spectralot.learn.trainer import _Run

    idea = IDEAS[name]
    settings = BASE | idea.get("settings", {})
    config = TrainConfig(
        encoder=ENCODER | idea.get("encoder", {}), seed=seed, steps=steps, **settings
    )
    training, validation, test = paper_sounds(n_sounds).split()
    run = _Run(config, training, validation, None)
    run.objective = Changed(run.objective, **idea.get("changed", {}))
    while run.step < steps:
        idea.get("every_step", lambda run: None)(run)
        run.advance()
        if run.step % max(1, steps // 5) == 0:
            run.validate()
    run.model.parameters.flat[:] = run.best_parameters().flat
    return {
        "idea": name, "seed": seed, "steps": steps, "sounds": n_sounds,
        "test": scores(run.model, test),
        "log": [{k: round(row[k], 3) for k in ("step", "loss", "lsd", "rpa", "rca")}
                for row in run.log],
    }  # fmt: skip


def table(runs):
    """Markdown table: mean and every seed."""
    lines = ["| idea | LSD, dB² | RPA %: mean, each seed | RCA %: mean, each seed |"]
    lines.append("|---|---:|---|---|")
    for name in IDEAS:
        tests = [run["test"] for run in runs if run["idea"] == name]
        if not tests:
            continue
        cells = [f"{statistics.mean(t['lsd'] for t in tests):.1f}"]
        for key in ("rpa", "rca"):
            each = [t[key] for t in tests]
            cells.append(f"{statistics.mean(each):.0f}: {', '.join(f'{v:.0f}' for v in each)}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main():
    """Run what is missing, each run written as it ends; print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idea", action="append", choices=IDEAS, help="default: all")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--sounds", type=int, default=4000)
    parser.add_argument("-j", "--jobs", type=int, default=1)
    parser.add_argument("-o", "--output", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, help="write the table between its marks there")
    options = parser.parse_args()
    path = options.output
    runs = json.loads(path.read_text()) if path.exists() else []
    keys = ("idea", "seed", "steps", "sounds")
    done = {tuple(run[key] for key in keys) for run in runs}
    jobs = [
        (name, seed, options.steps, options.sounds)
        for seed in range(options.seeds)
        for name in (options.idea or IDEAS)
    ]
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        for future in as_completed(pool.submit(run_idea, *job) for job in jobs if job not in done):
            runs.append(future.result())
            runs.sort(key=lambda run: (list(IDEAS).index(run["idea"]), run["seed"]))
            with writing(path, overwrite=True) as part:
                part.write_text("[\n" + ",\n".join(map(json.dumps, runs)) + "\n]\n")
            print(f"{len(runs)} runs", flush=True)
    print(table(runs))
    if options.page is not None:
        write_table(table(runs), options.page, "ideas")


if __name__ == "__main__":
    main()
