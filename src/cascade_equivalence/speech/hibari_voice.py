"""Neural voices of hibari-tts, in this process."""

from importlib.metadata import version
from pathlib import Path

from cascade_equivalence.config.speech import HibariVoice
from cascade_equivalence.errors import StudyError
from cascade_equivalence.speech.clips import hash_audio
from cascade_equivalence.speech.waveform import Waveform, resample

try:
    from hibari import Hibari
    from hibari.voices import VOICES
except ImportError as missing:
    raise StudyError("The voice engine hibari-tts is not installed: pip install hibari-tts.") from missing


class HibariProvider:
    """A hibari voice. One thread a voice: the samples are then the same on every run."""

    name = "hibari"

    def __init__(self, spec: HibariVoice) -> None:
        """Load the voice; one that is not in the package is downloaded by hibari-tts into its cache.

        Raises:
            StudyError: If there is no such voice, or it cannot be fetched.
        """
        if spec.name not in VOICES:
            raise StudyError(f"hibari-tts has no voice {spec.name!r}; its voices are {', '.join(VOICES)}.")
        try:
            self._voice = Hibari(voice=spec.name, threads=1)
        except RuntimeError as error:
            raise StudyError(
                f"The hibari voice {spec.name!r} is not in the package and could not be fetched: {error} "
                "The voice `heart` needs no download."
            ) from error
        self._spec = spec
        # A download can change without a new version of the package, and the arithmetic is onnxruntime's.
        model = hash_audio(Path(self._voice.model_path).read_bytes())[:12]
        versions = [f"{package} {version(package)}" for package in ("hibari-tts", "onnxruntime")]
        self._identity = f"{', '.join(versions)}, voice {spec.name}, model {model}"

    def identity(self) -> str:
        """Versions of engine, voice model and arithmetic."""
        return self._identity

    def speak(self, text: str, style: str | None) -> Waveform:
        """Speak a text; see ``Provider.speak``.

        Raises:
            StudyError: If a style is asked for.
        """
        if style is not None:
            raise StudyError(f"hibari voices cannot speak in a style ({style}): choose an espeak voice.")
        audio = self._voice(text, speed=self._spec.speed, seed=self._spec.seed)
        return resample(audio, self._voice.sample_rate)
