"""Try mutants of files: ``python -m tests.security.mutation --count 20000 --seed 1``; ``--only 7`` tries one again."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path

# Processes are forked: one thread.
os.environ.setdefault("NBNET_NUM_THREADS", "1")

from nbnet.saving.models import import_what_files_name
from tests.security.mutation.samples import FILES, samples
from tests.security.mutation.trial import Report, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="number of mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--only", type=int, help="number of the only mutant")
    parser.add_argument("--kind", choices=sorted(FILES), help="kind of files, by default all")
    options = parser.parse_args()
    if not hasattr(os, "fork"):
        print("mutants are tried in forked processes, which this system does not have")
        return 0
    warnings.simplefilter("ignore")
    import_what_files_name()  # as the first load of a process does, whatever its file says
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = [sample for sample in samples(Path(folder)) if options.kind in (None, sample.kind)]
    last = options.first + options.count
    numbers = range(options.first, last) if options.only is None else [options.only]
    report = Report()
    for at in range(0, len(numbers), 500):
        part = run(found, options.seed, numbers[at : at + 500])
        report.verdicts += part.verdicts
        report.findings += part.findings
        for finding in part.findings:
            print(f"mutant {finding.number}: {finding.verdict}: {finding.detail}", flush=True)
        print(
            f"{at + len(numbers[at : at + 500])}: {dict(report.verdicts)}, {time.monotonic() - start:.0f} s", flush=True
        )
    print(f"seed {options.seed}: {sum(report.verdicts.values())} mutants, {len(report.findings)} findings")
    return bool(report.findings)


if __name__ == "__main__":
    sys.exit(main())
