"""Prompts read once are answered and scored as if they were read for each; rows that are over leave a batch."""

from pathlib import Path

import pytest
import tiny_llm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cascade_equivalence.models import text_llm
from cascade_equivalence.models.causal_lm import cached_layers
from cascade_equivalence.models.reading import read_prompts
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.text_llm import TextLLM

KINDS = ("llama", "gemma", "window", "capped", "recurrent")
STORIES = [
    "A dog ran over the long bridge.",
    "What?",
    "The hosts reached the cup final as the goalkeeper saved two.",
    "No",
]
ANSWERS = [" sports", " business", " politics and more"]


@pytest.fixture(scope="module")
def llms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextLLM]:
    """Random models with each kind of cache: whole, windows shorter than the prompts, capped logits, recurrent."""
    root = tmp_path_factory.mktemp("models")
    tokenizer = tiny_llm.byte_level_tokenizer()
    folders: dict[str, Path] = {
        "llama": tiny_llm.save_llama(root / "llama", tokenizer),
        "gemma": tiny_llm.save_gemma(root / "gemma", tokenizer, 512),
        "window": tiny_llm.save_gemma(root / "window", tokenizer, 24),
        "capped": tiny_llm.save_gemma(root / "capped", tokenizer, 512, final_logit_softcapping=4.0),
        "recurrent": tiny_llm.save_recurrent(root / "recurrent", tokenizer),
    }
    return {name: TextLLM(folder, "cpu", torch.float32, chat=True) for name, folder in folders.items()}


def rows_of(llm: TextLLM) -> list[list[int]]:
    return [
        llm.tokenize(llm.render([{"role": "user", "content": f"Name the topic.\n{text}"}], "It")) for text in STORIES
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_one_reading_gives_what_two_give(kind: str, llms: dict[str, TextLLM]) -> None:
    llm = llms[kind]
    rows = rows_of(llm)
    candidates = [llm.continuations(row, ANSWERS) for row in rows]
    prefix = llm.usable_prefix(rows, 8)
    shared = llm.prefix_cache(rows[0][:prefix])
    scores = score(llm, rows, candidates, prefix, shared)
    answers = llm.generate(rows, 8, prefix, shared)
    read = read_prompts(llm, rows, prefix, shared)
    found = score(llm, rows, candidates, read=read.copied())
    assert found.sums == scores.sums
    assert torch.equal(found.first, scores.first)
    assert llm.generate(rows, 8, read=read.copied()) == answers
    # Going on from a copy has left the reading as it was.
    assert llm.generate(rows, 8, read=read) == answers


@pytest.mark.parametrize("kind", ["llama", "window"])
def test_a_copy_of_a_reading_is_apart_from_it(kind: str, llms: dict[str, TextLLM]) -> None:
    llm = llms[kind]
    read = read_prompts(llm, rows_of(llm))
    before = [(keys.clone(), values.clone()) for _, keys, values in cached_layers(read.cache)]
    copy = read.copied()
    copy.cache.batch_repeat_interleave(3)
    llm.generate(rows_of(llm), 4, read=read.copied())
    for (_, keys, values), (wanted_keys, wanted_values) in zip(cached_layers(read.cache), before, strict=True):
        assert torch.equal(keys, wanted_keys)
        assert torch.equal(values, wanted_values)


class Ends:
    """Ends each answer at a step of its own, whatever it says.

    Args:
        lengths: Tokens of each row's answer.
    """

    def __init__(self, lengths: list[int]) -> None:
        self.left = dict(enumerate(lengths))

    def over(self, token: torch.Tensor, _started: torch.Tensor) -> torch.Tensor:
        """Count a step; rows that were over before it may have left the batch."""
        if len(token) < len(self.left):
            self.left = {row: steps for row, steps in self.left.items() if steps > 0}
        assert len(token) == len(self.left)
        self.left = {row: steps - 1 for row, steps in self.left.items()}
        return torch.tensor([steps <= 0 for steps in self.left.values()])


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(KINDS), lengths=st.lists(st.integers(1, 12), min_size=4, max_size=4))
def test_rows_that_leave_a_batch_change_no_answer(
    kind: str, lengths: list[int], llms: dict[str, TextLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = llms[kind]
    found = []
    for share in (0.0, 0.25, 1.0):
        with monkeypatch.context() as patch:
            patch.setattr(text_llm, "LEFT_TOGETHER", share)
            patch.setattr(llm._stopping, "over", Ends(lengths).over)
            found.append(llm.generate(rows_of(llm), 12))
        assert [answer.new_tokens for answer in found[-1]] == lengths
    assert found[0] == found[1] == found[2]
