"""Audio files: what is read and written exactly, and the one line that each bad file gets."""

import csv
import importlib.util
import io
import os
import struct
import sys
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from spectralot import ParameterError, read_audio, write_wav
from spectralot.audio import read_blocks, resample
from spectralot.files import writing

NOTES = Path(__file__).parent.parent / "examples" / "notes"


@pytest.fixture
def samples(rng):
    """Values that 8 bits can hold, so that every subtype must return them unchanged."""
    return rng.integers(-127, 127, 400) / 128


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate", [8000, 11127, 44100, 192000])
def test_reads_every_width_and_rate_exactly(tmp_path, samples, subtype, rate):
    sf.write(tmp_path / "a.wav", samples, rate, subtype=subtype)
    audio, sample_rate = read_audio(tmp_path / "a.wav")
    assert audio.dtype == np.float32
    assert type(sample_rate) is int and sample_rate == rate
    np.testing.assert_array_equal(audio, samples)


@pytest.mark.parametrize("name", ["a.flac", "a.aiff", "a.w64", "a.caf", "a.au", "A.WAV"])
def test_reads_other_containers(tmp_path, samples, name):
    sf.write(tmp_path / name, samples, 22050)
    audio, sample_rate = read_audio(str(tmp_path / name))
    assert sample_rate == 22050
    np.testing.assert_array_equal(audio, samples)


@pytest.mark.parametrize("n_channels", [2, 5])
def test_channels_are_averaged(tmp_path, rng, n_channels):
    channels = rng.uniform(-1, 1, (100, n_channels)).astype(np.float32)
    sf.write(tmp_path / "a.wav", channels, 8000, subtype="FLOAT")
    audio, _ = read_audio(tmp_path / "a.wav")
    assert audio.shape == (100,) and audio.flags.c_contiguous
    np.testing.assert_allclose(audio, channels.mean(axis=1, dtype=float), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "format_", "subtype"),
    [
        ("a.wav", "WAV", "PCM_16"),
        ("a.wav", "WAV", "FLOAT"),
        ("a.wav", "WAVEX", "PCM_24"),
        ("a.wav", "RF64", "PCM_16"),
        ("a.aiff", "AIFF", "PCM_16"),
    ],
)
@pytest.mark.parametrize("n_lost", [1, 300])
def test_file_cut_short_is_refused(tmp_path, samples, name, format_, subtype, n_lost):
    path = tmp_path / name
    sf.write(path, samples, 8000, format=format_, subtype=subtype)
    path.write_bytes(path.read_bytes()[:-n_lost])
    assert len(sf.read(path)[0]) < len(samples)  # libsndfile itself says nothing
    with pytest.raises(ParameterError) as caught:
        read_audio(path)
    declared = len(samples) * {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype]
    declared += 8 * (format_ == "AIFF")  # its chunk begins with two more numbers
    assert str(caught.value) == (
        f"cannot read {path}: it is cut short: its header declares {declared} bytes of sound, "
        f"the file holds {declared - n_lost}"
    )


def test_wav_cut_short_behind_other_chunks_is_refused(tmp_path, samples):
    path = tmp_path / "a.wav"
    sf.write(path, samples, 8000, subtype="PCM_16")
    whole = path.read_bytes()
    odd = struct.pack("<4sI", b"junk", 5) + b"12345\0"  # odd sizes are padded
    path.write_bytes(whole[:36] + 300 * odd + whole[36:])
    np.testing.assert_array_equal(read_audio(path)[0], samples)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ParameterError, match="declares 800 bytes of sound, the file holds 790"):
        read_audio(path)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_wav_written_to_a_pipe_is_read(tmp_path, samples, size):
    path = tmp_path / "a.wav"
    sf.write(path, samples, 8000, subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + struct.pack("<I", size) + whole[44:])
    np.testing.assert_array_equal(read_audio(path)[0], samples)


