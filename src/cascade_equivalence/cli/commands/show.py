"""Show a finished study."""

import argparse
import json
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_equivalence.cli.calls import program, snakemake
from cascade_equivalence.cli.parser import PROGRAM, Commands, add_command, add_json
from cascade_equivalence.errors import StudyError

if TYPE_CHECKING:
    from cascade_equivalence.report.tables import Tables


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "show", run)
    parser.add_argument("study", type=Path, help="the folder of the results, or the study's config file")
    parser.add_argument("--all", action="store_true", help="print the main tables whole, in place of one screen")
    add_json(parser, "print accuracy, agreement, contrasts on clean speech and the paper's claims as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print what a finished study found on one screen, or its main tables; and where its results are."""
    from cascade_equivalence.cli.study import read_study, recorded_statistics

    path: Path = arguments.study
    if path.is_dir():
        results, statistics = path, None
    else:
        study = read_study(path).config
        results, statistics = study.results, study.statistics
    if not (results / "report.html").exists():
        command = snakemake(path)
        run_it = f"run `{command}` first" if command else "run the study first"
        how = "name a folder of results" if path.is_dir() else run_it
        raise StudyError(f"nothing to show yet, as {results}/report.html does not exist: {how}")
    import polars as pl

    from cascade_equivalence.report.claims_table import SCHEMA
    from cascade_equivalence.report.headline import print_headline
    from cascade_equivalence.report.tables import Tables, read_csv

    tables = Tables.read(results / "tables")
    file = results / "claims.csv"
    # A study from before claims were judged has none.
    claims = read_csv(file, SCHEMA) if file.is_file() else pl.DataFrame(schema=SCHEMA)
    if arguments.json:
        print(
            json.dumps(
                _headline(results, tables) | {"claims": [_plain(row) for row in claims.to_dicts()]},
                indent=1,
                ensure_ascii=False,
            )
        )
        return 0
    statistics = statistics or recorded_statistics(results)
    if not arguments.all:
        from cascade_equivalence.report.screen import screen

        command = f"{program(PROGRAM)} show --all {shlex.quote(str(path))}"
        print("\n".join(screen(tables, statistics, page=str(results / "report.html"), command=command)))
        return 0
    print()
    print_headline(tables, statistics, claims=claims)
    for name, place in (("Tables", "tables"), ("Figures", "figures"), ("Report", "report.html")):
        print(f"{name:8} {results / place}")
    return 0


def _headline(results: Path, tables: "Tables") -> dict[str, Any]:
    from cascade_equivalence.conditions import CLEAN

    shown = {"accuracy": tables.accuracy, "agreement": tables.agreement, "contrasts": tables.contrasts}
    rows = {
        name: [row for row in table.to_dicts() if row.get("condition", CLEAN) == CLEAN] for name, table in shown.items()
    }
    return {"results": str(results)} | {name: [_plain(row) for row in each] for name, each in rows.items()}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what JSON has no number for."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
