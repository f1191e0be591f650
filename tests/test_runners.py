"""Many jobs: in this process, in several, on a cluster; and what a process that dies costs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import stand_in

from spectralot import ParameterError
from spectralot.corpus import Job, Options, Summary, estimate_file
from spectralot.files import writing
from spectralot.runners import run_jobs

TESTS = Path(__file__).parent


def work(job):
    """What other processes import: `estimate_file` with the stand-in, or what the name says."""
    kind, mark = Path(job.file).stem, Path(job.stem + ".mark")
    if kind == "fault":
        raise IndexError("one\ntwo")
    if kind == "deadly" or (kind == "once" and not mark.exists()):
        mark.write_text("was here")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "beside":
        time.sleep(0.5)
    if kind == "slow":
        with writing(job.outputs[0]) as part:
            part.write_text("half")
            mark.write_text("at work")
            time.sleep(60)
    if kind == "lost" and not mark.exists():  # dies with all done, and nothing said
        stand_in.install()
        estimate_file(job)
        mark.write_text("was here")
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "who":
        mark.write_text(f"{os.getpid()} {os.environ['NUMBA_NUM_THREADS']}")
    stand_in.install()
    return estimate_file(job)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, to which other processes need the whole path."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs_of(*names, **options):
    """One short recording each, and its job; "refused" is too short for the estimator."""
    for name in names:
        sf.write(f"{name}.wav", np.full(7 if "refused" in name else 400, 0.1), 8000)
    return [Job(f"{name}.wav", name, Options(**options)) for name in names]


TOO_SHORT = "audio must have at least 64 samples, got 7"


def done(*names):
    """What becomes of recordings that go well."""
    outputs = {name: (f"{name}.f0.csv", f"{name}.npz") for name in names}
    return {f"{name}.wav": Summary(both, False, 0.75, 220.0) for name, both in outputs.items()}


def outcomes(jobs, **options):
    return {job.file: outcome for job, outcome in run_jobs(jobs, work=work, **options)}


@pytest.fixture
def expected_csv(folder, estimator):
    """What one process writes."""
    estimate_file(*jobs_of("plain"))
    return Path("plain.f0.csv").read_text()


def test_one_process_keeps_the_order_and_goes_on(folder, estimator):
    jobs = jobs_of("b", "refused", "a", "fault")
    found = list(run_jobs(jobs, work=work))
    assert [job for job, _ in found] == jobs
    assert dict((job.file, outcome) for job, outcome in found) == {
        **done("a", "b"), "refused.wav": TOO_SHORT, "fault.wav": "unexpected IndexError: one two",
    }  # fmt: skip


def test_memory_that_runs_out_has_words_too():
    def fail(job):
        raise MemoryError

    assert list(run_jobs([Job("a", None)], work=fail)) == [(Job("a", None), "not enough memory")]


def test_processes_share_the_work_and_the_threads(folder, expected_csv, monkeypatch):
    monkeypatch.setenv("NUMBA_NUM_THREADS", "6")
    found = outcomes(jobs_of("a", "b", "refused", "fault", "who"), n_processes=2)
    assert found == {
        **done("a", "b", "who"),
        "refused.wav": TOO_SHORT,
        "fault.wav": "unexpected IndexError: one two",
    }
    assert all(Path(f"{name}.f0.csv").read_text() == expected_csv for name in ("a", "b", "who"))
    process, threads = Path("who.mark").read_text().split()
    assert process != str(os.getpid()) and threads == "3"


def test_who_was_beside_it_is_not_blamed(folder, estimator):
    found = outcomes(jobs_of("deadly", "beside"), n_processes=2)
    assert found == {
        **done("beside"),
        "deadly.wav": "the process that worked on it died, more than once",
    }


@pytest.mark.parametrize("fatal", ["deadly", "once"])
def test_a_process_that_dies_costs_at_most_its_file(folder, expected_csv, fatal):
    found = outcomes(jobs_of(fatal, "a", "b", "c", "d"), n_processes=2)
    assert Path(f"{fatal}.mark").exists()
    if fatal == "deadly":
        assert found.pop("deadly.wav") == "the process that worked on it died, more than once"
    assert found == done(*"abcd", *["once"] * (fatal == "once"))
    assert all(Path(f"{name}.f0.csv").read_text() == expected_csv for name in "abcd")


def test_what_a_process_finished_before_it_died_is_its_own_to_replace(folder, expected_csv):
    jobs = jobs_of("kept", "lost", "had")
    Path("kept.npz").write_text("mine")
    Path("had.f0.csv").write_text("mine")
    found = outcomes(jobs, n_processes=2)
    assert Path("lost.mark").exists()
    exists = "it exists already; set overwrite to replace it"
    assert found == {
        **done("lost"),
        "kept.wav": f"cannot write kept.npz: {exists}",
        "had.wav": f"cannot write had.f0.csv: {exists}",
    }
    assert Path("kept.npz").read_text() == Path("had.f0.csv").read_text() == "mine"
    found = outcomes(jobs_of("lost", skip_existing=True) * 2, n_processes=2)
    assert found["lost.wav"].skipped


def test_standard_input_stays_in_this_process(folder, estimator, monkeypatch):
    jobs = [*jobs_of("a"), Job("-", "who", Options())]
    with open("a.wav", "rb") as stdin:
        monkeypatch.setattr("sys.stdin", type("", (), {"buffer": stdin, "isatty": lambda: False}))
        (first, _), (second, _) = run_jobs(jobs, n_processes=2, work=work)
    assert (first, second) == (jobs[1], jobs[0])
    assert len(estimator) == 1  # the other call was another process's


def wait_for(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened in 20 s")


@pytest.mark.parametrize("how", ["closed", "killed"])
def test_whoever_leaves_takes_the_processes_along(folder, how):
    """No half of a result stays, whether the work is given up or the first process is killed."""
    jobs = jobs_of("a", "slow", formats=("csv",))
    if how == "closed":
        results = run_jobs(jobs, n_processes=2, work=work)
        next(results)
        wait_for(Path("slow.mark").exists)
        results.close()
    else:
        Path("main.py").write_text(
            f"import sys; sys.path.insert(0, {str(TESTS)!r})\n"
            "from test_runners import jobs_of, run_jobs, work\n"
            "if __name__ == '__main__':\n"
            "    jobs = jobs_of('a', 'slow', formats=('csv',))\n"
            "    list(run_jobs(jobs, n_processes=2, work=work))\n"
        )
        with subprocess.Popen([sys.executable, "main.py"], stderr=subprocess.DEVNULL) as process:
            wait_for(lambda: Path("slow.mark").exists() and Path("a.f0.csv").exists())
            process.kill()
    wait_for(lambda: not list(folder.glob(".spectralot-*")))
    left = {"a.wav", "slow.wav", "a.f0.csv", "slow.mark"}
    assert set(os.listdir()) - {"main.py"} == left


@pytest.fixture(scope="module")
def cluster():
    """Give the address of a scheduler with two worker processes that are restarted if they die."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    ) as cluster:
        yield cluster.scheduler_address


