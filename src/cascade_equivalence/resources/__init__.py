"""What ships beside the code: own items, versions of published sets, the paper's numbers, a small speech LLM."""

from importlib.resources import files
from pathlib import Path

RESOURCES = Path(str(files(__package__)))
REPOSITORY = Path(__file__).resolve().parents[3]
"""The checkout that this package lies in; of an installed package a folder that holds none of the project's files."""
SHIPPED = REPOSITORY if (REPOSITORY / "config" / "models.yaml").is_file() else RESOURCES
"""The folder whose ``config`` holds the studies and registries that ship."""
