"""Words of a prompt that is read: which tokens are whose."""

from pathlib import Path

import pytest
import torch
from tiny_llm import byte_level_tokenizer, save_llama

from cascade_equivalence.mechanism.read_words import said_tokens
from cascade_equivalence.models.question import Question
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextLLM:
    folder: Path = tmp_path_factory.mktemp("llm")
    return TextLLM(save_llama(folder, byte_level_tokenizer()), "cpu", torch.float32, chat=True)


@pytest.mark.parametrize(
    "said",
    [
        *("", "a", "The goalkeeper saved two penalties.", "spam spam  spam", "one\n\ntwo"),
        # Letters of which a token holds a part: two or three of them stand at the same place of the text.
        *("Dvořák und Çelik", "“quoted” — 5 £", "日本 語", "🙂 won 🙂🙂"),
    ],
)
def test_words_are_what_stands_between_spaces(text: TextLLM, said: str) -> None:
    def asked(what: str) -> Question:
        return Question(({"role": "user", "content": f"Story: {what}"},), "Topic:", {"yes": "Yes", "no": "No"})

    row, words = said_tokens(text, asked(AUDIO_PLACEHOLDER), asked(said))
    spelt = [text.tokenizer.decode([row[place] for place in word]).strip() for word in words]
    assert spelt == said.split()
    places = [place for word in words for place in word]
    assert places == sorted(set(places))