def test_mp3_cut_short_is_refused(tmp_path, rng, capfd):
    path = tmp_path / "a.mp3"
    sf.write(path, rng.uniform(-0.1, 0.1, 20000), 44100)
    assert len(read_audio(path)[0]) == 20000
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ParameterError, match="cut short: its header declares 20000 samples, the"):
        read_audio(path)
    capfd.readouterr()  # the decoder's own complaints


def test_mp3_cut_beyond_repair_is_damaged(tmp_path, rng, capfd):
    path = tmp_path / "a.mp3"
    sf.write(path, rng.uniform(-0.5, 0.5, 4000), 48000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ParameterError) as caught:
        read_audio(path)
    assert str(caught.value) == f"cannot read {path}: it is damaged"
    capfd.readouterr()


def test_memory_that_runs_out_has_words(tmp_path, monkeypatch):
    def read(*_, **__):
        raise MemoryError

    sf.write(tmp_path / "a.wav", np.zeros(10), 8000)
    monkeypatch.setattr(sf.SoundFile, "read", read)
    with pytest.raises(ParameterError, match=r"a\.wav: not enough memory$"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("n_kept", [0, 3, 11, 30])
def test_file_cut_within_its_header_is_refused(tmp_path, samples, n_kept):
    path = tmp_path / "a.wav"
    sf.write(path, samples, 8000)
    path.write_bytes(path.read_bytes()[:n_kept])
    with pytest.raises(ParameterError, match=r"cannot read .*a\.wav: \w+") as caught:
        read_audio(path)
    assert "\n" not in str(caught.value)


def test_bad_files_get_one_line_each(tmp_path):
    (tmp_path / "text.wav").write_text("no audio at all\n" * 10)
    (tmp_path / "a.raw").write_bytes(bytes(100))
    (tmp_path / "folder.wav").mkdir()
    sf.write(tmp_path / "none.wav", np.zeros(0), 8000)
    for name, reason in {
        "missing.wav": "No such file or directory",
        "text.wav": "Format not recognised",
        "a.raw": "samplerate must be specified",
        "folder.wav": "Is a directory",
        "none.wav": "it holds no samples",
    }.items():
        with pytest.raises(ParameterError) as caught:
            read_audio(tmp_path / name)
        assert str(caught.value) == f"cannot read {tmp_path / name}: {reason}"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, value):
    audio = np.zeros((10, 2), np.float32)
    audio[7, 1] = value
    sf.write(tmp_path / "a.wav", audio, 8000, subtype="FLOAT")
    with pytest.raises(ParameterError) as caught:
        read_audio(tmp_path / "a.wav")
    assert str(caught.value) == (
        f"cannot read {tmp_path / 'a.wav'}: samples must be finite, got {value} at sample 7"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_16_bit_files_survive_reading_and_writing(tmp_path, dtype):
    audio = (np.arange(-32768, 32768) / 32768).astype(dtype)
    write_wav(tmp_path / "a.wav", audio, 44100)
    assert sf.info(tmp_path / "a.wav").subtype == "PCM_16"
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], audio)


def test_samples_beyond_full_scale_are_kept_as_floats(tmp_path):
    write_wav(tmp_path / "a.wav", [0.5, -1.75, 3.0], 44100)
    assert sf.info(tmp_path / "a.wav").subtype == "FLOAT"
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav")[0], [0.5, -1.75, 3.0])


