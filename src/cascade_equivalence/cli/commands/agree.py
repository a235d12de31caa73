"""Compare two files of answers, whoever made them."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from cascade_equivalence.cli.parser import Commands, add_command, add_json, share
from cascade_equivalence.errors import StudyError


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "agree", run)
    parser.add_argument("a", type=Path, metavar="A", help="answers of one system: a file, or a folder of them")
    parser.add_argument("b", type=Path, metavar="B", help="answers of the other, to the same items")
    parser.add_argument("c", type=Path, metavar="C", nargs="?", help="answers of A when asked otherwise: the ceiling")
    chosen = parser.add_argument_group("what is compared")
    chosen.add_argument(
        "--task", action="append", default=[], metavar="NAME", help="this task only, and its parser (may be repeated)"
    )
    chosen.add_argument("--format", default="", metavar="NAME", help="format of the files (default: found by content)")
    chosen.add_argument("--map", default="", metavar="FIELD=COLUMN,...", help="names of columns: id=doc_id,answer=pred")
    chosen.add_argument("--score", default="", metavar="NAME", help="which metric or scorer says what is right")
    chosen.add_argument(
        "--by", choices=("auto", "answers", "scores"), default="auto", help="compare answers, or right and wrong"
    )
    chosen.add_argument("--labels", default="", metavar="LABEL,...", help="the closed set that answers are from")
    chosen.add_argument("--names", default="", metavar="NAME,...", help="what to call A, B and C")
    chosen.add_argument("--ignore-texts", action="store_true", help="an item may have another text in the other file")
    chosen.add_argument("--strict", action="store_true", help="fail if anything does not join")
    judged = parser.add_argument_group("how it is judged")
    judged.add_argument("--margin", type=share, help="difference of accuracies taken as none, a share (default: 0.03)")
    judged.add_argument("--confidence", type=share, help="level of the intervals (default: 0.95)")
    written = parser.add_argument_group("where it goes")
    written.add_argument("--items", type=int, default=5, metavar="N", help="items both got wrong to print (default: 5)")
    written.add_argument("--csv", type=Path, metavar="FILE", help="write the numbers, a row a task")
    written.add_argument("--wrong", type=Path, metavar="FILE", help="write all items that both got wrong, as CSV")
    written.add_argument("--html", type=Path, metavar="FILE", help="write one page with everything")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare two files of answers item by item, whoever made them: no study and no config is needed.

    Reads Inspect logs, samples of lm-evaluation-harness and lmms-eval, Every Eval Ever, this project's answers, and
    plain CSV, JSON lines or Parquet (columns id, answer, label; where wanted task, group, voice, text, correct, raw).
    Says what does not join, and of each task: accuracies, κ, its ceiling if C is given, McNemar's test by groups, error
    overlap, a verdict on equivalence, and the items both got wrong. See docs/compare-answers.md.
    """
    from cascade_equivalence.config.statistics import EquivalenceConfig, StatisticsConfig
    from cascade_equivalence.files import write_text
    from cascade_equivalence.imported.agree import Wanted, agree
    from cascade_equivalence.imported.page import as_page
    from cascade_equivalence.imported.rows import one_line
    from cascade_equivalence.imported.tables import both_wrong, content, numbers
    from cascade_equivalence.imported.text import PLAIN_WIDTH, as_text
    from cascade_equivalence.report.tables import write_csv

    bounds = EquivalenceConfig() if arguments.margin is None else EquivalenceConfig(accuracy_margin=arguments.margin)
    level = {} if arguments.confidence is None else {"confidence": arguments.confidence}
    wanted = Wanted(
        tasks=arguments.task,
        formats=arguments.format,
        columns=_mapping(arguments.map),
        score=arguments.score,
        by=arguments.by,
        labels=_list(arguments.labels),
        names=_list(arguments.names),
        ignore_texts=arguments.ignore_texts,
        strict=arguments.strict,
    )
    paths = [path for path in (arguments.a, arguments.b, arguments.c) if path is not None]
    outputs = [path for path in (arguments.csv, arguments.wrong, arguments.html) if path is not None]
    for path in outputs:
        if path.is_dir():
            raise StudyError(f"{path} is a folder: name a file to write")
        if any(path.exists() and each.exists() and path.samefile(each) for each in paths):
            raise StudyError(f"{path} holds answers that are compared: name another file to write")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise StudyError("--csv, --wrong and --html need different files")
    try:
        found = agree(paths, wanted, StatisticsConfig(equivalence=bounds, **level))
    except StudyError as error:
        # It quotes files of others.
        raise StudyError(one_line(str(error))) from error
    if arguments.json:
        print(json.dumps(content(found), indent=1, ensure_ascii=False, allow_nan=False))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else PLAIN_WIDTH
        print(as_text(found, width, max(0, arguments.items)))
    said = sys.stderr if arguments.json else sys.stdout
    for path, write in (
        (arguments.csv, lambda path: write_csv(numbers(found), path)),
        (arguments.wrong, lambda path: write_csv(both_wrong(found), path)),
        (arguments.html, lambda path: write_text(path, as_page(found))),
    ):
        if path is not None:
            write(path)
            print(f"Written: {path}", file=said)
    return 0


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _mapping(text: str) -> dict[str, str]:
    pairs = [part.partition("=") for part in _list(text)]
    if wrong := [field for field, sign, column in pairs if not sign or not column or not field]:
        raise StudyError(f"--map: {wrong[0]!r} is no FIELD=COLUMN, such as id=doc_id")
    return {field.strip(): column.strip() for field, _, column in pairs}
