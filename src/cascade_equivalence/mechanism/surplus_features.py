"""What classifiers may know of a clip: how it sounds, and what its transcript says. Free of torch, as librosa needs.

The features of the sound are those of a whole utterance that speech emotion research describes prosody with (Eyben et
al. 2016): level, pitch, tempo, voicing, and the shape of the spectrum. They are no description of the words.
"""

from collections.abc import Sequence

import numpy as np

from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.acoustics import ENERGY_FRAME, FLOOR, HOP, pitch_track
from cascade_equivalence.speech.waveform import SAMPLING_RATE
from cascade_equivalence.stats.clusters import Floats
from cascade_equivalence.stats.nested import Features, Matrix, Rows, standardised

ACTIVE_DB = 40.0
"""Frames this far below the loudest one are pauses: their spectrum is that of the background."""
MFCCS = 12
"""Cepstral coefficients, without the first one, which is the level."""
MELS = 40
EMPTY = 1e-8
"""Least power of a band against the strongest of its frame, -80 dB: what a loud or a soft clip lacks is the same."""
TILT_FROM = 50.0
"""Lowest frequency of the spectral tilt, in Hz."""
CONTOURS = ("energy_db", "log_f0")
SPECTRAL = ("centroid", "tilt", *(f"mfcc{number}" for number in range(1, MFCCS + 1)))
SHAPE = ("mean", "std", "range", "slope")
FEATURES = (
    *(f"{contour}_{shape}" for contour in CONTOURS for shape in SHAPE),
    "voiced_share",
    "log_seconds",
    "words_per_second",
    *(f"{name}_{shape}" for name in SPECTRAL for shape in SHAPE[:2]),
)
TOKENS = r"(?u)\w+(?:'\w+)*|[?!]"
"""Words, and the marks that tell how something was said: they are part of what a cascade reads."""


def prosody(waveform: np.ndarray, words: int, low: float, high: float) -> dict[str, float]:
    """Describe how a clip sounds.

    Args:
        waveform: Mono samples at 16 kHz, (n,), full scale 1.
        words: Words of its transcript.
        low: Lowest pitch looked for, in Hz.
        high: Highest pitch looked for, in Hz.

    Returns:
        ``FEATURES``, by name. Of the contours of level (dB against full scale) and pitch (natural logarithm of Hz, over
        voiced frames): mean, standard deviation, range (5th to 95th percentile) and slope (a second). The share of
        voiced frames, the logarithm of the seconds, words a second. Of the spectral centroid (kHz), the spectral tilt
        (dB an octave) and the cepstral coefficients: mean and standard deviation over frames that are no pause. NaN
        where there is no such frame, or only one where two are needed.

    Raises:
        StudyError: The clip has no samples or some that are not numbers.
    """
    if not waveform.size or not np.isfinite(waveform).all():
        raise StudyError("A clip holds no samples, or samples that are not numbers: make or record it again.")
    import librosa

    samples = np.asarray(waveform, dtype=np.float32)
    magnitudes = np.abs(librosa.stft(samples, n_fft=ENERGY_FRAME, hop_length=HOP)).astype(np.float64)
    levels = librosa.feature.rms(y=samples, frame_length=ENERGY_FRAME, hop_length=HOP)[0].astype(np.float64)
    decibels = 20 * np.log10(np.maximum(levels, FLOOR))
    pitch, voiced = pitch_track(samples, low, high)
    seconds = len(samples) / SAMPLING_RATE
    found = {
        **_contour("energy_db", decibels, np.arange(len(decibels))),
        **_contour("log_f0", np.log(pitch[voiced]), np.flatnonzero(voiced)),
        "voiced_share": float(voiced.mean()),
        "log_seconds": float(np.log(seconds)),
        "words_per_second": words / seconds,
    }
    active = (decibels > decibels.max() - ACTIVE_DB) & (levels > FLOOR)
    for name, values in zip(SPECTRAL, _spectral(magnitudes[:, active]), strict=True):
        found |= {f"{name}_mean": _mean(values), f"{name}_std": float(values.std()) if len(values) > 1 else np.nan}
    return found


