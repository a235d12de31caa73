"""Emotion and sarcasm in the voice: the same words, spoken at another rate, pitch, range and loudness.

The directions follow the literature on the voice, the sizes are this project's own:

- Anger, joy, sadness, fear: rate, mean pitch, pitch range and intensity as in the reviews of Murray and Arnott (1993),
  "Toward the simulation of emotion in synthetic speech", Journal of the Acoustical Society of America 93(2), and of
  Scherer (2003), "Vocal communication of emotion: A review of research paradigms", Speech Communication 40. Of the
  forms that the reviews tell apart, anger is the hot and fear the panicking one. One thing departs from them: the pitch
  range of fear, wide in Murray and Arnott, is narrow here to set it apart from surprise.
- Disgust (slower, lower, softer): Murray and Arnott (1993). Surprise (higher, very wide range): as rule-based synthesis
  has done it since Cahn (1990), "The generation of affect in synthesized speech".
- Sarcasm (lower, slower, louder): Rockwell (2000), "Lower, slower, louder: vocal cues of sarcasm", Journal of
  Psycholinguistic Research 29(5); with less pitch variation: Cheang and Pell (2008), "The sound of sarcasm", Speech
  Communication 50(5). Both measure it against sincere speech, which is spoken here as neutral speech is.

Real speakers also change timbre and timing within a phrase; four numbers a phrase are a caricature, on purpose: the
label is audible, and no word gives it away.
"""

from dataclasses import dataclass
from difflib import get_close_matches

from cascade_equivalence.config.speech import EspeakVoice
from cascade_equivalence.errors import StudyError

HEADROOM_DB = -5.0
"""Loudness of neutral speech against the voice's own, so that the loudest style does not reach full scale."""


@dataclass(frozen=True)
class Prosody:
    """Changes to a voice's own settings.

    Attributes:
        rate: Factor on the words a minute.
        pitch: Points added to the base pitch (espeak's scale, 0 to 99; ten points are some 14 % in Hz).
        range: Points added to the pitch range (0 to 99; 0 is monotone).
        loudness_db: Against neutral speech, in dB.
    """

    rate: float = 1.0
    pitch: int = 0
    range: int = 0
    loudness_db: float = 0.0


STYLES: dict[str, Prosody] = {
    "neutral": Prosody(),
    "joy": Prosody(rate=1.1, pitch=18, range=30, loudness_db=2.0),
    "sadness": Prosody(rate=0.75, pitch=-14, range=-30, loudness_db=-6.0),
    "anger": Prosody(rate=1.25, pitch=12, range=45, loudness_db=5.0),
    "surprise": Prosody(rate=0.95, pitch=30, range=49, loudness_db=1.0),
    "fear": Prosody(rate=1.4, pitch=34, range=-10, loudness_db=0.0),
    "disgust": Prosody(rate=0.8, pitch=-24, range=10, loudness_db=-2.0),
    "sincere": Prosody(),
    "sarcastic": Prosody(rate=0.7, pitch=-22, range=-36, loudness_db=2.0),
}

_LIMITS = {"rate": (80, 450), "pitch": (0, 99), "range": (0, 99), "volume": (0, 200)}


def find_style(name: str) -> Prosody:
    """Look a style up.

    Raises:
        StudyError: If there is none of that name; suggests the nearest.
    """
    if name not in STYLES:
        near = get_close_matches(name, STYLES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the styles are {', '.join(STYLES)}."
        raise StudyError(f"There is no speaking style {name!r}: {hint}")
    return STYLES[name]


def apply_prosody(spec: EspeakVoice, change: Prosody | None) -> EspeakVoice:
    """A voice's settings with some changes, cut to what the engine takes.

    Args:
        spec: The voice.
        change: The changes; None leaves the voice as it is.

    Returns:
        The voice with new rate, pitch, range and volume.
    """
    if change is None:
        return spec
    settings = {
        "rate": spec.rate * change.rate,
        "pitch": spec.pitch + change.pitch,
        "range": spec.range + change.range,
        "volume": spec.volume * 10 ** ((HEADROOM_DB + change.loudness_db) / 20),
    }
    cut = {key: min(max(round(value), _LIMITS[key][0]), _LIMITS[key][1]) for key, value in settings.items()}
    return EspeakVoice.model_validate(spec.model_dump() | cut)
