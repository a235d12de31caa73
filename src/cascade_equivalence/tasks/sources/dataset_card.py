"""What the card of a data set (`README.md`) says of its files and classes, and which files a split has."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from cascade_equivalence.config.dataset import DATA_ENDINGS, DatasetSpec
from cascade_equivalence.errors import StudyError, some_of

CARD = "README.md"
_HEAD = re.compile(r"\A\s*---\r?\n(.*?)\r?\n---", re.DOTALL)
_WILD = re.compile(r"\*\*/|\*\*|\*")
_PIECE = re.compile(r"(.*)-(\d{5})-of-(\d{5})\D*")
_DEFAULT = "default"


def read_card(text: str) -> Mapping[str, Any]:
    """The head of a card; empty where there is none or it is no YAML."""
    head = _HEAD.match(text)
    try:
        content = yaml.safe_load(head[1]) if head else None
    except yaml.YAMLError:
        content = None
    return content if isinstance(content, Mapping) else {}


def choose_files(spec: DatasetSpec, names: Sequence[str], card: Mapping[str, Any]) -> list[str]:
    """Which files of a repository hold the rows of a split.

    What the entry names counts first, then what the card's `configs` say, then the names: `data/test-00000-of-00001`,
    `CONFIG/test.parquet`, `CONFIG/test/0000.parquet`.

    Args:
        spec: The entry.
        names: Files of the repository.
        card: The head of its card.

    Returns:
        The files in the order of their names, all of one kind.

    Raises:
        StudyError: There are none, or they may be of several configurations; the message says what there is.
    """
    data = sorted(name for name in names if name.endswith(DATA_ENDINGS))
    if patterns := spec.files or _of_card(spec, card):
        found = [name for name in data if any(_matches(name, pattern) for pattern in patterns)]
        if not found:
            raise StudyError(f"{spec.page} has no file that matches {', '.join(patterns)}; {_there(data, names)}")
        return _of_one_kind(found) if spec.files else _whole(spec, _of_one_kind(found))
    found = _of_one_kind([name for name in data if _is_of(spec, name)])
    if not found:
        place = f"split {spec.split!r}" + (f" of {spec.config!r}" if spec.config else "")
        raise StudyError(f"{spec.page} has no files of the {place}; {_there(data, names)}")
    folders = sorted({_above_split(name, spec.split) for name in found})
    if len(folders) > 1:
        raise StudyError(
            f"{spec.page} has the split {spec.split!r} in several places, {some_of(folders)}: name one as `config`, or "
            "name the files in `files`"
        )
    return _whole(spec, found)


def class_names(card: Mapping[str, Any], config: str | None, column: str) -> dict[str, str]:
    """Names of a column's numbered classes that the card gives, by their numbers; empty where it gives none."""
    found = card.get("dataset_info")
    for info in found if isinstance(found, list) else [found]:
        if not isinstance(info, Mapping) or (config and info.get("config_name") not in (None, config)):
            continue
        features = info.get("features")
        for feature in features if isinstance(features, list) else ():
            kind = feature.get("dtype") if isinstance(feature, Mapping) and feature.get("name") == column else None
            label = kind.get("class_label") if isinstance(kind, Mapping) else None
            names = label.get("names") if isinstance(label, Mapping) else None
            if isinstance(names, Mapping):
                return {str(number): str(name) for number, name in names.items()}
            if isinstance(names, list):
                return {str(number): str(name) for number, name in enumerate(names)}
    return {}


