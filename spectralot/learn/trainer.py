"""Training: an explicit Adam loop that can be killed at any moment and resumed.

A run is a folder: checkpoint.npz, log.csv and, when it is done, model.npz.
"""

from __future__ import annotations

import csv
import json
import signal
import time
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import checks
from ..adam import Adam
from ..checks import ParameterError
from ..files import writing
from ..hints import PathLike
from ..metrics import log_spectral_distance
from ..synth import harmonic_forward
from .model import HarmonicModel, read_arrays
from .objective import OBJECTIVES, objective
from .sounds import Sounds

__all__ = ["Result", "TrainConfig", "scores", "train"]

FORMAT = 3
MEMORY = 0.02  # weight of a new gradient in the mean length of the last ones
SCHEDULES = ("constant", "cosine")
QUORUM = 0.15  # of the sounds must be moved convincingly; else f0 is still too far off
NEAR = 50 / 1200  # octaves; nearer than this, it is drawn more gently


@dataclass(frozen=True)
class TrainConfig:
    """All that decides the result of a training, but for the sounds.

    Attributes
    ----------
    objective : str
        "guided", which always converges, or a preset such as "SOT-2048", as in the paper.
    refine : bool
        "guided" lets the vertical loss refine f0 in the second half of the training: finer on clean
        sounds, misleading in noise of many kinds.
    clip : float
        Of presets: as of `Joint`, above 0 and up to 1, slopes as they are.
    moves : int
        Of presets: how many times f0 of each training sound, as the network has it, is moved by
        the small whole ratio that explains the sound best (`Joint.moved`), and followed until the
        next time. Needs calibrated frames.
    encoder : dict
        As for `HarmonicModel`.
    frames : dict
        As for `HarmonicModel`.
    seed : int
        Of the first parameters, the order of the batches and dropout.
    steps : int
        Batches to learn from.
    batch_size : int
        Sounds in a batch.
    learning_rate : float
        Of Adam, at its highest.
    schedule : {"constant", "cosine"}
        "cosine": down to a hundredth of it.
    warmup : int
        Steps over which the learning rate rises from 0.
    l2 : float
        This much of the parameters is added to their gradient.
    gradient_limit : float
        A gradient counts as at most so many times as long as the last ones were on average: a steep
        batch can otherwise undo what was learned. Above 1; 0: no limit.
    validate_every : int
        Steps between validations, which are also where checkpoints are written.
    patience : int
        Validations without a better one after which training stops early; 0: never.

    Raises
    ------
    ParameterError
        If a value is out of range.
    """

    objective: str = "guided"
    refine: bool = True
    clip: float = 1.0
    moves: int = 0
    encoder: dict[str, Any] = field(default_factory=lambda: {"kind": "shared"})
    frames: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    steps: int = 1000
    batch_size: int = 32
    learning_rate: float = 2e-3
    schedule: str = "cosine"
    warmup: int = 100
    l2: float = 1e-4
    gradient_limit: float = 2.0
    validate_every: int = 100
    patience: int = 0

    def __post_init__(self) -> None:
        """Check every value."""
        checks.one_of("objective", self.objective, OBJECTIVES)
        checks.one_of("refine", self.refine, (True, False))
        checks.one_of("schedule", self.schedule, SCHEDULES)
        for name, minimum in (
            ("seed", 0), ("steps", 1), ("batch_size", 1), ("warmup", 0), ("validate_every", 1),
            ("patience", 0), ("moves", 0),
        ):  # fmt: skip
            checks.integer(name, getattr(self, name), minimum)
        checks.number("clip", self.clip, above=0, maximum=1)
        if self.moves and not self.frames.get("calibrated", True):
            raise ParameterError(
                f"moves must be 0 where frames are not calibrated, got {self.moves}"
            )
        checks.number("learning_rate", self.learning_rate, above=0)
        checks.number("l2", self.l2, minimum=0)
        if 0 < checks.number("gradient_limit", self.gradient_limit, minimum=0) <= 1:
            raise ParameterError(
                "gradient_limit must be above 1, or 0 for none (the mean could only fall), "
                f"got {self.gradient_limit:g}"
            )

    def rate(self, step: int) -> float:
        """Learning rate of a step.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        float
        """
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        fall = 1.0
        if self.schedule == "cosine":
            fall = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * step / self.steps))
        return self.learning_rate * rise * fall


