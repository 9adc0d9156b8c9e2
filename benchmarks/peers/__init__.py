"""nbnet beside the libraries that one would use instead: ``python -m benchmarks.peers TASK``.

Each library works in a process of its own, of the interpreter that ``--python NAME=PATH`` names, and takes its turn.
What a round finds is appended to ``results/TASK.jsonl``: a task that was cut off goes on with the rounds that are
missing.
"""
