"""The benchmarks: ``python -m benchmarks prediction-time``, ``… peers``, ``… overload``, ``… swap``, ``… gpu``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark; the exit status."""
    parser = ArgumentParser(prog="python -m benchmarks", description="Measure how long predictions take.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="BENCHMARK")
    prediction_time = commands.add_parser(
        "prediction-time", help="the kernel, the service, its start and its memory, on this machine"
    )
    prediction_time.add_argument("--quick", action="store_true", help="fewer and shorter measurements: rough figures")
    peers = commands.add_parser("peers", help="the service side by side with other servers, on this machine")
    peers.add_argument("--quick", action="store_true", help="one short turn: rough figures")
    peers.add_argument("--only", metavar="NAME,NAME", help="only these of the other servers")
    overload = commands.add_parser("overload", help="the service at twice the rate that it can answer")
    overload.add_argument("--quick", action="store_true", help="fewer limits and shorter loads: rough figures")
    swap = commands.add_parser("swap", help="what requests notice while model versions are verified and swapped")
    swap.add_argument("--quick", action="store_true", help="fewer and shorter turns: rough figures")
    commands.add_parser("gpu", help="the kernel beside a GPU, from one row to a million")
    options = parser.parse_args(arguments)

    from benchmarks.load import LoadFailed

    try:
        if options.command == "peers":
            from benchmarks.peers.command import run

            return run(is_quick=options.quick, only=options.only)
        if options.command == "overload":
            from benchmarks.overload import measure as measure_overload

            measure_overload(is_quick=options.quick)
            return 0
        if options.command == "swap":
            from benchmarks.swap import measure as measure_swap

            measure_swap(is_quick=options.quick)
            return 0
        if options.command == "gpu":
            from benchmarks.gpu import measure as measure_gpu

            print(measure_gpu())
            return 0
        from benchmarks.prediction_time import measure

        measure(is_quick=options.quick)
    except LoadFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
