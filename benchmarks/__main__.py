"""``python -m benchmarks``: time everything and print the tables."""

import argparse
import json
import platform
import statistics
import sys
import time
from pathlib import Path

import numba
import numpy as np
import scipy

from .cases import NOTES, TABLES
from .landscape_study import page_with, write_table

COLUMNS = ["operation", "what", "median ms", "best ms", "ratio", "ns / osc. sample core", "bar"]


def cpu_name():
    """Model of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def timed(runs, repeats):
    """Median and least seconds of each callable, by turns (A B A B ...) after one warm-up."""
    for run in runs.values():
        run()
    times = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: (statistics.median(t), min(t)) for name, t in times.items()}


def measure(row, repeats, threads):
    """Lines of the table for one row."""
    seconds = timed(row.runs, repeats)
    base, _ = next(iter(seconds.values()))
    for name, (time_s, best_s) in seconds.items():
        line = dict.fromkeys(COLUMNS)
        line |= {"operation": row.operation, "what": name, "median ms": 1e3 * time_s}
        line["best ms"] = 1e3 * best_s
        if len(seconds) > 1:
            line["ratio"] = time_s / base
        if row.oscillators:
            line["ns / osc. sample core"] = 1e9 * time_s * threads / row.oscillators
        if name == "spectralot" and (row.bar or row.bar_ns):
            bar, value = (
                (row.bar, line["ratio"]) if row.bar else (row.bar_ns, line["ns / osc. sample core"])
            )
            line["bar"] = (
                f"{bar:g}{'' if row.bar else ' ns'} {'holds' if value <= bar else 'MISSED'}"
            )
        yield line


def markdown(title, lines):
    """A table in Markdown; columns without an entry are left out."""
    columns = [c for c in COLUMNS if any(line[c] is not None for line in lines)]
    cells = [columns, *([cell(line[c]) for c in columns] for line in lines)]
    widths = [max(len(row[k]) for row in cells) for k in range(len(columns))]
    rows = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) + " |" for r in cells
    ]
    rows.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join([f"## {title}", "", *rows, "", NOTES[title]]).rstrip() + "\n"


def cell(value):
    return "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--repeats", type=int, default=15, help="runs of each entry (15)")
    parser.add_argument("--threads", type=int, default=numba.config.NUMBA_NUM_THREADS)
    parser.add_argument("--only", help="only rows whose operation contains this")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file too")
    parser.add_argument("--page", type=page_with("benchmarks"), help="put the tables in this page")
    parser.add_argument("--json", type=Path, help="write all numbers to this file too")
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    where = {
        "cpu": cpu_name(), "threads": options.threads, "repeats": options.repeats,
        "python": platform.python_version(), "numpy": np.__version__,
        "scipy": scipy.__version__, "numba": numba.__version__,
    }  # fmt: skip
    head = ", ".join(f"{name} {value}" for name, value in where.items())
    head = f"Medians of one run, entries of a row by turns: {head}.\n"
    print(head)
    pages, lines = [head], []
    for title, make in TABLES.items():
        rows = [r for r in make(options.threads) if (options.only or "") in r.operation]
        table = [line for row in rows for line in measure(row, options.repeats, options.threads)]
        if table:
            pages.append(markdown(title, table))
            print(pages[-1], flush=True)
            lines += table
    if options.markdown:
        options.markdown.write_text("\n".join(pages), encoding="utf-8")
    if options.page:
        write_table("\n".join(pages), options.page, "benchmarks")
    if options.json:
        options.json.write_text(json.dumps({**where, "lines": lines}, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
