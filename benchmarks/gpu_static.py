"""``python -m benchmarks.gpu_static``: what each kernel takes of a device that need not be there.

numba-cuda compiles it to PTX, and ptxas, found on PATH, assembles that and tells the registers of
a thread, and the bytes that found no room in them and are stored and loaded instead (spills). In
the PTX stand the shared memory of a block in bytes, with a "+" where launches ask for more, and
the instructions that work on float64.

ptxas must be no older than the NVVM of numba-cuda: both come as packages, nvidia-cuda-nvcc and
nvidia-nvvm, of one version.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from spectralot.files import writing

from .kernels import compiled, float64_instructions, signatures
from .landscape_study import page_with, write_table

MARK = "static"  # of the page's table
COLUMNS = ("kernel", "registers", "spills", "shared", "float64")


def assembled(ptx, capability):
    """What ``ptxas -v`` says of some PTX."""
    arch = "-arch=sm_{}{}".format(*capability)
    # -c, for later linking: as it will be where it runs, by nvJitLink; else the registers differ
    return subprocess.run(
        ["ptxas", "-v", "-c", arch, "-o", os.devnull, "-"],
        input=ptx, capture_output=True, check=True, text=True,
    ).stderr  # fmt: skip


def figures(said, ptx):
    """The numbers of a kernel, from what ptxas said of it and from its PTX.

    Functions that it calls have stacks and spills of their own, which are added.
    """

    def numbers(what):
        return [int(n) for n in re.findall(rf"(\d+) {what}", said)]

    return {
        "registers": max(numbers("registers")),
        "spill_stores": sum(numbers("bytes spill stores")),
        "spill_loads": sum(numbers("bytes spill loads")),
        "stack": sum(numbers("bytes stack frame")),
        "shared": sum(int(n) for n in re.findall(r"\.shared .*\[(\d+)\]", ptx)),
        "shared_at_launch": ".extern .shared" in ptx,
        "float64": len(float64_instructions(ptx)),
    }


def measure(name, kernel, arguments, capability):
    """The numbers of one kernel of spectralot.cuda's module `name`."""
    ptx = compiled(name, kernel, arguments, capability)
    return figures(assembled(ptx, capability), ptx)


def cells(found):
    """A kernel's numbers as the table shows them."""
    stores, loads = found["spill_stores"], found["spill_loads"]
    yield str(found["registers"])
    yield f"{stores} + {loads}" if stores or loads else "0"
    yield f"{found['shared']}{' +' if found['shared_at_launch'] else ''}"
    yield str(found["float64"])


def table(results):
    """Table of {capability: {kernel: numbers}}; where capabilities differ, one after the other."""
    lines = [f"Compute capability {' / '.join(results)}:", ""]
    lines += ["| " + " | ".join(COLUMNS) + " |", "|---" + "|---:" * (len(COLUMNS) - 1) + "|"]
    for kernel in next(iter(results.values())):
        columns = zip(*(cells(kernels[kernel]) for kernels in results.values()), strict=True)
        row = (c[0] if len(set(c)) == 1 else " / ".join(c) for c in columns)
        lines.append(f"| {kernel} | " + " | ".join(row) + " |")
    return "\n".join(lines)


def capability_of(text):
    """8.0 as (8, 0)."""
    major, minor = text.split(".")
    return int(major), int(minor)


def study(capabilities):
    """The numbers of all kernels: {"8.0": {"stft._forward": numbers}}."""
    from numba import types

    return {
        "{}.{}".format(*capability): {
            f"{name}.{kernel}": measure(name, kernel, arguments, capability)
            for name, kernels in signatures(types).items()
            for kernel, arguments in kernels.items()
        }
        for capability in capabilities
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_static", description=__doc__)
    parser.add_argument(
        "--cc", type=capability_of, action="append", metavar="X.Y",
        help="compute capability; may be given several times (8.0 and 9.0)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", type=Path, help="write all numbers to this JSON file too")
    parser.add_argument(
        "--page", type=page_with(MARK), help="write the table between this page's marks"
    )
    options = parser.parse_args()
    if find_spec("numba_cuda") is None:
        sys.exit("numba-cuda is missing: install spectralot[cuda]")
    if shutil.which("ptxas") is None:
        sys.exit("ptxas is not on PATH: it is part of the CUDA toolkit, and of nvidia-cuda-nvcc")
    try:
        results = study(options.cc or [(8, 0), (9, 0)])
    except subprocess.CalledProcessError as error:
        sys.exit(error.stderr.splitlines()[0])
    text = table(results)
    print(text)
    if options.output:
        numbers = {"numba-cuda": version("numba-cuda"), **results}
        with writing(options.output, overwrite=True) as part:
            part.write_text(json.dumps(numbers, indent=1) + "\n")
    if options.page:
        write_table(text, options.page, MARK)


if __name__ == "__main__":
    main()
