"""Coverage-guided fuzzing of all that reads files and sparse matrices, with atheris.

``python -m tests.security.fuzz --seconds 60`` gives each target 60 seconds; ``--target csr`` runs one of them. Inputs
that fail are written to the folder ``--artifacts``; ``--target model --again FILE`` tries one once more. The corpus is
made anew: valid files of :mod:`tests.security.mutation`, which also mutates them with their structure in mind.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import inspect
import io
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TARGETS = ("model", "weights", "state", "masks", "record", "csr")
#: Modules whose coverage guides the fuzzer: those that read input, and none with kernels, whose bytecode is compiled.
WATCHED = ("nbnet.base", "nbnet.saving", "nbnet.models", "nbnet.masks", "nbnet.data", "nbnet.train.inputs",
           "nbnet.layers.serialization", "nbnet.layers.input")  # fmt: skip
#: Seconds and megabytes that one input may take; a kernel may have to be compiled.
TIMEOUT, MEGABYTES = 120, 4096


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=TARGETS, help="by default all, one after the other")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--artifacts", default=".", help="folder for inputs that fail")
    parser.add_argument("--again", help="file with the only input to try")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        print("the fuzzer needs atheris, which is not installed (it has no wheels for every Python and processor)")
        return 0
    if options.inside:
        fuzz(options)
    failed, environment = [], {"NBNET_NUM_THREADS": "1", **os.environ}
    for target in (options.target,) if options.target else TARGETS:
        print(f"fuzzing {target}", flush=True)
        command = [sys.executable, "-m", "tests.security.fuzz", "--inside", "--target", target]
        again = ["--again", options.again] if options.again else []
        rest = ["--seconds", str(options.seconds), "--seed", str(options.seed), "--artifacts", options.artifacts]
        if subprocess.run([*command, *rest, *again], check=False, env=environment).returncode:
            failed.append(target)
    print(f"failed: {', '.join(failed) or 'none'}")
    return bool(failed)


def fuzz(options: argparse.Namespace) -> None:
    """Fuzz one target in this process; does not return."""
    import atheris

    from tests.security.mutation import samples as made
    from tests.security.mutation.container import Parts, sealed
    from tests.security.mutation.mutations import STRUCTURED

    for name, module in sorted(sys.modules.items()):
        if name.startswith(WATCHED):
            instrument(module, atheris.instrument_func)
    warnings.simplefilter("ignore")
    folder = Path(tempfile.mkdtemp(prefix="nbnet-fuzz-"))
    corpus, work = folder / "corpus", folder / "work"
    corpus.mkdir()
    work.mkdir()
    found = made.samples(work)
    for k, sample in enumerate(found):
        if sample.kind == options.target:
            (corpus / str(k)).write_bytes(sample.content)
        elif options.target == "record" and sample.kind == "model":
            (corpus / str(k)).write_text(json.dumps(Parts.of(sample.content).record))
    kind = [sample for sample in found if sample.kind == options.target]
    run = {"record": record_target, "csr": csr_target()}.get(options.target) or file_target(kind, work)

    def mutated(data: bytes, limit: int, seed: int) -> bytes:
        """A mutant of the input itself: of its bytes, or of what it says."""
        rng = np.random.default_rng(seed)
        if rng.random() < 0.5:
            try:
                parts = Parts.of(data)
                STRUCTURED[int(rng.integers(len(STRUCTURED)))](parts, rng, kind)
                content = parts.joined()
                return content if len(content) <= limit else data
            except Exception:  # the input is no file any more
                pass
        return sealed(bytes(atheris.Mutate(data, limit)))

    arguments = [sys.argv[0], f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-timeout={TIMEOUT}",
                 f"-rss_limit_mb={MEGABYTES}", f"-artifact_prefix={options.artifacts}/", "-max_len=16384",
                 "-print_final_stats=1", "-verbosity=0"]  # fmt: skip
    arguments.append(options.again or str(corpus))
    custom = {"custom_mutator": mutated} if kind else {}
    atheris.Setup(arguments, run, **custom)
    atheris.Fuzz()


def instrument(module: Any, mark: Callable[[Any], Any]) -> None:
    """Instrument the functions of a module and the methods of its classes, where they are."""
    own = [thing for thing in vars(module).values() if getattr(thing, "__module__", None) == module.__name__]
    methods = [method for cls in own if inspect.isclass(cls) for method in vars(cls).values()]
    for function in [*own, *methods]:
        if inspect.isfunction(function):
            mark(function)


def file_target(samples: list[Any], folder: Path) -> Callable[[bytes], None]:
    """Load a file, with valid checksums, and use the model that it holds."""
    from tests.security.mutation.container import sealed
    from tests.security.mutation.samples import FILES, use
    from tests.security.mutation.trial import CLEAR, REFUSALS

    sample = samples[0]

    def run(data: bytes) -> None:
        (folder / FILES[sample.kind]).write_bytes(sealed(data))
        model = None if sample.make is None else sample.make()
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                model = sample.load(folder, model)
            except REFUSALS:
                return
            if sample.kind != "masks":
                with contextlib.suppress(*CLEAR):
                    use(model)

    return run


def record_target(data: bytes) -> None:
    """Read a record; what was read is written and read again."""
    from nbnet.base.json_record import dumps, loads

    try:
        value = loads(data, "record")
    except ValueError:
        return
    assert loads(dumps(value), "record") == value


def csr_target() -> Callable[[bytes], None]:
    """Predict from, and train on, a sparse matrix whose arrays hold anything; the results are those of dense rows."""
    import atheris
    from scipy.sparse import csr_array

    import nbnet as nb
    from tests.security.mutation.trial import CLEAR

    nb.set_random_seed(0)
    model = nb.Sequential([nb.Input((5,)), nb.layers.Dense(3, "tanh"), nb.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((4, 5), "float32"), np.zeros(4), batch_size=2, verbose=0)
    kinds = ["float32", "float64", "int8", "int32", "int64", "uint8", "bool", "complex64", "float16", "uint64"]

    def array(source: Any, kinds: list[str], few: list[int]) -> Any:
        dtype = np.dtype(source.PickValueInList(kinds))
        if source.ConsumeProbability() < 0.6:
            return np.array([source.PickValueInList(few) for _ in range(source.ConsumeIntInRange(0, 8))]).astype(dtype)
        size = source.ConsumeIntInRange(0, 8)
        found = source.ConsumeBytes(size * dtype.itemsize).ljust(size * dtype.itemsize, b"\0")
        return np.frombuffer(found, dtype)

    def run(data: bytes) -> None:
        source = atheris.FuzzedDataProvider(data)
        x = csr_array((source.ConsumeIntInRange(0, 6), source.PickValueInList([5, 5, 5, 0, 4, 2**31, 2**40])))
        x.data = array(source, kinds, [0, 1, 2, 255])
        x.indices = array(
            source, ["int32", "int64", "int32", "uint32", "float64"], [0, 1, 2, 3, 4, 4, 5, -1, 2**31 - 1]
        )
        x.indptr = array(source, ["int32", "int64"], [0, 0, 1, 1, 2, 2, 3, 4, 8, -1, 100])
        with np.errstate(all="ignore"):
            try:
                found = model.predict(x, verbose=0)
            except CLEAR:
                return
            # Only what nbnet took is made dense; values of one place are added up in their own dtype, as scipy does it.
            dense = np.zeros((x.shape[0], 5), x.data.dtype)
            for row in range(x.shape[0]):
                for k in range(x.indptr[row], x.indptr[row + 1]):
                    dense[row, x.indices[k]] += x.data[k]
            np.testing.assert_allclose(found, model.predict(dense, verbose=0), 1e-5, 1e-6)
            weights = model.get_weights()
            with contextlib.suppress(*CLEAR):
                model.fit(x, np.zeros(x.shape[0]), batch_size=2, verbose=0)
            model.set_weights(weights)

    return run


if __name__ == "__main__":
    sys.exit(main())
