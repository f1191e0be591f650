"""The short version of what `python -m tests.stress` proves."""

import importlib

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    "topic",
    ["threads", "same_numbers", "extremes", "files", "faults", "load", "cache", "mutation"],
)
def test_short_version(topic):
    assert [*importlib.import_module(f"stress.{topic}").check(short=True)]
