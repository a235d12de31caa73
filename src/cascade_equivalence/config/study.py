"""The typed config: one study, as the user writes it."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from cascade_equivalence.config.api import ApiConfig, ApiSpec
from cascade_equivalence.config.augmented import AugmentedSpec
from cascade_equivalence.config.base import Closed
from cascade_equivalence.config.conflict import ConflictConfig
from cascade_equivalence.config.dataset import DatasetSpec
from cascade_equivalence.config.imported import ImportedSpec
from cascade_equivalence.config.mechanism import MechanismConfig
from cascade_equivalence.config.names import Label, Name, NewTokens, TaskName
from cascade_equivalence.config.paper import PaperConfig
from cascade_equivalence.config.sources import ModelSpec, with_parts_of_bases
from cascade_equivalence.config.speech import NoiseConfig, SpeechConfig, VoiceSpec
from cascade_equivalence.config.statistics import ContrastSpec, PairSpec, StatisticsConfig
from cascade_equivalence.config.surplus import SurplusConfig
from cascade_equivalence.config.training import ConnectorSpec
from cascade_equivalence.config.voice_training import VoiceAdapterSpec


class Shot(Closed):
    """One worked example shown before the question, the same in every arm."""

    speech: str = Field(description="What the speaker of the example says (always as text).")
    options: list[str] = Field(default=[], description="Answer options, for the tasks that have them.")
    answer: str = Field(description="The answer the example gives.")


ItemField = Literal["id", "text", "label", "group", "options", "aliases", "audio", "voice", "speaker"]


class TaskSpec(Closed):
    """How one task is asked."""

    prompt: str = Field(
        description="User turn; `{speech}` stands for the transcript or the audio, `{options}` for lettered options."
    )
    shots: list[Shot] = Field(default=[], description="Few-shot examples, as earlier turns of the same conversation.")
    label_words: dict[str, str] = Field(
        default={}, description="Label: the word the answer uses for it, where that differs from the label."
    )
    answer_prefix: str = Field(
        default="", description="Words every answer begins with, in the examples too; the model continues them."
    )
    max_new_tokens: NewTokens = Field(default=8, description="Longest answer, in tokens of the backbone.")
    paraphrase: str | None = Field(
        default=None,
        description="The prompt in other words, with the same labels, for `statistics.repeats`.",
    )

    items: Path | None = Field(
        default=None,
        description="For a task of your own: the file of its items (CSV, JSON lines, JSON or Parquet) with the columns "
        "text and label and, where wanted, id, group, options, aliases and audio.",
    )
    dataset: DatasetSpec | None = Field(
        default=None, description="For a task of your own: a data set of the Hugging Face hub, in place of `items`."
    )
    columns: dict[ItemField, str] = Field(
        default={},
        description="Of your own file or data set: names of its columns, where they are others. `speaker` and `voice` "
        "are read where they are named.",
    )
    labels: list[Label] = Field(
        default=[],
        description="Of your own task: the closed set of labels, or the letters of its options; empty where answers "
        "are free.",
    )
    title: str = Field(default="", description="Of your own task: what a reader sees; empty for its name.")
    text_sufficient: bool = Field(
        default=True, description="Of your own task: whether its words hold all that the label depends on."
    )

    voices: list[Name] = Field(
        default=[],
        description="Voices that speak this task's items, in place of `speech.voices`: recordings of them, say.",
    )

    def asked(self) -> dict[str, Any]:
        """All that an answer depends on: not the paraphrase, with which only a system that is asked again is asked."""
        beside = {"paraphrase", "items", "dataset", "columns", "title", "text_sufficient", "voices"}
        return self.model_dump(mode="json", exclude=beside if self.labels else {*beside, "labels"})

    def read_as(self) -> dict[str, Any]:
        """How the user's own file or data set is read."""
        also = {"dataset"} if self.dataset is not None else set()
        return self.model_dump(mode="json", include={"columns", "labels"} | also)

    @property
    def is_own(self) -> bool:
        """Whether it is a task of the user's own."""
        return self.items is not None or self.dataset is not None


ORACLE = "oracle"
"""The ASR that makes no mistakes: it gives the text that was spoken."""
PRIOR = "prior"
"""The ASR that hears nothing: its transcripts are empty, and what is answered is the prompt's own."""
GIVEN = {ORACLE: "the text that was spoken", PRIOR: "no text at all"}
"""What a cascade can read without a recogniser, and what each is."""
LOGS = "logs"
RESERVED = {**GIVEN, LOGS: "the folder of the logs beside the models"}
"""Names that no model can have, and what each stands for."""
LENS = "+lens"
"""Behind a speech LLM's name: the text that its logit lens shows, as a source of transcripts."""


