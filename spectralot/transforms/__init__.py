"""What a loss can compare sounds by: STFT, mel bands, constant-Q, pitch salience, with adjoints.

All have one protocol: ``magnitude, saved = transform.forward(x)``, ``d_x =
transform.backward(d_magnitude, saved)``, ``frequencies_hz`` of the bins, from which
`spectralot.axes` makes positions, `frame_times`, `power` and `sample_rate`. They cannot be
changed once made. Equations: docs/derivations/transforms.md, salience.md.

Names: B batch, T frames, N samples, K bins or bands.
"""

from .cqt import ConstantQ
from .mel import Mel
from .salience import PitchSalience
from .stft import STFT

__all__ = ["STFT", "ConstantQ", "Mel", "PitchSalience"]
