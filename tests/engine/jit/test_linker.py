"""The linker makes machine code, refuses some programs, and gives code an address."""

from __future__ import annotations

import contextlib
import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from nbnet.engine.jit import fingerprint as hashes
from nbnet.engine.jit import linker
from nbnet.engine.jit.linker import DISABLE_JIT, Function, Kernel, KernelError, device, fingerprint, kernel, link
from nbnet.engine.kernels import executor
from nbnet.engine.kernels.abi import vec
from tests.engine.processes import python
from tests.engine.toys import F32, F64, compiled_only, run

# ---- kernels from source -----------------------------------------------------------------------------------------


def define(source: str, **scope: Any) -> Any:
    """The last function that a source text defines, in a scope of its own."""
    scope = {"kernel": kernel, "device": device, "vec": vec, "np": np, "__name__": "tests.engine.defined", **scope}
    exec(compile(source, "defined", "exec"), scope)
    return [value for value in scope.values() if isinstance(value, Function)][-1]


def mapping(body: str, **scope: Any) -> Kernel:
    """y[i] = an expression of x[i]."""
    return define(
        "@kernel\n"
        "def mapped(mem, ins, step):\n"
        "    x, y = vec(mem, ins, 0), vec(mem, ins, 1)\n"
        "    for i in range(x.size):\n"
        f"        y[i] = {body}\n",
        **scope,
    )


def helper(body: str, name: str = "helper", arguments: str = "v", **scope: Any) -> Function:
    return define(f"@device\ndef {name}({arguments}):\n    return {body}\n", **scope)


def key(function: Function, dtype: Any = F32) -> str:
    return fingerprint(function, dtype)


# ---- fingerprints ------------------------------------------------------------------------------------------------

CALLS = "helper(x[i])"


def of_module(value: float) -> Kernel:
    settings = types.ModuleType("settings")
    settings.factor = value
    return mapping("settings.factor * x[i]", settings=settings)


def of_submodule(value: float) -> Kernel:
    package, settings = types.ModuleType("package"), types.ModuleType("settings")
    package.settings, settings.factor, settings.package = settings, value, package
    return mapping("package.settings.factor * x[i]", package=package)


def by_closure(value: Any) -> Kernel:
    def made(mem: Any, ins: Any, step: Any) -> None:
        vec(mem, ins, 0)[0] = value

    return Kernel(made, "made")


def compiled_elsewhere(value: float) -> Kernel:
    def plain(v: Any) -> Any:
        return v + value

    return mapping("plain(x[i])", plain=numba.njit(plain))  # noqa: TID251


