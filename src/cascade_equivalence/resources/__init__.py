"""What ships beside the code: own items, versions of published sets, the paper's numbers, a small speech LLM."""

from importlib.resources import files
from pathlib import Path

RESOURCES = Path(str(files(__package__)))
PAPER_NUMBERS = RESOURCES / "paper" / "numbers.csv"
PAPER_STATISTICS = RESOURCES / "paper" / "statistics.yaml"
PAPER_CLAIMS = RESOURCES / "paper" / "claims.yaml"
IS_CHECKOUT = Path(__file__).resolve().parents[2].name == "src"
"""Whether this package lies in the project's own tree, not where a package manager put it."""
REPOSITORY = Path(__file__).resolve().parents[3 if IS_CHECKOUT else 1]
"""The checkout that this package lies in; of an installed package its own folder, which has no file of the project."""
SHIPPED = REPOSITORY if (REPOSITORY / "config" / "models.yaml").is_file() else RESOURCES
"""The folder whose ``config`` holds the studies and registries that ship."""
