"""Start the command line."""

from cascade_equivalence.cli.main import main
from cascade_equivalence.cli.study import read_study

__all__ = ["main", "read_study"]

if __name__ == "__main__":
    main()
