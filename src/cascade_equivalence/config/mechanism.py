"""The section `mechanism`: states, probes, logit lens, erasure (paper sections 3.4 and 5)."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, field_validator

from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.names import ConceptName, Draws, Name, TaskName

ControlName = Literal["random", "principal"]
"""What is drawn for each concept, at each layer as many directions as its eraser takes away: `random` ones, or random
ones among principal components that carry as much variance (`principal`)."""
DRAWN: tuple[str, ...] = get_args(ControlName)
"""Controls that are drawn."""
RANDOM: ControlName = "random"
"""The control that steering draws on, too."""
WordPosition = Literal["words", "first_half", "second_half", "words_reversed"]
"""Where states are exchanged at words: all, the first half (rounded up), the others; or all, each with another's."""
WORD_POSITIONS: tuple[str, ...] = get_args(WordPosition)
"""The same, as values."""
BASELINE = "none"
"""The condition in which nothing is erased."""
LINEAR, AFFINE = "linear", "affine"
"""The variants of LEACE: the affine one adds back the share of the mean that the linear one takes away."""
UNTRAINED = "@untrained"
"""Behind the name of an opened model: the same with the weights of its blocks shuffled."""


class StatesConfig(Closed):
    """Which utterances the models are watched on."""

    tasks: list[TaskName] = Field(
        default=["ag_news", "sst2", "commonsense_qa", "trivia_qa"],
        validate_default=False,
        description="Tasks whose items are heard.",
    )
    per_task: int = Field(
        default=250, ge=2, description="Items a task, of which some train and some test; fewer where it has fewer."
    )
    voices: list[Name] = Field(
        default=[], description="Voices that take turns, one an item; empty for all voices of the study."
    )
    every_voice: bool = Field(
        default=False,
        description="Hear each item in every voice instead, so that voices are compared on the same texts: of recorded "
        "and synthetic speech the table `recorded_inside`.",
    )
    positions: Literal["audio", "all"] = Field(
        default="audio",
        description="Keep the states where the sound stands in the prompt, or all of the prompt's own. Of all, the "
        "lens reads both.",
    )
    batch_size: PositiveInt = Field(default=16, description="Clips a forward pass.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto` takes a GPU where there is one.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the sample, of its split and of untrained weights.")


class CtcConfig(Closed):
    """The per-frame character classifier, trained with connectionist temporal classification."""

    characters: PositiveInt = Field(default=48, description="Characters of the alphabet, the commonest first.")
    epochs: PositiveInt = Field(default=40, description="Most passes over the training utterances.")
    patience: PositiveInt = Field(default=5, description="Passes without a better validation loss before it ends.")
    learning_rate: PositiveFloat = Field(
        default=3e-2, description="AdamW's learning rate; frames are scaled so that it means the same at any width."
    )
    weight_decay: float = Field(default=1e-2, ge=0, description="AdamW's weight decay.")
    batch_size: PositiveInt = Field(default=32, description="Utterances a step.")
    upsample: PositiveInt = Field(
        default=1, description="Outputs of a frame; more make the loss feasible where frames are fewer than characters."
    )


class ProbesConfig(Closed):
    """What is read out of the states by linear maps."""

    test_share: float = Field(default=0.2, gt=0, lt=1, description="Share of the items that only test.")
    penalties: list[PositiveFloat] = Field(
        default=[10.0**power for power in range(-2, 7)],
        min_length=1,
        description="Ridge penalties to choose from, on standardised states.",
    )
    folds: Annotated[int, Field(ge=2)] = Field(default=5, description="Inner folds that choose the penalty.")
    shuffles: Draws = Field(default=5, description="Probes trained on shuffled targets, for the selectivity.")
    pitch_low: PositiveFloat = Field(default=65.0, description="Lowest pitch in Hz.")
    pitch_high: PositiveFloat = Field(default=400.0, description="Highest pitch in Hz.")
    ctc: CtcConfig = Field(default=CtcConfig(), description="The CTC probe.")
    upsample: dict[Name, PositiveInt] = Field(
        default={},
        description="By model, its CTC probe's outputs a frame where they are not `ctc.upsample`: frame rates differ.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of folds, shuffles and the CTC probe.")


class LensConfig(Closed):
    """What the model's own unembedding makes of its states."""

    multiset: bool = Field(
        default=False, description="Count a token only as often as the reference has it, rather than every time."
    )
    shuffles: Draws = Field(default=20, description="Pairings with other transcripts, for the chance level.")
    top: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="Likeliest tokens of each state among which the words are looked for, too."
    )
    ranks: bool = Field(
        default=False,
        description="Rank each spoken word among all tokens, at its best state: where text emerges, finer.",
    )
    tuned: bool = Field(default=False, description="Train an affine map for each layer beside it (the tuned lens).")
    tuned_steps: PositiveInt = Field(default=250, description="Steps of the tuned lens.")
    seed: NonNegativeInt = Field(default=0, description="Seed of pairings and of the tuned lens.")