def _contour(name: str, values: Floats, frames: Rows) -> dict[str, float]:
    """Mean, spread and trend of a contour whose values stand at some frames."""
    if len(values) < 2:  # noqa: PLR2004 - a line needs two points
        return {f"{name}_{shape}": np.nan for shape in SHAPE} | {f"{name}_mean": _mean(values)}
    low, high = np.quantile(values, [0.05, 0.95])
    slope = np.polyfit(frames * (HOP / SAMPLING_RATE), values, 1)[0]
    shapes = (values.mean(), values.std(), high - low, slope)
    return {f"{name}_{shape}": float(value) for shape, value in zip(SHAPE, shapes, strict=True)}


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else np.nan


def _spectral(magnitudes: Floats) -> Floats:
    """Centroid, tilt and cepstral coefficients of frames, (``SPECTRAL``, frames), from magnitudes (bins, frames)."""
    import librosa

    if not magnitudes.shape[1]:
        return np.zeros((len(SPECTRAL), 0))
    kilohertz = librosa.fft_frequencies(sr=SAMPLING_RATE, n_fft=ENERGY_FRAME) / 1000
    centroid = (kilohertz @ magnitudes) / magnitudes.sum(axis=0)
    # Bands of one width in octaves, so that the many bins at high frequencies do not settle the line.
    mel = librosa.filters.mel(sr=SAMPLING_RATE, n_fft=ENERGY_FRAME, n_mels=MELS, fmin=TILT_FROM)
    powers = mel @ magnitudes**2
    bands = 10 * np.log10(np.maximum(powers, EMPTY * powers.max(axis=0)))
    octaves = np.log2(librosa.mel_frequencies(n_mels=MELS + 2, fmin=TILT_FROM, fmax=SAMPLING_RATE / 2)[1:-1])
    tilt = np.polyfit(octaves, bands, 1)[0]
    return np.vstack([centroid, tilt, librosa.feature.mfcc(S=bands, n_mfcc=MFCCS + 1)[1:]])


def audio_features(raw: Floats, voices: Rows) -> tuple[Floats, Rows]:
    """Make features of clips comparable between voices, and finite.

    Each feature is standardised within its voice: what is left is how a clip sounds for that voice. Synthetic voices
    all speak every text, so a voice tells nothing of the label, and its pitch and timbre would only be noise beside it.
    No label is used, and whole voices are known to any listener, so this takes nothing from the rows that test.
    Recorded speech is one voice here: who speaks stays a part of how it sounds.

    A value that does not exist (the pitch of an unvoiced clip) becomes the voice's mean, 0, and a column of its own
    tells that it was missing.

    Args:
        raw: ``FEATURES`` of each clip, NaN where there is none, (rows, features).
        voices: Number of the voice of each clip, (rows,).

    Returns:
        Finite features, (rows, features + indicators), and the feature that each indicator stands for: the first one
        of those that are missing in the same clips.
    """
    missing = ~np.isfinite(raw)
    filled = np.zeros_like(raw, dtype=np.float64)
    for voice in np.unique(voices):
        rows = np.flatnonzero(voices == voice)
        for column in range(raw.shape[1]):
            known = rows[~missing[rows, column]]
            if not len(known):
                continue
            filled[known, column] = standardised(raw[known, column, None])(np.arange(len(known)))[:, 0]
    _, first = np.unique(missing, axis=1, return_index=True)
    shown = np.sort(first[missing[:, first].any(axis=0)])
    return np.hstack([filled, missing[:, shown]]), shown


def text_features(texts: Sequence[str]) -> Features:
    """TF-IDF of words, pairs of words and marks, and how long the text is.

    Without its length, which TF-IDF takes out, the duration of the clip would pass for an acoustic cue. Words and their
    weights are learnt from the training rows.
    """
    known = np.array(texts, dtype=object)
    sizes = np.log1p(np.array([[len(text.split()), len(text)] for text in texts], dtype=np.float64))

    def of(train: Rows) -> Matrix:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer

        lengths = standardised(sizes)(train)
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=TOKENS)
        analyse = vectorizer.build_analyzer()
        if not any(analyse(text) for text in known[train]):
            return lengths
        return sparse.csr_array(sparse.hstack([vectorizer.fit(known[train]).transform(known), lengths]))

    return of
