"""Write a study's results as other projects read them."""

import argparse
from pathlib import Path

from cascade_equivalence.cli.parser import Commands, add_command

FORMS = ("every-eval-ever", "hf-eval-results", "hf-dataset")


def add(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(commands, "export", run)
    parser.add_argument("results", type=Path, help="the folder of the results, or the study's config file")
    parser.add_argument("--to", choices=FORMS, required=True, help="what to write")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("export"), help="where it goes (default: %(default)s)"
    )
    parser.add_argument("--organisation", default="not stated", help="who ran the study (default: %(default)s)")
    parser.add_argument(
        "--license", default="other", help="of hf-dataset: licence of the answers, as the hub calls it: cc-by-4.0"
    )
    parser.add_argument(
        "--texts", action="store_true", help="write the words of published items, and answers that may quote them"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write a study's answers and accuracies as other projects read them.

    every-eval-ever: of each system a JSON file on its scores and a JSON-lines file with every answer, in the form of
    Every Eval Ever 0.3, below data/. hf-eval-results: .eval_results/TASK.yaml for the repositories of speech LLMs on
    the Hugging Face hub; of published sets of the hub, clean speech. hf-dataset: every answer as Parquet, and a card,
    to be pushed with `hf upload`. What an earlier export left in the folder, and this one does not write, goes.
    """
    from cascade_equivalence.cli.study import results_of
    from cascade_equivalence.publish.eval_results import write_eval_results
    from cascade_equivalence.publish.every_eval_ever import write_every_eval_ever
    from cascade_equivalence.publish.export_folder import RECORD, check_unchanged, settle
    from cascade_equivalence.publish.hub_dataset import write_hub_dataset

    check_unchanged(arguments.output)
    results = results_of(arguments.results)
    left: list[str] = []
    if arguments.to == "every-eval-ever":
        written = write_every_eval_ever(results, arguments.output, arguments.organisation, texts=arguments.texts)
    elif arguments.to == "hf-dataset":
        written = write_hub_dataset(results, arguments.output, arguments.license, texts=arguments.texts)
    else:
        written, left = write_eval_results(results, arguments.output)
    for path in written:
        print(f"Written: {path}")
    for path in settle(arguments.output, written):
        print(f"Taken away, of an earlier export: {path}")
    for line in left:
        print(f"Left out: {line}")
    if arguments.to == "hf-dataset":
        print(f"Push it: hf upload OWNER/NAME {arguments.output} . --repo-type dataset --exclude {RECORD}")
    return 0
