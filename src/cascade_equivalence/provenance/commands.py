"""The commands on results folders: verify, compare, crate, pack."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Add = Callable[..., argparse.ArgumentParser]


def add_commands(add: Add) -> None:
    """Add the commands on results folders to the command line.

    Args:
        add: ``add_parser`` of the project's commands.
    """
    verifying = add("verify", help="compare a results folder with its records")
    verifying.add_argument("results", type=Path)
    verifying.add_argument("--weights", action="store_true", help="also read the weights of the models again")
    comparing = add("compare", help="compare two results folders number by number")
    comparing.add_argument("a", type=Path)
    comparing.add_argument("b", type=Path)
    comparing.add_argument(
        "--tolerance", type=_tolerance, default=0.0, help="numbers that differ by no more are the same (default 0)"
    )
    describing = add("crate", help="describe a results folder as a Workflow Run RO-Crate")
    describing.add_argument("results", type=Path)
    packing = add("pack", help="pack what a paper's supplement needs")
    packing.add_argument("results", type=Path)
    packing.add_argument("-o", "--output", type=Path, default=Path("supplement.zip"))
    packing.add_argument("--force", action="store_true", help="pack also what is not as recorded")
    packing.add_argument(
        "--include-report", action="store_true", help="put the report in although it quotes published items"
    )
    for parser in (describing, packing):
        parser.add_argument("--licence", help="URL of the licence of the results")
    for parser in (verifying, comparing):
        parser.add_argument("--json", action="store_true", help="print JSON")


def _tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no tolerance: give a number from 0 to below 1, such as 1e-6")
    return value


def run(arguments: argparse.Namespace) -> bool:
    """Run one of the commands.

    Returns:
        Whether the command line named one.

    Raises:
        StudyError: What it was asked about is not there, or damaged.
        SystemExit: With 1, where results are not as recorded, or two are not equal.
    """
    command = _COMMANDS.get(arguments.command)
    if command is None:
        return False
    if not command(arguments):
        sys.exit(1)
    return True


def _print(found: Any, as_json: bool) -> None:
    text = json.dumps(found.content(), indent=1, ensure_ascii=False, default=str) if as_json else found.text()
    print(text)


def _verify(arguments: argparse.Namespace) -> bool:
    from cascade_equivalence.provenance.verify import verify

    found = verify(arguments.results, weights=arguments.weights)
    _print(found, arguments.json)
    return found.ok


def _compare(arguments: argparse.Namespace) -> bool:
    from cascade_equivalence.provenance.compare import compare

    found = compare(arguments.a, arguments.b, arguments.tolerance)
    _print(found, arguments.json)
    return found.equal


def _crate(arguments: argparse.Namespace) -> bool:
    from cascade_equivalence.provenance.crate import write_crate
    from cascade_equivalence.provenance.record import read_records
    from cascade_equivalence.provenance.surroundings import Commit

    print(write_crate(arguments.results, arguments.licence))
    commits = {record.code.commit for record in read_records(arguments.results).values()}
    if (here := Commit().read()[0]) not in commits:
        print(f"Warning: the workflow's source beside it is of commit {here}, which made none of these results")
    return True


def _pack(arguments: argparse.Namespace) -> bool:
    from cascade_equivalence.provenance.pack import pack

    packed = pack(
        arguments.results,
        arguments.output,
        force=arguments.force,
        include_report=arguments.include_report,
        licence=arguments.licence,
    )
    print(packed.text())
    return True


_COMMANDS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "verify": _verify,
    "compare": _compare,
    "crate": _crate,
    "pack": _pack,
}
