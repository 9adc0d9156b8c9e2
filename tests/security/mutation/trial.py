"""Trials of mutants in processes of their own: what loading one did, and what its use did afterwards."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import json
import os
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import nbnet as nb
from nbnet.base.hdf5_file import Hdf5Content, read_hdf5
from nbnet.saving import keras_files
from tests.security.mutation.container import KerasParts
from tests.security.mutation.mutations import mutant
from tests.security.mutation.samples import FILES, Sample, inputs, use

#: Loading may take this many seconds, and this many bytes beside ten times the file.
SECONDS, MEMORY = 5.0, 64 << 20
#: Seconds after which a process that answers nothing is ended: use may compile kernels.
PATIENCE = 120.0
#: Errors that a damaged file may raise when it is loaded.
REFUSALS = (ValueError, TypeError, OSError)
#: Errors of use that say clearly what is wrong: a model need not fit the data that it is tried with.
CLEAR = (ValueError, TypeError, IndexError, OSError, MemoryError, FloatingPointError)
#: Events that no loading may cause.
FORBIDDEN = ("exec", "compile", "import", "socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn",
             "os.spawn", "os.fork", "ctypes.dlopen", "pickle.", "shutil.", "marshal.load")  # fmt: skip
#: Events that are forbidden outside the folder of the file.
FILES_ONLY = ("open", "os.remove", "os.rename")


class Finding(NamedTuple):
    """A mutant that was neither refused nor loaded as it should be."""

    number: int
    verdict: str
    detail: str


@dataclass
class Report:
    """Verdicts by number, and what must be looked at."""

    verdicts: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def add(self, number: int, verdict: str, detail: str) -> None:
        self.verdicts[verdict] += 1
        if verdict not in ("refused", "loaded"):
            self.findings.append(Finding(number, verdict, detail))


class Watch:
    """Records forbidden events while it is on."""

    def __init__(self) -> None:
        self.on, self.seen, self.allowed = False, [], ""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: Any) -> None:
        if not self.on:
            return
        if event in FILES_ONLY:
            # A number stands for a file that is open already.
            if not isinstance(arguments[0], int) and not str(arguments[0]).startswith(self.allowed):
                self.seen.append(f"{event} {arguments[0]}")
        elif event.startswith(FORBIDDEN):
            self.seen.append(f"{event} {str(arguments)[:80]}")


def peak() -> tuple[int, int]:
    """Bytes in memory now, and at most since :func:`forget_peak`."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) << 10, int(lines["VmHWM"].split()[0]) << 10


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


class Unwatched:
    """Reads HDF5 without the watch, which would see the process that does it; that of a sample is read only once."""

    def __init__(self, watch: Watch, samples: Sequence[Sample]) -> None:
        self.watch, self.known = watch, dict[bytes, Hdf5Content]()
        self.valid = {hash(KerasParts.read(s.content).data) for s in samples if s.kind == "keras"}

    def __call__(self, content: bytes, name: str, allowed: int | None = None) -> Hdf5Content:
        if content not in self.known:
            self.watch.on = False
            try:
                found = read_hdf5(content, name, allowed)
            finally:
                self.watch.on = True
            if hash(content) not in self.valid:
                return found
            self.known[content] = found
        return self.known[content]


def try_mutant(samples: Sequence[Sample], seed: int, number: int, folder: Path, watch: Watch) -> tuple[str, str]:
    """The verdict on a mutant, and a description."""
    sample, changed = mutant(samples, seed, number)
    about = f"{sample.kind} {sample.name}: {changed.done}"
    if changed.content == sample.content:
        return "refused", about
    (folder / FILES[sample.kind]).write_bytes(changed.content)
    model = None if sample.make is None else sample.make()
    forget_peak()
    watch.seen.clear()
    # Processor time: other processes do not count.
    before, start = peak()[0], time.process_time()
    watch.allowed, watch.on, loaded, error = str(folder), True, None, None
    try:
        loaded = sample.load(folder, model)
    except Exception as caught:
        error = caught
    finally:
        watch.on = False
    seconds, memory = time.process_time() - start, peak()[1] - before
    about += f" ({seconds:.2f} s, {memory >> 20} MiB): {type(error).__name__}: {str(error)[:200]}"
    if watch.seen:
        return "event", f"{about}: {watch.seen[:3]}"
    if error is not None and (not isinstance(error, REFUSALS) or not str(error)):
        return "exception", f"{about}\n{''.join(traceback.format_exception(error)[-4:])}"
    if seconds > SECONDS:
        return "slow", about
    if memory > MEMORY + 10 * len(changed.content):
        return "memory", about
    if error is not None:
        return "refused", about
    if not changed.sealed:
        return "silent", about
    if sample.kind == "masks":
        return "loaded", about
    return try_use(loaded, folder, about)


