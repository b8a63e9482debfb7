"""The benchmarks: ``python -m benchmarks prediction-time``, ``… peers``, ``… year`` and others."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence


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
    distributed = commands.add_parser("distributed", help="training and scoring, by rows and by workers of a cluster")
    distributed.add_argument("--quick", action="store_true", help="each once: rough figures")
    commands.add_parser("year", help="2013 against the running service, month by month, beside a model never retrained")
    options = parser.parse_args(arguments)

    from benchmarks.load import LoadFailed

    try:
        return _COMMANDS[options.command](options)
    except LoadFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _prediction_time(options: Namespace) -> int:
    from benchmarks.prediction_time import measure

    measure(is_quick=options.quick)
    return 0


def _peers(options: Namespace) -> int:
    from benchmarks.peers.command import run

    return run(is_quick=options.quick, only=options.only)


def _overload(options: Namespace) -> int:
    from benchmarks.overload import measure

    measure(is_quick=options.quick)
    return 0


def _swap(options: Namespace) -> int:
    from benchmarks.swap import measure

    measure(is_quick=options.quick)
    return 0


def _gpu(_: Namespace) -> int:
    from benchmarks.gpu import measure

    print(measure())
    return 0


def _distributed(options: Namespace) -> int:
    from model.progress import quieten_libraries

    quieten_libraries()
    from benchmarks.distributed import measure

    measure(is_quick=options.quick)
    return 0


def _year(_: Namespace) -> int:
    from benchmarks.year.command import run

    return run()


# Each imports what it needs, and the others' packages need not be there.
_COMMANDS: dict[str, Callable[[Namespace], int]] = {
    "prediction-time": _prediction_time,
    "peers": _peers,
    "overload": _overload,
    "swap": _swap,
    "gpu": _gpu,
    "distributed": _distributed,
    "year": _year,
}


if __name__ == "__main__":
    sys.exit(main())
