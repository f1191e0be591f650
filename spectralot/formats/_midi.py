"""MIDI: a bent note for each stretch of steady pitch. mido knows the bytes."""

import io
from collections import defaultdict
from itertools import pairwise

import numpy as np

from ..checks import ParameterError
from ..files import writing
from ._points import Points, check_size
from .notes import segment_notes

_TICK_S = 0.001
_BEAT_US = 500_000  # 120 beats a minute, as where a file does not say
_RANGE = 2  # semitones that the bend reaches up and down, as where a file does not say
_STEP_S = 0.01
_OVERLAP_S = 0.05  # of two notes played legato; beyond it is a chord
_VELOCITY = 80  # where there are no amplitudes


def _mido():
    try:
        import mido
    except ImportError:
        raise ParameterError("midi needs mido: pip install 'spectralot[midi]'") from None
    return mido


def write(tracks, path, *, tolerance_cents=50.0, minimum_s=0.06, overwrite=False):
    """Notes of `segment_notes`, bent to f0 in every frame; louder notes have higher velocities."""
    mido = _mido()
    notes = segment_notes(tracks, tolerance_cents=tolerance_cents, minimum_s=minimum_s)
    track = mido.MidiTrack()
    track.append(mido.MetaMessage("set_tempo", tempo=_BEAT_US))
    for control, value in ((101, 0), (100, 0), (6, _RANGE), (38, 0)):  # how far the bend reaches
        track.append(mido.Message("control_change", control=control, value=value))
    now = 0
    for tick, kind, values in _events(tracks, notes):
        track.append(mido.Message(kind, time=tick - now, **values))
        now = tick
    file = mido.MidiFile(type=0, ticks_per_beat=round(_BEAT_US * 1e-6 / _TICK_S), tracks=[track])
    with writing(path, overwrite=overwrite) as part:
        file.save(part)


def _events(tracks, notes):
    """Tick, kind and values of each message."""
    pitch = 69 + 12 * np.log2(tracks.f0_hz.astype(np.float64) / 440)
    for note, velocity in zip(notes, _velocities(tracks, notes), strict=True):
        key, before = min(max(round(note.pitch), 0), 127), None
        bends = np.rint((pitch[note.frames] - key) / _RANGE * 8192).clip(-8192, 8191).astype(int)
        for frame, bend in enumerate(bends.tolist(), note.frames.start):
            if bend != before:
                yield _tick(tracks, frame), "pitchwheel", {"pitch": bend}
            if before is None:
                yield _tick(tracks, frame), "note_on", {"note": key, "velocity": velocity}
            before = bend
        yield _tick(tracks, note.frames.stop), "note_off", {"note": key, "velocity": 0}


def _tick(tracks, frame):
    return round(frame * tracks.step_s / _TICK_S)


def _velocities(tracks, notes):
    """127 for the loudest; a quarter of its amplitude is half its velocity."""
    if tracks.amplitudes is None or not notes:
        return [_VELOCITY] * len(notes)
    power = np.square(tracks.amplitudes, dtype=np.float64).sum(axis=1)
    level = np.sqrt([power[note.frames].mean() for note in notes])
    share = level / max(level.max(), np.finfo(float).tiny)
    return np.clip(np.rint(127 * np.sqrt(share)), 1, 127).astype(int).tolist()


def read(path):
    """One note at a time, of any channels, read every 10 ms."""
    mido = _mido()
    try:
        with open(path, "rb") as file:  # a claimed length is no reason to make room for it
            messages = list(mido.MidiFile(file=io.BytesIO(file.read())))  # in seconds
    except (OSError, MemoryError):
        raise
    except Exception as error:  # mido has errors of its own, and lets others pass
        raise ParameterError(
            f"it is no MIDI file of one piece: {str(error) or 'cut short'}"
        ) from None
    notes, bends, end_s = _notes(messages)
    if not notes:
        raise ParameterError("it holds no notes")
    n_frames = 1 + end_s / _STEP_S
    check_size(n_frames, len(messages))
    time_s = _STEP_S * np.arange(int(n_frames + 0.05))
    f0_hz = np.zeros(len(time_s))
    read_s = time_s + 0.5 * _TICK_S  # events are rounded to ticks
    for onset_s, stop_s, channel, key in notes:
        at = slice(*np.searchsorted(read_s, [onset_s, stop_s]))
        when, bent = bends[channel]
        semitones = bent[np.searchsorted(when, read_s[at], side="right") - 1]
        f0_hz[at] = 440 * 2 ** ((key + semitones - 69) / 12)
    return Points(time_s, f0_hz, duration_s=end_s)


def _notes(messages):
    """Onset, end, channel and key by onset; bends of each channel; the end of all, in seconds."""
    time_s, sounding, notes = 0.0, {}, []
    control = defaultdict(lambda: {101: 127, 100: 127, 6: _RANGE})
    bends = defaultdict(lambda: [(-1.0, 0.0)])
    for message in messages:
        time_s += message.time
        channel = getattr(message, "channel", None)
        if message.type == "control_change":
            if message.control == 6 and (control[channel][101], control[channel][100]) != (0, 0):
                continue
            control[channel][message.control] = message.value
        elif message.type == "pitchwheel":
            bends[channel].append((time_s, message.pitch / 8192 * control[channel][6]))
        elif message.type in ("note_on", "note_off"):
            started_s = sounding.pop((channel, message.note), None)
            if started_s is not None and time_s > started_s:
                notes.append((started_s, time_s, channel, message.note))
            if message.type == "note_on" and message.velocity:
                sounding[channel, message.note] = time_s
    notes += [(started_s, time_s, *key) for key, started_s in sounding.items()]
    notes.sort()
    for (_, stop_s, *_), (onset_s, *_) in pairwise(notes):
        if onset_s < stop_s - _OVERLAP_S:
            raise ParameterError(f"one note must sound at a time, got two at {onset_s:.3f} s")
    channels = {channel for *_, channel, _ in notes}
    return notes, {channel: np.array(bends[channel]).T for channel in channels}, time_s
