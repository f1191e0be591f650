"""Nothing is fetched or sent: what Python's audit events tell of each command."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTE = Path(__file__).parents[1] / "examples" / "notes" / "clarinet_F4.wav"
NETWORK = ("socket.", "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.")
CODE = f"""
import json, sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith({NETWORK}) else None)
from spectralot.cli import main
for command in json.loads(sys.argv[1]):
    try:
        main(command, standalone_mode=False)
    except SystemExit as end:
        assert not end.code, command
print(json.dumps(seen))
"""


def events(commands, cwd):
    """The network's events while the commands run in one process."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(commands)],
        cwd=cwd, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_no_command_opens_a_connection(tmp_path):
    train = "train --synthetic varied --sounds 10 --steps 2 --batch-size 2 -o run"
    commands = [
        "info", f"estimate {NOTE} -o out --format csv,npz,json", train,
        f"estimate {NOTE} --method model -o m",
        f"report {NOTE} -o page.html", f"compare {NOTE} {NOTE}", "resynth out/clarinet_F4.npz",
        "convert out/clarinet_F4.npz f0.PitchTier", "eval f0.PitchTier out/clarinet_F4.f0.csv",
    ]  # fmt: skip
    assert events([command.split() for command in commands], tmp_path) == []


def test_a_connection_would_be_seen(tmp_path):
    (tmp_path / "spectralot").mkdir()
    (tmp_path / "spectralot" / "__init__.py").touch()
    (tmp_path / "spectralot" / "cli.py").write_text(
        "import socket\ndef main(*_, **__):\n    socket.socket().close()\n"
    )
    assert events([[]], tmp_path) == ["socket.__new__"]
