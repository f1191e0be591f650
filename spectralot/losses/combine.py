"""Weighted sums of losses, and the rows of the paper's table as presets."""

from .. import checks
from ..checks import ParameterError
from .transport import SOT
from .vertical import LIN, MSS, SIZES

__all__ = ["PRESETS", "WeightedSum", "preset"]

PRESETS = ("LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut", "SOT-2048-SS")


class WeightedSum:
    """A weighted sum of named losses.

    Parameters
    ----------
    terms : dict of str to (float, loss)
        Weight and loss of each term.

    Raises
    ------
    ParameterError
        If there is no term, or a weight is not a finite number.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import LIN, SOT, WeightedSum
    >>> loss = WeightedSum({"sot": (1.0, SOT(2048)), "lin": (0.05, LIN(512))})
    >>> loss.terms(np.zeros(4096), np.zeros(4096))
    {'sot': 0.0, 'lin': 0.0}
    """

    def __init__(self, terms):
        if not terms:
            raise ParameterError(f"terms must name at least one loss, got {terms!r}")
        self._terms = {
            name: (checks.number(f"weight of {name!r}", weight), loss)
            for name, (weight, loss) in terms.items()
        }

    def prepare(self, target):
        """Compute what depends on the target alone.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N)
            What is to be reached.

        Returns
        -------
        dict
            One entry a term; accepted by every method in place of the target.
        """
        return {name: loss.prepare(target) for name, (_, loss) in self._terms.items()}

    def __call__(self, target, estimate):
        """Weighted value and gradient, as of one loss.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N), or what `prepare` returned
            What is to be reached.
        estimate : array_like, shape of the target
            What is to be changed.

        Returns
        -------
        value : float
        d_estimate : ndarray, shape of the estimate
        """
        target = target if isinstance(target, dict) else self.prepare(target)
        value, d_estimate = 0.0, None
        for name, (weight, loss) in self._terms.items():
            term, d_term = loss(target[name], estimate)
            value += weight * term
            d_term = d_term * d_term.dtype.type(weight)
            d_estimate = d_term if d_estimate is None else d_estimate + d_term
        return value, d_estimate

    def terms(self, target, estimate):
        """Value of each term, before its weight.

        Parameters
        ----------
        target : array_like, shape (N,) or (B, N), or what `prepare` returned
            What is to be reached.
        estimate : array_like, shape of the target
            What is to be changed.

        Returns
        -------
        dict of str to float
        """
        target = target if isinstance(target, dict) else self.prepare(target)
        return {name: loss(target[name], estimate)[0] for name, (_, loss) in self._terms.items()}


def preset(name, sample_rate=16000):
    """Loss of one row of table 1 of arXiv:2312.14507.

    Parameters
    ----------
    name : str
        One of `PRESETS`: "LIN", "MSS", "SOT-2048", "SOT-512", "SOT-512-LogF", "SOT-NoCut",
        "SOT-2048-SS".
    sample_rate : float
        In Hz; only "SOT-512-LogF" depends on it.

    Returns
    -------
    loss
        An object with ``value, d_estimate = loss(target, estimate)``.

    Raises
    ------
    ParameterError
        If there is no such preset.

    Examples
    --------
    >>> import numpy as np
    >>> from spectralot import preset
    >>> preset("SOT-2048")(np.zeros(4096), np.zeros(4096))[0]
    0.0
    """
    checks.one_of("name", name, PRESETS)
    sample_rate = checks.number("sample_rate", sample_rate, above=0)
    if name == "LIN":
        return LIN(SIZES)
    if name == "MSS":
        return MSS(SIZES)
    sot = SOT(
        512 if "512" in name else 2048,
        frequency_axis="log" if name.endswith("LogF") else "linear",
        mass="balanced" if name.endswith("NoCut") else "cutoff",
        sample_rate=sample_rate,
    )
    weight, lin = (0.1, LIN(512)) if name.endswith("SS") else (0.05, LIN(SIZES))
    return WeightedSum({"sot": (1.0, sot), "lin": (weight, lin)})
