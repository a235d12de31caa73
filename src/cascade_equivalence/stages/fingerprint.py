"""Hashes of the code that a node runs, so that it is made again when that code changes, and only then.

Snakemake's own code trigger sees a rule's script but not the modules it imports. Here they are followed, as they stand
in the source: all that a script reaches counts, but for what is listed below with its reason, and what a node says
that it does not run.
"""

import hashlib
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from cascade_equivalence.config.names import TASKS
from cascade_equivalence.stages.bare_code import BareCode, bare_code

PACKAGE = Path(__file__).resolve().parent.parent

UNCOUNTED: Mapping[str, str] = {
    "the version": "__init__.py",
    "the words of a message are in no result": "errors.py hub_errors.py progress.py secrets.py",
    "it writes or finds what it is given": "files.py hub_files.py identity.py registry.py",
    "it keeps records under keys that others decide": "models/store.py speech/store.py",
    "it orders the names in a header; what is read is the same": "models/tensor_files.py",
    "what it says are parameters of the nodes": "conditions.py config/* resources/* stages/* "
    "tasks/sources/pins.py tasks/sources/resources.py",
    "where and when a script runs": "jobs/*",
    "each node counts the one thing that it names": "tasks/registry.py speech/voices/registry.py "
    "speech/noise_kinds/registry.py speech/provider.py speech/noise_kinds/base.py",
    "when and whether a question is asked decides no answer": "models/api/ending.py models/api/failures.py "
    "models/api/keys.py models/api/ledger.py models/api/limits.py",
}
"""Why modules decide no result, and which, as globs below the package; nor does what is reached through them alone."""
COUNTED_BY: Mapping[str, tuple[str, str]] = {
    "models/sources/*": ("resolve_model *_texts", "others read manifests, and know what they fetch by its hash"),
    "tasks/parsing.py": ("answer*", "how answers are read is in no item and no clip"),
    "report/figures/registry.py": ("draw_figures", "to change a plot draws it anew, and no more"),
    "report/templates/*": ("write_report", "its words and looks are in no table"),
}
"""The same of all scripts but some, by glob: those, and why the others do not count it."""
_EVERYWHERE = tuple(glob for globs in UNCOUNTED.values() for glob in globs.split())


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
    made = any(getattr(method, "name", "") == "CONDA" for method in deployment)
    file = workflow / "envs" / f"{environment}.yaml"
    return {
        "script": _read(workflow / "scripts" / f"{script}.py").code[:16],
        "environment": hashlib.sha256(file.read_bytes()).hexdigest()[:16] if made else None,
    }


def code_fingerprint(script: str, *own: str | Path, without: Iterable[str] = (), package: Path = PACKAGE) -> str:
    """Hash the code of the package that a node runs.

    Args:
        script: The script of the node's rule, without its ending.
        own: What is particular to the node: globs below the package, and files of plugins.
        without: Globs of what the script imports and the node does not run.
        package: The package's folder, the scripts' beside it.

    Returns:
        16 hexadecimal digits; comments, docstrings and layout do not change them.

    Raises:
        FileNotFoundError: A glob finds nothing: a module was renamed, and its changes would go unseen.
    """
    globs, plugins = [each for each in own if isinstance(each, str)], [each for each in own if isinstance(each, Path)]
    ours = modules_of(package).fingerprint(script, tuple(globs), tuple(without))
    return _hash([ours, *(f"{file.name}\0{_read(file).code}\0" for file in plugins)]) if plugins else ours


class Modules:
    """The modules of a package, each read once.

    Args:
        package: The package's folder.
    """

    def __init__(self, package: Path) -> None:
        self.package = package
        self._known = {path.relative_to(package).as_posix() for path in package.rglob("*.py")}
        self._folders = {file.rpartition("/")[0] for file in self._known}
        # What was found already: many nodes ask for the same.
        self.fingerprint = cache(self._fingerprint)
        self._leads_to = cache(self._names)
        self._hashed = cache(self._content)
        self._homes = cache(lambda file: _read(package / file).homes)

    def reached(self, script: str, own: Iterable[str] = (), without: Iterable[str] = ()) -> tuple[set[str], set[str]]:
        """What the nodes of a script run.

        Args:
            script: The script, and so on as in :func:`code_fingerprint`.
            own: Counts, and what it leads to, whatever is excluded.
            without: Does not count.

        Returns:
            Files below the package that count, and those at which the way ends: modules, and what they read.

        Raises:
            FileNotFoundError: A glob finds nothing.
        """
        given = set().union(*(self._matching(glob) for glob in own))
        left = set().union(*(self._matching(glob) for glob in without)) - given
        counted, ends = set[str](), set[str]()
        waiting = [*given, *self._leads_to(self.package.parents[1] / "workflow" / "scripts" / f"{script}.py")]
        while waiting:
            file = waiting.pop()
            if file in counted or file in ends:
                continue
            if file not in given and (file in left or excluded(file, script)):
                ends.add(file)
                continue
            counted.add(file)
            if file.endswith(".py"):
                waiting += self._leads_to(self.package / file)
        return counted, ends

    def _fingerprint(self, script: str, own: tuple[str, ...], without: tuple[str, ...]) -> str:
        return _hash(f"{file}\0{self._hashed(file)}\0" for file in sorted(self.reached(script, own, without)[0]))

    def _content(self, file: str) -> str:
        path = self.package / file
        return _read(path).code if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).hexdigest()

    def _matching(self, glob: str) -> set[str]:
        found = {path.relative_to(self.package).as_posix() for path in self.package.glob(glob) if path.is_file()}
        if not found:
            raise FileNotFoundError(f"{self.package} holds no {glob}")
        return found

    def _names(self, path: Path) -> set[str]:
        """Files below the package that a module names: what it imports, and what it reads that lies beside it."""
        code = _read(path)
        found = set().union(*map(self._named, code.names))
        for place in (path.parent / name for name in code.beside if name.strip("./")):
            inside = place.rglob("*") if place.is_dir() else [place]
            found |= {each.relative_to(self.package).as_posix() for each in inside if each.is_file()}
        return {file for file in found if "__pycache__" not in file}

    def _named(self, name: str) -> set[str]:
        """Files of a module, of the packages that it is in, and of the things that a registry in it is of."""
        parts, found, last = name.split(".")[1:], {"__init__.py"}, "__init__.py"
        for place, part in enumerate(parts):
            inside = "/".join(parts[: place + 1])
            module = next((file for file in (f"{inside}.py", f"{inside}/__init__.py") if file in self._known), None)
            if module is not None:
                found.add(module)
                last = module
            elif inside not in self._folders:
                home = self._homes(last).get(part)
                return found | (self._named(home) if home else set())
        return found


@cache
def modules_of(package: Path) -> Modules:
    """The modules of a package, as they are when they are first asked for."""
    return Modules(package)


def excluded(file: str, script: str) -> list[str]:
    """The globs for which a file does not count in the nodes of a script; none where it does."""
    return [
        glob
        for glob in _exclusions(file)
        if glob in _EVERYWHERE or not any(fnmatchcase(script, each) for each in COUNTED_BY[glob][0].split())
    ]


@cache
def _exclusions(file: str) -> list[str]:
    return [glob for glob in (*_EVERYWHERE, *COUNTED_BY) if fnmatchcase(file, glob)]


def _read(path: Path) -> BareCode:
    return bare_code(path.read_text(encoding="utf-8"))


def _hash(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
    return digest.hexdigest()[:16]
