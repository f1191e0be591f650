"""Render the three short notes of this folder from the FluidR3 GM soundfont and measure their f0.

    python examples/notes/render.py                 # needs fluidsynth and the soundfont
    python examples/notes/render.py --measure-only  # f0 of the WAVs that are already here

On Debian: ``apt install fluidsynth fluid-soundfont-gm``. Writes the WAVs and ``notes.csv``.
"""

import csv
import struct
import subprocess
import tempfile
from pathlib import Path

import click
import numpy as np
import soundfile as sf

HERE = Path(__file__).parent
SAMPLE_RATE = 44100
NOTES = [  # file, instrument, General MIDI program (from 0), note, MIDI pitch
    ("cello_D2.wav", "cello", 42, "D2", 38),
    ("clarinet_F4.wav", "clarinet", 71, "F4", 65),
    ("recorder_E6.wav", "recorder", 74, "E6", 88),
]
VELOCITY = 100
HOLD_S, TOTAL_S = 1.2, 1.5  # the key goes up at HOLD_S; the WAV ends, faded, at TOTAL_S
STEADY_S = (0.3, 1.1)  # after the attack and before the release: where f0 is measured
PEAK = 0.5
FLUIDSYNTH_GAIN = 0.5


def midi_file(program, pitch):
    """Bytes of a MIDI file that plays one note; one tick is one millisecond."""
    hold, rest = round(1000 * HOLD_S), round(1000 * (TOTAL_S - HOLD_S))
    events = [
        (0, b"\xff\x51\x03" + (1_000_000).to_bytes(3, "big")),  # one quarter = 1 s
        (0, bytes([0xB0, 91, 0])),  # no reverb
        (0, bytes([0xB0, 93, 0])),  # no chorus
        (0, bytes([0xC0, program])),
        (0, bytes([0x90, pitch, VELOCITY])),
        (hold, bytes([0x80, pitch, 64])),
        (rest, b"\xff\x2f\x00"),
    ]
    track = b"".join(_variable_length(ticks) + event for ticks, event in events)
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, 1000)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def _variable_length(number):
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.insert(0, number & 0x7F | 0x80)
    return bytes(groups)


def render(soundfont, program, pitch):
    """Return one note as mono float64 with its peak at PEAK, and the gain applied to the font."""
    with tempfile.TemporaryDirectory() as folder:
        midi, wav = Path(folder, "note.mid"), Path(folder, "note.wav")
        midi.write_bytes(midi_file(program, pitch))
        command = ["fluidsynth", "-n", "-i", "-q", "-R", "0", "-C", "0", "-g", str(FLUIDSYNTH_GAIN)]
        command += ["-r", str(SAMPLE_RATE), "-T", "wav", "-O", "float", "-F", str(wav)]
        try:
            subprocess.run([*command, str(soundfont), str(midi)], check=True, capture_output=True)
        except FileNotFoundError:
            raise click.ClickException("fluidsynth is not installed") from None
        audio = sf.read(wav)[0].mean(axis=1)[: round(TOTAL_S * SAMPLE_RATE)]
    fade = round(0.05 * SAMPLE_RATE)
    audio[-fade:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade)
    scale = PEAK / np.abs(audio).max()
    return audio * scale, FLUIDSYNTH_GAIN * scale


def measure_f0(audio, sample_rate, nominal_hz, n_partials=10):
    """Mean f0 of a steady note: peaks of its partials in one long spectrum.

    One Blackman window over the whole excerpt, zeros up to 2**18 samples. In a band of 60 cents
    around each multiple of `nominal_hz` the highest bin and its neighbours give, by a parabola
    through their logarithms, the frequency of partial h; divided by h and averaged with the
    partials' powers as weights they give f0.
    """
    n_fft = 1 << 18
    magnitude = np.abs(np.fft.rfft(audio * np.blackman(len(audio)), n_fft))
    f0, power = [], []
    for h in range(1, n_partials + 1):
        low, high = h * nominal_hz * 2 ** (np.array([-60, 60]) / 1200) * n_fft / sample_rate
        if high >= n_fft / 2:
            break
        k = int(low) + int(magnitude[int(low) : int(high) + 1].argmax())
        left, top, right = np.log(magnitude[k - 1 : k + 2])
        k_peak = k + 0.5 * (left - right) / (left - 2 * top + right)
        f0.append(k_peak * sample_rate / n_fft / h)
        power.append(magnitude[k] ** 2)
    return float(np.average(f0, weights=power))


def measure_steady(audio, sample_rate, nominal_hz):
    """Return f0 over STEADY_S and the range, in cents, of the same measure over its three halves.

    The halves are the first, the middle and the last: a small range says that the note has one
    pitch to be measured at all.
    """
    start, stop = (round(s * sample_rate) for s in STEADY_S)
    half = (stop - start) // 2
    parts = [audio[a : a + half] for a in (start, start + half // 2, start + half)]
    halves = [measure_f0(part, sample_rate, nominal_hz) for part in parts]
    f0_hz = measure_f0(audio[start:stop], sample_rate, nominal_hz)
    return f0_hz, float(1200 * np.log2(max(halves) / min(halves)))


@click.command()
@click.option(
    "--soundfont",
    type=click.Path(dir_okay=False, path_type=Path),
    default="/usr/share/sounds/sf2/FluidR3_GM.sf2",
    show_default=True,
)
@click.option("--measure-only", is_flag=True, help="Print f0 of the WAVs here; write nothing.")
def main(soundfont, measure_only):
    """Render the notes and write notes.csv beside them."""
    if not measure_only and not soundfont.exists():
        raise click.ClickException(f"no soundfont at {soundfont}; name one with --soundfont")
    rows = []
    for file, instrument, program, note, pitch in NOTES:
        nominal_hz = 440 * 2 ** ((pitch - 69) / 12)
        gain = None
        if not measure_only:
            audio, gain = render(soundfont, program, pitch)
            sf.write(HERE / file, audio, SAMPLE_RATE, subtype="PCM_16")
        audio, sample_rate = sf.read(HERE / file)
        f0_hz, range_cents = measure_steady(audio, sample_rate, nominal_hz)
        cents = 1200 * np.log2(f0_hz / nominal_hz)
        print(f"{file}: {f0_hz:.3f} Hz, {cents:+.2f} cents from {note}, range {range_cents:.2f}")
        rows.append((file, instrument, note, pitch, nominal_hz, f0_hz, range_cents, gain))
    if measure_only:
        return
    with open(HERE / "notes.csv", "w", newline="") as out:
        out.write("file,instrument,note,midi_pitch,nominal_hz,f0_hz,f0_range_cents,gain\n")
        writer = csv.writer(out, lineterminator="\n")
        for *names, nominal_hz, f0_hz, range_cents, gain in rows:
            writer.writerow(
                [*names, f"{nominal_hz:.3f}", f"{f0_hz:.3f}", f"{range_cents:.2f}", f"{gain:.3f}"]
            )


if __name__ == "__main__":
    main()
