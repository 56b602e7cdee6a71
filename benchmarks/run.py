"""Measures the stages against libcrypto and the targets; writes results.json here and the chart of docs/performance.md.

python benchmarks/run.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gristmill.bench.chart import chart
from gristmill.bench.libcrypto import yardstick
from gristmill.bench.results import FULL, QUICK, measure, table

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
CHART = HERE.parent / "docs" / "performance.svg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer repetitions, no run-noise")
    arguments = parser.parse_args()
    multiplication = yardstick()
    if multiplication is None:
        raise SystemExit("No libcrypto of OpenSSL was found to compare with. Install its shared library (libssl3).")
    results = measure(
        QUICK if arguments.quick else FULL, multiplication, lambda line: print(line, file=sys.stderr, flush=True)
    )
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    CHART.write_text(chart(results))
    print(table(results))


if __name__ == "__main__":
    main()
