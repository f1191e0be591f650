"""``python -m benchmarks.voicing SET [SET ...]``: the weights of the estimator's voicing measures.

A SET is a folder as benchmarks.material writes it (use the dev split). Logistic regression of
voiced or not, both classes weighing the same; frames that are not judged are left out. Prints the
weights for spectralot/estimate/_voicing.py and how well they separate each set.

The weights there come from

    python -m benchmarks.material dev
    python -m benchmarks.material pink --noise pink --snr 10
    python -m benchmarks.material white --noise white --snr 0
    python -m benchmarks.voicing dev pink white
"""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from spectralot import HarmonicEstimator, read_audio
from spectralot.estimate import _voicing as voicing
from spectralot.estimate._result import joined_chunks, voicing_measures

from .trackers import read_rows

PENALTY = 1e-4  # on the squares of the weights, so that measures alike share them


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.voicing", description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    options = parser.parse_args()
    estimator = HarmonicEstimator(n_harmonics=0)
    frames = {folder: frames_of(folder, estimator) for folder in options.sets}
    measures, voiced = (np.concatenate(part) for part in zip(*frames.values(), strict=True))
    weights = fit(measures, voiced)
    print("measures", ", ".join(voicing.MEASURES))
    print("weights ", ", ".join(f"{weight:.2f}" for weight in weights))
    for folder, (measures, voiced) in frames.items():
        said = measures @ weights > 0
        recall, alarms = 100 * said[voiced].mean(), 100 * said[~voiced].mean()
        print(f"{folder}: recall {recall:.1f} %, false alarms {alarms:.1f} %, frame by frame")


def frames_of(folder, estimator):
    """Measures (T, M) and truth (T,) of all judged frames of a set."""
    measures, voiced = [], []
    for row in read_rows(folder):
        audio, rate = read_audio(folder / row["file"])
        stream = estimator._stream([audio], rate)
        found = voicing_measures(joined_chunks(stream.parts), stream.step_s)
        table = np.loadtxt(folder / row["annotation"], delimiter=",", skiprows=1, ndmin=2)
        times = np.arange(len(found)) * stream.step_s
        nearest = np.abs(table[:, :1] - times).argmin(axis=0)
        f0_hz = table[nearest, 1]
        judged = ~np.isnan(f0_hz) & (np.abs(table[nearest, 0] - times) < 0.02)
        measures.append(found[judged])
        voiced.append(f0_hz[judged] > 0)
    return np.concatenate(measures), np.concatenate(voiced)


def fit(measures, voiced):
    """Weights (M,) of largest likelihood, both classes weighing the same."""
    share = np.where(voiced, 1 / voiced.sum(), 1 / (~voiced).sum())

    def loss(weights):
        z = measures @ weights
        value = -np.sum(share * np.where(voiced, log_expit(z), log_expit(-z)))
        slope = -measures.T @ (share * (voiced - expit(z)))
        slope[1:] += 2 * PENALTY * weights[1:]
        return value + PENALTY * np.sum(weights[1:] ** 2), slope

    return minimize(loss, np.zeros(measures.shape[1]), jac=True, method="L-BFGS-B").x


if __name__ == "__main__":
    main()
