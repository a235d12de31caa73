"""The workflow deployed by snakedeploy from a git repository: what a user does, the host answered by a folder.

snakedeploy takes a source with ``github`` in its name for GitHub's; Snakemake then clones from that host, and git is
told that the host's repositories lie in a folder. Nothing leaves the machine.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from checkout import Checkout
from elsewhere import Elsewhere, small_config

SNAKEDEPLOY = os.environ.get("CASCADE_EQUIVALENCE_SNAKEDEPLOY") or shutil.which("snakedeploy")
NAME = "someone/cascade-equivalence"


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder with a git repository of the project, tagged."""
    host = tmp_path / "github.com"
    project = Checkout(host / NAME).root
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", "--force", ".")
    git(project, "commit", "--quiet", "--message", "all")
    git(project, "tag", "v0")
    return host


@pytest.mark.skipif(SNAKEDEPLOY is None, reason="snakedeploy is not installed")
def test_a_deployed_workflow_makes_the_report_of_a_study(tmp_path: Path, host: Path, tiny_models: Path) -> None:
    redirect = {
        # Snakemake would put a token into the address, which is then none that is redirected.
        "GITHUB_TOKEN": "",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{host.as_uri()}/.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/",
        "GIT_CONFIG_KEY_1": "protocol.file.allow",
        "GIT_CONFIG_VALUE_1": "always",
    }
    other = Elsewhere(tmp_path / "deployed", redirect)
    assert SNAKEDEPLOY is not None
    command = [SNAKEDEPLOY, "deploy-workflow", f"{host.as_uri()}/{NAME}", ".", "--tag", "v0"]
    environment = {name: value for name, value in other.environment.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=other.root, env=environment, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    # What a user does next: name a study of one's own.
    (other.root / "config" / "mine.yaml").write_text(yaml.safe_dump(small_config(tiny_models)), encoding="utf-8")
    snakefile = other.root / "workflow" / "Snakefile"
    text = snakefile.read_text(encoding="utf-8")
    snakefile.write_text(re.sub(r'configfile: "[^"]*"', 'configfile: "config/mine.yaml"', text), encoding="utf-8")
    made = other.snakemake()
    assert made.returncode == 0, made.stdout
    assert (other.root / "results" / "tiny" / "report.html").is_file()
    again = other.snakemake("--dry-run")
    assert again.returncode == 0 and "Nothing to be done" in again.stdout, again.stdout
