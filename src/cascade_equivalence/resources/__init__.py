"""What ships beside the code: own items, versions of published sets, the paper's numbers, a small speech LLM."""

from importlib.resources import files
from pathlib import Path

RESOURCES = Path(str(files(__package__)))
