"""What is true of single speech LLMs of the transformers library, beside what the suite of all of them shows."""

import json
import shutil
from pathlib import Path

import own_text_checks as checks
import pytest
import torch
from own_text_checks import CONFIG, clip, files_of
from safetensors.torch import load_file
from tiny_llm import byte_level_tokenizer
from tiny_speech_llms import TINY
from tiny_speech_llms_granite import granite_library, save_granite
from tiny_speech_llms_voxtral import MISTRAL
from transformers import GraniteConfig, GraniteForCausalLM

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.answering import open_model
from cascade_equivalence.models.architecture import find_architecture
from cascade_equivalence.models.question import ModelFiles
from cascade_equivalence.models.rows import AUDIO
from cascade_equivalence.models.sources.facts import speech_facts
from cascade_equivalence.models.speech_llm.model import PLACEHOLDER
from cascade_equivalence.models.speech_llm.native import NativeFrontEnd, NativeSpeechLLM
from cascade_equivalence.models.speech_llm.native_models import NATIVE
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)
TYPED = [{"role": "user", "content": "Story: The hosts reached the cup final."}]


@pytest.fixture(scope="module")
def granite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return TINY["granite_speech"].save(tmp_path_factory.mktemp("granite"))


def change_config(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def typed_logits(text: TextLLM) -> torch.Tensor:
    row = text.tokenize(text.render(TYPED))
    return checks.logits_of(text, [row], len(row))[0]


def test_granite_is_its_base_model_for_text(granite: Path) -> None:
    """Typed, it is the published text LLM's own class with the same weights: the match is exact by construction."""
    prefix = "language_model."
    weights = load_file(granite / "model.safetensors")
    own = {name.removeprefix(prefix): weight for name, weight in weights.items() if name.startswith(prefix)}
    section = json.loads((granite / "config.json").read_text())["text_config"]
    base = GraniteForCausalLM(GraniteConfig(**section)).eval()
    base.load_state_dict(own, strict=False)
    assert own.keys() >= {name for name in base.state_dict() if "lm_head" not in name}
    base.tie_weights()
    alone = open_model(ModelFiles(granite, "r", True), CONFIG)[0]
    row = alone.tokenize(alone.render(TYPED))
    with torch.no_grad():
        expected = base(input_ids=torch.tensor([row])).logits[0]
    _, speech = open_model(files_of(granite), CONFIG)
    assert speech is not None
    for text in (alone, speech.typed):
        torch.testing.assert_close(typed_logits(text), expected, atol=1e-4, rtol=0)
    assert (typed_logits(speech.text) - expected).abs().max() > 1e-2


def test_a_granite_hears_through_its_adapter_or_not_at_all(granite: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(granite, copy)
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (copy / name).unlink()
    with pytest.raises(StudyError, match=r"lacks adapter_config\.json and adapter_model\.safetensors"):
        open_model(files_of(copy), CONFIG)
    # Later ones were merged with it, and say so.
    change_config(copy, has_lora_adapter=False)
    _, merged = open_model(files_of(copy), CONFIG)
    assert merged is not None and merged.typed is merged.text


def test_a_granite_around_a_text_llm_of_the_fourth_generation(tmp_path: Path) -> None:
    """Its blocks are of a class that may mix attention with others; here all attend."""
    text = {"num_local_experts": 0, "num_experts_per_tok": 0, "shared_intermediate_size": 64, "mamba_n_heads": 4}
    text |= {"layer_types": ["attention"] * 3, "position_embedding_type": "rope", "mamba_d_state": 8}
    folder = save_granite(tmp_path / "granite", model_type="granitemoehybrid", **text)
    _, speech = open_model(files_of(folder), CONFIG)
    assert speech is not None
    library = granite_library(folder)
    checks.check_against(speech, checks.reference_of(library))
    checks.check_capture(speech, checks.reference_of(library), tmp_path)
    checks.check_own_text(speech.typed, library)


def test_a_granite_with_another_spectrogram_is_refused(granite: Path, tmp_path: Path) -> None:
    shutil.copytree(granite, tmp_path / "copy")
    path = tmp_path / "copy" / "preprocessor_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hop_length": 320}))
    with pytest.raises(StudyError, match="hop_length 320"):
        open_model(files_of(tmp_path / "copy"), CONFIG)


def opened(name: str, folder: Path) -> NativeSpeechLLM:
    _, speech = open_model(files_of(TINY[name].save(folder)), CONFIG)
    assert isinstance(speech, NativeSpeechLLM)
    return speech


