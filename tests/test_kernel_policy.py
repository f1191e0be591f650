"""The rules that keep cached kernels fresh, repeatable and free of allocation, read off the source.

Numba's cache knows a kernel by its own file only: not the options of its decorator, not the njit
functions of other files. Both would go on returning old results after an upgrade.
"""

import ast
import builtins
from pathlib import Path

import pytest

import spectralot

PACKAGE = Path(spectralot.__file__).parent
CPU = sorted(path for path in (PACKAGE / "cpu").glob("*.py") if path.name[0] != "_")
PUBLIC_NAMES = ("synth", "stft", "transport", "circular", "noise_floor")
PUBLIC = [PACKAGE / f"{name}.py" for name in PUBLIC_NAMES]
ALLOCATORS = {
    "empty", "zeros", "ones", "full", "array", "asarray", "arange", "linspace", "copy", "astype",
    "concatenate", "stack", "hstack", "vstack", "repeat", "tile", "sort", "argsort", "cumsum",
    "append", "outer", "ascontiguousarray",
}  # fmt: skip

# written here on purpose badly, to show that each rule is able to fail
BAD = {
    "options": "CACHE = True\n@njit(cache=CACHE)\ndef f(x):\n    x[0] = 1\n",
    "signature": "@njit('f8(f8)')\ndef f(x):\n    return x\n",
    "fastmath": "@njit(fastmath=True)\ndef f(x):\n    return x\n",
    "own file": "from .other import g\n@njit(cache=True)\ndef f(x):\n    g(x)\n",
    "plain function": "def g(x):\n    pass\n@njit(cache=True)\ndef f(x):\n    g(x)\n",
    "raise": "@njit\ndef f(x):\n    raise ValueError\n",
    "np.empty": "@njit\ndef f(x):\n    y = np.empty(3)\n",
    "np.zeros_like": "@njit\ndef f(x):\n    y = np.zeros_like(x)\n",
    ".copy()": "@njit\ndef f(x):\n    y = x.copy()\n",
    "list": "@njit\ndef f(x):\n    y = [x]\n",
    "order": "def a_forward(x):\n    pass\ndef b(x):\n    pass\ndef a_backward(x):\n    pass\n",
    "alone": "def a_forward(x):\n    pass\n",
}


def njit_decorator(function):
    """The njit decorator of a function definition as (found, options or None)."""
    for decorator in function.decorator_list:
        call = decorator if isinstance(decorator, ast.Call) else None
        name = ast.unparse(call.func if call else decorator)
        if name.split(".")[-1] in ("njit", "jit", "vectorize", "guvectorize", "stencil"):
            return True, call
    return False, None


def kernels_of(tree):
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return {f.name: f for f in functions if njit_decorator(f)[0]}


def decorator_faults(tree):
    for name, function in kernels_of(tree).items():
        call = njit_decorator(function)[1]
        if call is None:
            continue
        if call.args:
            yield f"{name}: an explicit signature compiles at import"
        for option in call.keywords:
            if option.arg is None or not isinstance(option.value, ast.Constant):
                yield f"{name}: option {option.arg} is not written out at the kernel"
            if option.arg == "fastmath":
                yield f"{name}: fastmath deletes NaN tests and divide guards"


def call_faults(tree):
    """Calls of njit functions to anything but njit functions of the file, builtins, libraries."""
    kernels = kernels_of(tree)
    foreign = {"njit", "prange"}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and "spectralot" not in node.module:
            foreign |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and ast.unparse(node) != "from . import njit":
            yield f"{ast.unparse(node)}: kernels may use njit functions of their own file only"
    for name, function in kernels.items():
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called = node.func.id
                if not (called in kernels or called in foreign or hasattr(builtins, called)):
                    yield f"{name}: calls {called}, which is no njit function of its file"


def body_faults(tree):
    for name, function in kernels_of(tree).items():
        for node in ast.walk(function):
            if isinstance(node, ast.Raise | ast.Try | ast.Assert):
                yield f"{name}: raises; checks belong into the public function"
            elif isinstance(node, ast.List | ast.Dict | ast.ListComp | ast.DictComp | ast.Set):
                yield f"{name}: allocates a container"
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr.removesuffix("_like") in ALLOCATORS:
                    yield f"{name}: allocates with {ast.unparse(node.func)}"


def order_faults(tree):
    """Every forward is directly followed by its backward; private helpers may stand between.

    A kernel that writes its gradients already in the forward pass (arguments d_...) needs none.
    """
    functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name[0] != "_"]
    names = [f.name for f in functions]
    for function, following in zip(functions, [*names[1:], None], strict=True):
        name = function.name
        wanted = name.removesuffix("_forward") + "_backward"
        both_in_one = any(a.arg.startswith("d_") for a in function.args.args)
        if name.endswith("_forward") and following != wanted:
            if wanted in names or not both_in_one:
                yield f"{name}: followed by {following}, not by {wanted}"
    for name in names:
        if name.endswith("_backward") and name.removesuffix("_backward") + "_forward" not in names:
            yield f"{name}: has no forward"


def faults_of(source):
    tree = ast.parse(source)
    checks = (decorator_faults, call_faults, body_faults, order_faults)
    return [fault for check in checks for fault in check(tree)]


@pytest.mark.parametrize("path", CPU, ids=lambda path: path.stem)
def test_kernels_keep_the_rules(path):
    source = path.read_text(encoding="utf-8")
    assert kernels_of(ast.parse(source)), "no kernel found: does this test still see them?"
    assert faults_of(source) == []


@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_public_forward_and_backward_stand_together(path):
    assert list(order_faults(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("rule", BAD)
def test_each_rule_can_fail(rule):
    assert faults_of(BAD[rule])


def test_every_operation_has_a_kernel_file():
    assert {path.stem for path in CPU} >= {"synth", "stft", "transport"}
