"""The logit lens shows at the last block what the model itself says there, and finds the words that were planted."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tiny_llm import byte_level_tokenizer, save_gemma, save_llama
from transformers import AutoModelForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM, GraniteConfig, GraniteForCausalLM

from cascade_equivalence.config.mechanism import LensConfig
from cascade_equivalence.errors import StudyError
from cascade_equivalence.mechanism import lens as lens_module
from cascade_equivalence.mechanism.hooks import watched
from cascade_equivalence.mechanism.lens import Unembedding, open_unembedding
from cascade_equivalence.mechanism.lens_node import audio_frames, lens_layer, training_split
from cascade_equivalence.mechanism.states import INDEX, StatesWriter
from cascade_equivalence.models.rows import common_prefix
from cascade_equivalence.models.text_llm import TextLLM

torch.set_num_threads(1)

SHARED = "Read the news story and name its topic.\nStory:"
PROMPTS = [f"{SHARED} {end}" for end in ("A dog ran over the long bridge.", "Paris.", "The hosts reached the final.")]
TEXTS = [
    "The goalkeeper saved two penalties",
    "A dog ran over the long bridge",
    "What is the capital city",
    "the hosts reached the cup final",
    "name the topic: sports or politics",
    "You are a helpful assistant",
    "technology business",
    "the answer is London",
]
TESTED = [False] * 6 + [True] * 2


def save_granite(folder: Path) -> Path:
    """A model that divides its logits."""
    tokenizer = byte_level_tokenizer()
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    torch.manual_seed(0)
    config = GraniteConfig(
        vocab_size=len(tokenizer), logits_scaling=3.0, embedding_multiplier=2.0, initializer_range=0.3, **shape
    )
    GraniteForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SAVE: dict[str, Callable[[Path], Path]] = {
    "llama": lambda folder: save_llama(folder, byte_level_tokenizer()),
    "softcap": lambda folder: save_gemma(folder, byte_level_tokenizer(), 512, final_logit_softcapping=20.0),
    "scale": save_granite,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models by kind. Their norms are not the identity on what is normed: taken twice, they would be noticed."""
    made = {}
    for name, save in SAVE.items():
        folder = save(tmp_path_factory.mktemp(name))
        model = AutoModelForCausalLM.from_pretrained(folder)
        with torch.no_grad():
            model.model.norm.weight.copy_(torch.rand(model.model.norm.weight.shape) + 0.5)
        model.save_pretrained(folder)
        made[name] = folder
    return made