A, B = helper("v + 1.0", "a"), helper("v * 2.0", "b")
# Two makers of kernels that differ in one thing.
DIFFERENT: dict[str, tuple[Callable[[], Function], Callable[[], Function]]] = {
    "expression": (lambda: mapping("x[i] + 1.0"), lambda: mapping("x[i] - 1.0")),
    "constant": (lambda: mapping("x[i] + 1.0"), lambda: mapping("x[i] + 2.0")),
    "type of a constant": (lambda: mapping("x[i] + 1.0"), lambda: mapping("x[i] + 1")),
    "sign of zero": (lambda: mapping("x[i] + 0.0"), lambda: mapping("x[i] + -0.0")),
    "global": (lambda: mapping("x[i] + C", C=1.0), lambda: mapping("x[i] + C", C=2.0)),
    "type of a global": (lambda: mapping("x[i] + C", C=1.0), lambda: mapping("x[i] + C", C=np.float64(1))),
    "tuple": (lambda: mapping("x[i] + C[0]", C=(1.0, 2)), lambda: mapping("x[i] + C[0]", C=(1.5, 2))),
    "table": (lambda: mapping("C[i]", C=np.arange(3.0)), lambda: mapping("C[i]", C=np.arange(3.0)[::-1].copy())),
    "dtype of a table": (lambda: mapping("C[i]", C=np.zeros(2, F32)), lambda: mapping("C[i]", C=np.zeros(4, np.int16))),
    "closure": (lambda: by_closure(1.0), lambda: by_closure(2.0)),
    "function in a closure": (lambda: by_closure(A), lambda: by_closure(B)),
    "helper": (
        lambda: mapping(CALLS, helper=helper("v + 1.0")),
        lambda: mapping(CALLS, helper=helper("v + 2.0")),
    ),
    "helper's helper": (
        lambda: mapping(CALLS, helper=helper("h(v)", h=helper("v + 1.0"))),
        lambda: mapping(CALLS, helper=helper("h(v)", h=helper("v - 1.0"))),
    ),
    "helper's helper's global": (
        lambda: mapping(CALLS, helper=helper("h(v)", h=helper("v + C", C=1))),
        lambda: mapping(CALLS, helper=helper("h(v)", h=helper("v + C", C=2))),
    ),
    "default of a helper": (
        lambda: mapping(CALLS, helper=helper("v * a", arguments="v, a=0.5")),
        lambda: mapping(CALLS, helper=helper("v * a", arguments="v, a=0.25")),
    ),
    "which of two helpers": (
        lambda: mapping("f(g(h(x[i])))", f=A, g=B, h=A),
        lambda: mapping("f(g(h(x[i])))", f=A, g=B, h=B),
    ),
    "lambda": (lambda: mapping("(lambda v: v + 1.0)(x[i])"), lambda: mapping("(lambda v: v + 2.0)(x[i])")),
    "global of a lambda": (
        lambda: mapping("(lambda v: v + C)(x[i])", C=1.0),
        lambda: mapping("(lambda v: v + C)(x[i])", C=2.0),
    ),
    "value in a module": (lambda: of_module(1.0), lambda: of_module(2.0)),
    "value in a package's module": (lambda: of_submodule(1.0), lambda: of_submodule(2.0)),
    "function compiled by Numba": (lambda: compiled_elsewhere(1.0), lambda: compiled_elsewhere(2.0)),
    "function of NumPy": (lambda: mapping("np.exp(x[i])"), lambda: mapping("np.log(x[i])")),
    "function of NumPy by name": (lambda: mapping("f(x[i])", f=np.exp), lambda: mapping("f(x[i])", f=np.log)),
    "type of Numba": (lambda: mapping("t(x[i])", t=numba.int32), lambda: mapping("t(x[i])", t=numba.int64)),
    "type of NumPy": (lambda: mapping("t(x[i])", t=np.float32), lambda: mapping("t(x[i])", t=np.float64)),
    "name": (lambda: by_closure(1.0), lambda: Kernel(by_closure(1.0).function, "other")),
    "order of additions": (lambda: mapping(CALLS, helper=A), lambda: mapping(CALLS, helper=linker.precise(A.function))),
}


if DISABLE_JIT:  # Numba does not compile then, either
    del DIFFERENT["function compiled by Numba"]


@pytest.mark.parametrize("what", DIFFERENT)
def test_fingerprint_changes_with(what: str) -> None:
    first, second = DIFFERENT[what]
    assert key(first()) != key(second())


@pytest.mark.parametrize("what", DIFFERENT)
def test_fingerprint_is_that_of_what_it_is_made_from(what: str) -> None:
    for make in DIFFERENT[what]:
        assert key(make()) == key(make())


def test_fingerprint_differs_by_dtype() -> None:
    made = mapping("x[i]")
    assert key(made, F32) != key(made, F64)


def test_fingerprint_ignores_lines_comments_and_strangers() -> None:
    first = mapping("x[i] + C", C=1.0)
    moved = define(
        "\n\n\n# a comment\nunused = 3\n@kernel\ndef mapped(mem, ins, step):\n"
        "    x, y = vec(mem, ins, 0), vec(mem, ins, 1)  # another\n\n"
        "    for i in range(x.size):\n        y[i] = x[i] + C\n",
        C=1.0,
        other=7,
    )
    assert key(first) == key(moved)


def test_fingerprint_follows_the_variant_of_its_dtype() -> None:
    def make(variant: str) -> Function:
        f = helper("v + 1.0")
        f.variant("float32")(helper(variant).function)
        return mapping(CALLS, helper=f)

    assert key(make("v + 2.0"), F32) != key(make("v + 3.0"), F32)
    assert key(make("v + 2.0"), F64) == key(make("v + 3.0"), F64)


def test_fingerprint_of_recursion_ends() -> None:
    scope: dict[str, Any] = {"device": device}
    exec("@device\ndef f(v):\n    return v if v < 1 else f(v - 1)\n", scope)
    assert key(mapping("f(x[i])", f=scope["f"]))


