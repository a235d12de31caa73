"""Repositories of the Hugging Face hub, through `huggingface_hub` and its own cache."""

from fnmatch import fnmatch
from pathlib import Path

from cascade_equivalence.config.model_files import REFUSED_SUFFIXES
from cascade_equivalence.config.sources import HubSource
from cascade_equivalence.errors import StudyError
from cascade_equivalence.hub_errors import advice, failures, gate
from cascade_equivalence.hub_files import is_intact
from cascade_equivalence.models.sources.files import Fetched, check_name, refuse_code
from cascade_equivalence.secrets import hub_token


def _token(source: HubSource, offline: bool) -> str | bool:
    """The token to send; False sends none."""
    token = hub_token()
    if source.gated and not token and not offline:
        raise StudyError(
            f"{source.repo} is {gate(_page(source), 'licence')} (with files that are already in the hub's cache, "
            "HF_HUB_OFFLINE=1 needs no token)"
        )
    return token or False


def _explain(error: Exception, source: HubSource) -> StudyError:
    """Say in the user's terms why the hub did not deliver."""
    from huggingface_hub.errors import GatedRepoError

    what = advice(error, kind="repository", page=_page(source), terms="licence")
    entry = "; set `gated: true` in its entry as well" if isinstance(error, GatedRepoError) else ""
    return StudyError(f"{source.repo} at {source.revision} cannot be fetched from the Hugging Face hub: {what}{entry}")


def _page(source: HubSource) -> str:
    return f"https://huggingface.co/{source.repo}"


def _check_listing(names: list[str], source: HubSource) -> None:
    """Stop before anything is fetched when the patterns match code or a pickle, or nothing."""
    chosen = [name for name in names if any(fnmatch(name, pattern) for pattern in source.files)]
    refuse_code(chosen, source.repo)
    if not chosen:
        raise StudyError(
            f"{source.repo} at {source.revision} has no file that matches {source.files}; it has {', '.join(names)}"
        )


def _download(source: HubSource) -> tuple[Path, dict[str, Path]]:
    """Fetch a snapshot; returns its folder and its files, by their names in the repository."""
    from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download

    offline = constants.is_offline_mode()
    token = _token(source, offline)
    if not offline:
        info = HfApi(token=token).model_info(source.repo, revision=source.revision)
        _check_listing([sibling.rfilename for sibling in info.siblings or []], source)
    folder = Path(
        snapshot_download(
            source.repo,
            revision=source.revision,
            allow_patterns=source.files,
            ignore_patterns=[f"*{suffix}" for suffix in sorted(REFUSED_SUFFIXES - {".bin"})],
            local_files_only=offline,
            token=token,
        )
    )
    found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    # The cache may hold more files of this commit, fetched for another use.
    files = {name: path for name, path in found.items() if any(fnmatch(name, pattern) for pattern in source.files)}
    for name, path in files.items():
        if not is_intact(path):
            if not offline:
                hf_hub_download(source.repo, name, revision=folder.name, force_download=True, token=token)
            if offline or not is_intact(path):
                raise StudyError(f"{path} in the hub's cache is corrupt: delete it and fetch {source.repo} again")
    return folder, files


def fetch(source: HubSource) -> Fetched:
    """Fetch the files of a hub repository into the hub's own cache.

    A branch or tag is resolved to its commit once, and every file is taken from that commit. A connection that is cut
    is taken up again where it stopped. With `HF_HUB_OFFLINE=1` only the cache is used; `HF_ENDPOINT` names another hub.

    Args:
        source: Repository, revision and file patterns.

    Returns:
        The files in the hub's cache (to be linked, not moved) and the commit.

    Raises:
        StudyError: The repository is gated and there is no token (found out before anything is fetched), something
            does not exist, the hub cannot be reached, or a file is refused.
    """
    try:
        folder, files = _download(source)
    except failures() as error:
        raise _explain(error, source) from error
    refuse_code(files, source.repo)
    return Fetched({check_name(name, source.repo): path.resolve() for name, path in files.items()}, folder.name)