@pytest.fixture(params=sorted(SAVE))
def folder(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def run(text: TextLLM, rows: list[list[int]], prefix: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The last block's output, the model's own logits and the mask of what is not padding, of the newest columns."""
    ids, mask, cache = text.start(rows, prefix, text.prefix_cache(rows[0][:prefix]))
    positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, prefix:]
    blocks, kept = list(text.model.get_decoder().layers), {}
    with torch.no_grad(), watched(blocks, [len(blocks) - 1], kept.__setitem__):
        logits = text.model(ids, attention_mask=mask, position_ids=positions, past_key_values=cache).logits
    return kept[len(blocks) - 1], logits, mask[:, prefix:].bool()


@pytest.mark.parametrize("shared", [False, True])
def test_at_the_last_block_it_is_the_models_own_distribution(folder: Path, shared: bool) -> None:
    text = TextLLM(folder, "cpu", torch.float32, chat=True)
    rows = [text.tokenize(prompt) for prompt in PROMPTS]
    prefix = common_prefix(rows) if shared else 0
    assert (prefix > 0) == shared
    states, logits, own = run(text, rows, prefix)
    # Shorter rows read the end of the shared prefix again, where they have no padding.
    assert shared or not own.all()
    alone = torch.cat([text.model(torch.tensor([row])).logits[0, -own.shape[1] :] for row in rows]).detach()
    for lens in (Unembedding(text.model), open_unembedding(folder, "cpu", torch.float32)):
        found = lens.logits(states[own])
        torch.testing.assert_close(found, logits[own], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found, alone, rtol=1e-4, atol=1e-4)
        assert torch.equal(lens.tokens(states[own]), found.argmax(-1))
        assert not torch.allclose(lens.logits(lens.norm(states[own])), found, rtol=1e-2, atol=1e-2)


def test_the_model_stays_as_it_was(folders: dict[str, Path]) -> None:
    model = AutoModelForCausalLM.from_pretrained(folders["llama"])
    ids, decoder = torch.tensor([[5, 6, 7]]), model.model
    before = model(ids).logits
    Unembedding(model).logits(torch.randn(4, 64))
    assert model.model is decoder and torch.equal(model(ids).logits, before)


def test_blocks_are_not_read(folder: Path) -> None:
    lens = open_unembedding(folder, "cpu", torch.float32)
    weights = list(lens._rest.parameters())
    assert sum(weight.numel() for weight in weights) == (lens.vocabulary + 1) * lens.width
    assert not any(weight.requires_grad for weight in weights)


def test_chunks_change_nothing(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    lens, states = open_unembedding(folders["llama"], "cpu", torch.float32), torch.randn(23, 64)
    whole = lens.tokens(states)
    for rows in (1, 5, 22):
        monkeypatch.setattr(lens_module, "BYTES_AT_ONCE", rows * lens.vocabulary * 4)
        assert lens.frames_at_once == rows
        assert torch.equal(lens.tokens(states), whole)
    assert lens.tokens(states[:0]).shape == (0,)


def test_near_ties_are_decided_in_float32(folders: dict[str, Path]) -> None:
    lens, states = open_unembedding(folders["llama"], "cpu", torch.bfloat16), torch.randn(2000, 64)
    normed = lens.norm(states.bfloat16()).float()
    exact = (normed @ lens.head.weight.float().T).argmax(-1)
    assert torch.equal(lens.tokens(states), exact)
    assert not torch.equal(lens.logits(states).argmax(-1), exact)


def test_the_likeliest_tokens_begin_with_the_first_and_are_those_of_the_logits(folders: dict[str, Path]) -> None:
    lens, states = open_unembedding(folders["llama"], "cpu", torch.float32), torch.randn(40, 64)
    for count in (1, 5, 20, lens.vocabulary, lens.vocabulary + 5):
        found = lens.likeliest(states, count)
        assert torch.equal(found[:, 0], lens.tokens(states))
        expected = lens.logits(states).topk(min(count, lens.vocabulary)).indices
        assert torch.equal(found.sort().values, expected.sort().values)
    assert lens.likeliest(states[:0], 7).shape == (0, 7)


def test_numbers_that_overflow_are_refused(folders: dict[str, Path]) -> None:
    lens = open_unembedding(folders["llama"], "cpu", torch.float32)
    with pytest.raises(StudyError, match="not finite"):
        lens.tokens(torch.full((2, 64), torch.nan))


def test_a_decoder_of_another_kind_is_refused() -> None:
    shape = {"vocab_size": 20, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    with pytest.raises(StudyError, match="final norm of GPTNeoXForCausalLM was not found"):
        Unembedding(GPTNeoXForCausalLM(GPTNeoXConfig(num_attention_heads=2, **shape)))


class Planted:
    """A layer at whose audio positions the lens shows the words that were spoken, and one that hides them."""

    def __init__(self, text_folder: Path, folder: Path, *, around: bool = True) -> None:
        torch.manual_seed(0)
        self.text_folder, self.folder = text_folder, folder
        head = open_unembedding(text_folder, "cpu", torch.float32).head.weight
        norm = open_unembedding(text_folder, "cpu", torch.float32).norm.weight
        tokenizer = byte_level_tokenizer()
        turn = torch.linalg.qr(torch.randn(64, 64)).Q
        rows: list[dict[str, Any]] = []
        path = {name: folder / f"{name}.safetensors" for name in ("shown", "hidden")}
        with (
            StatesWriter(path["shown"], 64, torch.float32, {}) as shown,
            StatesWriter(path["hidden"], 64, torch.float32, {}) as hidden,
        ):
            for place, text in enumerate(TEXTS):
                said = tokenizer(f" {text}")["input_ids"]
                # What stands around the sound is not to be looked at.
                before, behind = (tokenizer(" other words of a prompt")["input_ids"], [6]) if around else ([], [])
                tokens = torch.tensor([*before, *said, *behind])
                states = 20 * head[tokens] / norm + 0.5 * torch.randn(len(tokens), 64)
                shown.add(states)
                hidden.add(states @ turn + 3)
                counts = {"frames": len(tokens), "audio_start": len(before), "audio_frames": len(said)}
                rows.append({"utterance": place, "task": "t", "id": f"i{place}", "voice": "v", "start": 0} | counts)
        self.index = pl.DataFrame(rows, schema=INDEX).with_columns(start=pl.col("frames").cum_sum() - pl.col("frames"))
        self.index.write_parquet(folder / "index.parquet")
        split = ["test" if test else "train" for test in TESTED]
        self.spoken = self.index.select("task", "id", "voice").with_columns(
            text=pl.Series(TEXTS), split=pl.Series(split)
        )
        self.spoken.write_parquet(folder / "utterances.parquet")

    def read(self, layer: str, **config: Any) -> pl.DataFrame:
        paths = (self.folder / f"{layer}.safetensors", self.folder / "shown.safetensors", self.folder / "index.parquet")
        target, settings = self.folder / "lens" / "layer.parquet", LensConfig(**config)
        utterances = self.folder / "utterances.parquet"
        lens_layer(*paths, utterances, self.text_folder, settings, target, {"layer": 3}, "lens", "cpu", "float32")
        return pl.read_parquet(target)


@pytest.fixture(scope="module")
def planted(folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Planted:
    return Planted(folders["llama"], tmp_path_factory.mktemp("planted"))


@pytest.mark.parametrize("multiset", [False, True])
def test_words_that_were_planted_are_found(planted: Planted, multiset: bool) -> None:
    table = planted.read("shown", multiset=multiset)
    assert table["utterance"].to_list() == table["said"].to_list() == list(range(len(TEXTS)))
    assert set(table["voice"]) == {"v"}
    assert table["text"].to_list() == TEXTS
    assert set(table["precision"]) == set(table["recall"]) == {1.0}
    assert table["kept"].to_list() == table["tokens"].list.len().to_list()
    assert table["chance_precision"].max() < 0.5 and table["chance_recall"].max() < 0.5
    assert not any(name.startswith("tuned") for name in table.columns)


def test_the_more_tokens_count_the_more_words_are_found_and_by_chance_too(planted: Planted) -> None:
    """All of the vocabulary is all that could be said; the first of each state is what precision and recall look at."""
    size = open_unembedding(planted.text_folder, "cpu", torch.float32).vocabulary
    tables = [planted.read("hidden", top=top) for top in (1, 10, 100, min(size, 1000))]
    for name in ("top_recall", "chance_top_recall"):
        values = [table[name].to_list() for table in tables]
        assert all(a <= b for fewer, more in pairwise(values) for a, b in zip(fewer, more, strict=True))
        assert size > 1000 or set(values[-1]) == {1.0}
    assert tables[0]["top_recall"].to_list() == tables[0]["recall"].to_list()
    assert tables[0]["chance_top_recall"].to_list() == tables[0]["chance_recall"].to_list()
    assert tables[1]["top"].unique().to_list() == [10]
    assert set(planted.read("shown")["top_recall"]) == {1.0}


def test_words_that_are_hidden_are_not_found_but_by_the_tuned_lens(planted: Planted) -> None:
    table = planted.read("hidden", tuned=True, tuned_steps=150)
    assert table["recall"].mean() < 0.2
    # Of the training split, which it has learnt, nothing is told.
    trained = table.filter(~pl.Series(TESTED))
    for name in ("text", "precision", "recall"):
        assert trained[f"tuned_{name}"].null_count() == trained.height > 0
    tested = table.filter(pl.Series(TESTED))
    assert tested["tuned_text"].null_count() == 0 and tested["tuned_recall"].mean() > tested["recall"].mean()
    assert table.equals(planted.read("hidden", tuned=True, tuned_steps=150))


def test_the_tuned_lens_of_the_last_layer_is_the_lens(planted: Planted) -> None:
    table = planted.read("shown", tuned=True)
    tested = table.filter(pl.Series(TESTED))
    for name in ("text", "precision", "recall"):
        assert tested[f"tuned_{name}"].to_list() == tested[name].to_list()


def test_all_positions_are_read_where_their_states_were_kept(planted: Planted, tmp_path: Path) -> None:
    table = planted.read("shown")
    # Whatever stands around the words cannot take one away, and adds to what is shown.
    assert table["all_recall"].to_list() == table["recall"].to_list()
    assert (table["all_precision"] < table["precision"]).all()

    alone = Planted(planted.text_folder, tmp_path, around=False)
    assert not [name for name in alone.read("shown").columns if name.startswith("all_")]


def test_pairings_are_shared_by_layers_and_follow_the_seed(planted: Planted) -> None:
    tables = [planted.read("shown", seed=seed, shuffles=2) for seed in (0, 0, 1)]
    assert tables[0].equals(tables[1]) and not tables[0].equals(tables[2])


def test_audio_frames_are_those_of_the_index(planted: Planted) -> None:
    expected = np.concatenate(
        [
            [row["audio_start"] <= n < row["audio_start"] + row["audio_frames"] for n in range(row["frames"])]
            for row in planted.index.iter_rows(named=True)
        ]
    )
    assert np.array_equal(audio_frames(planted.index), expected)
    assert audio_frames(planted.index.head(0)).shape == (0,)


def test_states_of_other_utterances_are_refused(planted: Planted, tmp_path: Path) -> None:
    for changed in (planted.spoken.reverse(), planted.spoken.head(3)):
        changed.write_parquet(tmp_path / "u.parquet")
        shown, index = (planted.folder / name for name in ("shown.safetensors", "index.parquet"))
        with pytest.raises(StudyError, match="other utterances"):
            others = tmp_path / "u.parquet"
            lens_layer(shown, shown, index, others, planted.text_folder, LensConfig(), tmp_path / "l", {}, "l", "cpu")
    assert not (tmp_path / "l").exists()


def test_states_of_another_model_are_refused(planted: Planted, folders: dict[str, Path], tmp_path: Path) -> None:
    shown, index = (planted.folder / name for name in ("shown.safetensors", "index.parquet"))
    with pytest.raises(StudyError, match="width 64"):
        lens_layer(shown, shown, index, planted.folder, folders["scale"], LensConfig(), tmp_path / "l", {}, "l", "cpu")


def spoken(ids: Sequence[str], split: Sequence[str]) -> pl.DataFrame:
    names = {"task": ["t"] * len(ids), "id": list(ids), "split": list(split)}
    return pl.DataFrame(names, schema=dict.fromkeys(names, pl.String))


def test_validation_shares_no_item_with_training() -> None:
    table = spoken([f"i{n // 2}" for n in range(60)], ["train"] * 40 + ["test"] * 20)
    train, validation = training_split(table, 0)
    assert not (train & validation).any() and (train | validation).tolist() == [True] * 40 + [False] * 20
    assert not set(table["id"].filter(train)) & set(table["id"].filter(validation))
    assert validation.sum() == 4
    assert not np.array_equal(validation, training_split(table, 1)[1])


def test_one_training_item_is_too_few(planted: Planted) -> None:
    for ids in ([], ["a"], ["a", "a"]):
        assert not training_split(spoken(ids, ["train"] * len(ids)), 0)[1].any()
    assert [part.sum() for part in training_split(spoken("ab", ["train"] * 2), 0)] == [1, 1]
