"""Measures the peak memory of nodes that hear or make clips, over the number of clips in their file.

    python benchmarks/memory.py

Each measurement is a process of its own, which does what the node does: reads the clips, asks the models, writes
the table. The models have random weights and a width of 16: what is left is what a clip costs beside a model. Clips are
noise, so that FLAC cannot make them smaller and none of them is answered from the store; what speaks draws them. Peaks
are the kernel's (`VmHWM`). Clips are heard in the order of their lengths: where these differ, the last hundreds of many
are longer than of few.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

OF = {"task": "sst2", "voice": "us", "condition": "clean"}
MEGA = 1e6


def make_clips(count: int, shortest: float, longest: float, voice: str = "us") -> Iterator:
    """Noise of some lengths, each clip another."""
    import numpy as np

    from cascade_equivalence.speech.clips import Clip, hash_audio
    from cascade_equivalence.speech.waveform import SAMPLING_RATE, encode_flac

    for number in range(count):
        draws = np.random.default_rng([number, len(voice)])
        seconds = draws.uniform(shortest, longest)
        flac = encode_flac(draws.uniform(-0.5, 0.5, int(seconds * SAMPLING_RATE)).astype(np.float32))
        text = f"a film of no interest to anybody at all, take {number}"
        yield Clip(f"{voice}-{number}", voice, flac, SAMPLING_RATE, seconds, "noise", text, hash_audio(flac))


def write(folder: Path, count: int, shortest: float, longest: float) -> None:
    """The clip file and the models."""
    from tiny_models import build_all

    from cascade_equivalence.speech.clips import write_clips

    write_clips(make_clips(count, shortest, longest), folder / "clips.parquet", OF)
    write_clips(make_clips(count, shortest, longest, "other"), folder / "pool.parquet", OF)
    if not (folder / "models").exists():
        build_all(folder / "models")


def transcribe(folder: Path) -> None:
    """A recogniser's node."""
    from cascade_equivalence.config.study import TranscribeConfig
    from cascade_equivalence.models.transcription.run import transcribe_recordings
    from cascade_equivalence.models.transcription.table import recordings, write_transcripts
    from cascade_equivalence.speech.clips import read_clips

    clips = read_clips(folder / "clips.parquet")
    config = TranscribeConfig(device="cpu", dtype="float32", window="clip", max_new_tokens=8)
    weights = folder / "models" / "whisper-a"
    found = transcribe_recordings(recordings(clips), weights, "random", config, folder / "store.jsonl", "clips")
    write_transcripts(clips, found, folder / "transcripts.parquet", OF)


def answer(folder: Path) -> None:
    """A speech LLM's node."""
    from cascade_equivalence.config.study import AnswerConfig
    from cascade_equivalence.models.answering import answer_questions
    from cascade_equivalence.models.question import ModelFiles, SpeechFiles
    from cascade_equivalence.speech.clips import read_clips

    clips = read_clips(folder / "clips.parquet")
    config = AnswerConfig(device="cpu", dtype="float32")
    models = folder / "models"
    files = ModelFiles(models / "llama-a", "random", True, SpeechFiles(models / "speech-a", "random"))
    answer_questions(_questions(clips), files, config, 4, folder / "store.jsonl", "clips")


def implicit(folder: Path) -> None:
    """The node that reads a speech LLM's implicit transcripts."""
    from cascade_equivalence.config.study import AnswerConfig
    from cascade_equivalence.mechanism.implicit import implicit_texts
    from cascade_equivalence.models.question import ModelFiles, SpeechFiles
    from cascade_equivalence.speech.clips import read_clips

    clips = read_clips(folder / "clips.parquet")
    models = folder / "models"
    files = ModelFiles(models / "llama-a", "random", True, SpeechFiles(models / "speech-a", "random"))
    config = AnswerConfig(device="cpu", dtype="float32")
    implicit_texts(_questions(clips), files, config, folder / "store.jsonl", "clips")


