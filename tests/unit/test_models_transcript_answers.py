"""A transcript is what a speech LLM heard, without the talk and the loops around it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade_equivalence.models.transcription.answers import has_loop, transcript_of, without_loops

WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "gamma", "delta", "it's", "4,000"]), unique=True, min_size=1, max_size=6
)


@pytest.mark.parametrize(
    ("answer", "prefix", "transcript"),
    [
        ('The cat sat." I am a helpful assistant.', 'The speaker said: "', "The cat sat."),
        ('"The cat sat."', "", "The cat sat."),
        ('He said "no" twice.', "", 'He said "no" twice.'),
        ("It's here' and there", "They said: '", "It's here' and there"),
        (" The cat sat. ", "The speaker said:", "The cat sat."),
        ("", 'The speaker said: "', ""),
    ],
)
def test_a_transcript_ends_with_its_quotation(answer: str, prefix: str, transcript: str) -> None:
    assert transcript_of(answer, prefix) == transcript


@given(words=WORDS, before=WORDS, times=st.integers(4, 30), comma=st.sampled_from([" ", ", "]))
def test_a_loop_is_said_once(words: list[str], before: list[str], times: int, comma: str) -> None:
    phrase = " ".join(["loop", *words])
    text = f"{' '.join(before)} {comma.join([phrase] * times)}"
    assert without_loops(text).split()[: len(before) + 1] == [*before, "loop"]
    assert without_loops(text).lower().count("loop") == 1
    assert has_loop(text) and not has_loop(without_loops(text))


@given(words=st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), times=st.integers(1, 3))
def test_what_is_said_three_times_stays(words: list[str], times: int) -> None:
    text = " ".join(" ".join(words) for _ in range(times))
    assert without_loops(text) == text
