"""The commands on results folders: verify, compare, crate, pack."""

import argparse
import json
from pathlib import Path
from typing import Any

from cascade_equivalence.cli.parser import Commands, add_command, add_json, tolerance
from cascade_equivalence.cli.study import results_of

STUDY = "the folder of the results, or the study's config file"


def add(commands: Commands) -> None:
    """Add the commands on results folders."""
    verifying = add_command(commands, "verify", verify)
    verifying.add_argument("results", type=Path, help=STUDY)
    verifying.add_argument("--weights", action="store_true", help="also read the weights of the models again")
    comparing = add_command(commands, "compare", compare)
    comparing.add_argument("a", type=Path, help="one of the two: a folder of results, or a study's config file")
    comparing.add_argument("b", type=Path, help="the other")
    comparing.add_argument(
        "--tolerance",
        type=tolerance,
        default=0.0,
        help="numbers that differ by no more are the same (default: %(default)s)",
    )
    describing = add_command(commands, "crate", crate)
    describing.add_argument("results", type=Path, help=STUDY)
    packing = add_command(commands, "pack", pack)
    packing.add_argument("results", type=Path, help=STUDY)
    packing.add_argument(
        "-o", "--output", type=Path, default=Path("supplement.zip"), help="the archive (default: %(default)s)"
    )
    packing.add_argument("--force", action="store_true", help="pack also what is not as recorded")
    packing.add_argument(
        "--include-report", action="store_true", help="put the report in although it quotes published items"
    )
    for parser in (describing, packing):
        parser.add_argument("--licence", "--license", metavar="URL", help="address of the licence of the results")
    for parser in (verifying, comparing):
        add_json(parser)


def _print(found: Any, as_json: bool) -> None:
    text = json.dumps(found.content(), indent=1, ensure_ascii=False, default=str) if as_json else found.text()
    print(text)


def verify(arguments: argparse.Namespace) -> int:
    """Compare a results folder with its records: is every file as it was made?

    The exit status is 1 if something is not as recorded.
    """
    from cascade_equivalence.provenance.verify import verify

    found = verify(results_of(arguments.results), weights=arguments.weights)
    _print(found, arguments.json)
    return 0 if found.ok else 1


def compare(arguments: argparse.Namespace) -> int:
    """Compare two results folders number by number.

    The exit status is 1 if they are not equal.
    """
    from cascade_equivalence.provenance.compare import compare

    found = compare(results_of(arguments.a), results_of(arguments.b), arguments.tolerance)
    _print(found, arguments.json)
    return 0 if found.equal else 1


def crate(arguments: argparse.Namespace) -> int:
    """Describe a results folder as a Workflow Run RO-Crate."""
    from cascade_equivalence.provenance.record import read_records
    from cascade_equivalence.provenance.surroundings import Commit
    from cascade_equivalence.publish.crate import write_crate

    results = results_of(arguments.results)
    print(write_crate(results, arguments.licence))
    commits = {record.code.commit for record in read_records(results).values()}
    if (here := Commit().read()[0]) not in commits:
        print(f"Warning: the workflow's source beside it is of commit {here}, which made none of these results")
    return 0


def pack(arguments: argparse.Namespace) -> int:
    """Pack what a paper's supplement needs: tables, figures, the report and the records, in one archive."""
    from cascade_equivalence.publish.pack import pack

    packed = pack(
        results_of(arguments.results),
        arguments.output,
        force=arguments.force,
        include_report=arguments.include_report,
        licence=arguments.licence,
    )
    print(packed.text())
    return 0
