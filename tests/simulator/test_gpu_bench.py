"""What is to be measured on a device, tried at tiny sizes in the simulator."""

import json
import os
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from spectralot import LIN, SOT, WeightedSum, backend
from spectralot.learn.objective import Joint

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks import gpu, gpu_cases
from benchmarks.gpu_cases import REAL, TINY, Case, cases

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # integers are to wrap
STFT, TRAINING = "STFT 64, hop 32", "training, SOT-2048, drawn to targets"
CHEAP = {
    "parity": [
        STFT, "LIN", "transport, p = 1, balanced", "transport, p = 2, cutoff, places too",
        "harmonics across Nyquist, a block, phases", "harmonics, linear, odd steps", "partials",
        "harmonics of an hour", "shared, 2 run(s)", TRAINING,
    ],
    "races": [STFT, TRAINING],
    "bounds": [STFT, "transport, p = 2, cutoff, places too", TRAINING],
}  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch):
    sizes = {
        "cuda.arrays": {"THREADS": 16}, "cuda.stft": {"THREADS": 16},
        "cuda.synth": {"THREADS": 8, "LANES": 4, "PARTS": 2},
        "cuda.transport": {"THREADS": 4, "SUMS": 5}, "cuda.training": {"THREADS": 4},
        "cuda.network": {
            "THREADS": 4, "TILE": 2, "EACH": 2, "SIDE": 4, "ROW": 5, "BINS": 4, "STRIDE": 5,
        },
        "learn._heads": {"BELOW": 2, "ABOVE": 1}, "learn.encoder": {"TAPS": 5},
        "learn._network": {"PIECES": 1, "PARTS": 2, "FEW_PARTS": 2, "ROWS": 6},
        "learn.side_by_side": {"PIECE": 2},
    }  # fmt: skip
    for module, constants in sizes.items():
        for name, value in constants.items():
            monkeypatch.setattr(import_module(f"spectralot.{module}"), name, value)
    monkeypatch.setattr(gpu_cases, "STEPS", 1)

    def tiny_objective(name, grid, *, refine=True, clip=1.0):
        terms = {"sot": (1.0, SOT(64, hop_length=64)), "lin": (0.05, LIN(64))}
        return Joint(WeightedSum(terms), grid, clip)

    for module in ("trainer", "side_by_side"):
        monkeypatch.setattr(
            import_module(f"spectralot.learn.{module}"), "objective", tiny_objective
        )


@pytest.mark.parametrize(
    ("section", "name"), [(section, name) for section, names in CHEAP.items() for name in names]
)
def test_operations_pass(section, name):
    outcome = getattr(gpu, section)(cases(TINY)[name], TINY, 1)
    assert outcome["passed"], outcome


# what is wrong is told

WRONG = Case("wrong", lambda rng: {"x": np.ones((2, 8), np.float32)}, None, n_bytes=1.0)


def outcome_of(section, call, **options):
    return getattr(gpu, section)(replace(WRONG, call=call, **options), TINY, 1)


def test_a_wrong_kernel_is_told(monkeypatch):
    kernels = import_module("spectralot.cuda.stft")
    right = kernels.stft_backward

    def wrong(*arguments):
        right(*arguments)
        import_module("spectralot.cuda.arrays").scale(arguments[-1], 1.001)

    monkeypatch.setattr(kernels, "stft_backward", wrong)
    outcome = gpu.parity(cases(TINY)[STFT], TINY, 1)
    assert not outcome["passed"] and outcome["values"]["error"] < 1e-6
    assert outcome["gradients"]["error"] == pytest.approx(1e-3, rel=1e-2)
    assert "| FAILED: d_x |" in gpu.section_text("parity", {STFT: outcome})


@pytest.mark.parametrize("found", [np.nan, np.inf, 1.1])
def test_no_number_is_no_parity(found):
    def call(x):
        wrong = backend.on_device(x)
        return {"d_y": np.full(3, found if wrong else 1.0)}

    outcome = outcome_of("parity", call)
    assert not outcome["passed"] and outcome["gradients"]["name"] == "d_y"


def test_parity_allows_four_times_the_error_of_the_cpu():
    def call(x, times):
        error = times if backend.on_device(x) else float(x.dtype == np.float32)
        return {"y": np.array([1.0 + 1e-3 * error])}

    for times, passed in ((3.9, True), (4.1, False)):
        outcome = outcome_of("parity", lambda x, times=times: call(x, times))
        assert outcome["passed"] == passed and outcome["values"]["bar"] == pytest.approx(4e-3)


def test_launches_that_differ_are_told():
    count = iter(range(100))
    outcome = outcome_of("races", lambda x: {"y": np.ones(3), "z": np.array([next(count)])})
    assert not outcome["passed"] and outcome["unlike"] == outcome["replayed_unlike"] == ["z"]
    outcome = outcome_of("races", lambda x: {"y": np.zeros(3)})
    assert outcome == {"launches": 2, "unlike": [], "replayed_unlike": [], "passed": True}