@dataclass(frozen=True)
class Result:
    """What became of a training.

    Attributes
    ----------
    model : HarmonicModel
        With the parameters of the best validation.
    log : list of dict
        One row for each validation.
    step : int
        Steps done.
    finished : bool
        False if it was interrupted.
    """

    model: HarmonicModel
    log: list[dict[str, float]]
    step: int
    finished: bool


def train(
    config: TrainConfig,
    training: Sounds,
    validation: Sounds,
    *,
    folder: PathLike | None = None,
    resume: bool = True,
    progress: Callable[[int, dict[str, float] | None], object] | None = None,
) -> Result:
    """Learn f0 and amplitudes from sounds alone.

    Parameters
    ----------
    config : TrainConfig
        How.
    training, validation : Sounds
        What from; the validation's log-spectral distance chooses the parameters. f0, where it is
        known, is reported and nothing else.
    folder : str or path-like, optional
        Where checkpoint, log and model are written; made if missing.
    resume : bool
        Go on from the folder's checkpoint, if there is one.
    progress : callable, optional
        Called as ``progress(step, row)`` after each step; row is None but after a validation.

    Returns
    -------
    Result
        Bitwise the same whether it was interrupted or not, on the same machine with the same
        number of threads.

    Raises
    ------
    ParameterError
        If the checkpoint is of another configuration or other sounds, or cannot be read or
        written, or if there are too few sounds.
    FloatingPointError
        If the loss is no longer a number.

    Notes
    -----
    An interrupt (Ctrl-C) ends the training after the step at hand, with a checkpoint.

    References
    ----------
    docs/derivations/learning.md; Torres, Peeters, Richard, ICASSP 2024, arXiv:2312.14507.

    Examples
    --------
    >>> from spectralot.learn import TrainConfig, paper_sounds, scores, train
    >>> training, validation, test = paper_sounds(30).split()
    >>> result = train(TrainConfig(steps=2, batch_size=8), training, validation)
    >>> sorted(scores(result.model, test))
    ['cents', 'lsd', 'octaves', 'rca', 'rpa']
    """
    run = _Run(config, training, validation, folder)
    if folder is not None and resume:
        run.load()
    with _interrupts() as interrupted:
        while run.step < config.steps and not run.worn_out and not interrupted:
            run.advance()
            row = None
            if run.step % config.validate_every == 0 or run.step == config.steps:
                row = run.validate()
                run.save()
            if progress is not None:
                progress(run.step, row)
        run.save()
    finished = run.step == config.steps or run.worn_out
    model = HarmonicModel(config.encoder, config.frames, run.best_parameters())
    if finished and folder is not None:
        facts = {"config": asdict(config), "validation": run.best_row()}
        model.save(Path(folder, "model.npz"), overwrite=True, **facts)
    return Result(model, run.log, run.step, finished)


def _epoch_order(seed, epoch, n_sounds):
    """Order in which an epoch takes the sounds."""
    return np.random.default_rng([seed, 1, epoch]).permutation(n_sounds)


