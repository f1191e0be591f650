"""Many runs, one file: what is done is not repeated, and the table says what was found."""

import json
from dataclasses import asdict

import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from spectralot import PRESETS, ParameterError
from spectralot.cli import main
from spectralot.cli.reproduce import MARKS, ROWS
from spectralot.learn import experiments
from spectralot.plot import plot_convergence


@pytest.fixture
def quick(monkeypatch):
    """Tiny networks, and a count of the runs."""
    started, run = [], experiments._run

    def counted(name, config, n_sounds, snr_db, folder):
        started.append((name, config.seed))
        encoder = config.encoder | {"channels": 2, "hidden": 4}
        config = type(config)(
            **(asdict(config) | {"encoder": encoder, "batch_size": 4, "validate_every": 1})
        )
        return run(name, config, n_sounds, snr_db, folder)

    monkeypatch.setattr(experiments, "_run", counted)
    return started


def reproduce(tmp_path, names, n_seeds):
    return list(
        experiments.reproduce(
            names, n_seeds, tmp_path / "runs.json", steps=2, n_sounds=40, scratch=tmp_path / "s"
        )
    )


def test_every_row_of_the_paper_is_an_experiment_and_a_choice_of_the_command():
    assert set(experiments.PUBLISHED) == set(experiments.PAPER_ROWS) <= set(PRESETS)
    assert ROWS == experiments.EXPERIMENTS
    configs = [experiments.experiment(name)[0] for name in experiments.PAPER_ROWS]
    assert [config.objective for config in configs] == list(experiments.PAPER_ROWS)
    others = [{k: v for k, v in asdict(c).items() if k != "objective"} for c in configs]
    assert all(other == others[0] for other in others)  # rows differ in the loss alone


def test_the_paper_s_encoder_is_trained_as_the_paper_does():
    config, snr_db = experiments.experiment("SOT-2048", "paper")
    assert (config.steps, config.batch_size, config.learning_rate) == (25000, 64, 1e-4)
    assert config.l2 == 1e-4 and config.schedule == "constant" and snr_db is None
    assert config.frames == {"calibrated": False}


def test_an_unknown_row_is_refused():
    with pytest.raises(ParameterError, match=r"row must be one of 'LIN', .* got 'L1'"):
        experiments.experiment("L1")


def test_runs_are_added_and_never_repeated(tmp_path, quick):
    first = reproduce(tmp_path, ["guided"], 1)
    assert [run["seed"] for run in first] == [0] and len(quick) == 1
    more = reproduce(tmp_path, ["guided", "guided-20dB"], 2)
    assert len(more) == 3 and len(quick) == 4
    stored = experiments.load_results(tmp_path / "runs.json")
    assert [(run["row"], run["seed"]) for run in stored] == [
        ("guided", 0), ("guided", 1), ("guided-20dB", 0), ("guided-20dB", 1),
    ]  # fmt: skip
    assert stored[0] == json.loads(json.dumps(first[0]))
    assert len(stored[0]["log"]) == 2
    assert "lsd_clean" in stored[2]["test"] and "lsd_clean" not in stored[0]["test"]
    assert reproduce(tmp_path, ["guided"], 2) == [] and len(quick) == 4


def test_an_interrupted_run_is_no_result(tmp_path, monkeypatch):
    monkeypatch.setattr(experiments, "_run", lambda *job: None)
    with pytest.raises(KeyboardInterrupt):
        reproduce(tmp_path, ["guided"], 1)
    assert experiments.load_results(tmp_path / "runs.json") == []


def test_results_that_are_none_are_refused(tmp_path):
    path = tmp_path / "runs.json"
    for text in ("{}", "[1,"):
        path.write_text(text)
        with pytest.raises(ParameterError, match=r"cannot read .*runs\.json"):
            experiments.load_results(path)


def found(row, seed, lsd, rpa, **more):
    test = {"lsd": lsd, "rpa": rpa, "rca": 100.0, **more}
    log = [{"step": 1, "rpa": rpa, "rca": 100.0}]
    return dict(
        row=row, encoder="shared", seed=seed, steps=9, test=test, seconds=90.0, log=log, sounds=40
    )


def test_table_has_mean_median_and_deviation_beside_the_published_ones():
    runs = [found("SOT-2048", i, lsd, 50.0) for i, lsd in enumerate((1.0, 2.0, 6.0))]
    runs.append(found("guided-20dB", 0, 200.0, 99.0, lsd_clean=12.0))
    lines = experiments.table(runs).splitlines()
    assert lines[2] == (
        "| SOT-2048 | shared | 9 | 3 | 3.0 / 2.0 (2.6) | 50.0 / 50.0 (0.0) | 100.0 / 100.0 (0.0) "
        "| 1.5 |"
    )
    assert lines[3].startswith("| SOT-2048, published | paper | 25000 | 5 | 23.5 / 24.5 (3.5) |")
    assert "| 12.0 / 12.0 (0.0) |" in lines[4] and len(lines) == 5


def test_command_fills_page_and_figure(tmp_path, quick):
    results, page = tmp_path / "runs.json", tmp_path / "page.md"
    page.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}\nafter\n")
    results.write_text(json.dumps([found("guided", 0, 4.0, 99.9)]))
    command = ["reproduce", "--row", "guided", "--seeds", "1", "--steps", "9", "--sounds", "40"]
    command += ["-o", str(results), "--page", str(page), "--figure", str(tmp_path / "f.png")]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert not quick  # all of it was there
    text = page.read_text()
    assert text.startswith(f"before\n{MARKS[0]}| loss |") and text.endswith(f"{MARKS[1]}\nafter\n")
    assert "old" not in text and "| guided | shared | 9 | 1 | 4.0 / 4.0 (0.0) |" in text
    assert (tmp_path / "f.png").stat().st_size > 1000


def test_a_page_without_marks_is_left_alone(tmp_path):
    results, page = tmp_path / "runs.json", tmp_path / "page.md"
    page.write_text("mine\n")
    results.write_text(json.dumps([found("guided", 0, 4.0, 99.9)]))
    command = ["reproduce", "--row", "guided", "--seeds", "1", "--steps", "9", "--sounds", "40"]
    done = CliRunner().invoke(main, [*command, "-o", str(results), "--page", str(page)])
    assert done.exit_code == 1 and "must hold the marks" in done.output
    assert page.read_text() == "mine\n"


def test_a_line_for_each_run_and_score_and_a_name_for_each_score():
    ax = Figure().subplots()
    runs = [found("guided", 0, 4.0, 99.9), found("guided", 1, 4.0, 90.0)]
    lines = plot_convergence(ax, runs)
    assert [line.get_ydata()[0] for line in lines] == [100.0, 100.0, 99.9, 90.0]
    assert ax.get_legend_handles_labels()[1] == ["RCA / %", "RPA / %"]
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