def test_the_prompt_of_both_arms_is_one(tmp_path: Path) -> None:
    """Only sound and transcript differ; what was said cannot pass for sound."""
    model = opened("gemma4", tmp_path)
    said = "A dog ran over the long bridge."
    heard, typed = (
        model.text.render([{"role": "user", "content": f"Story: {words} Which topic?"}])
        for words in (PLACEHOLDER, said)
    )
    (row,), _ = model.rows([heard], [clip(0)])
    before, after = typed.split(said)
    first, last = row.index(AUDIO), len(row) - row[::-1].index(AUDIO)
    assert model.text.tokenizer.decode(row[:first]) == f"{before}<|audio>"
    assert model.text.tokenizer.decode(row[last:]) == f"<audio|>{after}"
    tokens = model.typed.tokenize(model.typed.render([{"role": "user", "content": "I said <|audio|> and <turn|>."}]))
    assert model.audio_id not in tokens


def test_a_tokenizer_that_knows_no_sound(tmp_path: Path) -> None:
    model = opened("glmasr", tmp_path)
    model.text.tokenizer = byte_level_tokenizer()
    for written, audio_id, wrong in (("{sound}", 10**6, "takes sound"), ("<|begin|>{sound}", 5, "stands around sound")):
        with pytest.raises(StudyError, match=wrong):
            NativeSpeechLLM(model.encoder, model.text, written, audio_id, False)


def test_a_gemma_that_only_sees_is_refused(tmp_path: Path) -> None:
    folder = TINY["gemma4"].save(tmp_path)
    change_config(folder, audio_config=None)
    with pytest.raises(StudyError, match="has no audio_tower and no embed_audio"):
        open_model(files_of(folder), CONFIG)
    with pytest.raises(StudyError, match="is a Gemma 3n"):
        find_architecture("gemma3n", folder)


@pytest.mark.parametrize("section", [5, {"model_type": "llama", "hidden_size": 8}])
def test_a_config_that_is_none_is_one_line(section: object, tmp_path: Path) -> None:
    folder = TINY["voxtral"].save(tmp_path)
    change_config(folder, text_config=section)
    with pytest.raises(StudyError, match=r"^m: config\.json is not that of a voxtral model") as caught:
        speech_facts({path.name: path for path in folder.iterdir()}, "m")
    assert len(str(caught.value).splitlines()) == 1


def test_mistrals_tokenizer_is_read_without_its_library(tmp_path: Path) -> None:
    """tekken.json alone is the tokenizer; the turns are written as mistral-common writes them."""
    model = opened("voxtral", tmp_path)
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "Go on"},
    ]
    expected = "<s>[SYSTEM_PROMPT]Be brief.[/SYSTEM_PROMPT][INST]Hello[/INST]Hi</s>[INST]Go on[/INST]"
    assert model.text.render(turns) == expected
    assert model.text.tokenizer.decode(model.text.tokenize(expected)) == expected
    ends = [place for place, token in enumerate(MISTRAL) if token in ("<s>", "</s>", "[INST]")]
    assert set(ends) <= set(model.text.tokenize(expected))


@pytest.mark.parametrize("name", sorted({each.name for each in NATIVE}))
def test_alone_it_has_neither_ears_nor_eyes(name: str, tmp_path: Path) -> None:
    """The text LLM alone is loaded for typed prompts, and what hears without it before it."""
    folder = TINY[name].save(tmp_path)
    alone, _ = open_model(ModelFiles(folder, "r", True), CONFIG)
    assert {key.split(".language_model.")[0] for key in alone.model.state_dict()} <= {"model", "lm_head.weight"}
    _, speech = open_model(files_of(folder), CONFIG)
    assert isinstance(speech, NativeSpeechLLM) and isinstance(speech.encoder, NativeFrontEnd)
    heard = set(speech.encoder.ears.state_dict())
    assert heard and not any("language_model" in key or "lm_head" in key or "vis" in key for key in heard)


PARTS = (
    "{% for message in messages %}[{{ message['role'] }}]{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def test_templates_that_take_parts_and_templates_beside_the_tokenizer(tmp_path: Path) -> None:
    folder = TINY["audioflamingo3"].save(tmp_path)
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    usual = text.render(TYPED)
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(StudyError, match="no chat template"):
        TextLLM(folder, "cpu", torch.float32, chat=True)
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": text.tokenizer.chat_template}))
    assert TextLLM(folder, "cpu", torch.float32, chat=True).render(TYPED) == usual
    text.tokenizer.chat_template = PARTS
    assert text.render(TYPED) == f"[user]{TYPED[0]['content']}"