def synthesize(folder: Path) -> None:
    """The node that speaks, in a voice that draws noise."""
    from contextlib import nullcontext
    from shutil import rmtree
    from typing import Literal

    import numpy as np
    import pyarrow.parquet as pq

    from cascade_equivalence.config.names import VOICES
    from cascade_equivalence.config.speech import Voice
    from cascade_equivalence.speech.clips import write_clips
    from cascade_equivalence.speech.make import make_clips as spoken
    from cascade_equivalence.speech.provider import VoiceProvider
    from cascade_equivalence.speech.synthesize import Utterance
    from cascade_equivalence.speech.waveform import SAMPLING_RATE

    class Drawn(Voice):
        provider: Literal["drawn"]

    class Speaker:
        name = "drawn"

        def identity(self) -> str:
            return "drawn"

        def speak(self, text: str, style: str | None) -> np.ndarray:
            draws = np.random.default_rng(lengths[text][0])
            return draws.uniform(-0.5, 0.5, int(lengths[text][1] * SAMPLING_RATE)).astype(np.float32)

    VOICES.add(VoiceProvider(name="drawn", spec=Drawn, open=lambda *_: nullcontext(Speaker())))
    table = pq.read_table(folder / "clips.parquet", columns=["text", "seconds"]).to_pylist()
    lengths = {row["text"]: (number, row["seconds"]) for number, row in enumerate(table)}
    items = [Utterance(str(number), text) for text, (number, _) in lengths.items()]
    rmtree(folder / "speech", ignore_errors=True)
    made = spoken(items, "sst2", "us", Drawn(provider="drawn"), 30.0, folder / "speech", 1)
    write_clips(made, folder / "made.parquet", OF)


def noise(folder: Path) -> None:
    """The node that mixes babble, out of as many clips of another voice."""
    from cascade_equivalence.conditions import parse_condition
    from cascade_equivalence.config.speech import NoiseConfig
    from cascade_equivalence.speech.clips import read_clips, write_clips
    from cascade_equivalence.speech.kinds import make_condition

    clean, pool = (read_clips(folder / f"{name}.parquet") for name in ("clips", "pool"))
    made = make_condition(clean, "sst2", parse_condition("snr10"), NoiseConfig(snr_db=[10]), pool)
    write_clips(made, folder / "made.parquet", OF)


def silence(folder: Path) -> None:
    """The node that silences clips."""
    from cascade_equivalence.speech.clips import read_clips, write_clips
    from cascade_equivalence.speech.silence import silenced

    write_clips(silenced(read_clips(folder / "clips.parquet")), folder / "made.parquet", OF)


def _questions(clips: list) -> list:
    from cascade_equivalence.models.question import Question
    from cascade_equivalence.models.transcription.table import recordings
    from cascade_equivalence.vocabulary import AUDIO_PLACEHOLDER

    turn = {"role": "user", "content": f"Is the review positive or negative?\n{AUDIO_PLACEHOLDER}"}
    return [Question((turn,), "", {}, recording) for recording in recordings(clips)]


NODES: dict[str, Callable[[Path], None]] = {
    node.__name__: node for node in (transcribe, answer, implicit, synthesize, noise, silence)
}


def measure(node: str, folder: Path) -> tuple[float, float]:
    """Peak memory in MB and seconds of a node in a process of its own."""
    (folder / "store.jsonl").unlink(missing_ok=True)
    command = [sys.executable, __file__, "--node", node, "--folder", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    peak, seconds = done.stdout.split()[-2:]
    return float(peak), float(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--seconds", type=float, nargs=2, default=[4.0, 4.0], help="shortest and longest clip")
    parser.add_argument("--nodes", nargs="+", choices=NODES, default=list(NODES))
    parser.add_argument("--node", choices=NODES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.node:
        import torch

        torch.set_num_threads(1)
        began = time.process_time()
        NODES[arguments.node](arguments.folder)
        # `ru_maxrss` would begin with that of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="ascii")
        peak = int(status.partition("VmHWM:")[2].split()[0]) * 1024 / MEGA
        print(peak, time.process_time() - began)
        return
    print("| node | clips | MB of FLAC | peak, MB | of the first | CPU-s |\n|---|---:|---:|---:|---:|---:|")
    with TemporaryDirectory() as scratch:
        first: dict[str, float] = {}
        for count in arguments.clips:
            write(Path(scratch), count, *arguments.seconds)
            size = Path(scratch, "clips.parquet").stat().st_size / MEGA
            for node in arguments.nodes:
                peak, seconds = measure(node, Path(scratch))
                share = peak / first.setdefault(node, peak)
                print(f"| {node} | {count:,} | {size:,.0f} | {peak:,.0f} | {share:.2f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