def try_use(model: Any, folder: Path, about: str) -> tuple[str, str]:
    """Use a model that was loaded, on inputs that fit and on others, and save it again."""

    def narrow() -> None:
        model(inputs(model, 2, -1))

    def wide() -> None:
        model(inputs(model, 2, 3))

    def layers() -> None:
        for more in (3, -1) if len(model.inputs) == 1 else ():
            for layer in model.layers:
                with contextlib.suppress(*CLEAR):
                    layer(inputs(model, 2, more))

    def sample() -> None:
        model.predict_mc(inputs(model, 2), samples=2)

    def save() -> None:
        model.save(folder / "again.nbnet")
        nb.load_model(folder / "again.nbnet")

    for step in (lambda: use(model), narrow, wide, layers, sample, lambda: use(model), save):
        try:
            step()
        except CLEAR as error:
            about += f" [{str(error)[:80]}]"
        except Exception as error:
            return "use", f"{about}\n{''.join(traceback.format_exception(error)[-5:])}"
    return "loaded", about


def run(samples: Sequence[Sample], seed: int, numbers: Iterable[int], batch: int = 40) -> Report:
    """Try mutants, ``batch`` of them in each process; those of a process that dies are tried one by one."""
    report, left = Report(), list(numbers)
    # Objects of this process are not looked through again in each of the others.
    gc.freeze()
    while left:
        part, left = left[:batch], left[batch:]
        verdicts, ended = _in_a_process(samples, seed, part)
        if ended and len(part) > 1:
            for number in part:
                alone, died = _in_a_process(samples, seed, [number])
                report.add(number, *(alone.get(number) or ("crash", died)))
            if not any(finding.number in part for finding in report.findings):
                report.add(part[len(verdicts)] if len(verdicts) < len(part) else part[-1], "crash in a row", ended)
        else:
            for number in part:
                report.add(number, *(verdicts.get(number) or ("crash", ended)))
    return report


def _in_a_process(samples: Sequence[Sample], seed: int, numbers: Sequence[int]) -> tuple[dict[int, Any], str]:
    """Verdicts of mutants that a forked process tried; and how it ended, unless it came to its end."""
    read, write = os.pipe()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as stderr:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of threads: the child uses none of theirs
            process = os.fork()
        if process == 0:
            os.close(read)
            try:
                _child(samples, seed, numbers, Path(folder), write, stderr.fileno())
            except BaseException:
                traceback.print_exc(file=sys.__stderr__)
                sys.__stderr__.flush()
            finally:
                os._exit(0)
        os.close(write)
        verdicts, ended = _listen(process, read)
        os.close(read)
        if ended:
            stderr.seek(0)
            ended += "\n" + stderr.read()[-3000:].decode(errors="replace")
        return verdicts, ended


def _child(samples: Sequence[Sample], seed: int, numbers: Sequence[int], folder: Path, write: int, stderr: int) -> None:
    import resource

    os.dup2(stderr, 2)
    faulthandler.enable(stderr)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit = peak()[0] + (8 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    watch = Watch()
    keras_files.read_hdf5 = Unwatched(watch, samples)  # type: ignore[assignment]
    with os.fdopen(write, "w") as out, contextlib.redirect_stdout(io.StringIO()):
        for number in numbers:
            faulthandler.dump_traceback_later(PATIENCE * 0.9, file=stderr)
            nb.set_random_seed(number)
            for path in folder.iterdir():
                path.unlink()
            verdict = try_mutant(samples, seed, number, folder, watch)
            gc.collect()
            print(json.dumps([number, *verdict]), file=out, flush=True)
        print("end", file=out, flush=True)


def _listen(process: int, read: int) -> tuple[dict[int, Any], str]:
    """Return the output of a process; end it if it prints nothing for too long."""
    verdicts: dict[int, Any] = {}
    text = b""
    while select.select([read], [], [], PATIENCE)[0]:
        more = os.read(read, 1 << 16)
        if not more:
            break
        text += more
    else:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    lines = text.decode().split("\n")
    for line in lines[:-1]:
        if line != "end":
            number, verdict, detail = json.loads(line)
            verdicts[number] = (verdict, detail)
    complete = "end" in lines
    return verdicts, "" if complete else f"ended with status {status} (a signal: {os.WTERMSIG(status)})"
