"""Models from a folder on this machine, which are read where they are."""

from pathlib import Path

from cascade_equivalence.config.model_files import CTRANSLATE2_WEIGHTS, DATA_SUFFIXES, MANIFEST, runs_code
from cascade_equivalence.config.sources import PathSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.sources.files import Fetched
from cascade_equivalence.resources import REPOSITORY, RESOURCES

# The second is the form of earlier registries.
SHIPPED = ("{resources}", "{project}/resources")


def location(source: PathSource) -> Path:
    """The folder as an absolute path.

    Raises:
        StudyError: There is no such folder.
    """
    path = str(source.path)
    for shipped in SHIPPED:
        path = path.replace(shipped, str(RESOURCES))
    folder = Path(path.replace("{project}", str(REPOSITORY))).resolve()
    if not folder.is_dir():
        raise StudyError(f"model folder {source.path} does not exist (looked for {folder}); correct `path`")
    return folder


def fetch(source: PathSource, gguf: str | None = None) -> Fetched:
    """List the files of a model folder that are safe to read; nothing is copied.

    Pickles, scripts and documents in the folder are left alone.

    Args:
        source: The folder.
        gguf: GGUF file to convert; then only this file is taken.

    Returns:
        The files where they lie (to be linked, not moved).

    Raises:
        StudyError: The folder, the GGUF file or any weights in a safe format are missing.
    """
    folder = location(source)
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != MANIFEST)
    if gguf:
        if gguf not in names:
            raise StudyError(f"{folder} has no file {gguf}; it has {', '.join(names) or 'no files'}")
        return Fetched({gguf: folder / gguf})
    taken = [name for name in names if Path(name).suffix in DATA_SUFFIXES or name == CTRANSLATE2_WEIGHTS]
    if not any(name.endswith(".safetensors") or name == CTRANSLATE2_WEIGHTS for name in taken):
        pickles = [name for name in names if runs_code(name)]
        hint = f"; {', '.join(pickles)} can run code when loaded: convert to safetensors first" if pickles else ""
        raise StudyError(f"{folder} has no weights in safetensors or CTranslate2 format{hint}")
    return Fetched({name: folder / name for name in taken})