@pytest.mark.parametrize(("at", "where"), [(-1, "before"), (16, "behind")])
def test_a_write_beside_an_array_is_told(at, where):
    def call(x):
        memory = x._ary.base
        memory[x._ary.ctypes.data - memory.ctypes.data + 4 * at] = 7

    with gpu.guards() as zones:
        call(backend.to_device(np.ones((2, 8), np.float32)))
        assert gpu.overwritten(zones) == [f"1 bytes {where} an array of float32 (2, 8)"]


def test_what_nobody_wrote_is_told():
    def call(x):
        y = backend.empty(3, np.float32, x)
        if not np.isnan(y.copy_to_host()).all():  # as it comes, without guards
            y.copy_to_device(np.zeros(3, np.float32))
        return {"y": y}

    outcome = outcome_of("bounds", call)
    assert outcome["unlike"] == ["y"] and not outcome["passed"] and outcome["arrays"] == 2


# processes


def job_done(job):
    if job == "dies":
        os._exit(1)
    if job == "hangs":
        time.sleep(100)
    if job == "fails":
        raise ValueError("on two\nlines")
    return {"pid": os.getpid()}


def test_a_job_that_fails_dies_or_hangs_takes_no_other_with_it():
    jobs = ["good", "fails", "fine", "dies", "well", "hangs"]
    outcomes = dict(gpu.outcomes(jobs, job_done, limit_s=3))
    assert list(outcomes) == jobs
    assert outcomes["fails"] == {"error": "ValueError: on two lines", "passed": False}
    assert outcomes["dies"]["error"] == "the process died"
    assert outcomes["hangs"]["error"] == "no answer within 3 s"
    pids = [outcomes[job]["pid"] for job in ("good", "fine", "well")]
    assert pids[0] == pids[1] != pids[2]


# the command


def test_all_sections_end_in_tables(tmp_path, monkeypatch, capsys):
    simulator = (
        import_module("numba.cuda.simulator.kernel"),
        import_module("numba.cuda.simulator.api"),
    )
    monkeypatch.setattr(simulator[0].FakeCUDAKernel, "__call__", lambda *_: None)  # nothing is done
    monkeypatch.setattr(simulator[1].Event, "elapsed_time", lambda *_: 1.0)
    monkeypatch.setattr(gpu, "outcomes", lambda jobs: ((job, gpu.perform(job)) for job in jobs))
    same = replace(WRONG, name="same", call=lambda x: {"y": np.zeros(2)})
    other = replace(WRONG, call=lambda x: {"y": np.full(2, float(backend.on_device(x)))})
    monkeypatch.setattr(gpu, "cases", lambda sizes: {"same": same, "wrong": other})
    page, numbers = tmp_path / "gpu.md", tmp_path / "gpu.json"
    page.write_text("before\n<!-- measured -->\nearlier\n<!-- end of measured -->\nafter\n")
    command = ["gpu", "--tiny", "-o", str(numbers), "--page", str(page)]
    monkeypatch.setattr(sys, "argv", command)
    assert gpu.main() == 1
    told = json.loads(numbers.read_text())
    assert list(told)[-5:] == ["parity", "races", "bounds", "times", "step"]
    assert told["parity"]["same"]["passed"] and not told["parity"]["wrong"]["passed"]
    assert told["times"]["limits"].keys() == {"bytes_per_s", "flops_per_s"}
    assert told["step"]["1"]["launches"] == told["step"]["2"]["launches"] > 20
    text = page.read_text()
    assert text.startswith("before\n<!-- measured -->\nsimulated, ")
    assert text.endswith("\n<!-- end of measured -->\nafter\n") and "earlier" not in text
    for section in gpu.SECTIONS:
        assert f"### {section.capitalize()}\n" in text
    assert "| wrong | inf | 1.0e-05 |  |  | FAILED: y |" in text
    monkeypatch.setattr(sys, "argv", ["gpu", "--tiny", "--only", "races"])
    capsys.readouterr()
    assert gpu.main() == 0
    assert "| same | 2 alike |" in capsys.readouterr().out


def test_without_a_device_one_line_says_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    monkeypatch.setattr(backend, "cuda_missing", lambda: "no CUDA device is available: why")
    assert gpu.main() == 2
    assert capsys.readouterr().err == "no CUDA device is available: why\n"
    monkeypatch.setattr(sys, "argv", ["gpu", "--page", "nowhere.md"])
    with pytest.raises(SystemExit, match="2"):
        gpu.main()


def test_all_cases_at_real_sizes_have_costs_and_names_of_their_own():
    every = cases(REAL)
    assert len(every) == sum(len(list(group(REAL))) for group in gpu_cases.GROUPS) > 40
    timed = gpu.jobs_of("times", False, 1)
    assert timed[0][0] == "limits" and len(timed) > 35
    assert all(case.n_flops > 0 for case in every.values() if case.n_bytes)
