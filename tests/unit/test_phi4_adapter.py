"""Phi-4-multimodal is never opened without its speech adapter, and reads typed prompts without it."""

import json
import shutil
from pathlib import Path
from typing import Any

import own_text_checks as checks
import pytest
import torch
from own_text_checks import BEFORE, CONFIG, QUESTIONS, SHOT, files_of
from safetensors.torch import load_file, save_file
from tiny_phi4 import BLOCKS, WIDTH, library_model, lora_weights, save_adapter, save_phi4
from transformers import Phi4MultimodalForCausalLM

from cascade_equivalence.config.sources import HubSource, ModelSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism.erasure import ErasureVariant, erased_outcomes
from cascade_equivalence.mechanism.hooks import replaced
from cascade_equivalence.models.answering import answer_questions, open_model
from cascade_equivalence.models.question import ModelFiles, Question, SpeechFiles
from cascade_equivalence.models.scoring import score
from cascade_equivalence.models.sources import hub
from cascade_equivalence.models.sources.facts import llm_facts, speech_facts
from cascade_equivalence.models.sources.files import Fetched
from cascade_equivalence.models.sources.manifest import read_manifest
from cascade_equivalence.models.sources.resolve import resolve_model
from cascade_equivalence.models.speech_llm.model import SpeechLLM, open_speech_llm
from cascade_equivalence.models.speech_llm.speech_adapter import ADAPTER_FILES
from cascade_equivalence.models.text_llm import TextLLM
from cascade_equivalence.stats.backbone import backbone_match

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_phi4(tmp_path_factory.mktemp("phi4"))


@pytest.fixture(scope="module")
def model(folder: Path) -> SpeechLLM:
    text, speech = open_model(files_of(folder), CONFIG)
    assert speech is not None and speech.text is text
    return speech


def typed_row(text: TextLLM) -> list[int]:
    return text.tokenize(text.render([{"role": "user", "content": "Story: The hosts reached the cup final."}]))


def typed_logits(text: TextLLM) -> torch.Tensor:
    row = typed_row(text)
    return checks.logits_of(text, [row], len(row))[0]


def test_the_adapter_is_on_for_sound_and_off_for_typed_prompts(model: SpeechLLM, folder: Path) -> None:
    """Typed, it is the text LLM without an adapter; and afterwards the adapter is on again."""
    alone = TextLLM(folder, "cpu", torch.float32, chat=True)
    assert not any("lora" in name for name in alone.model.state_dict())
    base, heard = typed_logits(alone), typed_logits(model.text)
    torch.testing.assert_close(typed_logits(model.typed), base, atol=1e-5, rtol=0)
    assert (heard - base).abs().max() > 1e-2
    torch.testing.assert_close(typed_logits(model.text), heard, atol=1e-5, rtol=0)
    with torch.no_grad():
        row = torch.tensor([typed_row(alone)])
        library = [library_model(folder, adapter=adapter)(input_ids=row).logits[0] for adapter in (True, False)]
    torch.testing.assert_close(heard, library[0], atol=1e-4, rtol=0)
    torch.testing.assert_close(base, library[1], atol=1e-4, rtol=0)


def test_typed_prompts_are_answered_as_by_the_text_llm_alone(model: SpeechLLM, folder: Path) -> None:
    """With a shared prefix, over several steps, and in a forced choice."""
    alone = TextLLM(folder, "cpu", torch.float32, chat=True)
    contents = [f"{BEFORE}{said}" for said in ("A dog ran.", "The hosts reached the cup final.")]
    rows = [alone.tokenize(alone.render([*SHOT, {"role": "user", "content": content}])) for content in contents]
    prefix = alone.usable_prefix(rows)
    assert prefix > 0 and model.typed.usable_prefix(rows) == prefix
    answers = [[alone.tokenize(" sports"), alone.tokenize(" business or")]] * 2
    found = [
        (
            text.generate(rows, 6, prefix, text.prefix_cache(rows[0][:prefix])),
            score(text, rows, answers, prefix, text.prefix_cache(rows[0][:prefix])).sums,
        )
        for text in (alone, model.typed, model.text)
    ]
    assert found[0][0] == found[1][0] != found[2][0]
    for own, same, heard in zip(*(sums for _, sums in found), strict=True):
        assert own == pytest.approx(same, abs=1e-4) and heard != pytest.approx(own, abs=1e-2)


