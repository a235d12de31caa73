"""Hashes of the source a stage runs, so that a node is made again when its code changes, and only then.

Snakemake's own code trigger sees a rule's script but not the modules it imports.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.models.architecture import ARCHITECTURES
from cascade_equivalence.stages.bare_code import bare_code

PACKAGE = Path(__file__).resolve().parent.parent

# What agreement nodes run; the rest of the package is for the report.
AGREEMENT = (
    *("accuracy", "agreement", "answers", "backbone", "bootstrap", "by_rows", "capa", "clustered", "compare"),
    *(
        "clusters",
        "contrast",
        "equivalence",
        "error_consistency",
        "errors",
        "indices",
        "induced",
        "intervals",
        "jackknife",
    ),
    *("join", "kappa_interval", "mcnemar", "numbers", "overlap", "overlap_permutation", "pair_statistic"),
    *("pair_statistics", "paired", "power", "statistic"),
    *("tango", "wilson"),
)

SHOWING = ("report/*.py", "stats/*.py", "speech/clips.py", "speech/waveform.py")
# To change a plot draws it anew, and no more: what else is known of figures is a parameter of the nodes that say it.
FIGURES = ("report/figures/*.py",)
ON_FIGURES = ("report/figures/drawing.py", "report/figures/figure.py")
# Modules that only make the paper's tables, only write the page.
PAPER = (
    *("!report/comparison*.py", "!report/latex.py", "!report/outcomes.py", "!report/paper_layout*.py"),
    *("!report/paper_numbers.py", "!report/paper_tables.py", "!report/claims_*.py", "!report/replication*.py"),
)
PAGE = (
    *("!report/verdict*.py", "!report/browser.py", "!report/card.py", "!report/decisions.py", "!report/expense.py"),
    *("!report/finding.py", "!report/grid.py", "!report/screen*.py"),
    *("!report/headline.py", "!report/html.py", "!report/prose.py", "!report/services.py"),
)

# Modules each stage depends on, as globs below the package; `!` takes modules away again. A node names its own further
# files (its task, its voice).
STAGES = {
    "resolve": (
        "models/sources/*.py",
        *("config/model_files.py", "models/architecture.py", "models/speech_llm/architectures.py"),
        "models/transcription/recognisers.py",
        *(f"models/{name}.py" for name in ("checkpoint", "ctranslate2_weights", "openai_whisper")),
    ),
    "items": (
        *(f"tasks/{name}.py" for name in ("base", "cleaning", "items", "prepare", "published", "sampling")),
        *(f"tasks/sources/{name}.py" for name in ("checks", "draw", "exclusions")),
    ),
    "fetch_set": tuple(f"tasks/sources/{name}.py" for name in ("fetch", "git", "hub")),
    # Of tasks that are read from a data set of the hub.
    "fetch_dataset": tuple(f"tasks/sources/dataset{part}.py" for part in ("", "_card")),
    "dataset_clips": (
        *(f"tasks/sources/dataset{part}.py" for part in ("", "_rows")),
        *("speech/dataset_clips.py", "tasks/cleaning.py"),
    ),
    "recordings": (
        *(f"tasks/{name}.py" for name in ("base", "cleaning", "items", "published")),
        *(f"tasks/sources/{name}.py" for name in ("archives", "checks", "exclusions")),
        *(f"speech/{name}.py" for name in ("audit", "set_recordings", "video_sound", "waveform")),
    ),
    "speech": tuple(f"speech/{name}.py" for name in ("audit", "clips", "make", "prosody", "synthesize", "waveform")),
    # A node names the modules of its own kind of noise.
    "noise": tuple(f"speech/{name}.py" for name in ("clips", "kinds", "noise", "sound_files", "waveform")),
    "silence": tuple(f"speech/{name}.py" for name in ("clips", "silence", "waveform")),
    "musan": tuple(f"tasks/sources/{name}.py" for name in ("archives", "http", "musan")),
    "transcribe": (
        *("models/transcription/*.py", "!models/transcription/outside.py"),
        *(f"models/{name}.py" for name in ("checkpoint", "ctranslate2_weights", "device", "openai_whisper")),
        "models/recording.py",
    ),
    "transcripts": (
        *(f"models/transcription/{name}.py" for name in ("answers", "table", "words")),
        "nodes/transcripts.py",
    ),
    "listen": (
        "models/speech_llm/*.py",
        *(f"models/{name}.py" for name in ("checkpoint", "ctranslate2_weights", "openai_whisper", "packing")),
    ),
    "answer": (
        *(f"models/{name}.py" for name in ("answering", "causal_lm", "device", "question", "recording", "rows")),
        *(f"models/{name}.py" for name in ("prompting", "reading", "rendering", "scoring", "stopping", "text_llm")),
        # What a text LLM inside a speech LLM's checkpoint is opened by.
        *("models/checkpoint.py", "models/architecture.py", "models/packing.py"),
        *("models/speech_llm/architectures.py", "models/speech_llm/*_text.py"),
        *(f"tasks/{name}.py" for name in ("base", "dress", "lead_in", "parsing", "prompts", "remarks")),
        "nodes/answers.py",
    ),
    # For the nodes of systems that are asked again, beside the stage answer.
    "answer_again": ("tasks/repeats.py", "nodes/retest.py"),
    # For the nodes whose LLM vLLM runs, beside the stage answer.
    "answer_vllm": tuple(f"models/{name}.py" for name in ("engines", "vllm_answers", "vllm_engine", "vllm_speech")),
    "answer_api": (
        *(f"models/api/{name}.py" for name in ("answers", "asking", "client_gemini", "client_openai", "costs")),
        *(f"models/api/{name}.py" for name in ("exchange", "records")),
        *(f"tasks/{name}.py" for name in ("base", "dress", "lead_in", "parsing", "prompts", "remarks")),
        *("nodes/answers.py", "nodes/api_answers.py"),
    ),
    "transcribe_api": (
        *(f"models/api/{name}.py" for name in ("answers", "asking", "client_transcription", "costs", "exchange")),
        "models/api/records.py",
        *(f"models/transcription/{name}.py" for name in ("answers", "table", "transcript", "words")),
        *("nodes/api_answers.py", "nodes/api_transcripts.py"),
    ),
    "answer_imported": (
        *(f"imported/{name}.py" for name in ("every_eval_ever", "format", "harness", "head", "inspect_log")),
        *(f"imported/{name}.py" for name in ("outside", "own", "plain", "read", "rows")),
        *(f"tasks/{name}.py" for name in ("base", "dress", "lead_in", "parsing", "remarks")),
        "nodes/imported_answers.py",
    ),
    "preflight": ("models/speech_llm/preflight.py",),
    "training_texts": (
        *("connector/texts.py", "connector/packages.py", "models/sources/package_index.py"),
        "tasks/cleaning.py",
    ),
    "training_shards": ("connector/shards.py", "connector/alignment.py", "models/speech_llm/audio_tower.py"),
    "training_frames": (
        *(f"connector/{name}.py" for name in ("clips", "export", "frames", "labels", "objective", "run")),
        "models/speech_llm/connector.py",
    ),
    "training_distil": ("connector/distil.py", "connector/evaluation.py", "connector/card.md", "models/text_llm.py"),
    "adapter_shards": (
        *("adapter/base.py", "adapter/clips.py", "adapter/draws.py", "adapter/plan.py"),
        *("speech/prosody.py", "speech/espeak_voice.py"),
        *(f"models/speech_llm/{name}.py" for name in ("audio_encoder", "audio_tower", "connector", "voice")),
    ),
    "adapter_training": (
        *(f"adapter/{name}.py" for name in ("asking", "export", "measure", "run", "train")),
        *("adapter/card.md", "models/speech_llm/voice.py", "models/speech_llm/voice_adapter.py", "models/text_llm.py"),
    ),
    "utterances": ("mechanism/utterances.py", "mechanism/acoustics.py", "nodes/utterances.py", "speech/clips.py"),
    "states": (*(f"mechanism/{name}.py" for name in ("capture", "hooks", "states")), "nodes/states.py"),
    "probes": (
        *(f"mechanism/{name}.py" for name in ("characters", "ctc", "probe_utterances", "probes", "ridge")),
        *(f"mechanism/{name}.py" for name in ("ridge_probes", "states")),
        *(f"stats/{name}.py" for name in ("clusters", "explained", "jackknife", "statistic")),
    ),
    "lens": tuple(
        f"mechanism/{name}.py" for name in ("bags", "lens", "lens_node", "states", "tuned_lens", "utterances")
    ),
    "implicit": tuple(f"mechanism/{name}.py" for name in ("bags", "hooks", "implicit", "lens")),
    "moments": tuple(f"mechanism/{name}.py" for name in ("leace", "moments", "states")),
    "erasers": (
        *(f"mechanism/{name}.py" for name in ("characters", "concept", "concepts", "controls")),
        *(f"mechanism/{name}.py" for name in ("ctc", "eraser_files", "erasers", "frame_labels", "held_out")),
        *(f"mechanism/{name}.py" for name in ("leace", "moments", "ridge", "states")),
        *(f"stats/{name}.py" for name in ("clusters", "explained", "jackknife", "statistic")),
    ),
    "erasure": (
        *(f"mechanism/{name}.py" for name in ("eraser_files", "erasure", "hooks", "leace", "utterances")),
        *(f"tasks/{name}.py" for name in ("base", "dress", "lead_in", "parsing", "remarks")),
        "nodes/erasure.py",
    ),
    "patching": (
        *(f"mechanism/{name}.py" for name in ("hooks", "patching", "utterances")),
        *(f"tasks/{name}.py" for name in ("base", "dress", "lead_in", "parsing", "remarks")),
        *("nodes/erasure.py", "nodes/patching.py"),
    ),
    "surplus": (
        *(f"mechanism/{name}.py" for name in ("acoustics", "surplus_features", "utterances")),
        *(f"stats/{name}.py" for name in ("clusters", "jackknife", "mean", "nested", "statistic", "surplus")),
        "nodes/surplus.py",
    ),
    "agree": tuple(f"stats/{name}.py" for name in AGREEMENT),
    "floor": tuple(f"stats/{name}.py" for name in (*AGREEMENT, "floor", "retest")),
    "tables": (*SHOWING, *PAPER, *PAGE),
    "paper": (*SHOWING, *ON_FIGURES, *PAGE),
    "figures": (*SHOWING, *FIGURES, *PAPER, *PAGE),
    "page": (
        *SHOWING,
        "report/templates/*",
        "nodes/provenance.py",
        "provenance/record.py",
        *ON_FIGURES,
    ),
}

MORE = {"listen": ARCHITECTURES}
"""Whose plugins a stage depends on as a whole: what a checkpoint is opened by shows only when it is there."""


def _without_prose(path: Path) -> str:
    """A module's code without comments, docstrings and layout, so that prose does not make anything run again."""
    text = path.read_text(encoding="utf-8")
    return bare_code(text) if path.suffix == ".py" else text


