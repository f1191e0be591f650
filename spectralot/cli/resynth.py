"""``spectralot resynth``: tracks made to sound, at another pitch, pace or timbre."""

from pathlib import Path

import click

from .common import Finite, Refused, one_line_on_failure, say


def _check_wav(context, option, path):
    if path is not None and path.suffix.lower() != ".wav":
        raise click.BadParameter(f"must end in .wav, got {path}")
    return path


@click.command()
@click.argument("tracks_file", metavar="TRACKS", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", metavar="OUT.wav", callback=_check_wav,
    type=click.Path(dir_okay=False, path_type=Path),
    help="WAV file to write.  [default: NAME.resynth.wav beside TRACKS]",
)  # fmt: skip
@click.option(
    "--pitch", "semitones", type=Finite(-48, 48), metavar="SEMITONES", help="Move f0 so far up."
)
@click.option(
    "--pitch-ratio", type=Finite(1 / 16, 16), metavar="RATIO", help="The same as a factor of f0."
)
@click.option(
    "--envelope", type=click.Choice(["keep", "move"]),
    help="What a moved pitch does to formants: keep them where they are, or move them with it.  "
    "[default: keep]",
)  # fmt: skip
@click.option(
    "--stretch", type=Finite(0.01, 100), metavar="FACTOR",
    help="Make it so many times as long; f0 stays.",
)  # fmt: skip
@click.option(
    "--harmonics", "gains", metavar="GAINS",
    help="Gains such as \"2:-6dB 3-8:-12dB 9-:off odd:+3dB\"; where they overlap, dB add up.",
)  # fmt: skip
@click.option(
    "--morph", "other", metavar="OTHER", type=click.Path(path_type=Path),
    help="Move towards these other tracks, by transport of the harmonics.",
)  # fmt: skip
@click.option(
    "--at", "share", type=Finite(0, 1), metavar="X",
    help="How far: 0 is TRACKS, 1 is OTHER.  [default: 0.5]",
)  # fmt: skip
@click.option(
    "--sample-rate", type=click.IntRange(1), metavar="HZ",
    help="Of the WAV file, and of tracks that do not say.  [default: that of the tracks]",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace OUT.wav if it exists already.")
def resynth(tracks_file, output, sample_rate, overwrite, **wanted):
    """Make a WAV file of TRACKS, which hold f0 and harmonics.

    TRACKS is a file with amplitudes: NPZ or JSON of estimate, or SPEAR's partials. What is asked
    for is done in this order: morph, pitch, harmonics, stretch. Harmonics beyond half the sample
    rate are silent; what would be beyond full scale is made softer as a whole.

    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    steps = _steps(**wanted)
    output = output or tracks_file.with_name(f"{tracks_file.stem}.resynth.wav")
    with one_line_on_failure():
        from ..audio import write_wav
        from ..resynth import render

        tracks = _read(tracks_file, sample_rate)
        if wanted["other"] is not None:
            from ..resynth import morph_tracks

            share = 0.5 if wanted["share"] is None else wanted["share"]
            tracks = morph_tracks(tracks, _read(wanted["other"], sample_rate), share)
        for step in steps:
            tracks = step(tracks)
        audio, gain_db = render(tracks, sample_rate)
        rate = sample_rate or tracks.sample_rate
        write_wav(output, audio, rate, overwrite=overwrite)
    f0_hz = tracks.f0_hz[tracks.amplitudes.any(axis=1)]
    heard = f"f0 {f0_hz.min():.1f} to {f0_hz.max():.1f} Hz" if len(f0_hz) else "silent"
    say(f"{tracks_file} -> {output}: {len(audio) / rate:.3f} s at {rate} Hz, {heard}")
    if gain_db:
        say(f"made softer by {-gain_db:.1f} dB: it was beyond full scale")


def _steps(semitones, pitch_ratio, envelope, stretch, gains, other, share):
    """What else is done to the tracks, in order; refuse what makes no sense."""
    if semitones is not None and pitch_ratio is not None:
        raise Refused("--pitch and --pitch-ratio exclude each other")
    if envelope is not None and semitones is None and pitch_ratio is None:
        raise Refused("--envelope is for --pitch and --pitch-ratio: leave it out")
    if share is not None and other is None:
        raise Refused("--at is for --morph: leave it out")

    import math

    from ..checks import ParameterError
    from ..resynth import harmonic_gains, scale_harmonics, shift_pitch, stretch_time

    steps = []
    if pitch_ratio is not None:
        semitones = 12 * math.log2(pitch_ratio)
    if semitones is not None:
        steps.append(lambda tracks: shift_pitch(tracks, semitones, envelope=envelope or "keep"))
    if gains is not None:
        try:
            harmonic_gains(gains, 1)
        except ParameterError as error:
            raise Refused(f"--harmonics: {error}") from None
        steps.append(lambda tracks: scale_harmonics(tracks, gains))
    if stretch is not None:
        steps.append(lambda tracks: stretch_time(tracks, stretch))
    return steps


def _read(file, sample_rate):
    """Tracks that can be heard."""
    from ..checks import ParameterError
    from ..formats import read_tracks

    tracks = read_tracks(file, sample_rate=sample_rate)
    if tracks.amplitudes is None:
        raise ParameterError(f"{file} holds f0 alone: resynth needs the amplitudes of harmonics")
    return tracks
