"""MELD: the emotion of one utterance from a television dialogue."""

import re
from collections.abc import Iterator
from pathlib import Path

from cascade_equivalence.tasks.base import Item, Length, Task
from cascade_equivalence.tasks.cleaning import clean_until_stable
from cascade_equivalence.tasks.published import read_csv_records, text_field


class Meld(Task):
    """MELD's test split: the utterance alone, without the dialogue before it.

    Not balanced: the paper's accuracies stand against the majority class (neutral, 48 %), and fear has 50 items only.
    """

    name = "meld"
    title = "MELD"
    asked = 2610
    longest = 70
    planned = Length(words=8.2, letters=42, recorded_seconds=3.6)
    text_sufficient = False
    labels = ("neutral", "joy", "sadness", "anger", "surprise", "fear", "disgust")
    styles = labels
    balanced = False
    subjects = ("emotion",)
    patterns = ("test_sent_emo.csv",)
    obtain = (
        "`test_sent_emo.csv` of github.com/declare-lab/MELD, folder data/MELD, as meld/test_sent_emo.csv (header: "
        "Sr No., Utterance, Speaker, Emotion, Sentiment, Dialogue_ID, Utterance_ID, ...)."
    )

    def _published_items(self, path: Path, earlier: int) -> Iterator[Item]:
        del earlier
        for row in read_csv_records(path):
            dialogue = f"dia{int(row['Dialogue_ID'])}"
            yield Item(
                # The name of the set's own clip, so that recorded speech finds its item.
                id=f"{dialogue}_utt{int(row['Utterance_ID'])}",
                text=clean_utterance(text_field(row, "Utterance")),
                label=text_field(row, "Emotion").strip().lower(),
                group=dialogue,
            )


def clean_utterance(text: str) -> str:
    """Clean an utterance for speech; stage directions in brackets are not spoken."""
    return clean_until_stable(text, _without_directions)


def _without_directions(text: str) -> str:
    return re.sub(r"\[[^\[\]]*\]|\([^()]*(?:\)|$)", " ", text)
