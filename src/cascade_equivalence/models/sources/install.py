"""Put the files of a model into its folder, so that a half-filled folder is never taken for a model."""

import os
from pathlib import Path

from cascade_equivalence.config.model_files import CTRANSLATE2_WEIGHTS, DATA_SUFFIXES, MANIFEST, RECORD
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.manifest import Manifest, last_installed, write_manifest


def refuse_foreign(target: Path) -> None:
    """Stop before files that no study put there are replaced.

    Args:
        target: A folder without a record.

    Raises:
        StudyError: The folder holds model files.
    """
    names = sorted(path.name for path in target.iterdir()) if target.is_dir() else []
    if found := [name for name in names if Path(name).suffix in DATA_SUFFIXES or name == CTRANSLATE2_WEIGHTS]:
        raise StudyError(
            f"{target} already holds {', '.join(found)}, which no study put there: to use these files, give the folder "
            "as a source of kind `path`; else choose another `models_folder`, or move them away"
        )


def _place(source: Path, target: Path, work: Path) -> None:
    """Move a file made here into the folder; link one that lies elsewhere."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if work in source.parents:
        # safetensors writes files that only their owner may read; the work folder shows what the user's mask allows.
        source.chmod(work.stat().st_mode & 0o666)
        source.replace(target)
        return
    link = work / "link"
    link.unlink(missing_ok=True)
    # A project that is moved or copied whole takes its own folders along, and the links between them.
    here = Path.cwd()
    inside = source.is_relative_to(here) and target.is_relative_to(here)
    link.symlink_to(os.path.relpath(source, target.parent) if inside else source)
    link.replace(target)


def install(manifest: Manifest, files: dict[str, Path], target: Path, work: Path) -> None:
    """Fill a model folder: the record of what comes, then the files, and the manifest last.

    Args:
        manifest: The manifest to write.
        files: Name in the folder to file: moved when it lies in `work`, else linked.
        target: The model folder.
        work: Folder of temporary files, on the same file system as the target.
    """
    old = last_installed(target)
    target.mkdir(parents=True, exist_ok=True)
    (target / MANIFEST).unlink(missing_ok=True)
    for name in old.files.keys() - files.keys() if old else ():
        (target / name).unlink(missing_ok=True)
    write_manifest(manifest, target / RECORD)
    for name, source in files.items():
        _place(source, target / name, work)
    write_manifest(manifest, target / MANIFEST)