def test_write_wav_refuses_to_overwrite_unless_told(tmp_path):
    path = tmp_path / "a.wav"
    write_wav(path, [0.25], 8000)
    with pytest.raises(ParameterError) as caught:
        write_wav(path, [0.5], 8000)
    assert (
        str(caught.value) == f"cannot write {path}: it exists already; set overwrite to replace it"
    )
    assert read_audio(path)[0] == 0.25
    write_wav(path, [0.5], 8000, overwrite=True)
    assert read_audio(path)[0] == 0.5
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        ([], 8000, r"audio must not be empty, got shape \(0,\)"),
        ([[0.0], [0.1]], 8000, r"audio must have 1 dimension\(s\), got shape \(2, 1\)"),
        ([0.0, np.nan], 8000, r"audio must be finite, got nan at index \(1\)"),
        ([0.0], 0, "sample_rate must be at least 1, got 0"),
        ([0.0], 44100.5, "sample_rate must be an integer, got 44100.5"),
    ],
)
def test_write_wav_names_the_broken_rule(tmp_path, audio, rate, message):
    with pytest.raises(ParameterError, match=message):
        write_wav(tmp_path / "a.wav", audio, rate)
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_may_be_any_bytes(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff") / os.fsdecode(b"\xfe.wav")
    path.parent.mkdir()
    write_wav(path, [0.25], 8000)
    assert read_audio(path)[0] == 0.25


def test_failure_while_writing_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(path, *_, **__):
        Path(os.fsdecode(path)).write_bytes(b"RIFF")
        raise sf.SoundFileRuntimeError("No space left on device.")

    monkeypatch.setattr(sf, "write", full)
    with pytest.raises(ParameterError, match=r"^cannot write .*a\.wav: No space left on device$"):
        write_wav(tmp_path / "a.wav", [0.0], 8000)
    assert os.listdir(tmp_path) == []


def test_writing_leaves_nothing_behind_when_it_fails(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "a.txt") as part:
        part.write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    with pytest.raises(ParameterError, match=r"there is no folder .*nowhere$"):
        with writing(tmp_path / "nowhere" / "a.txt"):
            pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(ParameterError, match=r"cannot write .*folder: Is a directory"):
        with writing(tmp_path / "folder", overwrite=True) as part:
            part.write_text("whole")
    assert os.listdir(tmp_path) == ["folder"]


def test_written_files_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_wav(tmp_path / "a.wav", [0.0], 8000)
    assert (tmp_path / "a.wav").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44100, 16000), (8000, 44100), (22050, 11025)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resampled_sine_is_the_sine_at_the_other_rate(from_rate, to_rate, dtype):
    tone = [np.sin(2 * np.pi * 440 * np.arange(rate) / rate) for rate in (from_rate, to_rate)]
    resampled = resample(tone[0].astype(dtype), from_rate, to_rate)
    assert resampled.dtype == dtype and resampled.shape == (to_rate,)
    inner = slice(to_rate // 10, -to_rate // 10)
    np.testing.assert_allclose(resampled[inner], tone[1][inner], rtol=0, atol=1e-5)


def test_resample_at_the_same_rate_changes_nothing(samples):
    np.testing.assert_array_equal(resample(samples, 8000, 8000.0), samples)


@pytest.mark.parametrize(
    ("audio", "rates", "message"),
    [
        (
            [0.0],
            (44100, 16000),
            "audio must be longer: 1 samples at 44100 Hz leave none at 16000 Hz",
        ),
        ([0.0], (0, 16000), "from_rate must be above 0, got 0"),
        ([0.0], (8000, -1), "to_rate must be above 0, got -1"),
        ([0.0, np.inf], (8000, 4000), r"audio must be finite, got inf at index \(1\)"),
    ],
)
def test_resample_names_the_broken_rule(audio, rates, message):
    with pytest.raises(ParameterError, match=message):
        resample(audio, *rates)


def test_shipped_notes_have_the_f0_of_their_table():
    spec = importlib.util.spec_from_file_location("render", NOTES / "render.py")
    render = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(render)
    with open(NOTES / "notes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["file"] for row in rows) == sorted(path.name for path in NOTES.glob("*.wav"))
    for row in rows:
        audio, sample_rate = read_audio(NOTES / row["file"])
        nominal_hz, f0_hz = float(row["nominal_hz"]), float(row["f0_hz"])
        assert nominal_hz == pytest.approx(
            440 * 2 ** ((int(row["midi_pitch"]) - 69) / 12), abs=1e-3
        )
        measured_hz, range_cents = render.measure_steady(audio, sample_rate, nominal_hz)
        assert measured_hz == pytest.approx(f0_hz, abs=2e-3)
        assert range_cents == pytest.approx(float(row["f0_range_cents"]), abs=0.02)
    assert sum(path.stat().st_size for path in NOTES.iterdir() if path.is_file()) < 1e6


def test_blocks_hold_the_samples_of_the_whole(tmp_path, rng):
    channels = rng.uniform(-1, 1, (1000, 3)).astype(np.float32)
    sf.write(tmp_path / "a.wav", channels, 8000, subtype="FLOAT")
    whole, rate = read_audio(tmp_path / "a.wav")
    for size in (1, 300, 500, 1000, 5000):
        blocks = read_blocks(tmp_path / "a.wav", size)
        assert blocks.sample_rate == rate
        for _ in range(2):  # again and again
            parts = list(blocks)
            assert [len(part) for part in parts[:-1]] == [size] * ((1000 - 1) // size)
            assert all(part.dtype == np.float32 and part.flags.c_contiguous for part in parts)
            np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_blocks_of_many_channels_are_short(tmp_path, monkeypatch):
    monkeypatch.setattr("spectralot.audio._READ_VALUES", 64)
    sf.write(tmp_path / "a.wav", np.zeros((20, 16)), 8000)
    assert [len(block) for block in read_blocks(tmp_path / "a.wav")] == [4] * 5


def test_blocks_say_the_place_of_what_is_not_finite_in_the_file(tmp_path):
    audio = np.zeros(100, np.float32)
    audio[70] = np.nan
    sf.write(tmp_path / "a.wav", audio, 8000, subtype="FLOAT")
    blocks = iter(read_blocks(tmp_path / "a.wav", 32))
    assert len(next(blocks)) == len(next(blocks)) == 32
    with pytest.raises(ParameterError, match=r"must be finite, got nan at sample 70$"):
        next(blocks)


def test_block_samples_must_be_a_positive_number():
    with pytest.raises(ParameterError, match="block_samples must be at least 1, got 0"):
        read_blocks(NOTES / "cello_D2.wav", 0)


def test_sums_of_channels_beyond_float32_are_refused(tmp_path):
    sf.write(tmp_path / "a.wav", np.full((4, 2), 3e38, np.float32), 8000, subtype="FLOAT")
    with pytest.raises(ParameterError, match="samples must be finite, got inf at sample 0"):
        read_audio(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_pipe_is_read_as_a_file_is(tmp_path, samples, monkeypatch, name):
    sf.write(tmp_path / name, samples, 8000)
    whole = (tmp_path / name).read_bytes()
    for data, message in ((whole, None), (whole[:-300], "cut short|malformed|decoder|no samples")):
        stdin = io.TextIOWrapper(io.BytesIO(data))
        monkeypatch.setattr("sys.stdin", stdin)
        if message is None:
            np.testing.assert_array_equal(read_audio("-")[0], read_audio(tmp_path / name)[0])
        else:
            with pytest.raises(ParameterError, match=f"^cannot read standard input: .*({message})"):
                read_audio("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_read(tmp_path, samples):
    sf.write(tmp_path / "a.wav", samples, 8000)
    os.mkfifo(tmp_path / "pipe")
    data = (tmp_path / "a.wav").read_bytes()
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    np.testing.assert_array_equal(read_audio(tmp_path / "pipe")[0], samples)
    writer.join()


def test_a_terminal_is_no_sound(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    with pytest.raises(ParameterError, match=r"^cannot read standard input: it is a terminal$"):
        read_audio("-")


@pytest.mark.parametrize(("name", "header"), [("a.au", 24), ("a.w64", 104), ("a.caf", 4096)])
def test_other_headers_that_claim_too_much_are_refused(tmp_path, samples, name, header):
    path = tmp_path / name
    sf.write(path, samples, 8000, subtype="PCM_16")
    assert len(read_audio(path)[0]) == len(samples)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ParameterError, match=r"cut short: its header declares 80[04] bytes of"):
        read_audio(path)


@pytest.mark.parametrize(("rate", "fine"), [(1, True), (10_000_000, True), (10_000_001, False)])
def test_rates_of_a_damaged_header_are_refused(tmp_path, samples, rate, fine):
    sf.write(tmp_path / "a.wav", samples, rate)
    if fine:
        assert read_audio(tmp_path / "a.wav")[1] == rate
    else:
        with pytest.raises(ParameterError, match="rate must be from 1 to 10000000 Hz, got 1000000"):
            read_audio(tmp_path / "a.wav")


def test_endless_chunks_are_not_walked_through(tmp_path):
    """A sparse file of 16 GB in which every chunk is empty."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFF\xff\xff\xff\xffWAVE")
    os.truncate(path, 2**34)
    with pytest.raises(ParameterError, match=r"^cannot read .*a\.wav: \w+"):
        read_audio(path)


CONTAINERS = {
    "WAV": "PCM_16", "WAVEX": "PCM_24", "RF64": "FLOAT", "AIFF": "PCM_24", "FLAC": "PCM_16",
    "OGG": "VORBIS", "AU": "PCM_16", "CAF": "PCM_16", "W64": "PCM_16",
}  # fmt: skip


def damaged(rng, container):
    """A short recording in which a few bytes, most of them of the header, are others."""
    file = io.BytesIO()
    sound = rng.uniform(-0.5, 0.5, (1000, 2))
    sf.write(file, sound, 48000, format=container, subtype=CONTAINERS[container])
    data = np.frombuffer(file.getvalue(), np.uint8).copy()
    n_bytes = rng.integers(1, 9)
    where = rng.integers(0, rng.choice([64, 256, len(data)]), n_bytes)
    data[where] = rng.choice([0, 127, 128, 255, rng.integers(0, 256)], n_bytes)
    return data.tobytes()[: rng.choice([None, rng.integers(0, len(data))], p=[0.85, 0.15])]


@pytest.mark.parametrize("container", CONTAINERS)
def test_damaged_headers_give_samples_or_one_line(tmp_path, rng, container):
    """36 of each, never another exception; nothing allocated for what a header only claims."""
    path = tmp_path / "a.wav"
    n_read = 0
    for _ in range(36):
        path.write_bytes(damaged(rng, container))
        tracemalloc.start()
        try:
            audio, sample_rate = read_audio(path)
        except ParameterError as error:
            assert str(error).startswith(f"cannot read {path}: ") and "\n" not in str(error)
            assert not str(error).endswith(": ")
        else:
            n_read += 1
            assert 0 < len(audio) and np.isfinite(audio).all() and 1 <= sample_rate <= 10_000_000
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < 4 * 2**20 * 2 + 10 * path.stat().st_size
    assert n_read < 36 and (n_read > 0 or container in ("OGG", "FLAC"))


@pytest.mark.parametrize(
    ("container", "at", "claim", "message"),
    [
        ("WAV", 22, b"\xff\xff", "hannel"),
        ("CAF", 44, b"\x3b\x9a\xca\x00", "hannel|malformed"),
        ("WAV", 40, b"\x00\x00\x00\x80", "declares 2147483648 bytes of sound, the file holds 2000"),
        ("FLAC", 21, b"\xff\xff\xff\xff\xff", "decoder|fseek|declares 68719476735 samples"),
    ],
)
def test_claims_of_a_header_cost_no_memory(tmp_path, rng, container, at, claim, message):
    """Channels, channels, bytes and frames."""
    file = io.BytesIO()
    sf.write(file, rng.uniform(-0.5, 0.5, 1000), 48000, format=container, subtype="PCM_16")
    data = bytearray(file.getvalue())
    data[at : at + len(claim)] = claim
    (tmp_path / "a").write_bytes(data)
    tracemalloc.start()
    with pytest.raises(ParameterError, match=message):
        read_audio(tmp_path / "a")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2**20
