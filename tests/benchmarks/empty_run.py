"""What the plugin costs a run that does not use it.

Runs pytest on one empty test with the plugin and with ``-p no:ldb``, in turns, and prints the
medians and their difference. ``python tests/benchmarks/empty_run.py [ROUNDS]``
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 20


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        Path(folder, "test_empty.py").write_text("def test(): pass\n")
        variants: dict[str, list[str]] = {"without": ["-p", "no:ldb"], "with": []}
        times: dict[str, list[float]] = {name: [] for name in variants}
        for turn in range(rounds + 2):
            for name, arguments in variants.items():
                took = timed_run(folder, arguments)
                if turn >= 2:  # the first ones compile and fill caches
                    times[name].append(took)
    medians = {name: statistics.median(values) * 1000 for name, values in times.items()}
    print(f"python {sys.version.split()[0]}, median of {rounds} runs in turns")
    for name, values in times.items():
        print(f"{name:>8}: {medians[name]:6.1f} ms (fastest {min(values) * 1000:.1f})")
    print(f"    cost: {medians['with'] - medians['without']:6.1f} ms")


def timed_run(folder: str, arguments: list[str]) -> float:
    """Return the seconds that a run takes."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