class ErasureConfig(Closed):
    """What happens to the answers when a concept is erased from the states (LEACE)."""

    concepts: list[ConceptName] = Field(
        default=["proxy", "ctc", "boc", "acoustic", "permuted"],
        validate_default=False,
        description="Concepts, and the first word with its labels shuffled.",
    )
    controls: list[ControlName] = Field(
        default=["random", "principal"],
        description="Directions drawn for each concept, at each layer as many as its eraser takes away: any, or some "
        "that carry as much variance.",
    )
    tasks: list[TaskName] = Field(
        default=["ag_news", "sst2", "commonsense_qa", "meld", "mustard"],
        validate_default=False,
        description="Tasks to answer.",
    )
    per_task: PositiveInt = Field(default=1000, description="Items a task, all in one voice.")
    voice: Name | None = Field(
        default=None, description="Voice of the items; the first one that speaks the task by default."
    )
    affine: list[bool] = Field(
        default=[False, True],
        min_length=1,
        description="False takes a concept's share of the mean away with it, as in the paper; true keeps the mean.",
    )
    positions: list[Literal["all", "audio"]] = Field(
        default=["all"], min_length=1, description="Where it is erased: everywhere, or only where the sound stands."
    )
    pooling: Literal["frame", "utterance"] = Field(
        default="frame",
        description="States that erasers are fitted on: single frames, each with its utterance's label (one covariance "
        "for all concepts), or an utterance's mean (the CTC concept is always on frames).",
    )
    seeds: Draws = Field(default=20, description="Draws of each control of each concept.")
    ctc_labels: Literal["first", "union", "each"] = Field(
        default="first",
        description="What a frame is labelled with where the CTC probe puts out several characters a frame: the first "
        "one (one label a frame, as in the paper), the set of all, or each in columns of its own.",
    )
    text_arm: bool = Field(default=True, description="Also erase while the model reads the true text, as a control.")
    shrinkage: bool = Field(default=True, description="Shrink the covariance: optimally, linearly (arXiv:1308.2608).")
    tolerance: PositiveFloat = Field(default=0.01, description="Smallest singular value that counts (`svd_tol`).")
    variance_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Of concepts found by variance: share of it that the erased directions hold.",
    )
    variance_seeds: Draws = Field(
        default=5, description="Draws of each control of a concept that is found by variance."
    )
    proxy_classes: PositiveInt | None = Field(
        default=None, description="Keep this many first words; by default every one that occurs twice."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of items, shuffled labels and random directions.")

    @field_validator("concepts", mode="before")
    @classmethod
    def _controls_stand_apart(cls, concepts: Any) -> Any:
        """Tell whoever lists a drawn control as a concept where it stands."""
        drawn = [name for name in concepts if name in DRAWN] if isinstance(concepts, list) else []
        if drawn:
            raise ValueError(f"{drawn[0]!r} is drawn for each concept: list it under `controls` instead")
        return concepts


class PatchingConfig(Closed):
    """How far an answer follows states that are put into another run (activation patching)."""

    tasks: list[TaskName] = Field(
        default=["ag_news", "sst2"],
        min_length=1,
        validate_default=False,
        description="Tasks with a closed label set whose prompts go on behind the speech.",
    )
    per_task: int = Field(
        default=200,
        ge=2,
        description="Pairs of items with different labels a task, each way round counted; of an odd number one less.",
    )
    voice: Name | None = Field(
        default=None, description="Voice of the items; the first one that speaks the task by default."
    )
    positions: list[Literal["behind", "last", WordPosition]] = Field(
        default=["behind", "last", "words"],
        min_length=1,
        description="Where states are exchanged: at the tokens behind the speech that all prompts of the task end in, "
        "at the last one alone, at the words, at one half of them, or, as a control, at the words in reverse order.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the pairs.")


class SimilarityConfig(Closed):
    """How alike states are of the same words heard and read; of the utterances of `states`."""

    shuffles: Draws = Field(default=5, description="Pairings with the words of other utterances, for chance.")
    seed: NonNegativeInt = Field(default=0, description="Seed of the pairings.")


class AttributionsConfig(Closed):
    """What each spoken word is to an answer, in what is heard and in what is read (leave-one-word-out)."""

    tasks: list[TaskName] = Field(
        default=["ag_news", "sst2"],
        min_length=1,
        validate_default=False,
        description="Tasks with a closed label set.",
    )
    per_task: PositiveInt = Field(default=60, description="Items a task, all in one voice.")
    voice: Name | None = Field(
        default=None, description="Voice of the items; the first one that speaks the task by default."
    )
    asr: Name = Field(description="Recogniser of one of the study's cascades, whose transcripts the text arm reads.")
    timing: Name | None = Field(
        default=None,
        description="Whisper model whose cross-attention says when each word is spoken; `asr` by default.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the items, and of what they are held against.")


class CurvedConfig(Closed):
    """Probes with a hidden layer beside linear ones, before and after LEACE; of the utterances of `states`."""

    hidden: PositiveInt = Field(default=32, description="Width of the hidden layer.")
    folds: Annotated[int, Field(ge=2)] = Field(default=5, description="Folds of whole texts, each judged once.")
    epochs: PositiveInt = Field(default=200, description="Most passes over the training utterances.")
    patience: PositiveInt = Field(default=20, description="Passes without a better validation loss before it ends.")
    shuffles: Draws = Field(default=5, description="Probes of shuffled labels beside each.")
    seed: NonNegativeInt = Field(default=0, description="Seed of folds, shuffles and weights.")


class SteeringConfig(Closed):
    """What answers become where states are moved along a direction, or kept from a concept at a single layer."""

    tasks: list[TaskName] = Field(
        default=["sst2", "meld"],
        min_length=1,
        validate_default=False,
        description="Tasks with a closed label set: some that words tell, some that the voice tells.",
    )
    per_task: PositiveInt = Field(default=60, description="Items a task that are answered, all in one voice.")
    fit: PositiveInt = Field(
        default=32,
        description="Clips that the direction is fitted on, of a sixth of the texts, which are not answered.",
    )
    voice: Name | None = Field(
        default=None, description="Voice of the items; the first one that speaks the task by default."
    )
    strengths: list[Annotated[float, Field(ge=-10, le=10)]] = Field(
        default=[-1, -0.5, 0.5, 1],
        min_length=1,
        description="How far states are moved from silence towards speech; 1 is the whole difference of the two.",
    )
    positions: list[Literal["audio", "all"]] = Field(
        default=["audio"], min_length=1, description="Where: where the sound stands, or everywhere."
    )
    draws: NonNegativeInt = Field(
        default=3,
        le=100,
        description="Random directions as long, or random erasers of the same rank, beside each change.",
    )
    concepts: list[ConceptName] = Field(
        default=[],
        description="Concepts of `mechanism.erasure` that are erased at one layer at a time, by rank.",
    )
    ranks: list[NonNegativeInt] = Field(
        default=[1, 2, 4, 8], description="How many first directions of a concept are erased; and always all of them."
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of items and random directions.")


class MechanismConfig(Closed):
    """Models to open, and how."""

    models: list[Name] = Field(min_length=1, description="Speech LLMs, and ASRs (Whisper) as a control.")
    layers: dict[Name, list[NonNegativeInt]] = Field(
        default={},
        description="Blocks of a model, by name, counted from 0; by default up to nine, evenly spread, and the last.",
    )
    untrained: bool = Field(default=True, description="Probe each model with untrained blocks, too, as a baseline.")
    states: StatesConfig = Field(default=StatesConfig(), description="Which utterances the models are watched on.")
    probes: ProbesConfig = Field(default=ProbesConfig(), description="What is read out of the states.")
    lens: LensConfig = Field(default=LensConfig(), description="What the model's own unembedding makes of them.")
    erasure: ErasureConfig | None = Field(default=ErasureConfig(), description="What erasing concepts does.")
    patching: PatchingConfig | None = Field(
        default=None, description="How far answers follow states that were heard, and states that were read."
    )
    similarity: SimilarityConfig | None = Field(
        default=None, description="How alike states are of the same words heard and read."
    )
    attributions: AttributionsConfig | None = Field(
        default=None, description="What each spoken word is to an answer, in what is heard and in what is read."
    )
    steering: SteeringConfig | None = Field(
        default=None, description="What answers become where states are moved along a direction."
    )
    curved: CurvedConfig | None = Field(
        default=None, description="What probes that are not linear read, before and after a concept is erased."
    )

    def of_tasks(self) -> dict[str, Any]:
        """The parts that are there, name tasks, and can be left out, by their keys."""
        parts = {name: getattr(self, name) for name in type(self).model_fields if name != "states"}
        return {name: part for name, part in parts.items() if hasattr(part, "tasks")}
