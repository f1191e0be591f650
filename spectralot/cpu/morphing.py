"""Morphing: components of one frame put where they go (equations: docs/derivations/plans.md)."""

from . import njit


@njit(cache=True, nogil=True)
def add_components(spectrum, first, count, shift, factor, out):
    """out += factor times the bins of each component, `shift` bins higher (eq. 19).

    spectrum, out (K,) complex128; first, count, shift (E,) int64, factor (E,) complex128: one
    entry of the plan each. What leaves the axis is lost.
    """
    K = out.shape[0]
    for e in range(first.shape[0]):
        low = max(first[e], -shift[e])
        high = min(first[e] + count[e], K - shift[e])
        if low < high:
            source, target = spectrum[low:high], out[low + shift[e] : high + shift[e]]
            for k in range(source.shape[0]):
                target[k] += factor[e] * source[k]
