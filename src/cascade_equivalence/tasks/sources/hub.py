"""Files of the Hugging Face hub's data set repositories, through `huggingface_hub` and its own cache."""

import shutil
from pathlib import Path

from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import sha256
from cascade_equivalence.hub_errors import advice, failures
from cascade_equivalence.secrets import hub_token
from cascade_equivalence.tasks.sources.pins import HubFile

_SPARE = 1 << 28


def fetch_hub_file(pin: HubFile) -> Path:
    """Fetch one file into the hub's own cache, or find it there.

    A connection that is cut is taken up again where it stopped, and a file whose bytes changed is fetched again. With
    `HF_HUB_OFFLINE=1` only the cache is used; `HF_ENDPOINT` names another hub.

    Args:
        pin: Repository, revision, file and hash.

    Returns:
        The file in the hub's cache.

    Raises:
        StudyError: If the hub does not give the file or cannot be reached, the disk is too small, or the file is not
            the one that was recorded.
    """
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    offline = constants.is_offline_mode()
    token = hub_token() or False  # False: not even a stored login
    cached = try_to_load_from_cache(pin.repo, pin.file, revision=pin.revision, repo_type="dataset")
    if not offline and not isinstance(cached, str):
        _check_space(pin, Path(constants.HF_HUB_CACHE))
    found = ""
    for force in (False, True):
        try:
            path = Path(
                hf_hub_download(
                    pin.repo,
                    pin.file,
                    repo_type="dataset",
                    revision=pin.revision,
                    token=token,
                    local_files_only=offline,
                    force_download=force,
                )
            )
        except failures() as error:
            raise _explain(error, pin) from error
        if (found := sha256(path)) == pin.sha256:
            return path
        if offline:
            raise StudyError(
                f"{path} in the hub's cache has SHA-256 {found}, expected {pin.sha256}: delete it and run again "
                "without HF_HUB_OFFLINE"
            )
        # The hub names a large file by its hash: it is whole, and another one.
        if path.resolve().name == found:
            break
    raise StudyError(
        f"{pin.file} of {pin.repo} at {pin.revision} has SHA-256 {found}, expected {pin.sha256}: it is not the file "
        "that was recorded. Check HF_ENDPOINT; change the recorded hash only after comparing the new file with a "
        f"source you trust. It is kept as {path}."
    )


def _check_space(pin: HubFile, cache: Path) -> None:
    """Stop before a long download that the disk cannot hold; what lies there in part is counted again."""
    place = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if pin.bytes and free < pin.bytes + _SPARE:
        raise StudyError(
            f"{pin.name} of {pin.repo} needs {pin.bytes >> 20} MiB, but {place} has {free >> 20} MiB free: make room, "
            "or let HF_HOME name a folder on a larger disk"
        )


def _explain(error: Exception, pin: HubFile) -> StudyError:
    """Say in the user's terms why the hub did not deliver."""
    page = f"https://huggingface.co/datasets/{pin.repo}"
    return StudyError(
        f"{pin.page} cannot be fetched: {advice(error, kind='data set', page=page, terms='terms')}. A file that you "
        "fetch by hand can be used, too: put the sets into a folder and name it in `items.folder`."
    )