def written(outcomes):
    """The results' names. What a worker finished just before it died comes back as skipped."""
    return {file: getattr(outcome, "outputs", outcome) for file, outcome in outcomes.items()}


def test_a_cluster_finishes_though_a_worker_is_killed(folder, expected_csv, cluster):
    names = ("a", "once", *"bcdefg")
    jobs = jobs_of(*names, "refused")
    found = outcomes(jobs, address=cluster)
    assert Path("once.mark").exists()
    assert found.pop("refused.wav") == TOO_SHORT
    assert written(found) == written(done(*names)) and found["once.wav"].voiced_share == 0.75
    assert all(Path(f"{name}.f0.csv").read_text() == expected_csv for name in names)
    before = [os.stat(f"{name}.npz") for name in names]
    again = outcomes(jobs, address=cluster)
    assert again.pop("refused.wav") == TOO_SHORT
    assert all(outcome.skipped for outcome in again.values()) and len(again) == len(names)
    assert [os.stat(f"{name}.npz") for name in names] == before
    anew = outcomes(jobs_of("a", overwrite=True), address=cluster)
    assert anew == done("a")


def test_a_file_that_kills_every_worker_is_one_line(folder, cluster):
    found = outcomes(jobs_of("a", "deadly"), address=cluster)
    assert found.pop("deadly.wav") == "the process that worked on it died, more than once"
    assert written(found) == written(done("a"))


def test_a_scheduler_that_is_not_there_is_one_line(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("spectralot.runners._PATIENCE_S", 0.5)
    for address in ("tcp://127.0.0.1:9", "nonsense://x"):
        with pytest.raises(ParameterError, match=r"^cannot reach a dask scheduler at") as caught:
            list(run_jobs([Job("a.wav", "a")], address=address))
        assert "\n" not in str(caught.value)


def test_a_cluster_needs_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ParameterError, match=r"pip install 'spectralot\[dask\]'"):
        list(run_jobs([Job("a.wav", "a")], address="tcp://127.0.0.1:9"))
