"""The store of finished clips: after a stop none is made twice."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from cascade_equivalence.config.speech import VoiceSpec
from cascade_equivalence.files import replacing
from cascade_equivalence.speech.clips import SPEECH_FORMAT, Kept, hash_audio
from cascade_equivalence.speech.prosody import find_style


def clip_key(identity: str, spec: VoiceSpec, text: str, style: str | None) -> str:
    """Name of a clip by all that decides how it sounds.

    Args:
        identity: Engine, voice and versions, from the provider.
        spec: The voice with its settings.
        text: What is said.
        style: Style it is said in; what the style means is part of the name.

    Returns:
        32 hexadecimal digits.
    """
    prosody = None if style is None else asdict(find_style(style))
    parts = [SPEECH_FORMAT, identity, spec.sound(), text, style, prosody]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class ClipStore:
    """A folder of FLAC files named ``{key}-{SHA-256 of the content}.flac``."""

    def __init__(self, folder: Path) -> None:
        """Look at what is there."""
        self._folder = folder
        self._paths = {path.name.partition("-")[0]: path for path in folder.glob("*-*.flac")}

    def get(self, key: str) -> bytes | None:
        """Audio of a clip; None if it is not there or not what was written."""
        path = self._paths.get(key)
        if path is None:
            return None
        try:
            flac = path.read_bytes()
        except FileNotFoundError:
            return None
        if path.stem.partition("-")[2] == hash_audio(flac):
            return flac
        path.unlink(missing_ok=True)
        return None

    def put(self, key: str, flac: bytes) -> None:
        """Keep the audio of a clip."""
        path = self._folder / f"{key}-{hash_audio(flac)}.flac"
        with replacing(path) as part:
            part.write_bytes(flac)
        self._paths[key] = path

    def place(self, key: str) -> Kept:
        """Where the audio of a clip lies that was got or put."""
        path = self._paths[key]
        return Kept(path, path.read_bytes)