def files_of(patterns: Iterable[str], package: Path = PACKAGE) -> list[Path]:
    """Files of a stage, pattern by pattern.

    Args:
        patterns: Globs below the package; what follows a ``!`` is taken away.
        package: The package's folder.

    Raises:
        FileNotFoundError: A glob finds nothing: a module was renamed, and its changes would go unseen.
    """
    found: list[Path] = []
    gone: set[Path] = set()
    for pattern in patterns:
        paths = sorted(path for path in package.glob(pattern.removeprefix("!")) if path.is_file())
        if not paths:
            raise FileNotFoundError(f"{package} holds no {pattern}")
        if pattern.startswith("!"):
            gone.update(paths)
        else:
            found += paths
    return [path for path in found if path not in gone]


def code_of(task: str) -> tuple[str | Path, ...]:
    """What is particular to a task's code: its module, or the files of the plugin that it came with."""
    return TASKS.files(task) or (TASKS[task].module,)


def made_by(workflow: Path, deployment: Iterable[object], script: str, environment: str) -> dict[str, str | None]:
    """What a rule's nodes are made by, for its parameters: content counts, and not when a file was written.

    Args:
        workflow: The folder with ``scripts`` and ``envs``.
        deployment: How Snakemake deploys software.
        script: The rule's script, without its ending.
        environment: The rule's conda environment, without its ending.

    Returns:
        Hash of the script's code, comments and docstrings left out; hash of the environment where Snakemake makes it.
    """
    code = _without_prose(workflow / "scripts" / f"{script}.py")
    made = any(getattr(method, "name", "") == "CONDA" for method in deployment)
    file = workflow / "envs" / f"{environment}.yaml"
    return {
        "script": hashlib.sha256(code.encode()).hexdigest()[:16],
        "environment": hashlib.sha256(file.read_bytes()).hexdigest()[:16] if made else None,
    }


def code_fingerprint(stage: str, *extra: str | Path, package: Path = PACKAGE) -> str:
    """Hash the source of a stage.

    Args:
        stage: A key of ``STAGES``.
        extra: What is particular to one node: further globs below the package, and files of plugins.
        package: The package's folder.

    Returns:
        16 hexadecimal digits; comments, docstrings and layout do not change them.

    Raises:
        FileNotFoundError: A glob finds nothing: a module was renamed, and its changes would go unseen.
    """
    extra += MORE[stage].all_files() if stage in MORE else ()
    own = of_package(stage, tuple(glob for glob in extra if isinstance(glob, str)), package)
    plugins = [file for file in extra if isinstance(file, Path)]
    return _hash([own, *(f"{file.name}\0{_without_prose(file)}\0" for file in plugins)]) if plugins else own


@cache
def of_package(stage: str, extra: tuple[str, ...], package: Path) -> str:
    """The same of the package's modules, which do not change while it runs."""
    try:
        paths = files_of((*STAGES[stage], *extra), package)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}, which the stage {stage} is said to depend on") from None
    return _hash(f"{path.relative_to(package)}\0{_without_prose(path)}\0" for path in paths)


def _hash(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()[:16]