class CascadeSpec(Closed):
    """A system that transcribes and then asks a text LLM."""

    kind: Literal["cascade"] = Field(description="An ASR followed by a text LLM.")
    asr: Name = Field(
        description="Model that transcribes: an ASR; a speech LLM, for its own transcription; `oracle`, for the text "
        "that was spoken; or `prior`, for no text at all: what the prompt alone is answered."
    )
    llm: Name = Field(
        description="Model that answers, the backbone: a text LLM; or a speech LLM, for its own text LLM (the "
        "own-weights cascade)."
    )


class E2ESpec(Closed):
    """A speech LLM that answers from the audio."""

    kind: Literal["e2e"] = Field(description="A speech LLM that hears the audio itself.")
    model: Name = Field(description="The speech LLM.")


class ImplicitSpec(Closed):
    """The text LLM of a speech LLM, reading the text that shows at the audio positions of its last layer."""

    kind: Literal["implicit"] = Field(description="A speech LLM's own text LLM reading what its logit lens shows.")
    model: Name = Field(description="The speech LLM.")

    @property
    def asr(self) -> str:
        """Where its transcripts come from, as a name in paths."""
        return f"{self.model}{LENS}"

    @property
    def llm(self) -> str:
        """What answers."""
        return self.model


SystemSpec = Annotated[
    CascadeSpec | AugmentedSpec | E2ESpec | ImplicitSpec | ApiSpec | ImportedSpec, Field(discriminator="kind")
]
Typed: TypeAlias = CascadeSpec | AugmentedSpec
"""Systems whose entry names a source of transcripts and the text LLM that reads them."""
ByItself: TypeAlias = E2ESpec | ApiSpec | ImportedSpec
"""Systems that read no transcript of the study's."""
Elsewhere: TypeAlias = ApiSpec | ImportedSpec
"""Systems whose weights are not here."""


class ItemsConfig(Closed):
    """Which items are asked."""

    source: Literal["demo", "published"] = Field(
        default="published", description="`demo`: the project's own items; `published`: the real sets' own files."
    )
    folder: Path | None = Field(
        default=None,
        description="Your own folder with the published sets, one sub-folder a task; null fetches them from their "
        "sources (resources/sets.yaml).",
    )
    sets_folder: Path = Field(
        default=Path("results/sets"), description="Folder for fetched sets and their recordings; studies may share it."
    )
    complete: bool = Field(
        default=True, description="Whether each set must be complete, as published; false accepts a part of it."
    )
    per_task: PositiveInt | dict[TaskName, PositiveInt] = Field(
        default=1000, description="Items a task: one number, or one a task. Fewer are used where a set has fewer."
    )
    max_words: PositiveInt | dict[TaskName, PositiveInt] = Field(
        default=60,
        description="Longer texts are left out (spoken, they outlast Whisper's window): one number, or one a task.",
    )
    seed: NonNegativeInt = Field(default=0, description="Seed of the sample.")


