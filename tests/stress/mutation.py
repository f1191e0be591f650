"""Would a fault in transport, STFT or synthesis be seen? Faults are planted, one at a time.

Kernels are interpreted (NUMBA_DISABLE_JIT=1), so that nothing is compiled anew, and each trial is a
fork of a process that has all imports behind it. What was tried stands in mutation.json: the next
run goes on with the rest.
"""

import argparse
import ast
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOUND = Path(__file__).with_name("mutation.json")
TESTS = {
    "transport.py": ["test_transport", "test_transport_masses"],
    "cpu/transport.py": ["test_transport", "test_transport_masses"],
    "cpu/lipschitz.py": ["test_transport", "test_transport_masses"],
    "stft.py": ["test_stft"],
    "cpu/stft.py": ["test_stft", "test_vertical"],
    "synth.py": ["test_synth"],
    "cpu/synth.py": ["test_synth"],
}
PER_TEST_S = 3.0  # interpreted loops of longer tests are left out
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
    """Drops what means nothing to an interpreter: annotations, decorators of kernels."""

    def visit_FunctionDef(self, node):
        node.returns = None
        node.decorator_list = [d for d in node.decorator_list if "njit" not in ast.unparse(d)]
        return self.generic_visit(node)

    def visit_arg(self, node):
        node.annotation = None
        return node


def meaning(text):
    """The same text for code that does the same for sure."""
    return ast.dump(_Meaning().visit(ast.parse(text)))


def mutants(file):
    """Each fault that can be planted: a name that edits elsewhere do not change, and the code."""
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
            yield key if seen[key] == 1 else f"{key} ({seen[key]})", changed


class Chosen:
    """Tests that pass and are quick without faults, the quickest first; durations otherwise."""

    def __init__(self, durations=None):
        self.known, self.durations, self.failed = durations, {}, set()
        self.start_s = 0.0

    def pytest_collection_modifyitems(self, items):
        if self.known is not None:
            items[:] = sorted(
                (item for item in items if item.nodeid in self.known),
                key=lambda item: self.known[item.nodeid],
            )

    def pytest_runtest_logstart(self):
        self.start_s = time.process_time()

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self.durations[report.nodeid] = time.process_time() - self.start_s
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)


def pytest_in(folder, tests, budget_s, durations=None, answer=None):
    """The exit status of these tests there, in a fork; None if time ran out."""
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
        chosen = Chosen(durations)
        files = [f"tests/{test}.py" for test in tests]
        ignored = ["RuntimeWarning", "pytest.PytestAssertRewriteWarning"]
        options = ["-q", "-p", "no:cacheprovider", *(f"-Wignore::{name}" for name in ignored)]
        if durations is not None:
            options.append("-x")
        status = pytest.main([*options, *files], plugins=[chosen])
        if answer is not None:
            good = {k: v for k, v in chosen.durations.items() if k not in chosen.failed}
            answer.write_text(json.dumps({k: v for k, v in good.items() if v < PER_TEST_S}))
        os._exit(int(status))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else None


def copy_of_the_tree(folder):
    for part in ("spectralot", "tests", "examples", "setup.cfg"):
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    shutil.rmtree(folder / "tests" / "simulator")
    return folder


def trials(files, count, seed, found, deadline):
    """Plant faults of these files, in random order, until there are `count` answers for each."""
    import hypothesis.strategies
    import numba
    import pytest
    import scipy.signal
    import scipy.stats

    assert numba.config.DISABLE_JIT and hypothesis and pytest and scipy
    with tempfile.TemporaryDirectory() as scratch:
        folder = copy_of_the_tree(Path(scratch))
        for file in files:
            answer = folder / "durations.json"
            pytest_in(folder, TESTS[file], 600, answer=answer)
            durations = json.loads(answer.read_text())
            budget_s = int(20 + 3 * sum(durations.values()))
            assert pytest_in(folder, TESTS[file], budget_s, durations) == 0, file
            path = folder / "spectralot" / file
            original = path.read_text(encoding="utf-8")
            planned = sorted(mutants(file))
            random.Random(seed).shuffle(planned)
            for key, changed in planned[:count]:
                if key in found() or time.time() > deadline:
                    continue
                path.write_text(changed, encoding="utf-8")
                status = pytest_in(folder, TESTS[file], budget_s, durations)
                yield key, {0: "survived", None: "killed: time"}.get(status, "killed")
            path.write_text(original, encoding="utf-8")


def summary(outcomes):
    """Killed and tried, by file."""
    tried = Counter(key.split(":")[0] for key in outcomes)
    killed = Counter(key.split(":")[0] for key, what in outcomes.items() if what != "survived")
    return {file: (killed[file], tried[file]) for file in TESTS if tried[file]}


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
    for file, (killed, tried) in summary(outcomes).items():
        yield f"`{file}`, of {tried} planted faults", f"{killed} seen, {killed / tried:.1%}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", nargs="+", choices=TESTS, default=[*TESTS], metavar="FILE")
    parser.add_argument("--count", type=int, default=10**6, help="faults of each file at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10**6)
    parser.add_argument("--found", type=Path, default=FOUND)
    options = parser.parse_args()
    if os.environ.get("NUMBA_DISABLE_JIT") != "1":
        interpreted = os.environ | {"NUMBA_DISABLE_JIT": "1"}
        os.execve(sys.executable, [sys.executable, "-m", "tests.stress.mutation", *sys.argv[1:]],
                  interpreted)  # fmt: skip

    def found():
        return json.loads(options.found.read_text("utf-8")) if options.found.exists() else {}

    deadline = time.time() + 60 * options.minutes
    for key, what in trials(options.files, options.count, options.seed, found, deadline):
        outcomes = found() | {key: what}
        part = options.found.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(dict(sorted(outcomes.items())), indent=0, ensure_ascii=False))
        part.replace(options.found)
        print(what, key, flush=True)
    for file, (killed, tried) in summary(found()).items():
        print(f"{file}: {killed} of {tried} seen")


if __name__ == "__main__":
    main()
