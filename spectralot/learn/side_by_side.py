"""Several trainings side by side on a CUDA device, where everything lives: nothing is copied from
step to step, and a step is one launch.

Names: G runs, B sounds in a batch, T frames. The arithmetic is that of `spectralot.learn.train`, in
float32.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from .. import backend
from ..checks import ParameterError
from ..losses import PRESETS
from ..stft import stft_magnitude_forward
from ..synth import harmonic_backward, harmonic_forward
from .model import HarmonicModel
from .objective import objective
from .sounds import Sounds
from .trainer import NEAR, QUORUM, Result, TrainConfig, _epoch_order, _f0_scores

__all__ = ["train_side_by_side"]

PIECE = 100  # sounds of each run that are worked on at once outside of steps
LSD: dict = dict(n_fft=1024, hop_length=256)  # as `spectralot.metrics.log_spectral_distance`
FLOOR = 10 ** (-50 / 20)
BETAS, EPS = (0.9, 0.999), 1e-8  # of Adam, as in `train`


def train_side_by_side(
    configs: Sequence[TrainConfig],
    training: Sounds,
    validation: Sounds,
    *,
    progress: Callable[[int, list[dict[str, float]]], object] | None = None,
) -> list[Result]:
    """Learn f0 and amplitudes from sounds alone, several times at once, on a CUDA device.

    Parameters
    ----------
    configs : sequence of TrainConfig
        Of which only objectives, which must be presets on an STFT, and seeds differ; without a
        limit of gradients or patience.
    training, validation : Sounds
        As for `train`.
    progress : callable, optional
        Called as ``progress(step, rows)`` after each validation, with a row for each run.

    Returns
    -------
    list of Result
        One for each configuration: as `train` gives, but for rounding. There are no checkpoints.

    Raises
    ------
    ParameterError
        If there is no CUDA device, the configurations differ in more, or there are too few sounds.
    FloatingPointError
        If a loss is no longer a number.
    """
    backend.chosen("cuda")
    runs = SideBySide(configs, training, validation)
    steps, every = configs[0].steps, configs[0].validate_every
    while runs.step < steps:
        runs.advance(min(every - runs.step % every, steps - runs.step))
        rows = runs.validate()
        if progress is not None:
            progress(runs.step, rows)
    return runs.results()


class SideBySide:
    """State of several trainings on a device.

    Parameters
    ----------
    configs, training, validation
        As for `train_side_by_side`.
    """

    def __init__(
        self, configs: Sequence[TrainConfig], training: Sounds, validation: Sounds
    ) -> None:
        self.configs, (config, *_) = _checked(configs, training, validation), configs
        models = [HarmonicModel(c.encoder, c.frames, c.seed) for c in configs]
        self.model, self.encoder = models[0], models[0].encoder
        self.validation = validation
        hop = self.model.frames.transform.hop_length
        self.n_frames = training.audio.shape[1] // hop
        self._tables(training)
        self.audio, self.features = self._taken(training)
        self.arrays, self.kernels = (
            backend.kernels(name, self.audio) for name in ("arrays", "training")
        )
        self.parameters = self.encoder.to_device([m.parameters for m in models])
        self.gradient, self.mean, self.square = (self.parameters.like() for _ in range(3))
        self.totals, self.n_total = backend.zeros(len(configs), np.float64, self.audio), 0
        self.objectives = [
            (objective(name, self.model.frames.grid, clip=config.clip), len(list(members)))
            for name, members in groupby(c.objective for c in configs)
        ]
        shape = len(configs), len(training), self.n_frames
        self.targets = backend.to_device(np.full(shape, np.nan))
        self.step, self.started = 0, time.monotonic()
        self.logs: list[list[dict[str, float]]] = [[] for _ in configs]
        self.best: list[Any] = [None] * len(configs)
        self._replay = self.arrays.Replay(self._step)

    def _tables(self, training):
        """What a step looks up: the sounds of its batch, the numbers of Adam."""
        config, n, order = self.configs[0], len(training), []
        each, steps = n // config.batch_size, np.arange(config.steps)
        for c in self.configs:
            epochs = range(-(-config.steps // each))
            rows = [_epoch_order(c.seed, e, n)[: each * config.batch_size] for e in epochs]
            order.append(np.concatenate(rows).reshape(-1, config.batch_size)[: config.steps])
        self.order = backend.to_device(np.concatenate(order, axis=1).astype(np.int32))
        rates = [config.rate(step) for step in steps]
        decays = (1 - beta ** (steps + 1.0) for beta in BETAS)
        self.rates = backend.to_device(np.stack([rates, *decays], axis=1).astype(np.float32))
        self.number = backend.to_device(np.zeros(1, np.int64))

    def _taken(self, sounds):
        """Audio and features of sounds, on the device."""
        features = self.model.frames(sounds.audio, self.n_frames)
        audio = backend.to_device(np.asarray(sounds.audio, np.float32))
        return audio, backend.to_device(features.reshape(len(features), -1))

    def _rows(self, n):
        """Audio and features of n sounds for every run, to be filled."""
        R = n * len(self.configs)
        return tuple(
            backend.empty((R, source.shape[1]), np.float32, source)
            for source in (self.audio, self.features)
        )

    # a step

    def advance(self, n_steps: int) -> None:
        """Train on.

        Parameters
        ----------
        n_steps : int
            Batches to learn from.
        """
        moves, steps = self.configs[0].moves, self.configs[0].steps
        each = max(1, steps // (moves + 2))
        for _ in range(n_steps):
            turn, rest = divmod(self.step, each)
            if rest == 0 and moves:
                self._aim(1 <= turn <= moves)
            self._replay()
            self.step += 1
        self.n_total += n_steps

    def _step(self):
        """What is launched in every step."""
        config, kernels, G = self.configs[0], self.kernels, len(self.configs)
        B, T = config.batch_size, self.n_frames
        audio, features = self._rows(B)
        kernels.gather(self.audio, self.order, self.number, audio)
        kernels.gather(self.features, self.order, self.number, features)
        f0, amplitudes, saved = self.encoder.forward(
            self.parameters, features.reshape(G * B * T, self.encoder.n_bins), self.number
        )
        d_f0, d_amplitudes, values = self._slopes(audio, f0.reshape(G * B, T), amplitudes)
        targets = backend.empty((G * B, T), np.float64, audio)
        kernels.gather_targets(self.targets, self.order, self.number, targets)
        kernels.draw(f0, targets, NEAR, B * T, d_f0)
        self.arrays.copy(self.parameters.flat, self.gradient.flat, config.l2)
        self.encoder.backward(
            self.parameters, self.gradient, d_f0.reshape(G * B * T), d_amplitudes, saved,
            steering=self.objectives[0][0].steering,
        )  # fmt: skip
        kernels.adam(
            self.gradient.flat, self.mean.flat, self.square.flat, self.rates, self.number,
            *BETAS, EPS, self.parameters.flat,
        )  # fmt: skip
        kernels.tally(values, self.totals, self.number)

    def _slopes(self, audio, f0, amplitudes):
        """Slopes of f0, as clipped, and of amplitudes; values of the sounds."""
        config, kernels, (R, T) = self.configs[0], self.kernels, f0.shape
        grid, H = self.model.frames.grid, amplitudes.shape[1]
        rendered, saved = harmonic_forward(
            f0, amplitudes.reshape(R, T, H), n_samples=audio.shape[1], **grid
        )
        d_rendered = backend.empty(audio.shape, np.float32, audio)
        values, first = backend.empty(R, np.float64, audio), 0
        for joint, runs in self.objectives:
            part = slice(first, first + runs * config.batch_size)
            some, d_some = joint.loss._per_item(audio[part], rendered[part])
            self.arrays.copy(d_some, d_rendered[part], runs)
            self.arrays.copy(some, values[part])
            first = part.stop
        d_f0, d_amplitudes, *_ = harmonic_backward(d_rendered, saved)
        if config.clip < 1:
            shape = len(self.configs), R // len(self.configs) * T
            pulls = backend.empty(shape, np.float64, audio)
            kernels.vote(d_f0.reshape(*shape), f0.reshape(*shape), config.clip, pulls)
        return d_f0, d_amplitudes.reshape(R * T, H), values

    # now and then

    def _pieces(self, n):
        """Numbers of n sounds, for all runs alike, piece by piece."""
        for start in range(0, n, PIECE):
            numbers = np.arange(start, min(start + PIECE, n))
            order = np.tile(numbers, len(self.configs)).astype(np.int32)
            yield numbers, backend.to_device(order[None])

    def _encoded(self, audio, features, numbers, order):
        """Audio (G,n,N), features, f0 (G,n,T) and amplitudes of these sounds, by each run."""
        G, n, T = len(self.configs), len(numbers), self.n_frames
        zero, rows = backend.to_device(np.zeros(1, np.int64)), self._rows(n)
        for source, some in zip((audio, features), rows, strict=True):
            self.kernels.gather(source, order, zero, some)
        frames = rows[1].reshape(G * n * T, self.encoder.n_bins)
        f0, amplitudes, _ = self.encoder.forward(self.parameters, frames)
        return rows[0], frames, f0.reshape(G * n, T), amplitudes.reshape(G * n, T, -1)

    def _aim(self, wanted):
        """Have f0 follow where it was moved to, as `train` does."""
        targets = np.full(self.targets.shape, np.nan)
        for numbers, order in self._pieces(targets.shape[1]) if wanted else ():
            audio, frames, f0, _ = self._encoded(self.audio, self.features, numbers, order)
            n, first, f0 = len(numbers), 0, backend.to_host(f0)
            for joint, runs in self.objectives:
                part, T = slice(first * n, (first + runs) * n), self.n_frames
                rows = frames[part.start * T : part.stop * T]

                def read(f0_hz, rows=rows):
                    amplitudes = self.encoder.read(rows, backend.to_device(f0_hz.ravel()))
                    return amplitudes.reshape(*f0_hz.shape, -1)

                moved, convincing = joint.moved(audio[part], f0[part], read)
                moved = np.where(convincing[:, None], moved, np.nan)
                targets[first : first + runs, numbers] = moved.reshape(runs, n, T)
                first += runs
        few = np.isfinite(targets[:, :, 0]).mean(axis=1) < QUORUM
        targets[few] = np.nan
        self.targets.copy_to_device(targets)

    def scores(self, sounds: Sounds) -> list[dict[str, float]]:
        """What `spectralot.learn.scores` says of each run, but for sounds with noise.

        Parameters
        ----------
        sounds : Sounds
            What the networks are tried on.

        Returns
        -------
        list of dict
        """
        G, T, lsd, found = len(self.configs), self.n_frames, [], []
        sound, features = self._taken(sounds)
        for numbers, order in self._pieces(len(sounds)):
            audio, _, f0, amplitudes = self._encoded(sound, features, numbers, order)
            rendered, _ = harmonic_forward(
                f0, amplitudes, n_samples=audio.shape[1], **self.model.frames.grid
            )
            one, other = (stft_magnitude_forward(x, **LSD)[0] for x in (audio, rendered))
            frames = backend.empty(one.shape[:2], np.float64, one)
            self.kernels.level_distance(
                *(m.reshape(-1, m.shape[2]) for m in (one, other)), FLOOR,
                frames.reshape(frames.size),
            )  # fmt: skip
            lsd.append(backend.to_host(frames).reshape(G, -1))
            found.append(backend.to_host(f0).reshape(G, -1, T))
        lsd, found = np.concatenate(lsd, axis=1).mean(axis=1), np.concatenate(found, axis=1)
        return [{"lsd": float(lsd[g])} | _f0_scores(sounds, found[g]) for g in range(G)]

    def validate(self) -> list[dict[str, float]]:
        """Add a row to each log; keep the parameters of those that are at their best.

        Returns
        -------
        list of dict
        """
        totals = backend.to_host(self.totals) / self.n_total
        if not np.isfinite(totals).all():
            g = int(np.argmin(np.isfinite(totals)))
            raise FloatingPointError(f"the loss of run {g} is {totals[g]} at step {self.step}")
        self.n_total = 0
        self.totals.copy_to_device(np.zeros_like(totals))
        seconds, rows = time.monotonic() - self.started, self.scores(self.validation)
        fetched = self.parameters.fetched()
        for g, row in enumerate(rows):
            row = {"step": self.step, "seconds": seconds, "loss": float(totals[g])} | row
            self.logs[g].append(row)
            if row is min(self.logs[g], key=lambda past: past["lsd"]):
                self.best[g] = fetched[g]
        return [log[-1] for log in self.logs]

    def results(self) -> list[Result]:
        """What became of each run, with its best parameters.

        Returns
        -------
        list of Result
        """
        return [
            Result(HarmonicModel(c.encoder, c.frames, best), log, self.step, True)
            for c, best, log in zip(self.configs, self.best, self.logs, strict=True)
        ]


def _checked(configs, training, validation):
    """The configurations, if they can be trained side by side."""
    first = configs[0]
    for config in configs:
        if replace(config, objective=first.objective, seed=first.seed) != first:
            raise ParameterError("configs must differ in objective and seed alone, got others")
        if config.objective not in PRESETS or config.objective == "SOT-Pitch":
            raise ParameterError(
                f"objective must be a preset on an STFT on a device, got {config.objective!r}"
            )
    for name in ("gradient_limit", "patience"):
        if getattr(first, name):
            raise ParameterError(f"{name} must be 0 on a device, got {getattr(first, name):g}")
    if len(training) < first.batch_size or not len(validation):
        raise ParameterError(
            f"training must hold batch_size = {first.batch_size} sounds at least and validation "
            f"one, got {len(training)} and {len(validation)}"
        )
    return list(configs)