class _Run:
    """State of a training: parameters, Adam, the best so far, the log."""

    def __init__(self, config, training, validation, folder):
        self.config, self.folder = config, None if folder is None else Path(folder)
        if self.folder is not None:
            _make(self.folder)
        self.model = HarmonicModel(config.encoder, config.frames, config.seed)
        self.parameters = self.model.parameters
        self.gradient = self.parameters.like()
        self.adam = Adam(self.parameters.flat.shape, beta2=0.999, eps=1e-8)
        transform = self.model.frames.transform
        self.objective = objective(
            config.objective, self.model.frames.grid, refine=config.refine, clip=config.clip
        )
        self.audio = training.audio
        self.n_frames = training.audio.shape[1] // transform.hop_length
        if len(training) < config.batch_size:
            raise ParameterError(
                f"training must hold batch_size = {config.batch_size} sounds at least, "
                f"got {len(training)}"
            )
        if not len(validation):
            raise ParameterError("validation must hold a sound at least, got none")
        self.validation = validation
        self.identity = None if folder is None else _identity(config, training, validation)
        self.features = self.model.frames(training.audio, self.n_frames)
        self.step, self.best, self.log, self.length = 0, None, [], 0.0
        self.targets = None
        self.total, self.n_total, self.started = 0.0, 0, time.monotonic()
        self.seconds, self._order = 0.0, None

    def _batch(self):
        """Indices of the step's sounds: every epoch in an order of its own."""
        config = self.config
        each = len(self.audio) // config.batch_size
        epoch, turn = divmod(self.step, each)
        if turn == 0 or self._order is None:
            self._order = _epoch_order(config.seed, epoch, len(self.audio))
        return self._order[turn * config.batch_size : (turn + 1) * config.batch_size]

    def advance(self):
        """One step: batch, forward, backward, Adam."""
        self._aim()
        config, chosen = self.config, self._batch()
        B, T, K = len(chosen), self.n_frames, self.features.shape[2]
        encoder, parameters, gradient = self.model.encoder, self.parameters, self.gradient
        rng = np.random.default_rng([config.seed, 2, self.step])
        f0, amplitudes, saved = encoder.forward(
            parameters, self.features[chosen].reshape(B * T, K), rng
        )
        value, d_f0, d_amplitudes = self.objective(
            self.step, config.steps, self.audio[chosen], f0.reshape(B, T),
            amplitudes.reshape(B, T, -1),
        )  # fmt: skip
        if not np.isfinite(value):
            raise FloatingPointError(f"the loss is {value} at step {self.step}")
        if self.targets is not None:
            d_f0 = _drawn(f0.reshape(B, T), d_f0, self.targets[chosen])
        gradient.flat[:] = config.l2 * parameters.flat
        encoder.backward(
            parameters, gradient, d_f0.reshape(B * T), d_amplitudes.reshape(B * T, -1), saved,
            steering=self.objective.steering,
        )  # fmt: skip
        self._shorten(gradient.flat)
        parameters.flat -= self.adam.step(gradient.flat, config.rate(self.step))
        self.step += 1
        self.total += float(value)
        self.n_total += 1

    def _aim(self):
        """Have f0 follow where it was moved to, from time to time and not at the end."""
        moves = self.config.moves
        turn, rest = divmod(self.step, max(1, self.config.steps // (moves + 2)))
        if rest == 0 and self.config.objective != "guided":
            self.targets = self._moved() if 1 <= turn <= moves else None

    def _moved(self):
        """Where f0 of each training sound should be; NaN where nothing is convincing."""
        encoder, targets = self.model.encoder, np.empty((len(self.audio), self.n_frames))
        for start in range(0, len(self.audio), self.config.batch_size):
            part = slice(start, start + self.config.batch_size)
            shape = targets[part].shape
            rows = self.features[part].reshape(-1, self.features.shape[2])

            def read(f0_hz, rows=rows, shape=shape):
                return encoder.read(rows, f0_hz.ravel()).reshape(*shape, -1)

            f0 = encoder.forward(self.parameters, rows)[0].reshape(shape)
            moved, convincing = self.objective.moved(self.audio[part], f0, read)
            targets[part] = np.where(convincing[:, None], moved, np.nan)
        return targets if np.isfinite(targets[:, 0]).mean() >= QUORUM else None

    def _shorten(self, gradient):
        """Shorten a gradient that is much longer than those before it."""
        length = np.sqrt(np.square(gradient).sum(dtype=np.float64))
        limit = self.config.gradient_limit * self.length
        if 0 < limit < length:
            gradient *= gradient.dtype.type(limit / length)
            length = limit
        self.length += (MEMORY if self.length else 1.0) * (length - self.length)

    def validate(self):
        """Add a row to the log; keep the parameters if they are the best."""
        row = {"step": self.step, "seconds": self.seconds + time.monotonic() - self.started}
        row |= {"loss": self.total / self.n_total} | scores(self.model, self.validation)
        self.total, self.n_total = 0.0, 0
        self.log.append(row)
        if row is self.best_row():
            self.best = self.parameters.flat.copy()
        return row

    @property
    def worn_out(self):
        """Whether the last `patience` validations brought nothing."""
        lsd = [row["lsd"] for row in self.log]
        return 0 < self.config.patience < len(lsd) - int(np.argmin(lsd)) if lsd else False

    def best_row(self):
        return min(self.log, key=lambda row: row["lsd"]) if self.log else None

    def best_parameters(self):
        best = self.parameters.like()
        best.flat[:] = self.parameters.flat if self.best is None else self.best
        return best

    def save(self):
        """Checkpoint and log, each whole or not at all."""
        if self.folder is None:
            return
        state = dict(
            identity=np.array(self.identity), step=self.step, flat=self.parameters.flat,
            mean=self.adam.mean, square=self.adam.square, adam_steps=self.adam.n_steps,
            best=np.zeros(0) if self.best is None else self.best,
            log=np.array(json.dumps(self.log)),
            targets=np.zeros((0, 0)) if self.targets is None else self.targets,
            total=self.total, n_total=self.n_total, length=self.length,
            seconds=self.seconds + time.monotonic() - self.started,
        )  # fmt: skip
        with writing(self.folder / "checkpoint.npz", overwrite=True) as part:
            with open(part, "wb") as file:
                np.savez(file, **state)
        if self.log:
            with writing(self.folder / "log.csv", overwrite=True) as part:
                with open(part, "w", newline="", encoding="utf-8") as file:
                    table = csv.DictWriter(file, self.log[0])
                    table.writeheader()
                    table.writerows(self.log)

    def load(self):
        """Go on from the checkpoint, if there is one."""
        path = self.folder / "checkpoint.npz"
        if not path.exists():
            return
        state = read_arrays(path, "checkpoint")
        try:
            identity, known = str(state["identity"]), json.loads(str(state["log"]))
            if identity != self.identity:
                raise ParameterError("it is of other settings or sounds: choose another folder")
            if len(state["best"]):
                self.best = np.empty_like(self.parameters.flat)
            for name, array in (
                ("flat", self.parameters.flat), ("mean", self.adam.mean),
                ("square", self.adam.square), ("best", self.best),
            ):  # fmt: skip
                if array is not None:
                    checks.same_shape(name, state[name], array.shape)
                    array[:] = state[name]
                    if not np.isfinite(array).all():
                        raise ValueError
            if len(state["targets"]):
                shape = len(self.audio), self.n_frames
                checks.same_shape("targets", state["targets"], shape)
                self.targets = state["targets"]
            self.adam.n_steps, self.step = int(state["adam_steps"]), int(state["step"])
            self.log, self.seconds = known, float(state["seconds"])
            self.total, self.n_total = float(state["total"]), int(state["n_total"])
            self.length = float(state["length"])
            if not (
                0 <= self.step <= self.config.steps
                and self.adam.n_steps >= 0
                and np.isfinite([self.seconds, self.total, self.n_total, self.length]).all()
                and np.isfinite([row["lsd"] for row in known]).all()
            ):
                raise ValueError
        except ParameterError as error:
            raise ParameterError(f"cannot go on from {path}: {error}") from None
        except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError):
            raise ParameterError(f"cannot read {path}: it is no checkpoint, or damaged") from None


def _drawn(f0_hz, d_f0_hz, targets):
    """Slopes that draw f0 to its targets, as hard as clipped ones at most, if it has some."""
    drawn = np.clip(np.log2(f0_hz / targets) / NEAR, -1, 1) / (f0_hz * f0_hz.size)
    return np.where(np.isnan(targets), d_f0_hz, drawn)


def _make(folder):
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"cannot make the folder {folder}: {error.strerror}") from None