def test_fingerprint_of_every_op_is_the_same_in_another_process() -> None:
    script = """
        import hashlib, numpy as np, nbnet
        from nbnet.engine.jit import linker as jit
        from nbnet.engine.kernels import executor
        from nbnet.engine.graph.op import registry
        package = [op for op in registry.values() if op.forward.__module__.startswith("nbnet.")]
        kernels = [k for op in package for k in (op.forward, op.backward) if k]
        keys = [jit.fingerprint(k, np.dtype("float32")) for k in [executor.RUN, *kernels]]
        print(hashlib.sha256("".join(keys).encode()).hexdigest())
    """
    assert python(script, PYTHONHASHSEED="1") == python(script, PYTHONHASHSEED="2")


def test_fingerprint_covers_the_layout_of_rows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = key(executor.RUN)
    for name in hashes.NATIVE_SOURCES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((hashes.ENGINE / name).read_bytes())
    monkeypatch.setattr(hashes, "ENGINE", tmp_path)
    for name in hashes.NATIVE_SOURCES:
        (tmp_path / name).write_text((tmp_path / name).read_text() + "\n# edited\n")
        hashes._native_source.cache_clear()
        after = key(executor.RUN)
        assert after != before
        before = after
    monkeypatch.undo()
    hashes._native_source.cache_clear()


# ---- what is refused ---------------------------------------------------------------------------------------------


def body(*lines: str, **scope: Any) -> Kernel:
    text = "\n".join(f"    {line}" for line in ("y = vec(mem, ins, 0)", *lines))
    return define(f"@kernel\ndef guilty(mem, ins, step):\n{text}\n", **scope)


REFUSED: dict[str, tuple[str, Callable[[], Kernel]]] = {
    "raise": ("raise", lambda: body("if step < 0:", "    raise ValueError('no')")),
    "bare raise": ("raise", lambda: body("raise ValueError")),
    "assert": ("raise", lambda: body("assert step >= 0")),
    "raise in a helper": ("raise", lambda: body("check(step)", check=checker())),
    "allocate": ("raise|allocates", lambda: body("y[0] = np.zeros(3)[step]")),
    "copy": ("raise|allocates", lambda: body("y[0] = y.copy()[step]")),
    "list": ("raise|allocates", lambda: body("y[0] = [1.0, 2.0][step]")),
    "print": ("raise|allocates", lambda: body("print(step)")),
    "slices that may differ in length": ("raise", lambda: body("y[:] = vec(mem, ins, 1)")),
    "reduction that refuses an empty array": ("raise", lambda: body("y[0] = y.max()")),
    "NumPy's generator": ("allocates or calls the interpreter", lambda: body("y[0] = np.random.random()")),
    "unknown name": ("does not compile", lambda: body("y[0] = nothing(y[0])")),
    "undecorated helper": ("does not compile", lambda: body("y[0] = plain(y[0])", plain=lambda v: v)),
    "type error": ("does not compile", lambda: body("y[0] = 'text'")),
    "unknown attribute": ("does not compile", lambda: body("y[0] = y.nothing")),
    "result": ("does not compile", lambda: body("return 3")),
    "dictionary": ("does not compile", lambda: body("y[0] = table['a']", table={"a": 1})),
    "arguments": ("does not compile", lambda: define("@kernel\ndef guilty(mem, ins):\n    pass\n")),
    "recursion": ("does not compile", lambda: body("y[0] = factorial(step)", factorial=factorial())),
}


def checker() -> Function:
    return define("@device\ndef check(n):\n    if n < 0:\n        raise ValueError(n)\n    return n\n")


def factorial() -> Function:
    scope: dict[str, Any] = {"device": device, "__name__": "tests"}
    exec("@device\ndef f(n):\n    return 1 if n < 2 else n * f(n - 1)\n", scope)
    return scope["f"]


@compiled_only
@pytest.mark.parametrize("what", REFUSED)
def test_refused(what: str) -> None:
    why, make = REFUSED[what]
    with pytest.raises(KernelError, match=rf"(?s)^kernel 'guilty' .*({why})"):
        link([make()], F32)


