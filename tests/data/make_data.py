"""Cut the stored numbers of the reference implementation down to what the tests read.

    python tests/data/make_data.py FOLDER

FOLDER holds synth, stft, mss_lsd, sot, cqt and training_step (.npz): inputs, outputs and
gradients of the public reference implementation of arXiv:2312.14507, run in float64. Nothing is
computed or rounded here. Gradients of means over the batch keep their factor 1/4, and the
gradients with respect to audio keep whole items, so every number can be checked exactly.
"""

import sys
from pathlib import Path

import numpy as np

ITEMS = 2  # items of which gradients with respect to audio are kept
SOT_FRAMES = np.array([0, 5, 10, 14])  # of item 0; 14 has a last level rounded to above 1
WHOLE_ITEM = ("2048_p2_cut_lin", "2048_p2_nocut_lin", "512_p2_cut_lin", "512_p2_cut_log")


def main(folder):
    source = {
        name: np.load(Path(folder) / f"{name}.npz")
        for name in ("synth", "stft", "mss_lsd", "sot", "cqt", "training_step")
    }
    stft, losses, sot, step = (source[n] for n in ("stft", "mss_lsd", "sot", "training_step"))
    # the files share their signals: the magnitudes X and Y of sot.npz are those of x and xh
    assert np.array_equal(stft["x"], losses["xh"]) and np.array_equal(step["x"], losses["x"])

    save("signals", x=losses["x"], xh=losses["xh"], x_hat=step["x_hat"])
    save(
        "synth",
        **{key: source["synth"][key] for key in source["synth"].files},
        step_f0_hz=step["f0_hz"],
        step_amplitudes=step["amplitudes"],
    )
    save(
        "stft",
        **{key: stft[key] for key in stft.files if key.startswith("sum_mag")},
        mag_hann_2048=stft["mag_hann_2048"][0, :, ::2],
        mag_hann_512=stft["mag_hann_512"][0, :, ::8],
        mag_hann_64=stft["mag_hann_64"][0, :, ::16],
        **{f"d_mag_hann_{n}": stft[f"d_mag_hann_{n}"][0] for n in (2048, 64)},
        **{f"d_x_hann_{n}": stft[f"d_x_hann_{n}"][0] for n in (2048, 64)},
        mag_flattop_2048_hop256=stft["mag_flattop_2048_hop256"][0, ::8],
        mag_flattop_512_hop256=stft["mag_flattop_512_hop256"][0, ::8],
    )
    save(
        "losses",
        loss_lin=losses["loss_lin"],
        loss_linlog=losses["loss_linlog"],
        d_xh_lin=losses["d_xh_lin"][:ITEMS],
        d_xh_linlog=losses["d_xh_linlog"][:ITEMS],
        **{f"step_{key}": step[key] for key in ("loss_lin", "loss_sot", "loss")},
    )
    rows = {"frames": SOT_FRAMES}
    for key in sot.files:
        if key.startswith(("loss_", "positions_")):
            rows[key] = sot[key]
        elif key.startswith(("X_", "Y_")):
            rows[key] = sot[key][0, SOT_FRAMES]
        elif key.endswith(WHOLE_ITEM):
            rows[key] = sot[key][0]
        else:
            rows[key] = sot[key][0, SOT_FRAMES]
    save("sot", **rows)
    cqt = source["cqt"]
    assert np.array_equal(cqt["x"], losses["x"])
    save("cqt", cqt=cqt["cqt"][:ITEMS], frequencies_hz=cqt["frequencies_hz"])
    # sound, f0, amplitudes and losses of the step are in the files above
    kinds = ("param/", "grad/", "after_adam/")
    kept = {key: step[key] for key in step.files if key.startswith(kinds)}
    save("training_step", cqt=step["cqt"], **kept)


def save(name, **arrays):
    np.savez_compressed(Path(__file__).parent / f"{name}.npz", **arrays)


if __name__ == "__main__":
    main(sys.argv[1])
