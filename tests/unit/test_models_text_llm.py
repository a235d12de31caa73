"""A text LLM answers exactly as the transformers library would, however its prompts are batched and cached."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import tiny_llm
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models import text_llm
from cascade_equivalence.models.causal_lm import load_causal_lm
from cascade_equivalence.models.rows import common_prefix
from cascade_equivalence.models.text_llm import SHORTEST_PREFIX, TextLLM

WINDOW = 48
SHARED = "Read the news story and name its topic. The topics are: politics, sports, business or technology."
STORIES = [
    "A dog ran over the long bridge.",
    "The hosts reached the cup final as the goalkeeper saved two penalties in the last long minutes of it.",
    "What?",
    "Twelve new computers: names unknown \u2028 \u00e9\u4e2d",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    tokenizer = tiny_llm.byte_level_tokenizer()
    sampling = {"do_sample": True, "temperature": 9.0, "top_k": 5, "repetition_penalty": 8.0, "no_repeat_ngram_size": 1}
    return {
        "llama": tiny_llm.save_llama(root / "llama", tokenizer),
        "sampling": tiny_llm.save_llama(root / "sampling", tokenizer, **sampling),
        "gemma": tiny_llm.save_gemma(root / "gemma", tokenizer, 512),
        "window": tiny_llm.save_gemma(root / "window", tokenizer, WINDOW),
        "capped": tiny_llm.save_gemma(root / "capped", tokenizer, 512, final_logit_softcapping=4.0),
    }


@pytest.fixture(scope="module")
def llms(folders: dict[str, Path]) -> dict[str, TextLLM]:
    return {name: TextLLM(folder, "cpu", torch.float32, chat=True) for name, folder in folders.items()}


def prompts(llm: TextLLM, stories: Sequence[str] = STORIES) -> list[list[int]]:
    return [llm.tokenize(llm.render([{"role": "user", "content": f"{SHARED}\n{story}"}], "The")) for story in stories]


def picked(llm: TextLLM, monkeypatch: pytest.MonkeyPatch, *arguments: Any, **more: Any) -> list[list[int]]:
    """Tokens of each answer, as they were chosen."""
    steps: list[list[int]] = []
    pick = TextLLM._pick

    def spy(self: TextLLM, hidden: torch.Tensor) -> torch.Tensor:
        token = pick(self, hidden)
        steps.append(token.tolist())
        return token

    with monkeypatch.context() as patch:
        patch.setattr(TextLLM, "_pick", spy)
        # Rows stay to the end, so that each step has a token of every row.
        patch.setattr(text_llm, "LEFT_TOGETHER", 1.0)
        answers = llm.generate(*arguments, **more)
    columns = zip(*steps, strict=True)
    return [list(column)[: answer.new_tokens] for column, answer in zip(columns, answers, strict=True)]


def greedy(folder: Path, row: list[int], count: int) -> list[int]:
    """The library's own greedy answer to one prompt."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    plain = {"do_sample": False, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0}
    ids = torch.tensor([row])
    found = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, **plain)
    return found[0, len(row) :].tolist()


