"""Fetches the files of a data set's split from the Hugging Face hub, at a pinned commit; nothing in it is run."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_equivalence.config.dataset import DatasetSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.files import replacing, sha256, write_text
from cascade_equivalence.hub_errors import advice, failures
from cascade_equivalence.hub_files import is_intact
from cascade_equivalence.secrets import hub_token
from cascade_equivalence.tasks.sources.dataset_card import CARD, choose_files, read_card
from cascade_equivalence.tasks.sources.pins import MANIFEST

_SPARE = 1 << 28


@dataclass(frozen=True)
class FetchedDataset:
    """The files of a split.

    Attributes:
        files: Files with the rows, in order.
        card: The card's text; empty where there is none.
    """

    files: list[Path]
    card: str


def fetch_dataset(task: str, spec: DatasetSpec, folder: Path) -> Path:
    """Fetch a split's files into the hub's own cache, and link them into a folder.

    A connection that is cut is taken up again where it stopped. With `HF_HUB_OFFLINE=1` only the cache is used.

    Args:
        task: The task.
        spec: Repository, commit, configuration and split.
        folder: The task's own folder; it gets links to the files, the card, and `manifest.json`, last.

    Returns:
        The manifest.

    Raises:
        StudyError: The hub does not give the files or cannot be reached, the disk is too small, or there are no such
            files.
    """
    try:
        names, sizes = _listed(spec)
        card = _fetched(spec, CARD).read_text(encoding="utf-8", errors="replace") if CARD in names else ""
        head = read_card(card)
        chosen = choose_files(spec, names, head)
        _check_space(spec, sum(sizes.get(name, 0) for name in chosen))
        found = {name: _fetched(spec, name) for name in chosen}
    except StudyError:
        raise
    except failures() as error:
        page = f"https://huggingface.co/datasets/{spec.repo}"
        what = advice(error, kind="data set", page=page, terms="terms")
        raise StudyError(f"{spec.page} cannot be fetched: {what}") from error
    _clear(folder)
    for name, path in found.items():
        _link(path.resolve(), folder / name)
    write_text(folder / CARD, card)
    licence = head.get("license", "not known")
    content = {
        "task": task,
        "source": spec.read_from(),
        "licence": ", ".join(map(str, licence)) if isinstance(licence, list) else str(licence),
        "files": {name: {"sha256": sha256(path), "bytes": path.stat().st_size} for name, path in found.items()},
    }
    return write_text(folder / MANIFEST, json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def fetched_dataset(folder: Path) -> FetchedDataset:
    """The files that were fetched into a folder.

    Raises:
        StudyError: None were, or they are gone.
    """
    manifest = folder / MANIFEST
    try:
        content: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        files, card = [folder / name for name in content["files"]], (folder / CARD).read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(f"{manifest} does not say what was fetched ({error}): delete it and run again") from error
    if gone := [path for path in files if not path.is_file()]:
        raise StudyError(f"{gone[0]} is gone (was a cache cleared?): delete {manifest} and run again to fetch it")
    return FetchedDataset(files, card)


def _listed(spec: DatasetSpec) -> tuple[list[str], dict[str, int]]:
    """Files of the repository at the commit, and their lengths; offline, those that the cache has."""
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.hf_api import RepoFile

    if constants.is_offline_mode():
        kept = snapshot_download(spec.repo, repo_type="dataset", revision=spec.revision, local_files_only=True)
        return [path.relative_to(kept).as_posix() for path in sorted(Path(kept).rglob("*")) if path.is_file()], {}
    entries = HfApi(token=hub_token() or False).list_repo_tree(
        spec.repo, revision=spec.revision, repo_type="dataset", recursive=True
    )
    sizes = {entry.path: entry.size for entry in entries if isinstance(entry, RepoFile)}
    return sorted(sizes), sizes


def _fetched(spec: DatasetSpec, name: str) -> Path:
    """One file in the hub's cache, whole."""
    from huggingface_hub import constants, hf_hub_download

    offline = constants.is_offline_mode()
    for force in (False, True):
        path = Path(
            hf_hub_download(
                spec.repo,
                name,
                repo_type="dataset",
                revision=spec.revision,
                token=hub_token() or False,
                local_files_only=offline,
                force_download=force and not offline,
            )
        )
        if is_intact(path):
            return path
    raise StudyError(f"{path} in the hub's cache is corrupt: delete it and fetch {spec.repo} again")


def _check_space(spec: DatasetSpec, needed: int) -> None:
    """Stop before a long download that the disk cannot hold."""
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    place = next(folder for folder in (cache, *cache.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < needed + _SPARE and needed > _SPARE:
        raise StudyError(
            f"{spec.page} needs {needed >> 20} MiB, but {place} has {free >> 20} MiB free: make room, or let HF_HOME "
            "name a folder on a larger disk"
        )


def _clear(folder: Path) -> None:
    """Take away what an earlier data set has left: its manifest first, and links alone."""
    (folder / MANIFEST).unlink(missing_ok=True)
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if path.is_symlink():
            path.unlink()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as part:
        # A project that is moved or copied whole takes its own folders along, and the links between them.
        here = Path.cwd()
        inside = source.is_relative_to(here) and target.absolute().is_relative_to(here)
        part.symlink_to(os.path.relpath(source, target.absolute().parent) if inside else source)