def _identity(config, *parts):
    """All that a checkpoint must share with the training that goes on from it."""
    sounds = [(part.audio.shape, zlib.crc32(np.ascontiguousarray(part.audio))) for part in parts]
    return json.dumps(asdict(config) | {"format": FORMAT, "sounds": sounds}, sort_keys=True)


def scores(model: HarmonicModel, sounds: Sounds, *, batch_size: int = 100) -> dict[str, float]:
    """How well a model does.

    Parameters
    ----------
    model : HarmonicModel
        The model.
    sounds : Sounds
        What it is tried on.
    batch_size : int
        Sounds worked on at once.

    Returns
    -------
    dict of str to float
        "lsd": mean log-spectral distance in dB squared (arXiv:2312.14507); "lsd_clean": from the
        sounds without noise, if these are known. Where f0 is known also
        "rpa" and "rca", the share of frames in percent within 50 cents, and but for octaves;
        "octaves": mean difference in octaves; "cents": median absolute error.

    Raises
    ------
    ParameterError
        If there is no sound, or f0 is known at other frames than the model's.
    """
    transform = model.frames.transform
    n_frames = sounds.audio.shape[1] // transform.hop_length
    if not len(sounds):
        raise ParameterError("sounds must hold a sound at least, got none")
    if sounds.f0_hz is not None:
        checks.same_shape("sounds.f0_hz", sounds.f0_hz, (len(sounds), n_frames))
    lsd, clean, found = [], [], []
    for start in range(0, len(sounds), batch_size):
        audio = sounds.audio[start : start + batch_size]
        features = model.frames(audio, n_frames)
        f0, amplitudes = model.encode(features.reshape(-1, features.shape[2]))
        f0 = f0.reshape(len(audio), n_frames)
        rendered, _ = harmonic_forward(
            f0, amplitudes.reshape(*f0.shape, -1), n_samples=audio.shape[1], **model.frames.grid
        )  # fmt: skip
        lsd.append(log_spectral_distance(audio, rendered, average="square"))
        if sounds.clean is not None:
            without = sounds.clean[start : start + batch_size]
            clean.append(log_spectral_distance(without, rendered, average="square"))
        found.append(f0)
    row = {"lsd": float(np.mean(np.concatenate(lsd)))}
    if clean:
        row["lsd_clean"] = float(np.mean(np.concatenate(clean)))
    return row | _f0_scores(sounds, np.concatenate(found))


def _f0_scores(sounds, f0_hz):
    """Of `scores`, those that look at f0 (n,T) in Hz."""
    if sounds.f0_hz is None or not np.any(sounds.f0_hz > 0):
        return {}
    judged = sounds.f0_hz > 0
    octaves = np.log2(f0_hz[judged] / sounds.f0_hz[judged])
    off = np.abs(octaves - np.round(octaves))
    return {
        "rpa": 100 * float(np.mean(np.abs(octaves) < 50 / 1200)),
        "rca": 100 * float(np.mean(off < 50 / 1200)),
        "octaves": float(np.mean(octaves)),
        "cents": 1200 * float(np.median(np.abs(octaves))),
    }


@contextmanager
def _interrupts():
    """A list that Ctrl-C makes true; a second one interrupts at once."""
    happened = []

    def note(number, frame):
        happened.append(number)
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, note)
    except ValueError:  # not the main thread: its owner decides
        yield happened
        return
    try:
        yield happened
    finally:
        signal.signal(signal.SIGINT, before)
