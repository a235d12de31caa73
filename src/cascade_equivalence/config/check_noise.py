"""Checks of the section `noise` that types cannot make."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cascade_equivalence.conditions import NOISE_KINDS, condition_name
from cascade_equivalence.config.explain import repeated, unknown
from cascade_equivalence.config.speech import MusanSource, NoiseConfig
from cascade_equivalence.errors import StudyError

LONGEST_CONDITION = 40
"""Most signs of a condition's name, which is the name of files."""


def noise_problems(noise: NoiseConfig, voices: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with the noise of a study whose sections are each valid; one line a problem.

    Args:
        noise: The noise.
        voices: Voices of the study.
    """
    yield from _level_problems(noise)
    for kind in NOISE_KINDS.values():
        yield from kind.problems(noise)
    if noise.musan is not None:
        yield from _musan_problems(noise, noise.musan)
    asked = [NOISE_KINDS[name] for name, levels in noise.levels().items() if levels]
    if not asked:
        # Whoever writes an empty list of levels has turned noise off.
        off = noise.model_fields_set & {"kinds", *(kind.key for kind in NOISE_KINDS.values())}
        if key := next((key for key in ("voices", "tasks", "systems") if getattr(noise, key) and not off), None):
            yield f"noise.{key}: there is no noise to hear; give a level, such as snr_db: [10], or leave it out"
        return
    if not (noise.voices and noise.tasks):
        yield f"noise: {asked[0].levels_key} is set, so name the `voices` and the `tasks` that are heard in noise"
    for kind in asked:
        material = kind.made_of(noise)
        if material == "musan" and (noise.musan is None or kind.musan not in noise.musan.parts):
            yield (
                f"noise.musan: {kind.levels_key} is set, so say where MUSAN is; its `{kind.musan}` is what "
                f"{kind.shown} is made of"
            )
        if material == "folder" and noise.folder_of(kind.name) is None:
            yield f"noise.{kind.folder_key}: {kind.levels_key} is set, so name the folder with its sound files"
    for voice in noise.voices:
        if noises_of_voices(noise) and not set(noise.babble_voices or voices) - {voice}:
            yield f"noise.babble_voices: nobody is left to babble behind {voice!r}; add a voice, or set noise.folder"


def noises_of_voices(noise: NoiseConfig) -> list[str]:
    """Kinds of noise with levels that are made of the study's own voices."""
    return [name for name, levels in noise.levels().items() if levels and NOISE_KINDS[name].made_of(noise) == "voices"]


def _level_problems(noise: NoiseConfig) -> Iterator[str]:
    more = [name for name, kind in NOISE_KINDS.items() if kind.key is None]
    for name, added in noise.kinds.items():
        if (kind := NOISE_KINDS.get(name)) is None:
            yield from unknown("noise.kinds", [name], more, "noise kind")
        elif kind.key is not None:
            yield f"noise.kinds.{name}: this kind has a key of its own; write its levels under noise.{kind.key}"
        elif added.folder is not None and kind.made_of(noise) != "folder":
            yield f"noise.kinds.{name}.folder: {kind.shown} is not made of sound files; leave it out"
    for name, levels in noise.levels().items():
        key, scale = f"noise.{NOISE_KINDS[name].levels_key}", NOISE_KINDS[name].scale
        for level in levels:
            try:
                written = condition_name(level, name)
            except StudyError as error:
                yield f"{key}: {error}"
                continue
            if not scale.least <= level <= scale.most:
                yield f"{key}: {level} is not within {scale.least:g} to {scale.most:g} {scale.unit}"
            elif len(written) > LONGEST_CONDITION:
                yield f"{key}: {level} has too many digits for the name of a condition; round it"


def _musan_problems(noise: NoiseConfig, musan: MusanSource) -> Iterator[str]:
    yield from repeated("noise.musan.parts", musan.parts)
    if (musan.archive is None) == (musan.folder is None):
        yield "noise.musan: give either `archive` or `folder`"
    elif musan.folder is not None:
        yield from _folder_problems(noise, musan, musan.folder)
    elif musan.url is not None:
        yield from _url_problems(musan, musan.url)
    elif not Path(f"{musan.archive}").is_file():
        yield f"noise.musan.archive: there is no file {musan.archive}"


def _folder_problems(noise: NoiseConfig, musan: MusanSource, folder: Path) -> Iterator[str]:
    if musan.sha256 or musan.md5:
        yield "noise.musan: sha256 and md5 are those of an archive; a folder has none"
    for name, levels in noise.levels().items():
        kind = NOISE_KINDS[name]
        if kind.musan in musan.parts and levels and not (folder / f"{kind.musan}").is_dir():
            yield f"noise.musan.folder: {folder} has no folder {kind.musan!r}, which {kind.levels_key} needs"


def _url_problems(musan: MusanSource, address: str) -> Iterator[str]:
    try:
        url = urlsplit(address)
        host, user, _ = url.hostname, url.username or url.password, url.port
    except ValueError:
        url, host, user = urlsplit(""), None, None
    # The address stands in logs and records, where a key must not.
    if url.scheme not in ("http", "https") or not host or user or url.query or url.fragment:
        yield "noise.musan.archive: give scheme, host and path only, such as https://host/musan.tar.gz"
    elif url.scheme == "http" and not (musan.sha256 or musan.md5):
        yield "noise.musan.archive: over plain http anybody could change it; use https, or give its sha256 or md5"