def _of_card(spec: DatasetSpec, card: Mapping[str, Any]) -> list[str]:
    """Patterns of a split's files, as the card's `configs` have them; none where it has none.

    Raises:
        StudyError: The card has several configurations or splits, and the one that is asked for is none of them.
    """
    listed = card.get("configs")
    configs = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    if not configs:
        return []
    names = [str(entry.get("config_name", _DEFAULT)) for entry in configs]
    chosen = [entry for name, entry in zip(names, configs, strict=True) if name == spec.config]
    if spec.config is None:
        chosen = [
            entry
            for name, entry in zip(names, configs, strict=True)
            if entry.get("default") is True or name == _DEFAULT
        ]
        chosen = chosen or (configs if len(configs) == 1 else [])
    if not chosen:
        asked = f"no configuration {spec.config!r}" if spec.config else "several configurations"
        raise StudyError(f"{spec.page} has {asked}: name one of {some_of(names)} as `config`")
    splits = dict(_splits(chosen[0]))
    if splits and spec.split not in splits:
        raise StudyError(f"{spec.page} has no split {spec.split!r}: name one of {some_of(list(splits))}")
    return splits.get(spec.split, [])


def _splits(entry: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Splits of a configuration of the card, with their patterns; files without a split are the split `train`."""
    files, folder = entry.get("data_files"), entry.get("data_dir")
    above = f"{folder.strip('/')}/" if isinstance(folder, str) and folder.strip("./") else ""
    if isinstance(files, str) or (isinstance(files, list) and all(isinstance(each, str) for each in files) and files):
        files = [{"split": "train", "path": files}]
    elif isinstance(files, Mapping):
        files = [{"split": split, "path": path} for split, path in files.items()]
    for each in files if isinstance(files, list) else ():
        if isinstance(each, Mapping) and isinstance(each.get("split"), str):
            paths = each.get("path")
            paths = [paths] if isinstance(paths, str) else paths if isinstance(paths, list) else []
            yield each["split"], [above + str(path).removeprefix("./") for path in paths]


def _matches(name: str, pattern: str) -> bool:
    """Whether a path matches a pattern, in which `*` stays within a folder and `**` does not."""
    pieces = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    start, form = 0, ""
    for wild in _WILD.finditer(pattern):
        form += re.escape(pattern[start : wild.start()]) + pieces[wild[0]]
        start = wild.end()
    return re.fullmatch(form + re.escape(pattern[start:]), name) is not None


def _is_of(spec: DatasetSpec, name: str) -> bool:
    """Whether a file is one of the split by its name or the folder it lies in."""
    path = PurePosixPath(name)
    named = re.match(rf"{re.escape(spec.split)}(?![A-Za-z])", path.name) is not None or path.parent.name == spec.split
    return named and (spec.config is None or spec.config in path.parts[:-1] or path.name.startswith(f"{spec.config}-"))


def _whole(spec: DatasetSpec, names: list[str]) -> list[str]:
    """The same files, none of whose numbered pieces is missing: a cache that is not asked further may hold some alone.

    Raises:
        StudyError: Some are missing.
    """
    pieces: dict[tuple[str, int], set[int]] = {}
    for name in names:
        if found := _PIECE.fullmatch(name):
            pieces.setdefault((found[1], int(found[3])), set()).add(int(found[2]))
    for (stem, count), there in pieces.items():
        if missing := sorted(set(range(count)) - there):
            raise StudyError(
                f"{spec.page}: {len(missing)} of {count} pieces of {stem} are not there, such as number {missing[0]}; "
                "fetch them without HF_HUB_OFFLINE, or name the files that you want in `files`"
            )
    return names


def _above_split(name: str, split: str) -> str:
    folder = PurePosixPath(name).parent
    return (folder.parent if folder.name == split else folder).as_posix()


def _of_one_kind(names: list[str]) -> list[str]:
    """Those that end as the preferred kind does, of a split that is there in several."""
    endings = [ending for ending in DATA_ENDINGS if any(name.endswith(ending) for name in names)]
    return [name for name in names if name.endswith(endings[0])] if endings else []


def _there(data: Sequence[str], names: Sequence[str]) -> str:
    if data:
        return f"it has {some_of(list(data))}"
    if any(name.endswith(".py") for name in names):
        return (
            "it has a loading script, which is not run: the hub keeps a copy in Parquet on the branch "
            "refs/convert/parquet; pin that branch's commit as `revision`"
        )
    return f"it has no file that ends in {', '.join(DATA_ENDINGS)}"
