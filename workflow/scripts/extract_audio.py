"""Make one recording an item from the archive of a published set, or from the files of a data set."""

from pathlib import Path

from cascade_equivalence.jobs.script import node
from cascade_equivalence.resources import RESOURCES

with node(snakemake) as study:
    from cascade_equivalence.speech.dataset_clips import extract_clips
    from cascade_equivalence.speech.set_recordings import extract_recordings
    from cascade_equivalence.tasks.own import OwnTask
    from cascade_equivalence.tasks.registry import get_task
    from cascade_equivalence.tasks.sources.checks import load_set
    from cascade_equivalence.tasks.sources.fetch import read_archive
    from cascade_equivalence.tasks.sources.resources import read_resources

    name, items, manifest = snakemake.wildcards.task, study.config.items, Path(snakemake.output.manifest)
    task = get_task(name)
    if isinstance(task, OwnTask):
        print(f"{extract_clips(name, task.sounds(items.sets_folder), manifest)} recordings of {name}")
    else:
        known = read_resources(name, RESOURCES)
        assert known.pin.recordings is not None
        loaded = load_set(task, study.sets_folder, known.pin.expected, known.exclusions, complete=items.complete)
        recordings = extract_recordings(
            name,
            [item.id for item in loaded.items],
            read_archive(Path(snakemake.input.archive)),
            known.pin.recordings,
            known.exclusions,
            manifest.parents[1],
            study.config.speech.max_seconds,
        )
        hours = sum(one.seconds for one in recordings.values()) / 3600
        print(f"{len(recordings)} recordings of {name}, {hours:.2f} hours")
