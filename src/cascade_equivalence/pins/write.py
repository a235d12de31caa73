"""Write what follows from the pins: locks, conda's files, the package's own requirements; ``make locks``."""

from pathlib import Path

from cascade_equivalence.files import write_text
from cascade_equivalence.pins.families import ADDED, RUN, Families, Family, read_families, read_pins
from cascade_equivalence.pins.lock import Lock, Pin, read_lock
from cascade_equivalence.pins.loose import write_loose
from cascade_equivalence.pins.resolve import LINUX, marker_of, resolve, without
from cascade_equivalence.resources import REPOSITORY

ENVIRONMENTS = REPOSITORY / "workflow" / "envs"
CPU_LOCK, RUN_LOCK, CUDA_LOCK = "cpu", "run", "cuda"
TITLES = {
    CPU_LOCK: "Builds for processors only; installed first, and where the package index has none, run.txt's are taken",
    RUN_LOCK: "What `make demo` installs: all that a study needs but the packages of torch for GPUs",
    CUDA_LOCK: "What torch needs beside run.txt on Linux unless its build is for processors only",
    "dev": "What the tests, the linters and the benchmarks need beside run.txt",
    "slurm": "What `snakemake --profile profiles/slurm` needs beside run.txt",
}
RESOLVED = (RUN_LOCK, CUDA_LOCK, "dev", "slurm")


def resolve_locks(sources: Families, upgrade: bool = False) -> dict[str, Lock]:
    """Resolve all pins anew, with the package index.

    Args:
        sources: The pins, and who needs which.
        upgrade: Take the newest versions of what the pins leave open, not those of the present locks.

    Returns:
        The locks, by name.

    Raises:
        StudyError: The pins cannot be resolved.
    """
    run = read_pins(sources.folder / RUN)
    groups = {RUN_LOCK: run}
    groups |= {Path(file).stem: run | read_pins(sources.folder / file) for file in ADDED}
    groups |= {family.name: family.pins for family in sources.families.values() if family.source == RUN}
    names = () if upgrade else RESOLVED
    shared = resolve(groups, sources.series, _versions(sources, *names), sources.sources)
    all_run = shared[RUN_LOCK]
    found = {
        CPU_LOCK: [Pin(name, build.version, (build.sha256,)) for name, build in sorted(sources.cpu.items())],
        RUN_LOCK: [pin for pin in all_run if not pin.of_cuda],
        CUDA_LOCK: [pin for pin in all_run if pin.of_cuda],
    }
    found |= {Path(file).stem: without(shared[Path(file).stem], all_run) for file in ADDED}
    # A change of what only the tests need leaves the lock of a study, which its records name, as it is.
    sources_of = {Path(file).stem: (RUN, file) for file in ADDED}
    locks = {name: _lock(TITLES[name], sources, these, *sources_of.get(name, ())) for name, these in found.items()}
    for family in sources.families.values():
        if family.source == RUN:
            pins = [pin for pin in shared[family.name] if not pin.of_cuda]
            locks[family.name] = _lock(family.title, sources, pins)
        else:
            # On its own: other versions, and only where such engines run.
            earlier = {} if upgrade else _versions(sources, family.name)
            alone = resolve({family.name: family.pins}, sources.series, earlier, sources.sources, (LINUX,))
            title = f"{family.title}; only for {marker_of(LINUX)}"
            locks[family.name] = _lock(title, sources, alone[family.name], family.source)
    return locks


def _versions(sources: Families, *names: str) -> dict[str, str]:
    """What locks that are there name, by package."""
    there = [path for name in names if (path := lock_path(sources, name)).is_file()]
    return {package: version for path in there for package, version in read_lock(path).versions.items()}


def _lock(title: str, sources: Families, pins: list[Pin], *files: str) -> Lock:
    return Lock(title, sources.digest(*(files or (RUN,))), tuple(pins))


def lock_path(sources: Families, name: str) -> Path:
    """Where a lock stands."""
    return sources.folder / "locks" / f"{name}.txt"


def conda_file(sources: Families, family: Family, lock: Lock) -> str:
    """The file from which conda makes an environment: every package of its lock, by version.

    Hashes are left to the lock, the packages of torch for GPUs to torch, whose builds ask for exact versions of them.
    """
    lines = [
        f"# {family.title}. Written by `make locks` from requirements/families.yaml;",
        f"# hashes of the same packages: requirements/locks/{family.name}.txt.",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        f"  - python={sources.python}",
        f"  - pip={sources.pip}",
        "  - pip:",
    ]
    lines += [f'      - "{pin.requirement}"' if pin.marker else f"      - {pin.requirement}" for pin in lock.pins]
    return "\n".join(lines) + "\n"


def write_environments(sources: Families, folder: Path = ENVIRONMENTS) -> None:
    """Write conda's files from the locks that are there."""
    for family in sources.families.values():
        write_text(
            folder / f"{family.name}.yaml", conda_file(sources, family, read_lock(lock_path(sources, family.name)))
        )


def write_locks(upgrade: bool = False) -> None:
    """Resolve, and write locks, conda's files, and what the installed package asks for.

    Raises:
        StudyError: The pins cannot be resolved.
    """
    sources = read_families()
    for name, lock in resolve_locks(sources, upgrade).items():
        path = lock_path(sources, name)
        path.parent.mkdir(exist_ok=True)
        before = read_lock(path).versions if path.is_file() else {}
        write_text(path, lock.text())
        changed = sorted(f"{package} {version}" for package, version in lock.versions.items() - before.items())
        print(f"{path.name}: {len(lock.pins)} packages" + (f"; now {', '.join(changed)}" if before and changed else ""))
    write_environments(sources)
    write_loose(sources)
