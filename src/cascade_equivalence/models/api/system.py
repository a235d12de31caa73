"""Who is asked: a system behind an API, or the LLM or the recogniser of a cascade that an endpoint runs; its client."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cascade_equivalence.config.api import ApiConfig, ApiSpec
from cascade_equivalence.errors import StudyError
from cascade_equivalence.models.api.exchange import Client
from cascade_equivalence.models.api.ledger import Ledger
from cascade_equivalence.secrets import hidden

LEDGER = "ledger.jsonl"


@dataclass(frozen=True)
class ApiSystem:
    """A system behind an API, or a model behind an endpoint, in a study.

    Attributes:
        name: The system's name, or the recogniser's.
        spec: Its definition.
        config: How the study uses APIs.
        folder: Where the jobs of the study share the ledger and the limits; it outlives a run.
        role: What is asked: a speech LLM about clips, an LLM about texts, or a recogniser for transcripts.
    """

    name: str
    spec: ApiSpec
    config: ApiConfig
    folder: Path
    role: Literal["speech-llm", "llm", "asr"] = "speech-llm"

    def ledger(self) -> Ledger:
        """The study's account."""
        return Ledger(self.folder / LEDGER, self.config.budget, self.spec.currency)


def open_client(spec: ApiSpec, key: str, role: str = "speech-llm") -> Client:
    """The client of a spec's provider.

    Args:
        spec: Who is asked.
        key: The API key.
        role: What is asked, as :class:`ApiSystem` has it.

    Raises:
        StudyError: The environment's proxy is none.
    """
    import httpx2

    try:
        if spec.provider == "gemini":
            from cascade_equivalence.models.api.client_gemini import GeminiClient

            return GeminiClient(spec, key)
        if role == "asr":
            from cascade_equivalence.models.api.client_transcription import TranscriptionClient

            return TranscriptionClient(spec, key)
        from cascade_equivalence.models.api.client_openai import OpenAIClient

        return OpenAIClient(spec, key)
    except (ValueError, httpx2.InvalidURL) as error:
        # The error may quote the proxy's password.
        raise StudyError(
            f"{spec.endpoint} cannot be asked through the proxy of the environment ({hidden(error)}): correct "
            "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
        ) from None
