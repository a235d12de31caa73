"""Draw the utterances that models are watched on, and measure their pitch and energy."""

from pathlib import Path

from cascade_equivalence import stages
from cascade_equivalence.jobs.processes import compile_anew
from cascade_equivalence.jobs.script import node

with node(snakemake) as study:
    compile_anew()

    from cascade_equivalence.nodes.utterances import write_utterances
    from cascade_equivalence.speech.clips import read_clips

    clips = iter(snakemake.input.clips)
    spoken = {
        task: [clip for _ in stages.utterances.voices(study, task) for clip in read_clips(Path(next(clips)))]
        for task in study.mechanism.states.tasks
    }
    voices = {task: stages.utterances.voices(study, task) for task in spoken}
    write_utterances(spoken, voices, study.mechanism, Path(snakemake.output.utterances))
