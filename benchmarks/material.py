"""``python -m benchmarks.material OUT``: a set of sounds whose pitch is known exactly.

Writes OUT/manifest.csv, and for each sound NAME.wav (16 bit), NAME.f0.csv (``time,f0_hz`` every
5 ms; 0: no pitch; nan: pitch drowned in the noise, not to be judged) and NAME.amps.npz (time, f0,
amps: linear peak amplitude of each partial). A name is its group's and a number.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile as sf

from .groups import GROUPS, babble
from .sounds import coloured

SPLITS = ("dev", "test")
NOISES = ("white", "pink", "babble")
RATES = (44100, 16000, 48000, 22050)
SHARES = (0.7, 0.1, 0.1, 0.1)
JUDGED_DB = -10.0  # over the noise; what lies lower in a degraded copy is not judged
COLUMNS = (
    "file,kind,instrument,note,annotation,f0_hz,label_hz,cents_vs_label,ref_spread_cents,"
    "ref_frames,flags,voicing_valid,sample_rate,duration_s,reference,licence,source"
).split(",")


def material(seed=0, split="dev", groups=None):
    """Yield name, sound and a generator of its own for whatever is done to it afterwards."""
    root = np.random.default_rng([seed, SPLITS.index(split)])
    for (group, (make, count)), branch in zip(GROUPS.items(), root.spawn(len(GROUPS)), strict=True):
        if groups and group not in groups:
            continue
        for k, rng in enumerate(branch.spawn(count)):
            shift = 0 if group == "nothing" else rng.uniform(0, 0.9)
            rate = int(rng.choice(RATES, p=SHARES))
            yield f"{group}_{k:02d}", make(rng, rate, (k + shift) / count), rng


def frame_rms(audio, rate, times_s, window_s=0.03):
    """Root mean square in frames around `times_s`."""
    half = int(window_s * rate / 2)
    total = np.concatenate([[0.0], np.cumsum(np.square(audio))])
    centre = np.round(np.asarray(times_s) * rate).astype(int)
    start, stop = np.clip(centre - half, 0, len(audio)), np.clip(centre + half, 0, len(audio))
    return np.sqrt((total[stop] - total[start]) / np.maximum(stop - start, 1))


def degraded(audio, rate, kind, snr_db, rng):
    """Add noise `snr_db` below the root mean square of the louder half of the 30 ms frames.

    Returns the degraded samples and the noise in them.
    """
    n = len(audio)
    noise = babble(rng, rate, n) if kind == "babble" else coloured(rng, n, rate, kind == "pink")
    levels = np.sort(frame_rms(audio, rate, np.arange(0, n / rate, 0.01)))
    loud = np.sqrt(np.mean(levels[len(levels) // 2 :] ** 2))
    noise *= loud * 10 ** (-snr_db / 20)
    gain = min(1.0, 0.99 / max(np.abs(audio + noise).max(), 1e-9))
    return gain * (audio + noise), gain * noise


def judged(sound, noise):
    """The truth, with nan where the sound lies more than 10 dB below the noise."""
    level = np.sqrt(0.5 * np.square(sound.amplitudes).sum(axis=1))
    drowned = 20 * np.log10(np.maximum(level, 1e-9)) < JUDGED_DB + 20 * np.log10(
        np.maximum(frame_rms(noise, sound.rate, sound.time_s, 0.1), 1e-9)
    )
    return np.where(drowned & (sound.f0_hz > 0), np.nan, sound.f0_hz)


def write_set(out, *, seed=0, split="dev", groups=None, noise=None, snr_db=10.0):
    """Write a set; returns the number of sounds."""
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, sound, rng in material(seed, split, groups):
        audio, f0_hz = sound.audio, sound.f0_hz
        if noise == "babble" and sound.amplitudes is None:
            continue  # babble has pitch
        if noise:
            audio, added = degraded(audio, sound.rate, noise, snr_db, rng)
            if sound.amplitudes is not None:
                f0_hz = judged(sound, added)
        sf.write(out / f"{name}.wav", audio, sound.rate, subtype="PCM_16")
        lines = [f"{t:.5f},{f:.4f}\n" for t, f in zip(sound.time_s, f0_hz, strict=True)]
        (out / f"{name}.f0.csv").write_text("time,f0_hz\n" + "".join(lines), encoding="utf-8")
        if sound.amplitudes is not None and not noise:
            amps = sound.amplitudes.astype(np.float32)
            np.savez_compressed(out / f"{name}.amps.npz", time=sound.time_s, f0=f0_hz, amps=amps)
        group = name.split("_")[0]
        rows.append(
            dict.fromkeys(COLUMNS, "")
            | {
                "file": f"{name}.wav",
                "kind": "nothing" if group == "nothing" else "resynth",
                "instrument": group,
                "annotation": f"{name}.f0.csv",
                "flags": sound.about.replace(",", ";"),
                "voicing_valid": 1,
                "sample_rate": sound.rate,
                "duration_s": f"{len(audio) / sound.rate:.3f}",
                "reference": "exact (synthesis)",
                "licence": "MIT",
                "source": f"benchmarks.material --split {split} --seed {seed}"
                + (f" --noise {noise} --snr {snr_db:g}" if noise else ""),
            }
        )
    with open(out / "manifest.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return len(rows)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.material", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", choices=SPLITS, default="dev")
    parser.add_argument("--groups", help=f"only these, of {','.join(GROUPS)}")
    parser.add_argument("--noise", choices=NOISES, help="degrade every sound")
    parser.add_argument("--snr", type=float, default=10.0, help="in dB (10)")
    options = parser.parse_args()
    count = write_set(
        options.out, seed=options.seed, split=options.split, noise=options.noise,
        groups=options.groups and options.groups.split(","), snr_db=options.snr,
    )  # fmt: skip
    print(f"{count} sounds in {options.out}")


if __name__ == "__main__":
    main()
