"""What a training step on a device launches and keeps: ``python -m benchmarks.gpu_launches``.

Nothing is computed: Numba's simulator hands out arrays, and kernels are counted, not run.
"""

import os

os.environ["NUMBA_ENABLE_CUDASIM"] = "1"  # before Numba is imported

from collections import Counter
from dataclasses import replace

from numba.cuda.simulator.cudadrv.devicearray import FakeCUDAArray
from numba.cuda.simulator.kernel import FakeCUDAKernel

from spectralot.learn import Sounds, paper_sounds
from spectralot.learn.experiments import experiment
from spectralot.learn.side_by_side import SideBySide


def name_of(function):
    """Module and name."""
    return f"{function.__module__.rpartition('.')[2]}.{function.__name__}"


def step(n_runs, row="SOT-2048", encoder="shared", batch_size=64):
    """Launches of each kernel in a step, and bytes of its workspace."""
    counts = Counter()
    FakeCUDAKernel.__call__ = lambda kernel, *arguments: counts.update([name_of(kernel.fn)])
    FakeCUDAArray.shape = property(lambda array: array._ary.shape)  # -1 is an index, too
    config = replace(experiment(row, encoder)[0], batch_size=batch_size, moves=0, steps=2)
    sounds = paper_sounds(100)
    training = Sounds(sounds.audio[:batch_size], sounds.f0_hz[:batch_size])
    runs = SideBySide([replace(config, seed=s) for s in range(n_runs)], training, training[:1])
    counts.clear()
    runs._replay()
    kept = sum(array.nbytes for array in runs._replay._workspace._arrays)
    return counts, kept


def main():
    """Print tables."""
    counts, kept = step(1)
    print("| kernel | launches |\n|---|---:|")
    for name, count in sorted(counts.items()):
        print(f"| {name} | {count} |")
    print(f"| all | {sum(counts.values())} |\n")
    print("| runs side by side | launches | arrays of a step, MB |\n|---:|---:|---:|")
    for n_runs in (1, 8, 35):
        counts, kept = step(n_runs)
        print(f"| {n_runs} | {sum(counts.values())} | {kept / 1e6:.0f} |")


if __name__ == "__main__":
    main()