class TranscribeConfig(Closed):
    """How speech becomes text. Greedy, English."""

    engine: Literal["openai-whisper", "faster-whisper", "hybrid", "auto"] = Field(
        default="openai-whisper",
        description="`openai-whisper` (torch), `faster-whisper` (CTranslate2), `hybrid`: the encoder in torch, the "
        "decoder in CTranslate2; or `auto`: the fastest on the processor that plans the study, chosen once a study. "
        "Engines do not write quite the same.",
    )
    window: Literal["whole", "clip"] = Field(
        default="whole",
        description="What Whisper hears at once: 30 s, as it was trained, or with `clip` the clip and some silence, "
        "and 30 s where the transcript is doubtful: faster for short clips, and some transcripts are others.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16", "int8"] = Field(
        default="auto", description="Arithmetic; `auto` takes the fastest that the processor has."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto` takes a GPU where there is one.")
    batch_size: PositiveInt = Field(default=16, description="Clips a batch.")
    max_new_tokens: NewTokens = Field(default=224, description="Longest transcript, in tokens.")


WIDEST_KEPT = 2048
"""Width of a text LLM up to which what is heard for it is kept, unless the study says otherwise."""


class AnswerConfig(Closed):
    """How a text LLM answers. Greedy; a checkpoint's own sampling defaults are overridden."""

    mode: Literal["generate", "forced_choice"] = Field(
        default="generate", description="Free answer and parser, or the label with the highest log-likelihood."
    )
    engine: Literal["transformers", "vllm"] = Field(
        default="transformers",
        description="What runs the text LLMs of cascades: `transformers`, or `vllm` where that is installed "
        "(requirements/vllm.txt). What looks inside models stays on transformers.",
    )
    speech_engine: Literal["transformers", "vllm"] = Field(
        default="transformers",
        description="What runs speech LLMs: `transformers`, or `vllm` for free answers of those that it has. Compare "
        "both first: `cascade-equivalence engines`.",
    )
    system_prompt: str = Field(default="", description="System prompt of every system; empty sends none.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="Arithmetic; `auto` takes bfloat16 where the processor has it."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="`auto` takes a GPU where there is one.")
    batch_size: PositiveInt = Field(default=16, description="Prompts a batch.")
    keep_heard: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether what a speech LLM's audio tower and connector make of a clip is kept in the store, so "
        "that each clip is heard once; `auto` keeps it where the text LLM is at most 2048 wide. It changes no answer.",
    )
    shares: dict[Name, PositiveInt] = Field(
        default={},
        description="Systems whose answers to many clips are split over so many jobs, each with a GPU of its own. It "
        "changes no answer.",
    )

    def deciding(self, *without: str) -> dict[str, Any]:
        """The settings that answers depend on, whatever runs the model, for the parameters of a node.

        Args:
            without: Settings that the node has no use for.
        """
        changing_nothing = {"batch_size", "engine", "speech_engine", "keep_heard", "shares"}
        return self.model_dump(mode="json", exclude={*changing_nothing, *without})

    def keeps_heard(self, width: float) -> bool:
        """Whether what a speech LLM with a text LLM of some width hears is kept."""
        return self.keep_heard == "always" or (self.keep_heard == "auto" and width <= WIDEST_KEPT)


def _unreserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"{name!r} stands for {RESERVED[name]}; give the model another name")
    return name


ModelName = Annotated[Name, AfterValidator(_unreserved)]


class Definitions(Closed):
    """What a study can choose from; a registry file holds these keys at its top level."""

    models: dict[ModelName, ModelSpec] = Field(default={}, description="Weights, by name.")
    systems: dict[Name, SystemSpec] = Field(default={}, description="Systems, by name.")
    voices: dict[Name, VoiceSpec] = Field(default={}, description="Voices, by name.")
    tasks: dict[TaskName, TaskSpec] = Field(default={}, description="How each task is asked.")
    connectors: dict[Name, ConnectorSpec] = Field(default={}, description="Connectors to train, by name.")
    adapters: dict[Name, VoiceAdapterSpec] = Field(default={}, description="Voice adapters to train, by name.")

    @model_validator(mode="after")
    def _adapters_hear_as_their_base(self) -> Self:
        self.models.update(with_parts_of_bases(self.models))
        return self


class StudyConfig(Closed):
    """One study: what is asked, of whom, in which voices and noise."""

    registry: list[Path] = Field(
        default=[], description="Files that define models, systems, voices and task prompts; later ones win."
    )
    plugins: list[Path] = Field(
        default=[], description="Python files of your own that add tasks, noise kinds, concepts and the like."
    )
    results: Path = Field(default=Path("results"), description="Folder for everything the study makes.")
    models_folder: Path = Field(default=Path("results/models"), description="Folder for resolved weights.")
    tasks: list[TaskName] = Field(
        min_length=1,
        description="Tasks to run: a list of names, or names with the entry of a task of your own behind them.",
    )
    systems: list[Name] = Field(min_length=1, description="Systems to run.")
    pairs: list[PairSpec] = Field(default=[], description="Systems to compare.")
    contrasts: list[ContrastSpec] = Field(
        default=[], description="Differences between the agreements of one system with two references."
    )
    items: ItemsConfig = Field(default=ItemsConfig(), description="Which items are asked.")
    speech: SpeechConfig = Field(description="Which voices speak.")
    noise: NoiseConfig = Field(default=NoiseConfig(), description="Noise conditions beside `clean`.")
    transcribe: TranscribeConfig = Field(default=TranscribeConfig(), description="How speech becomes text.")
    answer: AnswerConfig = Field(default=AnswerConfig(), description="How text LLMs answer.")
    api: ApiConfig = Field(default=ApiConfig(), description="How systems behind an API are used.")
    connectors: list[Name] = Field(
        default=[], description="Connectors that the target `train_connector` trains; no other target needs them."
    )
    adapters: list[Name] = Field(
        default=[], description="Voice adapters that the target `train_adapter` trains; no other target needs them."
    )
    statistics: StatisticsConfig = Field(default=StatisticsConfig(), description="How agreement is judged.")
    surplus: SurplusConfig = Field(default=SurplusConfig(), description="What the audio tells beyond the transcript.")
    conflict: ConflictConfig = Field(
        default=ConflictConfig(), description="Which of two texts an answer follows, one heard and one typed."
    )
    paper: PaperConfig | None = Field(
        default=None, description="What of the study stands beside the paper's numbers; null compares with none."
    )
    mechanism: MechanismConfig | None = Field(
        default=None, description="Models to open, and how; null leaves them closed."
    )
    definitions: Definitions = Field(default=Definitions(), description="Further definitions, over the registry's.")
