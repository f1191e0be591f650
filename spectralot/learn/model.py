"""A trained network with all that is needed to use it, and its file."""

import json
import zipfile
import zlib

import numpy as np

from ..checks import ParameterError
from ..files import writing
from .encoder import ENCODERS
from .frames import Frames
from .network import Parameters

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
    """

    def __init__(self, encoder, frames, parameters=0):
        self.settings = {"encoder": dict(encoder), "frames": dict(frames)}
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
        self.parameters = parameters

    def encode(self, features):
        """f0 and amplitudes of frames that were computed before.

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
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    def save(self, path, *, overwrite=False, **facts):
        """Write everything to one .npz file.

        Parameters
        ----------
        path : str or path-like
            The file.
        overwrite : bool
            Replace what is there.
        **facts
            Kept beside: how it was trained, how good it is.

        Raises
        ------
        ParameterError
            If the file exists or cannot be written.
        """
        settings = json.dumps(self.settings | {"format": FORMAT, "facts": facts}, sort_keys=True)
        with writing(path, overwrite=overwrite) as part, open(part, "wb") as file:
            np.savez_compressed(file, settings=np.array(settings), **dict(self.parameters.items()))

    @classmethod
    def load(cls, path):
        """Read what `save` wrote.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        HarmonicModel
            With its parameters in float32.

        Raises
        ------
        ParameterError
            If it cannot be read, or is no model.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        except OSError as error:
            raise ParameterError(f"cannot read {path}: {error.strerror or 'no model'}") from None
        except (ValueError, zipfile.BadZipFile, zlib.error, EOFError, KeyError):
            raise ParameterError(f"cannot read {path}: it is no model") from None
        return cls._from(path, arrays)

    @classmethod
    def _from(cls, path, arrays):
        try:
            settings = json.loads(str(arrays.pop("settings")))
            model = cls(settings["encoder"], settings["frames"])
            version = settings["format"]
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(f"cannot read {path}: it is no model ({error})") from None
        if version != FORMAT:
            raise ParameterError(f"cannot read {path}: format {version}, not {FORMAT}")
        for name, array in model.parameters.items():
            given = arrays.get(name)
            if given is None or given.shape != array.shape or not np.isfinite(given).all():
                raise ParameterError(
                    f"cannot read {path}: {name} must be finite and of shape {array.shape}"
                )
            array[...] = given
        return model