@compiled_only
def test_a_refused_kernel_does_not_spoil_those_before_it() -> None:
    good, guilty = mapping("x[i] + 4.0"), body("raise ValueError")
    with pytest.raises(KernelError):
        link([good, guilty], F32)
    x, y = np.ones(3, F32), np.zeros(3, F32)
    run(good, x, y)
    assert y.tolist() == [5, 5, 5]
    with pytest.raises(KernelError):
        link([guilty], F32)


@compiled_only
@pytest.mark.parametrize("why", ["", "raise ValueError"])
def test_numba_compiles_for_others_as_before(why: str) -> None:
    made = body(why) if why else mapping("max(min(x[i], 3.0), 1.5)")
    with contextlib.suppress(KernelError):
        link([made], F32)
    theirs = numba.njit(lambda a, b: max(min(a, 2.0), b))  # noqa: TID251
    assert [theirs(a, 0.5) for a in (0.0, 1.0, 3.0)] == [0.5, 1.0, 2.0]


def test_kernels_of_one_text_are_told_apart_by_nobody() -> None:
    made = [mapping("x[i] + 8.0") for _ in range(3)]
    for one in made:
        x, y = np.ones(3, F32), np.zeros(3, F32)
        run(one, x, y)
        assert y.tolist() == [9, 9, 9]


def test_link_keeps_order_and_addresses() -> None:
    a, b = mapping("x[i] + 1.0"), mapping("x[i] + 2.0")
    first = link([b, a, b], F32)
    assert first[0] == first[2] != first[1]
    assert link([a, b], F32) == [first[1], first[0]]
    assert link([], F32) == []
    assert link([a], F64) != link([a], F32)


# ---- float constants are of the kernel's dtype -------------------------------------------------------------------

SAMPLE = np.random.default_rng(0).uniform(0, 1, 4096).astype(F32)
NARROW = np.float32(0.1) + SAMPLE
WIDE = (0.1 + SAMPLE.astype(F64)).astype(F32)


def test_the_sample_tells_float32_from_float64_arithmetic() -> None:
    assert (NARROW != WIDE).sum() > 100


CONSTANTS: dict[str, Callable[[], Kernel]] = {
    "literal": lambda: mapping("0.1 + x[i]"),
    "global": lambda: mapping("C + x[i]", C=0.1),
    "element of a tuple": lambda: mapping("C[1] + x[i]", C=(3, 0.1)),
    "nested tuple": lambda: mapping("C[0][0] + x[i]", C=((0.1,), 2.0)),
    "literal in a helper": lambda: mapping(CALLS, helper=helper("0.1 + v")),
    "global of a helper": lambda: mapping(CALLS, helper=helper("C + v", C=0.1)),
    "default of a helper": lambda: mapping(CALLS, helper=helper("a + v", arguments="v, a=0.1")),
    "argument of a helper": lambda: mapping("helper(0.1, x[i])", helper=helper("a + v", arguments="a, v")),
    "literal in a lambda": lambda: mapping("(lambda v: 0.1 + v)(x[i])"),
    "literal in a variant": lambda: mapping(CALLS, helper=with_variant("v", "0.1 + v")),
}


def with_variant(plain: str, narrow: str) -> Function:
    made = helper(plain)
    made.variant("float32")(helper(narrow).function)
    return made


@compiled_only
@pytest.mark.parametrize("what", CONSTANTS)
def test_float32_arithmetic_stays_float32(what: str) -> None:
    y = np.zeros_like(SAMPLE)
    run(CONSTANTS[what](), SAMPLE, y)
    np.testing.assert_array_equal(y.view(np.int32), NARROW.view(np.int32))


@compiled_only
def test_a_closure_value_is_of_the_kernels_dtype() -> None:
    value = 0.1

    def closure(mem: Any, ins: Any, step: Any) -> None:
        x, y = vec(mem, ins, 0), vec(mem, ins, 1)
        for i in range(x.size):
            y[i] = value + x[i]

    y = np.zeros_like(SAMPLE)
    run(Kernel(closure, "closure"), SAMPLE, y)
    np.testing.assert_array_equal(y, NARROW)


@compiled_only
def test_the_same_kernel_in_float64() -> None:
    x = SAMPLE.astype(F64)
    y = np.zeros_like(x)
    run(mapping("0.1 + x[i]"), x, y)
    np.testing.assert_array_equal(y, 0.1 + x)


