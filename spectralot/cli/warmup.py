"""``spectralot warmup``: everything compiled once, before it is waited for."""

import time

import click

from .common import one_line_on_failure, say
from .info import compiled_code


@click.command()
def warmup():
    """Compile what estimate, compare, fit, losses and training use, by running each once.

    Later commands find the compiled code in the cache folder that is printed; this command, given
    again, is quick. In a container, run it as it is built: "RUN spectralot warmup". Where the
    package's own folder cannot be written, set NUMBA_CACHE_DIR to a folder that can, both then
    and later. The code is for this kind of processor; on another it is compiled anew.

    Exit status: 0 all went well, 1 it failed.
    """
    with one_line_on_failure():
        began = time.perf_counter()
        for name, run in _PARTS.items():
            started = time.perf_counter()
            run()
            say(f"{name:<10}{time.perf_counter() - started:>7.1f} s")
        say(f"{'in all':<10}{time.perf_counter() - began:>7.1f} s")
        cache = compiled_code()
        if isinstance(cache, dict):
            cache = f"{cache['folder']}, {cache['files']} files, {cache['bytes'] / 1e6:.1f} MB"
        say(f"cache: {cache}")


def _note():
    """A third of a second of 220 Hz with a little noise."""
    import numpy as np

    time_s = np.arange(5000) / 16000
    tone = sum(np.sin(2 * np.pi * h * 220 * time_s) / h for h in range(1, 6))
    return 0.2 * tone + 0.001 * np.random.default_rng(0).standard_normal(len(time_s))


def _estimate():
    from ..estimate.estimator import HarmonicEstimator
    from ..estimate.harmonics import fit_harmonics
    from ..learn import ModelEstimator

    note = _note()
    for viterbi in (True, False):
        HarmonicEstimator(viterbi=viterbi).estimate(note, 16000).residual(note)
    ModelEstimator().estimate(note, 16000)
    for f0_hz in (None, 220.0):
        fit_harmonics(note[:1024], 16000, f0_hz, slope=True, inharmonicity=True)


def _resynth():
    from ..estimate.estimator import HarmonicEstimator
    from ..resynth import morph_tracks, render, shift_pitch

    tracks = HarmonicEstimator().estimate(_note(), 16000)
    render(morph_tracks(tracks, shift_pitch(tracks, 3), 0.5))


def _fit():
    from ..estimate.fit import fit_note

    fit_note(_note()[:2000], 16000)


def _losses():
    import numpy as np

    from ..compare import compare
    from ..losses import LineSOT
    from ..losses.family import FAMILY, named_loss

    for dtype in (np.float32, np.float64):
        note = _note().astype(dtype)
        compare(note, 0.5 * note[::-1], 16000)
        for name in FAMILY:
            named_loss(name)(note, 0.5 * note[::-1])
    LineSOT().harmonic([440.0, 880.0], [1.0, 0.5], 450.0, [1.0, 0.5])


def _training():
    from ..learn import ENCODERS, TrainConfig, paper_sounds, scores, train

    training, validation, test = paper_sounds(20).split()
    for kind in ENCODERS:
        config = TrainConfig(encoder={"kind": kind}, steps=2, batch_size=4)
        scores(train(config, training, validation).model, test)
    for objective in ("SOT-2048", "SOT-Pitch"):
        train(TrainConfig(objective=objective, steps=1, batch_size=4), training, validation)


_PARTS = {
    "estimate": _estimate, "resynth": _resynth, "fit": _fit, "losses": _losses,
    "training": _training,
}  # fmt: skip
