"""The opened models as a graph: paths, inputs and what each node depends on."""

import re
from typing import Any

from cascade_equivalence.config.layers import spread_layers
from cascade_equivalence.config.mechanism import BASELINE, ErasureConfig, MechanismConfig, ProbesConfig
from cascade_equivalence.config.names import CONCEPTS
from cascade_equivalence.dag.fingerprint import code_fingerprint, code_of
from cascade_equivalence.dag.training import TrainingNodes

UNTRAINED = "@untrained"
"""Behind a model's name: the same with the weights of its blocks shuffled."""


class MechanismNodes(TrainingNodes):
    """Nodes of the models that a study opens."""

    @property
    def mechanism(self) -> MechanismConfig:
        """The section of the config."""
        assert self.config.mechanism is not None
        return self.config.mechanism

    @property
    def erasure(self) -> ErasureConfig:
        """The section on erasure."""
        assert self.mechanism.erasure is not None
        return self.mechanism.erasure

    # -- what there is ------------------------------------------------------------------------------------------------

    def opened(self) -> list[str]:
        """Models that are opened, each with its untrained twin where one is asked for."""
        twins = ("", UNTRAINED) if self.mechanism.untrained else ("",)
        return [f"{model}{twin}" for model in self.mechanism.models for twin in twins]

    def original(self, opened: str) -> str:
        """The model behind an opened one, which may be its untrained twin."""
        return opened.removesuffix(UNTRAINED)

    def opened_speech_llms(self) -> list[str]:
        """Speech LLMs that are opened."""
        return [model for model in self.mechanism.models if self.is_speech_llm(model)]

    def layers_of(self, opened: str) -> list[int]:
        """Layers of an opened model that are looked at."""
        model = self.original(opened)
        blocks = self.model(self.text_model(model)).blocks
        return sorted(self.mechanism.layers.get(model) or spread_layers(blocks or 1))

    def opened_models(self, opened: str) -> list[str]:
        """Models that must be there: of a speech LLM its text LLM, then what hears."""
        return self.transcribing_models(self.original(opened))

    def state_voices(self, task: str) -> list[str]:
        """Voices that take turns in a task."""
        return list(self.mechanism.states.voices) or self.voices_of(task)

    def erased_voice(self, task: str) -> str:
        """The one voice in which a task is answered under erasure."""
        return self.erasure.voice or self.voices_of(task)[0]

    def concepts(self) -> list[str]:
        """Conditions of erasure, the one without any first."""
        return [BASELINE, *self.erasure.concepts]

    def variants(self, concept: str) -> dict[bool, int]:
        """Ways in which a concept is erased, while the model hears (True) and while it reads the true text (False)."""
        erasure = self.erasure
        forms = 1 if concept == BASELINE else len(erasure.affine)
        # Draws of controls are answered from audio only.
        places = ["all"] if concept == BASELINE else erasure.positions
        reading = forms if erasure.text_arm and "all" in places else 0
        return {True: (forms + self.draws(concept)) * len(places), False: reading}

    def draws(self, concept: str) -> int:
        """Draws of all controls of a concept."""
        matched = concept != BASELINE and CONCEPTS.find(concept).matched
        return len(self.erasure.controls) * self.erasure.seeds if matched else 0

    def rule_name(self, rule: str, model: str) -> str:
        """Name of the rule that serves one model."""
        return f"{rule}_{re.sub(r'[^A-Za-z0-9]', '_', model)}"

    def gpus_of_states(self) -> int:
        """GPUs that capturing states asks the scheduler for."""
        return 0 if self.mechanism.states.device == "cpu" else 1

    # -- paths --------------------------------------------------------------------------------------------------------

    def utterances(self) -> str:
        """The utterances that models are watched on."""
        return f"{self.results}/mechanism/utterances.parquet"

    def states(self, opened: str, layer: int) -> str:
        """States of one layer."""
        return f"{self.results}/states/{opened}/layer{layer}.safetensors"

    def all_states(self, opened: str) -> list[str]:
        """States of all layers of an opened model."""
        return [self.states(opened, layer) for layer in self.layers_of(opened)]

    def states_index(self, opened: str) -> str:
        """Index of an opened model's states."""
        return f"{self.results}/states/{opened}/index.parquet"

    def probe(self, opened: str, layer: int, kind: str = "json") -> str:
        """What probes find in a layer; ``safetensors``: its CTC probe."""
        return f"{self.results}/probes/{opened}/layer{layer}.{kind}"

    def lens(self, model: str, layer: int) -> str:
        """What the logit lens shows of a layer."""
        return f"{self.results}/lens/{model}/layer{layer}.parquet"

    def moments(self, model: str, layer: int) -> str:
        """Mean and covariance of a layer's states."""
        return f"{self.results}/moments/{model}/layer{layer}.safetensors"

    def eraser(self, model: str, concept: str, layer: int) -> str:
        """Erasers of a concept at one layer."""
        return f"{self.results}/erasers/{model}/{concept}/layer{layer}.safetensors"

    def eraser_summary(self, model: str, concept: str) -> str:
        """What the erasers of a concept take away."""
        return f"{self.results}/erasers/{model}/{concept}/summary.json"

    def erased(self, model: str, concept: str, task: str) -> str:
        """Answers of a model while a concept is erased."""
        return f"{self.results}/erasure/{model}/{concept}/{task}.parquet"

    # -- inputs -------------------------------------------------------------------------------------------------------

    def state_clips(self) -> list[str]:
        """Speech that the utterances are drawn from."""
        return [self.clips(task, voice) for task in self.mechanism.states.tasks for voice in self.state_voices(task)]

    def state_items(self) -> list[str]:
        """Items that the utterances speak."""
        return [self.items(task) for task in self.mechanism.states.tasks]

    def opened_manifests(self, opened: str) -> list[str]:
        """Manifests of what an opened model needs."""
        return [self.manifest(model) for model in self.opened_models(opened)]

    def all_moments(self, model: str) -> list[str]:
        """Moments of all layers of a model."""
        return [self.moments(model, layer) for layer in self.layers_of(model)]

    def all_ctc_probes(self, model: str) -> list[str]:
        """CTC probes of all layers of a model."""
        return [self.probe(model, layer, "safetensors") for layer in self.layers_of(model)]

    def erasers_of(self, model: str, concept: str) -> list[str]:
        """Erasers that are at work in a condition, a file a layer."""
        return [] if concept == BASELINE else [self.eraser(model, concept, layer) for layer in self.layers_of(model)]

    def mechanism_files(self) -> dict[str, list[str]]:
        """Files that tables and figures are made of."""
        files: dict[str, list[str]] = {"probes": [], "lens": [], "erasers": [], "erasure": []}
        if self.config.mechanism is None:
            return files
        speech = self.opened_speech_llms()
        files["probes"] = [self.probe(name, layer) for name in self.opened() for layer in self.layers_of(name)]
        files["lens"] = [self.lens(model, layer) for model in speech for layer in self.layers_of(model)]
        if self.mechanism.erasure is not None:
            files["erasers"] = [
                self.eraser_summary(name, concept) for name in speech for concept in self.concepts()[1:]
            ]
            files["erasure"] = [
                self.erased(model, concept, task)
                for model in speech
                for concept in self.concepts()
                for task in self.erasure.tasks
            ]
        return files

    def all_mechanism(self) -> list[str]:
        """Everything that is found inside the opened models."""
        return [path for paths in self.mechanism_files().values() for path in paths]

    # -- what a node depends on ---------------------------------------------------------------------------------------

    def utterances_params(self) -> dict[str, Any]:
        """What the utterances and their acoustic targets depend on, beside the speech."""
        states, probes = self.mechanism.states, self.mechanism.probes
        return {
            "tasks": states.tasks,
            "per_task": states.per_task,
            "seed": states.seed,
            "test_share": probes.test_share,
            "pitch": [probes.pitch_low, probes.pitch_high],
            "code": code_fingerprint("utterances"),
        }

    def states_params(self, opened: str) -> dict[str, Any]:
        """What states depend on, beside weights and utterances."""
        model = self.original(opened)
        settings: dict[str, Any] = {
            "layers": self.layers_of(opened),
            "positions": self.mechanism.states.positions,
            "seed": self.mechanism.states.seed if opened != model else None,
            "code": code_fingerprint("states"),
        }
        if not self.is_speech_llm(model):
            return settings | {"dtype": self.config.transcribe.dtype, "model": code_fingerprint("transcribe")}
        prompts = {task: self.task(task).asked() for task in self.mechanism.states.tasks}
        return settings | {
            "dtype": self.config.answer.dtype,
            "system_prompt": self.config.answer.system_prompt,
            "prompts": prompts,
            "chat": self.model(self.text_model(model)).chat,
            "model": code_fingerprint("answer") + code_fingerprint("listen"),
        }

    def probes_of(self, opened: str) -> ProbesConfig:
        """How an opened model is probed."""
        probes = self.mechanism.probes
        outputs = probes.upsample.get(self.original(opened), probes.ctc.upsample)
        ctc = probes.ctc.model_copy(update={"upsample": outputs})
        return probes.model_copy(update={"ctc": ctc, "upsample": {}})

    def probe_params(self, opened: str) -> dict[str, Any]:
        """What probes depend on, beside states and utterances."""
        return self.probes_of(opened).model_dump(mode="json") | {"code": code_fingerprint("probes")}

    def lens_params(self, model: str) -> dict[str, Any]:
        """What the logit lens depends on, beside states and weights."""
        text = self.text_model(model)
        code = code_fingerprint("lens", *self.opened_by(text))
        return self.mechanism.lens.model_dump(mode="json") | {"chat": self.model(text).chat, "code": code}

    def implicit_params(self, asr: str, task: str) -> dict[str, Any]:
        """What implicit transcripts depend on, beside weights and speech."""
        return {
            "dtype": self.config.answer.dtype,
            "system_prompt": self.config.answer.system_prompt,
            "prompt": self.task(task).asked(),
            "chat": self.model(self.text_model(self.listener(asr))).chat,
            "code": "".join(map(code_fingerprint, ("implicit", "answer", "listen"))),
        }

    def moments_params(self) -> dict[str, Any]:
        """What moments depend on, beside the states."""
        return {"code": code_fingerprint("moments")}

    def eraser_params(self, concept: str) -> dict[str, Any]:
        """What a concept's erasers and controls depend on, beside states, moments and probes."""
        fields = {"affine", "pooling", "shrinkage", "tolerance", "proxy_classes", "seed"}
        erased = CONCEPTS.find(concept)
        fields |= erased.settings | ({"controls", "seeds"} if erased.matched else set())
        settings = self.erasure.model_dump(mode="json", include=fields)
        return settings | {"code": code_fingerprint("erasers", *CONCEPTS.files(concept))}

    def erased_params(self, model: str, concept: str, task: str) -> dict[str, Any]:
        """What answers under erasure depend on, beside weights, speech and erasers."""
        settings = self.erasure.model_dump(mode="json", include={"per_task", "positions", "text_arm", "seed"})
        return settings | {
            "answer": self.config.answer.model_dump(mode="json", exclude={"batch_size", "engine", "mode"}),
            "task": self.task(task).asked(),
            "chat": self.model(self.text_model(model)).chat,
            "code": code_fingerprint("erasure", *code_of(task))
            + code_fingerprint("answer")
            + code_fingerprint("listen"),
        }
