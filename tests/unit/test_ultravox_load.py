"""Loading a checkpoint: which weights are taken from where, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tiny_ultravox import AUDIO, HIDDEN, TEXT_WIDTH, WIDTH, save_base, save_ultravox, weights_of
from transformers import WhisperForConditionalGeneration

from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.openai_whisper import encoder_weights, rename_openai, rename_transformers, write_weights
from cascade_equivalence.models.speech_llm.audio_encoder import AudioEncoder, build_connector
from cascade_equivalence.models.speech_llm.load import has_text_weights, load_audio_encoder, text_state_dict
from cascade_equivalence.models.speech_llm.projector import UltravoxProjector
from cascade_equivalence.models.speech_llm.settings import UltravoxSettings, read_settings

torch.set_num_threads(1)

TOWER, CONNECTOR = "audio_tower.", "multi_modal_projector."


def load(folder: Path, audio_folder: Path | None = None, text_width: int = TEXT_WIDTH) -> AudioEncoder:
    return load_audio_encoder(folder, audio_folder, text_width, "cpu", torch.float32)


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return weights_of()


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_base(folder)
    return folder


def without(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(prefix)}


def test_every_weight_arrives(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    encoder = load(save_ultravox(tmp_path, weights))
    assert not encoder.training
    found = encoder.state_dict()
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    published = {"ln_pre.weight", "linear_1.weight", "ln_mid.weight", "linear_2.weight"}
    assert {name.removeprefix(CONNECTOR) for name in found if name.startswith(CONNECTOR)} == published
    older = UltravoxProjector(WIDTH, TEXT_WIDTH, HIDDEN, ln_mid=False, norm_init=0.7)
    assert older.state_dict().keys() == {name.replace("ln_mid", "ln_post") for name in published}
    assert set(torch.cat([older.ln_pre.weight, older.ln_post.weight]).tolist()) == {float(torch.tensor(0.7))}


def test_parts_of_a_sharded_checkpoint(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_ultravox(tmp_path, weights)
    (tmp_path / "model.safetensors").unlink()
    files = {name: f"part-{index % 2}.safetensors" for index, name in enumerate(sorted(weights))}
    for file in set(files.values()):
        save_file({name: weights[name] for name in files if files[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    found = load(tmp_path).state_dict()
    assert all(torch.equal(found[name], weights[name]) for name in weights)


def test_a_published_whisper_never_replaces_a_tuned_tower(
    weights: dict[str, torch.Tensor], base_folder: Path, tmp_path: Path
) -> None:
    for number, config in enumerate(({"audio_model_id": None}, {"audio_model_id": "openai/whisper-tiny"})):
        for section in (AUDIO, None):
            if section is None and config["audio_model_id"] is None:
                continue
            folder = save_ultravox(tmp_path / f"{number}{section is None}", weights, audio_config=section, **config)
            found = load(folder, base_folder).state_dict()
            assert all(torch.equal(found[name], weights[name]) for name in weights)
            # It is needed only for the shape, where the config does not have it.
            if section:
                assert load(folder).state_dict().keys() == weights.keys()


def test_a_tower_that_is_left_out_comes_from_the_published_whisper(
    weights: dict[str, torch.Tensor], base_folder: Path, tmp_path: Path
) -> None:
    base, _ = encoder_weights(base_folder)
    folder = save_ultravox(tmp_path, without(weights, TOWER), audio_config=None, audio_model_id="openai/whisper-tiny")
    found = load(folder, base_folder).audio_tower.state_dict()
    assert found.keys() == base.keys()
    assert all(torch.equal(found[name], base[name]) for name in base)
    assert not torch.equal(found["conv1.weight"], weights["audio_tower.conv1.weight"])
    with pytest.raises(StudyError, match="no weights of its audio tower: give openai/whisper-tiny"):
        load(folder)


def test_a_tower_tuned_in_part(weights: dict[str, torch.Tensor], base_folder: Path, tmp_path: Path) -> None:
    tuned = "audio_tower.layers.1."
    some = {name: tensor for name, tensor in weights.items() if name.startswith((tuned, CONNECTOR))}
    base, _ = encoder_weights(base_folder)
    folder = save_ultravox(tmp_path / "named", some, audio_config=None, audio_model_id="openai/whisper-tiny")
    for name, tensor in load(folder, base_folder).audio_tower.state_dict().items():
        own = weights[TOWER + name]
        assert torch.equal(tensor, own if (TOWER + name).startswith(tuned) else base[name]), name
    with pytest.raises(StudyError, match="only a part of its audio tower"):
        load(folder)
    # Without a model that the rest is said to come from, the checkpoint is cut off.
    with pytest.raises(StudyError, match=r"audio_tower\.conv1\.bias .* is missing"):
        load(save_ultravox(tmp_path / "unnamed", some), base_folder)


def test_another_whisper_is_refused(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_base(tmp_path / "base", encoder_attention_heads=4)
    folder = save_ultravox(tmp_path / "ultravox", without(weights, TOWER), audio_model_id="openai/whisper-tiny")
    with pytest.raises(StudyError, match="encoder_attention_heads 2 against 4"):
        load(folder, tmp_path / "base")


def changed(weights: dict[str, torch.Tensor], **tensors: torch.Tensor | None) -> dict[str, torch.Tensor]:
    names = {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    return {name: tensor for name, tensor in (weights | names).items() if tensor is not None}


@pytest.mark.parametrize(
    ("tensors", "wrong"),
    [
        ({"audio_tower__layers__1__fc1__bias": None}, r"audio_tower\.layers\.1\.fc1\.bias \(64,\) is missing"),
        ({"multi_modal_projector__ln_mid__weight": None}, r"multi_modal_projector\.ln_mid\.weight \(10,\) is missing"),
        ({"multi_modal_projector__ln_post__weight": torch.ones(24)}, r"ln_post\.weight has no place"),
        ({"audio_tower__layers__2__fc1__bias": torch.ones(64)}, r"audio_tower\.layers\.2\.fc1\.bias has no place"),
        ({"decoder__bias": torch.ones(1)}, r"decoder\.bias, which is no part"),
        ({"audio_tower__x__lora_A__weight": torch.ones(1)}, "LoRA was not merged"),
        ({"audio_tower__conv1__bias": torch.ones(15)}, r"conv1\.bias has shape \(15,\), config.json asks for \(16,\)"),
        (
            {"multi_modal_projector__linear_1__weight": torch.ones(20, 64)},
            r"linear_1\.weight has shape \(20, 64\), config.json asks for \(20, 128\)",
        ),
        ({"audio_tower__conv1__bias": torch.ones(16, dtype=torch.int8)}, r"conv1\.bias is of type torch\.int8"),
    ],
)
def test_weights_that_do_not_fit(
    weights: dict[str, torch.Tensor], tensors: dict[str, torch.Tensor | None], wrong: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match=wrong):
        load(save_ultravox(tmp_path, changed(weights, **tensors)))


@pytest.mark.parametrize("ln_mid", [True, False])
def test_a_text_model_of_another_width(ln_mid: bool, tmp_path: Path) -> None:
    folder = save_ultravox(tmp_path, weights_of(ln_mid), projector_ln_mid=ln_mid)
    with pytest.raises(StudyError, match="made for a text model of width 24, the given one has 48"):
        load(folder, text_width=48)


def test_only_safetensors(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    save_ultravox(tmp_path, weights)
    (tmp_path / "model.safetensors").unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(StudyError, match=r"no model\.safetensors"):
        load(tmp_path)


def test_weights_of_the_text_model(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    assert not has_text_weights(save_ultravox(tmp_path / "without", weights))
    assert text_state_dict(tmp_path / "without") == {}
    norm = torch.arange(3.0)
    folder = save_ultravox(tmp_path / "with", weights | {"language_model.model.norm.weight": norm})
    assert has_text_weights(folder)
    assert text_state_dict(folder).keys() == {"model.norm.weight"}
    assert torch.equal(text_state_dict(folder)["model.norm.weight"], norm)
    assert load(folder).state_dict().keys() == weights.keys()


@pytest.mark.parametrize(
    ("config", "wrong"),
    [
        ({"projector_act": "gelu"}, "'gelu' is not supported, only 'swiglu'"),
        ({"num_projector_layers": 2}, "transformer layers is not supported"),
        ({"llm_only_training": True}, "no audio part"),
        ({"hidden_size": 21}, "hidden_size 21 is odd"),
        ({"stack_factor": 0}, "stack_factor: "),
        ({"audio_latency_block_size": -1}, "audio_latency_block_size: "),
        ({"audio_config": {"model_type": "wav2vec2"}}, "'wav2vec2' is not supported"),
    ],
)
def test_configs_that_are_not_supported(config: dict[str, Any], wrong: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=rf"config\.json.*{wrong}"):
        read_settings(save_ultravox(tmp_path, **config))


def test_fields_of_a_published_config(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="does not exist"):
        read_settings(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "ultravox", "vocab_size": 128256, "torch_dtype": "bfloat16"}')
    assert read_settings(tmp_path) == UltravoxSettings()
    plain = UltravoxSettings()
    assert (plain.hidden_size, plain.stack_factor, plain.norm_init, plain.projector_ln_mid) == (4096, 8, 0.4, False)
    assert (plain.connector, plain.tower_config(), plain.audio_latency_block_size) == (None, None, None)


def test_another_connector_is_built_by_its_own_module(monkeypatch: pytest.MonkeyPatch) -> None:
    from cascade_equivalence.models.speech_llm import connector

    made = torch.nn.Identity()
    asked: list[tuple[object, ...]] = []
    monkeypatch.setattr(connector, "build", lambda *given: asked.append(given) or made)
    assert build_connector(UltravoxSettings(connector={"kind": "other"}), 16, 24) is made
    assert asked == [({"kind": "other"}, 16, 24)]
    assert isinstance(build_connector(UltravoxSettings(), 16, 24), UltravoxProjector)


def test_names_go_there_and_back(base_folder: Path) -> None:
    model = WhisperForConditionalGeneration.from_pretrained(base_folder)
    for name in model.model.state_dict():
        renamed = rename_transformers(f"model.{name}")
        assert renamed is not None
        assert rename_openai(renamed) == name


def test_an_encoder_from_either_layout(base_folder: Path, tmp_path: Path) -> None:
    weights, shape = encoder_weights(base_folder)
    model = WhisperForConditionalGeneration.from_pretrained(base_folder)
    original = model.model.encoder.state_dict()
    assert weights.keys() == original.keys()
    assert all(torch.equal(weights[name], original[name]) for name in original)
    assert shape.items() <= model.config.to_dict().items()
    names = {rename_transformers(name): tensor.numpy() for name, tensor in model.state_dict().items()}
    dimensions = {"n_mels": 80, "n_audio_ctx": 100, "n_audio_state": 16, "n_audio_head": 2, "n_audio_layer": 2}
    write_weights({name: value for name, value in names.items() if name}, dimensions, tmp_path / "whisper.safetensors")
    again, other_shape = encoder_weights(tmp_path)
    assert other_shape == shape
    assert again.keys() == original.keys()
    assert all(torch.equal(again[name], original[name]) for name in original)
