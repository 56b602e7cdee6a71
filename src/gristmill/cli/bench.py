"""`gristmill bench`: what each stage of a measurement costs on this machine."""

from __future__ import annotations

import argparse

from gristmill.cli import flags

EXIT_CODES = "exit codes: 0 timed; 1 a stage failed; 2 wrong usage, or a directory that cannot be used"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run the cryptography of one measurement of made-up people among three duchies, each stage in a "
        "process of its own, without network or database, and print what it took, beside libcrypto."
    )
    parser.epilog = EXIT_CODES
    parser.add_argument(
        "--registers", type=flags.integer(1, 10**9), default=10_000, metavar="N", help="of each data provider (10000)"
    )
    parser.add_argument("--edps", type=flags.integer(1, 1000), default=3, metavar="E", help="data providers (3)")
    parser.add_argument("--protocol", choices=("llv2", "reach-only", "hmss"), default="llv2", help="(llv2)")
    parser.add_argument(
        "--max-frequency", type=flags.integer(1, 255), default=10, metavar="F", help="1 is reach alone (10)"
    )
    parser.add_argument(
        "--parallelism", type=flags.integer(1, 1024), default=1, metavar="P", help="threads of a stage (1)"
    )
    flags.add_boolean(
        parser,
        "--noise",
        default=False,
        help="add the noise of the budgets reach 0.0033, frequency 0.115, delta 1e-12 (false)",
    )
    parser.add_argument(
        "--directory",
        type=flags.path,
        metavar="DIR",
        help="existing directory for the files meanwhile (the system's for temporary files)",
    )
    flags.add_boolean(parser, "--json", default=False, help="print JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    import json
    import tempfile
    from pathlib import Path

    from gristmill.bench import report
    from gristmill.bench.libcrypto import yardstick
    from gristmill.bench.stages import Noise, Size
    from gristmill.bench.timing import measurement

    refused_without = arguments.protocol == "llv2" and arguments.max_frequency == 1
    little = Noise(reach=(1.0, 1.0), frequency=(1.0, 1.0)) if refused_without else None
    size = Size(
        registers=arguments.registers,
        providers=arguments.edps,
        maximum_frequency=arguments.max_frequency,
        threads=arguments.parallelism,
        noise=Noise() if arguments.noise else little,
        protocol=arguments.protocol,
    )
    multiplication = yardstick()
    timings = []
    if not arguments.json:
        print(report.HEADING)
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-", dir=arguments.directory) as folder:
        for timing in measurement(size, Path(folder), multiplication):
            timings.append(timing)
            if not arguments.json:
                print(report.line(report.row(timing, multiplication)), flush=True)
    whole = report.whole_run(timings, size)
    rows = [report.row(timing, multiplication) for timing in [*timings, whole]]
    if arguments.json:
        print(json.dumps(report.document(size, rows, multiplication), indent=2))
        return 0
    print(report.line(rows[-1]))
    print("\n".join(["", *report.footnotes(size, timings, multiplication)]))
    return 0
