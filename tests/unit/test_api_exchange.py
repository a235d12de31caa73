"""Conversations with audio in them, and what is made of answers and messages on their way."""

from io import BytesIO

import numpy as np
import pytest
import soundfile
from api_asking import question, tone
from api_server import KEY

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import (
    Turn,
    encode_wav,
    turns_of,
    without_prefix,
)
from cascade_equivalence.models.api.failures import describe, parse_retry_after

# -- turns ------------------------------------------------------------------------------------------------


def ask_with(content: str) -> list[Turn]:
    asked = question(0)
    return turns_of(type(asked)(({"role": "user", "content": content},), "", {}, asked.audio))


def test_text_around_the_audio_stays_as_it_is() -> None:
    wav = encode_wav(tone(0))
    assert ask_with("<|audio|>")[0].parts == (wav,)
    assert ask_with("Now: <|audio|>")[0].parts == ("Now: ", wav)
    assert ask_with("<|audio|>\n A. one ")[0].parts == (wav, "\n A. one ")
    # Providers refuse parts that say nothing.
    assert ask_with(" \n<|audio|>\n")[0].parts == (wav,)


@pytest.mark.parametrize("content", ["no sound", "<|audio|> and <|audio|>"])
def test_the_audio_has_one_place(content: str) -> None:
    with pytest.raises(StudyError, match="times"):
        ask_with(content)


def test_equal_samples_give_equal_files_and_loud_ones_do_not_wrap_around() -> None:
    loud = np.array([1.5, -1.5, 0.0], dtype=np.float32)
    assert encode_wav(loud) == encode_wav(loud.copy())
    samples, _ = soundfile.read(BytesIO(encode_wav(loud)), dtype="int16")
    assert samples.tolist() == [32767, -32768, 0]


@pytest.mark.parametrize(
    ("text", "prefix", "rest"),
    [
        (" The topic is sports. ", "The topic is", "sports."),
        ("the topic is: sports", "The topic is", "sports"),
        ("The answer is Paris", "The answer is:", "Paris"),
        ("The answer is: Paris", "The answer is:", "Paris"),
        ("sports", "The topic is", "sports"),
        ("The topic island", "The topic is", "The topic island"),
        ("The topic is", "The topic is", ""),
        ("sports", "", "sports"),
        ("", "The topic is", ""),
    ],
)
def test_words_that_local_systems_are_given_are_taken_off(text: str, prefix: str, rest: str) -> None:
    assert without_prefix(text, prefix) == rest


# -- messages -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 1970 00:16:50 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:16:50 -0000", 10.0),
        ("Thu, 01 Jan 1970 00:16:30 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
    ],
)
def test_a_pause_is_a_number_or_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, now=1000.0) == seconds


def test_messages_are_short_lines() -> None:
    assert describe("two\n lines", "") == "two lines"
    assert len(describe("x" * 9999, "")) < 400
    # The key is taken out before the end is cut off, of which a part would remain.
    assert "sk-planted" not in describe("x" * 290 + KEY, KEY)
