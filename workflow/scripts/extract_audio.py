"""Make one recording an item from the archive of a published set."""

from pathlib import Path

from cascade_equivalence.jobs.script import node
from cascade_equivalence.resources import RESOURCES

with node(snakemake) as study:
    from cascade_equivalence.speech.set_recordings import extract_recordings
    from cascade_equivalence.tasks.registry import get_task
    from cascade_equivalence.tasks.sources.checks import load_set
    from cascade_equivalence.tasks.sources.fetch import read_archive
    from cascade_equivalence.tasks.sources.resources import read_resources

    task, items = snakemake.wildcards.task, study.config.items
    known = read_resources(task, RESOURCES)
    assert known.pin.recordings is not None
    loaded = load_set(get_task(task), study.sets_folder, known.pin.expected, known.exclusions, complete=items.complete)
    recordings = extract_recordings(
        task,
        [item.id for item in loaded.items],
        read_archive(Path(snakemake.input.archive)),
        known.pin.recordings,
        known.exclusions,
        Path(snakemake.output.manifest).parents[1],
        study.config.speech.max_seconds,
    )
    print(f"{len(recordings)} recordings of {task}, {sum(one.seconds for one in recordings.values()) / 3600:.2f} hours")