@compiled_only
def test_an_explicit_float64_stays_one() -> None:
    y = np.zeros_like(SAMPLE)
    run(mapping("C + x[i]", C=np.float64(0.1)), SAMPLE, y)
    np.testing.assert_array_equal(y, WIDE)


@compiled_only
def test_nan_is_seen() -> None:
    x, y = np.array([1, np.nan, np.inf, -np.inf], F32), np.zeros(4, F32)
    run(mapping("1.0 if np.isnan(x[i]) else 2.0 if not np.isfinite(x[i]) else 3.0"), x, y)
    assert y.tolist() == [3, 1, 2, 2]


# ---- variants ----------------------------------------------------------------------------------------------------


@compiled_only
def test_a_variant_is_compiled_for_its_dtype_alone() -> None:
    made = mapping(CALLS, helper=with_variant("v + 1.0", "v + 2.0"))
    for dtype, want in ((F32, 2), (F64, 1)):
        x, y = np.zeros(2, dtype), np.zeros(2, dtype)
        run(made, x, y)
        assert y.tolist() == [want, want]


def test_python_runs_the_plain_body() -> None:
    made = with_variant("v + 1.0", "v + 2.0")
    assert made(np.float32(0)) == 1
    assert made.body(F32) is not made.body(F64) is made.function


def test_functions_describe_themselves() -> None:
    def outer() -> Kernel:
        @kernel
        def inner(mem: Any, ins: Any, step: Any) -> None:
            """Do nothing."""

        return inner

    made = outer()
    assert made.name == "test_functions_describe_themselves.outer.inner"
    assert repr(made) == f"<kernel {made.name}>"
    assert repr(A) == "<device a>"
    assert repr(vec) == "<intrinsic vec>"
    assert made.__doc__ == "Do nothing."


# ---- without compilation, without Numba ---------------------------------------------------------------------------

NUMBERS = """
    import json, sys
    import numpy as np
    import nbnet as nb
    from nbnet.engine.jit import linker

    nb.set_random_seed(5)
    x = np.random.default_rng(0).normal(size=(12, 3)).astype("float32")
    t = np.arange(12) % 2
    model = nb.Sequential([
        nb.Input((3,)), nb.layers.Dense(4, "tanh"), nb.layers.Dropout(0.3, name="drop"), nb.layers.Dense(2, "softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    losses = model.fit(x, t, batch_size=5, epochs=2, verbose=0).history["loss"]
    with nb.Tape(step=1) as tape:
        y = model(x, training=True)
    gradients = tape.gradient(nb.ops.sum(y * y), model.trainable_weights)
    print(json.dumps({
        "losses": losses, "predictions": model.predict(x, verbose=0).tolist(),
        "scores": model.evaluate(x, t, verbose=0),
        "mask": tape.masks["drop"].tolist(), "gradients": [g.numpy().tolist() for g in gradients],
        "jit": linker.DISABLE_JIT, "numba": "numba" in sys.modules, "compiled": linker.compiled_count,
    }))
"""


def test_without_compilation_the_numbers_are_the_same() -> None:
    plain = json.loads(python(NUMBERS, NUMBA_DISABLE_JIT="1"))
    fast = json.loads(python(NUMBERS, NUMBA_DISABLE_JIT="0"))
    assert (plain["jit"], fast["jit"]) == (True, False)
    assert plain["compiled"] == 0
    assert plain["mask"] == fast["mask"]
    for name in ("losses", "predictions", "scores"):
        np.testing.assert_allclose(plain[name], fast[name], rtol=1e-5, atol=1e-7)
    for a, b in zip(plain["gradients"], fast["gradients"], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_warm_process_does_not_import_numba() -> None:
    python(NUMBERS, NUMBA_DISABLE_JIT="0")
    warm = json.loads(python(NUMBERS, NUMBA_DISABLE_JIT="0"))
    assert not warm["numba"]
    assert warm["compiled"] == 0


@pytest.mark.skipif(not DISABLE_JIT, reason="tests plain Python")
def test_addresses_without_compilation() -> None:
    made = mapping("x[i] + 1.0")
    (number,) = link([made], F32)
    assert linker.python_kernel(number) == (made, F32)
