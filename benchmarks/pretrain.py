"""``python -m benchmarks.pretrain``: train the model that is shipped, on synthetic sounds alone.

Takes some twenty minutes on one core; an interrupted run goes on where it was.
"""

import argparse
from pathlib import Path

from . import one_thread

if __name__ == "__main__":
    one_thread()

from spectralot.learn import TrainConfig, scores, train, varied_sounds

SHIPPED = Path(__file__).parents[1] / "spectralot" / "learn" / "model.npz"
CONFIG = TrainConfig(
    encoder={"kind": "shared", "n_harmonics": 30, "channels": 16, "hidden": 64},
    frames={"gamma": 5.0},
    steps=8000,
    validate_every=500,
)
N_SOUNDS = 12000


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pretrain", description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("pretraining"), help="folder of the run")
    parser.add_argument("--keep", action="store_true", help="do not replace the shipped model")
    options = parser.parse_args()
    training, validation, test = varied_sounds(N_SOUNDS).split()
    result = train(
        CONFIG, training, validation[:500], folder=options.run,
        progress=lambda step, row: row and print(row, flush=True),
    )  # fmt: skip
    if not result.finished:
        print("interrupted: run it again to go on")
        return
    found = scores(result.model, test)
    print("test:", found)
    if not options.keep:
        result.model.save(SHIPPED, overwrite=True, test=found, made_by="benchmarks.pretrain")


if __name__ == "__main__":
    main()
