"""Would a fault in transport, STFT or synthesis be seen? Faults are planted, one at a time.

Kernels are interpreted (NUMBA_DISABLE_JIT=1), so that nothing is compiled anew, and each trial is a
fork of a process that has all imports behind it. It runs the tests that go through the line at
fault, first those that have found the most faults so far. What was tried stands in mutation.json:
the next run goes on with the rest. Where somebody has found why a fault that survived changes
nothing, "same: " and the reason stand in the place of "survived", by hand.
"""

import argparse
import ast
import fcntl
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOUND = Path(__file__).with_name("mutation.json")
TESTS = {
    "transport.py": ["test_signatures", "test_transport", "test_transport_masses"],
    "cpu/transport.py": ["test_transport", "test_transport_masses"],
    "cpu/lipschitz.py": ["test_transport", "test_transport_masses"],
    "stft.py": ["test_signatures", "test_stft"],
    "cpu/stft.py": ["test_stft", "test_vertical", "test_losses"],
    "synth.py": ["test_signatures", "test_synth"],
    "cpu/synth.py": ["test_synth"],
}
PER_TEST_S = 10.0  # interpreted loops of longer tests are left out
PER_FAULT_S = 20.0  # of the tests that go through a line, as many as take so long
OPERATORS = (
    "ReplaceBinaryOperator_Add_Sub", "ReplaceBinaryOperator_Sub_Add",
    "ReplaceBinaryOperator_Mul_Div", "ReplaceBinaryOperator_Div_Mul",
    "ReplaceBinaryOperator_FloorDiv_Div", "ReplaceBinaryOperator_Mod_Mul",
    "ReplaceBinaryOperator_Pow_Mul", "ReplaceUnaryOperator_USub_UAdd",
    "ReplaceUnaryOperator_Delete_Not", "ReplaceAndWithOr", "ReplaceOrWithAnd", "AddNot",
    "ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak", "ZeroIterationForLoop", "NumberReplacer", "ExceptionReplacer",
    "ReplaceComparisonOperator_Lt_LtE", "ReplaceComparisonOperator_LtE_Lt",
    "ReplaceComparisonOperator_Gt_GtE", "ReplaceComparisonOperator_GtE_Gt",
    "ReplaceComparisonOperator_Eq_NotEq", "ReplaceComparisonOperator_NotEq_Eq",
    "ReplaceComparisonOperator_Is_IsNot", "ReplaceComparisonOperator_IsNot_Is",
)  # fmt: skip


class _Meaning(ast.NodeTransformer):
    """Drops what changes no result: hints, decorators that compile or keep, checks by zip."""

    def visit_FunctionDef(self, node):
        node.returns = None
        node.decorator_list = [
            d for d in node.decorator_list if not re.search("njit|lru_cache", ast.unparse(d))
        ]
        return self.generic_visit(node)

    def visit_Call(self, node):
        if isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = []
        return self.generic_visit(node)

    def visit_arg(self, node):
        node.annotation = None
        return node


def meaning(text):
    """The same text for code that does the same for sure."""
    return ast.dump(_Meaning().visit(ast.parse(text)))


