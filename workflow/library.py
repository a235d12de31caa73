"""Find the library of this workflow, also where the workflow is a module of another and no package is installed."""

import shutil
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Any

NEEDED = ("src", "config", "workflow")


def project_folder(rules: Any, cache: Path) -> Path:
    """The folder that holds ``src``, ``config`` and ``workflow`` of the version that the rules belong to.

    Args:
        rules: Snakemake's source file of the folder of the rules: on this machine, or in a repository of a git host,
            which Snakemake keeps as a clone without files.
        cache: Folder of Snakemake's cache, where the files of such a clone are written once a commit.
    """
    if hasattr(type(rules), "hosted_repo"):
        repository = rules.hosted_repo.repo
    elif hasattr(rules, "repo_path"):
        import git

        repository = git.Repo(rules.repo_path)
    else:
        return Path(rules.get_path_or_uri(secret_free=False)).resolve().parents[1]
    commit = repository.git.rev_parse("--verify", f"{rules.ref}^{{commit}}")
    folder = cache / "cascade-equivalence" / commit
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        archive = repository.git.archive(commit, *NEEDED, stdout_as_string=False)
        written = Path(tempfile.mkdtemp(dir=folder.parent))
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(written, filter="data")
        try:
            written.rename(folder)
        except OSError:  # another Snakemake was faster
            if not folder.is_dir():
                raise
            shutil.rmtree(written)
    return folder
