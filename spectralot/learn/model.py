"""A trained network with all that is needed to use it, and its file."""

from __future__ import annotations

import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import ParameterError
from ..files import check_archive, refuse_device, writing
from ..hints import Array, PathLike
from ._network import Parameters
from .encoder import ENCODERS
from .frames import Frames

__all__ = ["HarmonicModel"]

FORMAT = 1
_ROWS = 2048  # frames encoded at once


class HarmonicModel:
    """Frames, encoder and parameters.

    Parameters
    ----------
    encoder : dict
        "kind", one of "shared", "dense", "paper", and keyword arguments of that encoder.
    frames : dict
        Keyword arguments of `Frames`. Number, range and spacing of the bins are said here alone.
    parameters : Parameters or int
        Trained ones, or the seed of fresh ones.

    Attributes
    ----------
    facts : dict
        What its file says beside: how it was trained, how good it is. Empty if it has no file.

    Raises
    ------
    ParameterError
        If an argument breaks its rule.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot.learn import HarmonicModel
    >>> model = HarmonicModel({"kind": "shared", "n_harmonics": 8}, {"hop_length": 160})
    >>> f0_hz, amplitudes = model.encode(model.frames(np.zeros(1600)))
    >>> f0_hz.shape, amplitudes.shape
    ((11,), (11, 8))
    """

    def __init__(
        self, encoder: dict[str, Any], frames: dict[str, Any], parameters: Parameters | int = 0
    ) -> None:
        self.settings = {"encoder": dict(encoder), "frames": dict(frames)}
        self.facts: dict[str, Any] = {}
        self.frames = Frames(**frames)
        options = dict(encoder)
        kind = options.pop("kind", "shared")
        if kind not in ENCODERS:
            raise ParameterError(f"kind must be one of {', '.join(ENCODERS)}, got {kind!r}")
        scale = self.frames.transform
        self.encoder = ENCODERS[kind](
            n_bins=scale.n_bins, fmin=scale.fmin, bins_per_octave=scale.bins_per_octave, **options
        )
        if not isinstance(parameters, Parameters):
            parameters = self.encoder.init(parameters)
        self.parameters: Parameters = parameters

    def encode(self, features: Array) -> tuple[Array, Array]:
        """Turn frames that were computed before into f0 and amplitudes.

        Parameters
        ----------
        features : ndarray, shape (R, K), float32
            From ``frames``.

        Returns
        -------
        f0_hz : ndarray, shape (R,)
        amplitudes : ndarray, shape (R, H)
        """
        parts = [
            self.encoder.forward(self.parameters, features[start : start + _ROWS])[:2]
            for start in range(0, len(features), _ROWS)
        ]
        f0_hz, amplitudes = (np.concatenate(part) for part in zip(*parts, strict=True))
        return f0_hz, amplitudes

    def save(self, path: PathLike, *, overwrite: bool = False, **facts: Any) -> None:
        """Write everything to one .npz file.

        Parameters
        ----------
        path : str or path-like
            The file.
        overwrite : bool
            Replace what is there.
        **facts
            Kept beside, with ``self.facts``: how it was trained, how good it is.

        Raises
        ------
        ParameterError
            If the file exists or cannot be written.
        """
        facts = self.facts | facts
        settings = json.dumps(self.settings | {"format": FORMAT, "facts": facts}, sort_keys=True)
        arrays: dict = dict(self.parameters.items())
        with writing(path, overwrite=overwrite) as part, open(part, "wb") as file:
            np.savez_compressed(file, settings=np.array(settings), **arrays)

    @classmethod
    def load(cls, path: PathLike) -> HarmonicModel:
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        HarmonicModel
            With its parameters in float32, and its facts.

        Raises
        ------
        ParameterError
            If it cannot be read, or is no model.
        """
        return cls._from(path, read_arrays(path, "model"))

    @classmethod
    def _from(cls, path, arrays):
        try:
            settings = json.loads(str(arrays["settings"]))
            if settings["format"] != FORMAT:
                raise ParameterError(f"format must be {FORMAT}, got {settings['format']!r}")
            model = cls(settings["encoder"], settings["frames"])
            model.facts = dict(settings.get("facts", {}))
        except ParameterError as error:
            raise ParameterError(f"cannot read {path}: {error}") from None
        except (
            LookupError, TypeError, ValueError, ArithmeticError, RecursionError, MemoryError
        ) as error:  # fmt: skip
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise ParameterError(
                f"cannot read {path}: it is no model of this version ({reason})"
            ) from None
        for name, array in model.parameters.items():
            given = arrays.get(name)
            fits = given is not None and given.dtype.kind == "f" and given.shape == array.shape
            if fits:
                with np.errstate(over="ignore"):  # of float64, to infinity
                    array[...] = given
            if not fits or not np.isfinite(array).all():
                raise ParameterError(
                    f"cannot read {path}: {name} must be finite and of shape {array.shape}"
                )
        return model


def read_arrays(path: PathLike, what: str) -> dict[str, NDArray[Any]]:
    """Read an .npz file; nothing in it is executed.

    Parameters
    ----------
    path : str or path-like
        The file.
    what : str
        What it should be, for the message.

    Returns
    -------
    dict of str to ndarray
        Its arrays.

    Raises
    ------
    ParameterError
        If it cannot be read, or is damaged; the one-line message names the file.
    """
    try:
        refuse_device(path)
        with open(path, "rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError
            with np.load(file, allow_pickle=False) as archive:
                check_archive(archive.zip)
                return {name: np.asarray(archive[name]) for name in archive.files}
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise ParameterError(f"cannot read {path}: {reason}") from None
    except Exception:  # there is no end to what zipfile, zlib, tokenize and NumPy raise on damage
        raise ParameterError(f"cannot read {path}: it is no {what}, or damaged") from None
