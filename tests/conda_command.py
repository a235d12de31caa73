"""The part of conda's command line that Snakemake calls, on rattler's solver and installer and a channel in a folder.

Conda itself comes from its own channels only; rattler comes with pip and solves the same files for the same packages.
It is told by ``CHANNEL`` where the channel is, and by ``CONDA_ROOT`` where it is installed itself.
"""

import argparse
import asyncio
import json
import os
import subprocess
from pathlib import Path

import yaml
from rattler import Channel, Gateway, Platform, VirtualPackage, install, solve

ROOT = Path(os.environ["CONDA_ROOT"])
# Snakemake asks for 24.7 or newer; what answers it here is none of them.
VERSION = "conda 99.0.0"


async def create(file: Path, prefix: Path) -> None:
    """Make an environment: conda's own packages by rattler, then the pip part by the environment's pip."""
    wanted = yaml.safe_load(file.read_text(encoding="utf-8"))
    conda = [entry for entry in wanted["dependencies"] if isinstance(entry, str)]
    pip = [line for entry in wanted["dependencies"] if isinstance(entry, dict) for line in entry["pip"]]
    assert wanted["channels"] == ["conda-forge", "nodefaults"]
    records = await solve(
        [Channel(Path(os.environ["CHANNEL"]).as_uri())],
        conda,
        Gateway(cache_dir=ROOT / "repodata"),
        platforms=[str(Platform.current()), "noarch"],
        virtual_packages=VirtualPackage.detect(),
    )
    await install(records, prefix, cache_dir=ROOT / "pkgs", show_progress=False)
    pins = prefix.with_suffix(".pip.txt")
    pins.write_text("".join(f"{line}\n" for line in pip), encoding="utf-8")
    python = [str(prefix / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*python, "install", "--quiet", "--requirement", str(pins)], check=True)


def main() -> None:
    """Answer one call."""
    parser = argparse.ArgumentParser(prog="conda")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info").add_argument("--json", action="store_true", required=True)
    config = commands.add_parser("config")
    config.add_argument("--get", choices=["channel_priority"], required=True)
    config.add_argument("--json", action="store_true", required=True)
    cleaning = commands.add_parser("clean")
    cleaning.add_argument("-y", action="store_true", required=True)
    cleaning.add_argument("--tarballs", action="store_true", required=True)
    creating = commands.add_parser("env").add_subparsers(required=True).add_parser("create")
    creating.add_argument("--quiet", action="store_true")
    creating.add_argument("--no-default-packages", action="store_true")
    creating.add_argument("--file", type=Path, required=True)
    creating.add_argument("--prefix", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.command == "info":
        print(json.dumps({"conda_prefix": str(ROOT), "platform": str(Platform.current())}))
    elif arguments.command == "config":
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments.command == "clean":
        for path in (ROOT / "pkgs").glob("*.tar.bz2"):
            path.unlink()
    else:
        asyncio.run(create(arguments.file, arguments.prefix))


main()