def test_the_typed_arm_of_erasure_is_without_the_adapter(folder: Path, tmp_path: Path) -> None:
    typed = [Question((*SHOT, {"role": "user", "content": f"{BEFORE}A dog ran."}), checks.PREFIX, checks.LABELS)]
    arms = {"audio": QUESTIONS[:2], "text": typed}
    found = erased_outcomes(
        arms, files_of(folder), [ErasureVariant("none", "all", {})], CONFIG, 6, tmp_path / "store", "tiny"
    )
    config = CONFIG.model_copy(update={"mode": "forced_choice"})
    for arm, files in (("audio", files_of(folder)), ("text", ModelFiles(folder, "r", True))):
        answers = answer_questions(arms[arm], files, config, 6, tmp_path / arm, "tiny")
        for outcome, answer in zip(found["none", "all", arm], answers, strict=True):
            assert outcome.scores == pytest.approx(answer.scores, abs=1e-4)


def test_an_error_while_typed_leaves_the_adapter_on(model: SpeechLLM) -> None:
    before = typed_logits(model.text)

    def fail(_: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("in a hook")

    with pytest.raises(RuntimeError, match="in a hook"), replaced(model.blocks, {0: fail}):
        typed_logits(model.typed)
    torch.testing.assert_close(typed_logits(model.text), before, atol=1e-5, rtol=0)


def test_adapters_with_either_kind_of_names(folder: Path, tmp_path: Path, model: SpeechLLM) -> None:
    shutil.copytree(folder, tmp_path / "plain")
    weights = load_file(folder / "speech-lora" / "adapter_model.safetensors")
    save_adapter(tmp_path / "plain", {name.removeprefix("base_model.model."): w for name, w in weights.items()})
    _, plain = open_model(files_of(tmp_path / "plain"), CONFIG)
    assert plain is not None
    torch.testing.assert_close(typed_logits(plain.text), typed_logits(model.text), atol=1e-5, rtol=0)
    # In the model's arithmetic, whole, and with what the checkpoint's own projections were.
    found = plain.text.model.state_dict()
    for name, weight in weights.items():
        place = name.removeprefix("base_model.model.").replace(".weight", ".hearing.weight")
        assert torch.equal(found[place], weight)
    original = load_file(folder / "model.safetensors")
    for name, weight in original.items():
        place = name if name in found else name.replace(".weight", ".base_layer.weight")
        assert torch.equal(found[place], weight)


def broken(folder: Path, target: Path, how: str) -> Path:
    """A copy of a checkpoint of which the adapter is not in order."""
    shutil.copytree(folder, target)
    where = target / "speech-lora"
    file = where / "adapter_model.safetensors"
    weights = load_file(file)
    match how:
        case "no folder":
            shutil.rmtree(where)
        case "no weights":
            file.unlink()
        case "pickle":
            file.unlink()
            torch.save(weights, where / "adapter_model.bin")
        case "no config":
            (where / "adapter_config.json").unlink()
        case "cut off":
            file.write_bytes(file.read_bytes()[:-8])
        case "zeros":
            save_file({name: w * (".lora_A." in name) for name, w in weights.items()}, file)
        case "a weight less":
            save_file({name: w for name, w in weights.items() if "layers.1.mlp.down_proj.lora_B" not in name}, file)
        case "of another model":
            save_file({name.replace("base_model.model.", "vision."): w for name, w in weights.items()}, file)
        case "another width":
            save_file({name: torch.cat([w, w], 1) for name, w in weights.items()}, file)
        case "no such layers":
            path = where / "adapter_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": "nothing"}))
    return target


@pytest.mark.parametrize(
    ("how", "wrong"),
    [
        ("no folder", r"lacks speech-lora/adapter_config\.json and .*adapter_model\.safetensors.* needs to hear"),
        ("no weights", r"lacks speech-lora/adapter_model\.safetensors"),
        ("pickle", r"lacks speech-lora/adapter_model\.safetensors"),
        ("no config", r"lacks speech-lora/adapter_config\.json"),
        ("cut off", "cut off or damaged"),
        ("zeros", "changes nothing"),
        ("a weight less", r"does not fit the model \(model\.layers\.1\.mlp\.down_proj\.lora_B\.hearing\.weight, 1 in"),
        ("of another model", "does not fit the model"),
        ("another width", "speech-lora .*model"),
        ("no such layers", "is not an adapter of this model"),
    ],
)
def test_without_its_adapter_it_is_not_opened(how: str, wrong: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=wrong):
        open_model(files_of(broken(folder, tmp_path / "copy", how)), CONFIG)


