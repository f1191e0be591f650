"""FFTs for interpreted kernels (``NUMBA_DISABLE_JIT=1``): rocket-fft's exist compiled only."""

import rocket_fft
import scipy.fft


def _r2c(real, bins, axes, forward, factor, threads):
    assert forward
    n = real.shape[axes[0]]
    bins[...] = factor * scipy.fft.rfft(real, n, axis=axes[0])


def _c2r(bins, real, axes, forward, factor, threads):
    assert not forward
    n = real.shape[axes[0]]
    real[...] = factor * n * scipy.fft.irfft(bins, n, axis=axes[0])


def _c2c(given, out, axes, forward, factor, threads):
    n = given.shape[axes[0]]
    transform, scale = (scipy.fft.fft, 1) if forward else (scipy.fft.ifft, n)
    out[...] = factor * scale * transform(given, axis=axes[0])


def install():
    """Put them where the kernels import theirs from."""
    rocket_fft.r2c, rocket_fft.c2r, rocket_fft.c2c = _r2c, _c2r, _c2c