def mutants(file):
    """Each fault that can be planted: a name that edits elsewhere do not change, line, and code."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import MutationVisitor
    from cosmic_ray.plugins import get_operator

    text = (ROOT / "spectralot" / file).read_text(encoding="utf-8")
    tree, sound, before, seen = get_ast(text), meaning(text), text.splitlines(), Counter()
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        places = [
            start for node in ast_nodes(tree) for start, _ in operator.mutation_positions(node)
        ]
        for occurrence, (line, _) in enumerate(places):
            changed = MutationVisitor.mutate_code(text, operator, occurrence)
            if meaning(changed) == sound:
                continue
            key = f"{file}: {before[line - 1].strip()} -> {changed.splitlines()[line - 1].strip()}"
            seen[key] += 1
            yield key if seen[key] == 1 else f"{key} ({seen[key]})", line, changed


def statement(text, line):
    """The lines of the smallest statement that holds this one; of those with a body, its head."""
    spans = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if body else node.end_lineno
            if node.lineno <= line <= max(end, node.lineno):
                spans.append(range(node.lineno, max(end, node.lineno) + 1))
    return min(spans, key=len, default=range(line, line + 1))


class Tests:
    """Runs the tests of a plan in its order, and notes which one failed; all of them without."""

    def __init__(self, plan, answer):
        self.plan, self.answer, self.start_s = plan, answer, 0.0
        self.durations, self.unfit = {}, set()
        self.coverage = None

    def pytest_collection_modifyitems(self, items):
        if self.plan is not None:
            place = {name: i for i, name in enumerate(self.plan)}
            chosen = (item for item in items if item.nodeid in place)
            items[:] = sorted(chosen, key=lambda item: place[item.nodeid])

    def pytest_runtest_logstart(self, nodeid):
        self.start_s = time.process_time()
        if self.coverage:
            self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report):
        self.durations[report.nodeid] = time.process_time() - self.start_s
        if report.failed or report.skipped:
            self.unfit.add(report.nodeid)
        if report.failed and self.plan is not None:
            self.answer.write_text(json.dumps(report.nodeid))

    def survey(self, path):
        """Leave seconds and lines of each test that passed, and the lines of importing."""
        data = self.coverage.get_data().contexts_by_lineno(str(path))
        tests = {name: (s, []) for name, s in self.durations.items() if name not in self.unfit}
        for line, contexts in data.items():
            for name in contexts:
                tests.get(name, (0, []))[1].append(line)
        imported = [line for line, contexts in data.items() if "" in contexts]
        kept = {name: found for name, found in tests.items() if found[0] < PER_TEST_S}
        self.answer.write_text(json.dumps({"tests": kept, "imported": imported}))


def pytest_in(folder, file, budget_s, answer, plan=None):
    """The exit status of these tests there, in a fork; None if time ran out."""
    import coverage
    import pytest

    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (budget_s, budget_s))  # other work may go on
        signal.alarm(60 * budget_s)
        silent = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silent, stream)
        os.chdir(folder)
        sys.path[:0] = [str(folder), str(folder / "tests")]
        sys.dont_write_bytecode = True
        ignored = ["RuntimeWarning", "pytest.PytestAssertRewriteWarning"]
        options = ["-q", "-p", "no:cacheprovider", *(f"-Wignore::{name}" for name in ignored)]
        tests, path = Tests(plan, answer), folder / "spectralot" / file
        if plan is None:
            os.environ["SPECTRALOT_TEST_SECONDS"] = str(3 * PER_TEST_S)
            tests.coverage = coverage.Coverage(
                data_file=None, include=[str(path)], config_file=False
            )
            tests.coverage.start()
        else:
            options.append("-x")
        status = pytest.main(
            [*options, *(f"tests/{test}.py" for test in TESTS[file])], plugins=[tests]
        )
        if plan is None:
            tests.coverage.stop()
            tests.survey(path)
        os._exit(int(status))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None


def copy_of_the_tree(folder):
    for part in ("spectralot", "tests", "examples", "setup.cfg"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    shutil.rmtree(folder / "tests" / "simulator")
    return folder


class Plans:
    """Which tests to run for which lines."""

    def __init__(self, file, survey):
        self.text = (ROOT / "spectralot" / file).read_text(encoding="utf-8")
        self.imported = {*survey["imported"]}
        self.seconds = {name: seconds for name, (seconds, _) in survey["tests"].items()}
        self.lines = {name: {*lines} for name, (_, lines) in survey["tests"].items()}
        self.found = Counter()

    def of(self, line):
        """Tests that go through its statement, those first that found the most."""
        lines, plan, total_s = {*statement(self.text, line)}, [], 0.0
        for name in sorted(self.seconds, key=lambda n: (-self.found[n], self.seconds[n])):
            if lines & self.lines[name] or lines & self.imported:
                total_s += self.seconds[name]
                if plan and total_s > PER_FAULT_S:
                    break
                plan.append(name)
        return plan


def trials(files, chosen, known):
    """Plant the faults that `chosen` picks out of all of a file, and say what became of them.

    `known` gives those that need no trial.
    """
    import hypothesis.strategies
    import numba
    import pytest
    import scipy.signal
    import scipy.stats

    assert numba.config.DISABLE_JIT and hypothesis and pytest and scipy
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_of_the_tree(Path(scratch))
        answer = folder / "answer.json"
        for file in files:
            planned = chosen(sorted(mutants(file)))
            if all(key in known() for key, *_ in planned):
                continue
            pytest_in(folder, file, 3600, answer)
            plans = Plans(file, json.loads(answer.read_text()))
            sound = pytest_in(folder, file, 3600, answer, [*plans.seconds])
            assert sound == 0, f"{json.loads(answer.read_text())} fails without a fault"
            path = folder / "spectralot" / file
            for key, line, changed in planned:
                if key in known():
                    continue
                plan, status = plans.of(line), 0
                answer.unlink(missing_ok=True)
                if plan:
                    path.write_text(changed, encoding="utf-8")
                    budget_s = int(20 + 3 * sum(plans.seconds[name] for name in plan))
                    status = pytest_in(folder, file, budget_s, answer, plan)
                    path.write_text(plans.text, encoding="utf-8")
                if status == 1 and answer.exists():
                    plans.found[json.loads(answer.read_text())] += 1
                what = "survived" if plan else "survived: no test comes here"
                yield key, {0: what, None: "killed: time"}.get(status, "killed")


def summary(outcomes):
    """Of each file, a line: what was tried, and what was seen."""
    for file in TESTS:
        found = [what for key, what in outcomes.items() if key.startswith(f"{file}:")]
        if found:
            counts = Counter(re.match("[a-z]+", what)[0] for what in found)
            seen, same, missed = (counts[name] for name in ("killed", "same", "survived"))
            yield (
                f"`{file}`, of {len(found)} planted faults",
                f"{seen} seen, {same} change nothing, {missed} not seen: "
                f"{seen / len(found):.1%} of all, {seen / max(1, seen + missed):.1%} of the others",
            )


def check(short):
    """What was found; in the test suite, a few faults."""
    if short:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "found.json"
            command = [sys.executable, "-m", "tests.stress.mutation", "--count", "6"]
            command += ["--files", "stft.py", "--found", str(path)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            outcomes = json.loads(path.read_text())
        assert len(outcomes) == 6
    else:
        outcomes = json.loads(FOUND.read_text(encoding="utf-8"))
    yield from summary(outcomes)
    if not short:
        reasons = Counter(what[6:] for what in outcomes.values() if what.startswith("same: "))
        yield from ((f"changes nothing: {why}", f"{n} faults") for why, n in reasons.most_common())


@contextmanager
def locked(folder):
    handle = os.open(folder, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield
    os.close(handle)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="+", choices=TESTS, default=[*TESTS], metavar="FILE")
    parser.add_argument("--count", type=int, default=10**6, help="faults of each file at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--found", type=Path, default=FOUND)
    parser.add_argument("--again", action="store_true", help="those that survived, once more")
    options = parser.parse_args()
    if os.environ.get("NUMBA_DISABLE_JIT") != "1":
        interpreted = os.environ | {"NUMBA_DISABLE_JIT": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.stress.mutation", *sys.argv[1:]],
                  interpreted)  # fmt: skip

    def known():
        return json.loads(options.found.read_text("utf-8")) if options.found.exists() else {}

    def chosen(faults):
        if options.again:
            before = known()
            return [fault for fault in faults if before.get(fault[0], "").startswith("survived")]
        random.Random(options.seed).shuffle(faults)
        return faults[: options.count]

    def settled():
        return {k for k, v in known().items() if not (options.again and v.startswith("survived"))}

    for key, what in trials(options.files, chosen, settled):
        with locked(options.found.parent):  # other processes try other files
            part = options.found.with_suffix(".part")
            outcomes = dict(sorted((known() | {key: what}).items()))
            part.write_text(json.dumps(outcomes, indent=0, ensure_ascii=False), encoding="utf-8")
            part.replace(options.found)
        print(what, key, flush=True)
    for what, found in summary(known()):
        print(f"{what}: {found}")


if __name__ == "__main__":
    main()
