"""Each topic's checks, one line of findings each; a check that fails raises."""

import argparse
import datetime
import importlib
import os
import platform
import time
from pathlib import Path

from benchmarks.landscape_study import page_with, write_table

TOPICS = ["threads", "same_numbers", "extremes", "files", "faults", "load", "cache", "mutation"]


def machine():
    """What the findings hold for."""
    from importlib.metadata import version

    parts = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "scipy"))
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{system}, Python {platform.python_version()}, {parts}"


def run(topic, short):
    """Lines of a table: what was checked, what was found."""
    module = importlib.import_module(f"{__package__}.{topic}")
    start = time.perf_counter()
    lines = ["| checked | found |", "|---|---|"]
    for what, found in module.check(short):
        print(f"{topic}: {what}: {found}", flush=True)
        lines.append(f"| {what} | {found} |")
    today = datetime.date.today().isoformat()
    spent = f"{(time.perf_counter() - start) / 60:.1f} minutes"
    lines += ["", f"{today}, {spent}, {machine()}."]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__)
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help=f"of {', '.join(TOPICS)}")
    parser.add_argument("--short", action="store_true", help="as much as the test suite runs")
    parser.add_argument("--page", type=Path, help="write each topic's findings into this page")
    options = parser.parse_args()
    if unknown := set(options.topics) - {*TOPICS}:
        parser.error(f"TOPIC must be one of {', '.join(TOPICS)}, not {', '.join(sorted(unknown))}")
    for topic in options.topics or TOPICS:
        page = options.page and page_with(topic)(options.page)
        table = run(topic, options.short)
        if page:
            write_table(table, page, topic)


if __name__ == "__main__":
    main()
