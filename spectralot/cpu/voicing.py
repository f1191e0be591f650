"""Two states, voiced or not, over frames (docs/derivations/estimator.md, eq. 15)."""

import math

from . import njit


@njit(cache=True, nogil=True)
def posterior(logits, change, forward, out):
    """Probability of voiced given all frames; `change` is that of changing in one step.

    forward (T,) is scratch. Each step is normalised, so that hours do not underflow.
    """
    T = logits.shape[0]
    p = 0.5
    for t in range(T):
        p = p * (1.0 - change) + (1.0 - p) * change
        odds = math.exp(min(max(logits[t], -40.0), 40.0))
        p = p * odds / (p * odds + 1.0 - p)
        forward[t] = p
    voiced, silent = 1.0, 1.0
    for t in range(T - 1, -1, -1):
        on, off = forward[t] * voiced, (1.0 - forward[t]) * silent
        out[t] = on / (on + off)
        odds = math.exp(min(max(logits[t], -40.0), 40.0))
        on, off = voiced * odds, silent
        voiced = (1.0 - change) * on + change * off
        silent = change * on + (1.0 - change) * off
        scale = voiced + silent
        voiced, silent = voiced / scale, silent / scale