def test_without_its_adapter_the_text_llm_is_opened(folder: Path, tmp_path: Path) -> None:
    """The own-weights cascade and other text arms do not need it."""
    text, speech = open_model(ModelFiles(broken(folder, tmp_path / "copy", "no folder"), "r", True), CONFIG)
    assert speech is None
    alone = TextLLM(folder, "cpu", torch.float32, chat=True)
    torch.testing.assert_close(typed_logits(text), typed_logits(alone), atol=1e-5, rtol=0)


def test_a_changed_adapter_is_another_revision(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the adapter in its own folder, as the hub gives it; a changed adapter is another revision."""
    found = {}
    for name, how in (("whole", ""), ("changed", "zeros")):
        snapshot = broken(folder, tmp_path / "snapshots" / name, how)
        files = {path.relative_to(snapshot).as_posix(): path for path in snapshot.rglob("*") if path.is_file()}
        monkeypatch.setattr(hub, "fetch", lambda _, files=files: Fetched(files, "c0ffee"))
        source = HubSource(kind="hub", repo="microsoft/Phi-4-multimodal-instruct", revision="refs/pr/70")
        spec = ModelSpec(role="speech-llm", source=source, licence="MIT", blocks=BLOCKS)
        found[name] = resolve_model(name, spec, tmp_path / "models" / name, tmp_path / "cache")
    assert {path.name for path in (found["whole"] / "speech-lora").iterdir()} >= set(ADAPTER_FILES)
    revisions = {read_manifest(target).revision for target in found.values()}
    assert len(revisions) == 2


def test_peft_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise ImportError("PEFT is not available")

    monkeypatch.setattr(Phi4MultimodalForCausalLM, "load_adapter", missing)
    with pytest.raises(StudyError, match="needs peft"):
        open_model(files_of(folder), CONFIG)


def test_the_layout_with_code_of_its_own_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "phi4mm", "auto_map": {"AutoConfig": "x.Y"}}))
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    with pytest.raises(StudyError, match="take `revision: refs/pr/70`"):
        open_speech_llm(SpeechFiles(tmp_path, "r"), text, "cpu", torch.float32)


def test_its_llm_is_of_the_family_of_phi4_mini(folder: Path, tmp_path: Path) -> None:
    """Read off the configs: a Phi-3 network of the same shape; of other weights, as far as hashes tell."""
    config = json.loads((folder / "config.json").read_text())
    own = speech_facts({path.name: path for path in folder.iterdir()}, "phi-4-multimodal")
    assert [own[key] for key in ("model_type", "layers", "hidden", "kv_heads")] == ["phi3", BLOCKS, WIDTH, 2]
    assert (own["speech_model_type"], own["tied_embeddings"]) == ("phi4_multimodal", True)
    shape = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size")
    mini = {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"], **{key: config[key] for key in shape}}
    (tmp_path / "config.json").write_text(json.dumps(mini))
    (tmp_path / "tokenizer.json").write_text("{}")
    save_file({"model.norm.weight": torch.ones(3)}, tmp_path / "model.safetensors")
    partner = llm_facts({path.name: path for path in tmp_path.iterdir()}, "phi-4-mini")
    assert backbone_match(("a", own), ("b", partner)) == "family"
    assert backbone_match(("a", own), ("b", partner | {"layers": BLOCKS + 1})) == "none"


def test_the_tiny_adapter_reaches_every_projection(folder: Path) -> None:
    """As the published one does: attention and feed-forward of every block of the text LLM, and nothing else."""
    names = lora_weights(Phi4MultimodalForCausalLM.from_pretrained(folder), 0)
    parts = ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj")
    assert names.keys() == {
        f"base_model.model.model.layers.{block}.{part}.lora_{side}.weight"
        for block in range(BLOCKS)
        for part in parts
        for side in "AB"
    }
