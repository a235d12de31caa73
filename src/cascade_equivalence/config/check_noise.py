"""What cannot work in a study's noise: what a type cannot say."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cascade_equivalence.conditions import Kind, condition_name
from cascade_equivalence.config.explain import repeated
from cascade_equivalence.config.speech import TALKERS_OF_MUSAN, MusanSource, NoiseConfig

LEVELS: dict[Kind, str] = {
    "babble": "snr_db",
    "music": "music_snr_db",
    "stationary": "stationary_snr_db",
    "reverb": "reverb_rt60_ms",
}
"""Key of each kind's levels."""
LONGEST_CONDITION = 40
"""Most signs of a condition's name, which is the name of files."""
PARTS: dict[Kind, str] = {"babble": "speech", "music": "music"}
"""Folder of MUSAN that a kind of noise is made of. Its `noise` holds events (steps, horns, rain), which are neither."""


def noise_problems(noise: NoiseConfig, voices: Sequence[str]) -> Iterator[str]:
    """Say what is wrong with the noise of a study whose sections are each valid; one line a problem.

    Args:
        noise: The noise.
        voices: Voices of the study.
    """
    for kind, levels in noise.levels().items():
        for level in levels:
            if len(condition_name(level, kind)) > LONGEST_CONDITION:
                yield f"noise.{LEVELS[kind]}: {level} has too many digits for the name of a condition; round it"
    if noise.max_talkers is not None and noise.max_talkers < noise.talkers:
        yield f"noise.max_talkers: {noise.max_talkers} is below noise.talkers ({noise.talkers})"
    if noise.musan is not None:
        yield from _musan_problems(noise, noise.musan)
    asked = [LEVELS[kind] for kind, levels in noise.levels().items() if levels]
    if not asked:
        # Whoever writes an empty list of levels has turned noise off.
        off = noise.model_fields_set & set(LEVELS.values())
        if key := next((key for key in ("voices", "tasks", "systems") if getattr(noise, key) and not off), None):
            yield f"noise.{key}: there is no noise to hear; give a level, such as snr_db: [10], or leave it out"
        return
    if not (noise.voices and noise.tasks):
        yield f"noise: {asked[0]} is set, so name the `voices` and the `tasks` that are heard in noise"
    if noise.music_snr_db and (noise.musan is None or "music" not in noise.musan.parts):
        yield "noise.musan: music_snr_db is set, so say where MUSAN is; its `music` is the music"
    for voice in noise.voices:
        if babble_of_voices(noise) and not set(noise.babble_voices or voices) - {voice}:
            yield f"noise.babble_voices: nobody is left to babble behind {voice!r}; add a voice, or set noise.folder"


def babble_of_voices(noise: NoiseConfig) -> bool:
    """Whether there is babble, and it is made of the study's own voices."""
    return bool(noise.snr_db) and noise.babbles() == "voices"


def _musan_problems(noise: NoiseConfig, musan: MusanSource) -> Iterator[str]:
    least, most = TALKERS_OF_MUSAN
    for key in ("talkers", "max_talkers") if "speech" in musan.parts and noise.snr_db else ():
        count = getattr(noise, key)
        if count is not None and not least <= count <= most:
            yield f"noise.{key}: babble of MUSAN has {least} to {most} talkers, not {count}"
    for key in ("folder", "babble_voices") if "speech" in musan.parts else ():
        if getattr(noise, key):
            yield (
                f"noise.{key}: the talkers come from noise.musan already; leave one of them out, or set "
                "noise.musan.parts to [music]"
            )
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
    for kind, part in PARTS.items():
        if part in musan.parts and noise.levels()[kind] and not (folder / part).is_dir():
            yield f"noise.musan.folder: {folder} has no folder {part!r}, which {LEVELS[kind]} needs"


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