@pytest.mark.parametrize("name", ["llama", "sampling", "gemma", "window", "capped"])
def test_tokens_are_those_of_the_librarys_greedy_search(
    name: str, folders: dict[str, Path], llms: dict[str, TextLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = llms[name]
    rows = prompts(llm)
    assert max(len(row) for row in rows) > WINDOW
    answers = picked(llm, monkeypatch, rows, 12)
    for row, answer in zip(rows, answers, strict=True):
        assert answer == greedy(folders[name], row, 12)[: len(answer)]
    assert sum(map(len, answers)) > 2 * len(rows)


def test_what_the_checkpoint_asks_for_changes_nothing(llms: dict[str, TextLLM]) -> None:
    assert llms["sampling"].model.generation_config.do_sample
    rows = prompts(llms["llama"])
    assert llms["sampling"].generate(rows, 12) == llms["llama"].generate(rows, 12)


@pytest.mark.parametrize("name", ["llama", "gemma", "window"])
def test_a_batch_of_many_is_many_batches_of_one(name: str, llms: dict[str, TextLLM]) -> None:
    llm = llms[name]
    rows = prompts(llm)
    together = llm.generate(rows, 10)
    assert together == [llm.generate([row], 10)[0] for row in rows]
    assert together[::-1] == llm.generate(rows[::-1], 10)
    assert [answer.prompt_tokens for answer in together] == [len(row) for row in rows]


@pytest.mark.parametrize("name", ["llama", "gemma"])
def test_the_shared_prefix_changes_nothing(name: str, llms: dict[str, TextLLM]) -> None:
    llm = llms[name]
    rows = prompts(llm)
    prefix = llm.usable_prefix(rows, 10)
    assert prefix > SHORTEST_PREFIX
    assert all(row[:prefix] == rows[0][:prefix] for row in rows)
    shared = llm.prefix_cache(rows[0][:prefix])
    plain = llm.generate(rows, 10)
    # The cache serves many batches, so none may leave a trace in it.
    for _ in range(2):
        assert llm.generate(rows, 10, prefix, shared) == plain
    assert llm.generate(rows, 10, prefix) == plain
    assert [llm.generate([row], 10, prefix, shared)[0] for row in rows] == plain


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=4))
def test_common_prefix_is_the_longest_that_leaves_a_token(rows: list[list[int]]) -> None:
    count = common_prefix(rows)
    fits = [length for length in range(min(map(len, rows))) if len({tuple(row[:length]) for row in rows}) == 1]
    assert count == max(fits)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefix=st.sampled_from([SHORTEST_PREFIX, WINDOW - 1, WINDOW, 2 * WINDOW + 3]),
    own=st.lists(st.integers(1, 2 * WINDOW), min_size=1, max_size=3),
    name=st.sampled_from(["window", "gemma", "llama"]),
)
def test_a_prefix_is_read_once_whatever_a_window_holds(
    prefix: int, own: list[int], name: str, llms: dict[str, TextLLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attention that slides reaches as far back in rows that are padded as in one that is read alone."""
    llm = llms[name]
    shared = [20 + at % 90 for at in range(prefix)]
    rows = [[*shared, 30 + place, *(40 + at % 70 for at in range(length))] for place, length in enumerate(own)]
    assert llm.usable_prefix([*rows, [*shared, 9]], 3) == prefix
    hidden: list[torch.Tensor] = []
    pick = TextLLM._pick
    with monkeypatch.context() as patch:
        patch.setattr(text_llm, "LEFT_TOGETHER", 1.0)
        patch.setattr(TextLLM, "_pick", lambda self, states: hidden.append(states) or pick(self, states))
        together = llm.generate(rows, 3, prefix)
        states = hidden.copy()
        for place, row in enumerate(rows):
            hidden.clear()
            assert llm.generate([row], 3) == together[place : place + 1]
            for found, alone in zip(states, hidden, strict=False):
                torch.testing.assert_close(found[place], alone[0], atol=1e-4, rtol=1e-4)


def test_a_short_prefix_is_not_worth_sharing(llms: dict[str, TextLLM]) -> None:
    rows = [[*range(20, 20 + SHORTEST_PREFIX - 1), end] for end in (60, 61)]
    assert llms["window"].usable_prefix(rows) == 0


@pytest.mark.parametrize("name", ["llama", "gemma", "window", "capped"])
def test_log_likelihoods_are_those_of_a_full_forward_pass(name: str, llms: dict[str, TextLLM]) -> None:
    llm = llms[name]
    candidates = [llm.tokenize(text) for text in (" politics", " sports", " x", " business or technology.")]
    assert len({len(candidate) for candidate in candidates}) > 2
    rows = prompts(llm)
    for row in rows:
        prefix = llm.usable_prefix([*rows, row], max(map(len, candidates)))
        cached = llm.log_likelihoods(row, candidates, prefix, llm.prefix_cache(row[:prefix]))
        plain = llm.log_likelihoods(row, candidates)
        for candidate, found, again in zip(candidates, plain, cached, strict=True):
            with torch.inference_mode():
                logits = llm.model(torch.tensor([row + candidate])).logits[0].log_softmax(-1)
            wanted = sum(float(logits[len(row) - 1 + at, token]) for at, token in enumerate(candidate))
            assert found == pytest.approx(wanted, abs=1e-4)
            assert again == pytest.approx(wanted, abs=1e-4)


def test_likelihoods_do_not_depend_on_the_other_candidates(llms: dict[str, TextLLM]) -> None:
    llm = llms["llama"]
    row = prompts(llm)[0]
    candidates = [llm.tokenize(text) for text in (" yes", " the goalkeeper of the hosts", " no")]
    together = llm.log_likelihoods(row, candidates)
    alone = [llm.log_likelihoods(row, [candidate])[0] for candidate in candidates]
    assert together == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("chat", [True, False])
@pytest.mark.parametrize("answer_prefix", ["", "The answer is"])
def test_a_choice_is_scored_as_the_text_would_be_read(chat: bool, answer_prefix: str, folders: dict[str, Path]) -> None:
    llm = TextLLM(folders["llama"], "cpu", torch.float32, chat)
    prompt = llm.render([{"role": "user", "content": STORIES[0]}], answer_prefix)
    labels = {"World": "politics", "Sports": "sports", "A": "A"}
    scores = llm.choose(llm.tokenize(prompt), labels)
    space = " " if answer_prefix or not chat else ""
    for label, word in labels.items():
        whole = torch.tensor([llm.tokenize(prompt + space + word)])
        start = len(llm.tokenize(prompt))
        with torch.inference_mode():
            logits = llm.model(whole).logits[0].log_softmax(-1)
        wanted = sum(float(logits[at - 1, whole[0, at]]) for at in range(start, whole.shape[1]))
        assert scores[label] == pytest.approx(wanted, abs=1e-4)
    assert list(scores) == list(labels)


def test_a_choice_follows_a_tokenizer_that_begins_texts_with_a_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = TextLLM(tiny_llm.save_llama(tmp_path, tiny_llm.sentencepiece_tokenizer()), "cpu", torch.float32, chat=False)
    prompt = llm.render([{"role": "user", "content": STORIES[0]}], "The answer is")
    row = llm.tokenize(prompt)
    given_tokens: list[list[int]] = []
    monkeypatch.setattr(llm, "log_likelihoods", lambda row, tokens, *rest: given_tokens.extend(tokens) or [0.0, 0.0])
    llm.choose(row, {"a": "Paris", "b": "sports"})
    assert [row + tokens for tokens in given_tokens] == [
        llm.tokenize(f"{prompt} {word}") for word in ("Paris", "sports")
    ]
    assert llm.tokenize(" Paris") != given_tokens[0]


def test_near_ties_in_bfloat16_are_decided_in_float32(folders: dict[str, Path]) -> None:
    llm = TextLLM(folders["llama"], "cpu", torch.bfloat16, chat=True)
    torch.manual_seed(1)
    hidden = torch.randn(4000, 64).bfloat16()
    head = llm.model.get_output_embeddings()
    with torch.inference_mode():
        chosen = llm._pick(hidden)
        rounded = head(hidden).argmax(-1)
    exact = hidden.double() @ head.weight.double().T
    assert torch.equal(chosen, exact.argmax(-1))
    assert not torch.equal(rounded, exact.argmax(-1))


def test_of_equal_tokens_the_first_is_taken(folders: dict[str, Path]) -> None:
    llm = TextLLM(folders["llama"], "cpu", torch.float32, chat=True)
    with torch.inference_mode():
        weight = llm.model.get_output_embeddings().weight
        weight[[70, 30, 200]] = weight[50] * 100
        assert llm._pick(weight[[50, 30, 70]]).tolist() == [30, 30, 30]


# -- where an answer ends ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> tuple[TextLLM, list[int]]:
    """A model that says two blank lines, a space, a name, a line break, and goes on; and what it says."""
    tokenizer = tiny_llm.byte_level_tokenizer()
    chain = [tokenizer(text)["input_ids"][0] for text in ("A", "\n", " ", "P", "B", ".\n", "x", "y", "z")]
    # Behind "?" an end token, behind "D" text without end, behind "1" a word and then a break of its own.
    more = [
        [tokenizer(text)["input_ids"][0] for text in texts]
        for texts in (["?", "Q", "<|im_end|>", "R"], ["D", "E", "D"])
    ]
    folder = tiny_llm.save_script(tmp_path_factory.mktemp("script"), tokenizer, [chain, *more])
    return TextLLM(folder, "cpu", torch.float32, chat=False), chain


def test_an_answer_ends_with_its_first_line(script: tuple[TextLLM, list[int]]) -> None:
    llm, chain = script
    [answer] = llm.generate([chain[:1]], 20)
    assert (answer.text, answer.new_tokens) == ("PB.", 5)
    # The row that is over first waits for the other, and neither minds.
    assert llm.generate([chain[:1], llm.tokenize("A story?")], 20)[0] == answer


def test_an_answer_ends_at_a_break_of_its_own(tmp_path: Path) -> None:
    tokenizer = tiny_llm.byte_level_tokenizer()
    chain = [tokenizer(text)["input_ids"][0] for text in ("A", " ", "P", "\n", "x")]
    llm = TextLLM(tiny_llm.save_script(tmp_path, tokenizer, [chain]), "cpu", torch.float32, chat=False)
    [answer] = llm.generate([chain[:1]], 20)
    assert (answer.text, answer.new_tokens) == ("P", 3)


def test_an_answer_ends_at_an_end_token_or_at_its_limit(script: tuple[TextLLM, list[int]]) -> None:
    llm, _ = script
    rows = [llm.tokenize("?"), llm.tokenize("D")]
    ended, cut = llm.generate(rows, 6)
    assert (ended.text, ended.new_tokens) == ("Q", 2)
    assert (cut.text, cut.new_tokens) == ("EDEDED", 6)


def test_an_end_token_of_the_generation_config_counts(tmp_path: Path) -> None:
    tokenizer = tiny_llm.byte_level_tokenizer()
    chain = [tokenizer(text)["input_ids"][0] for text in ("A", "P", "Z", "x")]
    folder = tiny_llm.save_script(tmp_path, tokenizer, [chain])
    config = folder / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": [5, chain[2]]}))
    [answer] = TextLLM(folder, "cpu", torch.float32, chat=False).generate([chain[:1]], 20)
    assert (answer.text, answer.new_tokens) == ("P", 2)


# -- what the model reads ------------------------------------------------------------------------------------------

FRAGMENTS = [
    *tiny_llm.SPECIAL,
    tiny_llm.BREAK,
    "<|im_",
    "end|>",
    "<|",
    "|>",
    "<",
    ">",
    "im_start",
    "\n",
    " ",
    "a",
    "assistant",
]


def control_ids(llm: TextLLM, prompt: str) -> list[int]:
    ids = {llm.tokenizer.convert_tokens_to_ids(token) for token in (*tiny_llm.SPECIAL, tiny_llm.BREAK)}
    return [token for token in llm.tokenize(prompt) if token in ids]


@pytest.mark.parametrize("chat", [True, False])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(said=st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join))
def test_what_was_said_cannot_end_its_turn(said: str, chat: bool, llms: dict[str, TextLLM]) -> None:
    llm = llms["llama"]
    llm.chat = chat
    try:
        messages = [
            {"role": role, "content": text} for role, text in (("user", "Q"), ("assistant", "W"), ("user", said))
        ]
        neutral = [*messages[:2], {"role": "user", "content": "a word"}]
        prompt = llm.render(messages)
        assert control_ids(llm, prompt) == control_ids(llm, llm.render(neutral))
        if not any(token in said for token in (*tiny_llm.SPECIAL, tiny_llm.BREAK)):
            assert said in prompt
    finally:
        llm.chat = True


def test_a_chat_prompt_is_the_template_and_the_words_the_answer_begins_with(llms: dict[str, TextLLM]) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say {speech}."}]
    turns = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nSay {speech}.<|im_end|>\n"
    start = "[BREAK]<|im_start|>assistant\n"
    assert llms["llama"].render(messages) == turns + start
    # A space at the end would be half of the next token.
    for answer_prefix in ("The answer is", "The answer is "):
        assert llms["llama"].render(messages, answer_prefix) == turns + start + "The answer is"


def test_a_plain_prompt_has_the_answers_of_the_examples_where_its_own_is_wanted(folders: dict[str, Path]) -> None:
    llm = TextLLM(folders["llama"], "cpu", torch.float32, chat=False)
    roles = ("system", "user", "assistant", "user")
    messages = [{"role": role, "content": text} for role, text in zip(roles, ("S {}", "U1", "A1", "U2"), strict=True)]
    assert llm.render(messages) == "<|endoftext|>S {}\n\nU1\nAnswer: A1\n\nU2\nAnswer:"
    assert llm.render(messages, "It is") == llm.render(messages) + " It is"
    assert llm.tokenize(llm.render(messages))[0] == llm.tokenizer.bos_token_id


def test_a_prompt_is_the_same_on_every_day(tmp_path: Path) -> None:
    tokenizer = tiny_llm.byte_level_tokenizer()
    tokenizer.chat_template = "{{ strftime_now('%d %b %Y') }} {{ messages[0]['content'] }}"
    llm = TextLLM(tiny_llm.save_llama(tmp_path, tokenizer), "cpu", torch.float32, chat=True)
    assert llm.render([{"role": "user", "content": "Q"}]) == "26 Jul 2024 Q"


def test_a_template_that_refuses_a_system_prompt_says_what_to_do(tmp_path: Path) -> None:
    tokenizer = tiny_llm.byte_level_tokenizer()
    tokenizer.chat_template = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system') }}{% endif %}x"
    llm = TextLLM(tiny_llm.save_llama(tmp_path, tokenizer), "cpu", torch.float32, chat=True)
    with pytest.raises(StudyError, match=r"No system.*answer\.system_prompt"):
        llm.render([{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}])


def test_a_model_without_a_template_says_what_to_do(tmp_path: Path) -> None:
    folder = tiny_llm.save_llama(tmp_path, tiny_llm.byte_level_tokenizer(chat=False))
    with pytest.raises(StudyError, match="chat: false"):
        TextLLM(folder, "cpu", torch.float32, chat=True)
    assert (
        TextLLM(folder, "cpu", torch.float32, chat=False).render([{"role": "user", "content": "Q"}]).endswith("Answer:")
    )


def test_weights_are_never_made_up(tmp_path: Path) -> None:
    folder = tiny_llm.save_llama(tmp_path, tiny_llm.byte_level_tokenizer())
    tensors = load_file(folder / "model.safetensors")
    lost = next(name for name in tensors if "q_proj" in name)
    save_file(
        {name: value for name, value in tensors.items() if name != lost}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(StudyError, match=f"lacks weights.*{lost}"):
        TextLLM(folder, "cpu", torch.float32, chat=True)


@pytest.mark.parametrize(
    "change", [{"model_type": "no-such-model"}, {"hidden_size": "wide"}, {"num_attention_heads": 7}, "{"]
)
def test_a_config_that_the_library_does_not_take_is_one_line(tmp_path: Path, change: Any) -> None:
    folder = tiny_llm.save_llama(tmp_path, tiny_llm.byte_level_tokenizer())
    config = folder / "config.json"
    config.write_text(change if isinstance(change, str) else json.dumps(json.loads(config.read_text()) | change))
    for opened in (lambda: load_causal_lm(folder, torch.float32), lambda: TextLLM(folder, "cpu", torch.float32, True)):
        with pytest.raises(StudyError, match=re.escape(str(folder))) as caught:
            opened()
        assert "\n" not in str(caught.value)


def test_an_overflow_is_an_error_and_no_answer(folders: dict[str, Path]) -> None:
    llm = TextLLM(folders["llama"], "cpu", torch.float32, chat=True)
    with torch.inference_mode():
        llm.model.model.layers[0].mlp.down_proj.weight[:] = float("inf")
    row = prompts(llm)[0]
    with pytest.raises(StudyError, match=r"overflow in float32.*answer\.dtype"):
        llm.generate([row], 3)
    with pytest.raises(StudyError, match="overflow"):
        llm.choose(row, {"a": "yes"})


def test_a_prompt_beyond_the_models_memory_is_refused(llms: dict[str, TextLLM]) -> None:
    llm = llms["llama"]
    llm.check_lengths([[1], [1] * 500], 12)
    with pytest.raises(StudyError, match=r"500 tokens.*up to 13.*512"):
        llm.check_lengths([[1], [1] * 500], 13)
