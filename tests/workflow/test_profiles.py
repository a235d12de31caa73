"""Settings that are right everywhere hold in every profile; Snakemake reads the default one beside each."""

import yaml
from checkout import REPOSITORY
from snakemake.cli import get_argument_parser

SPEECH = 100_000_000
"""Bytes of a table of speech in a large study, at the least; by itself Snakemake compares files of a hundredth."""


def test_large_files_go_by_their_content() -> None:
    option = "max-checksum-file-size"
    default = yaml.safe_load((REPOSITORY / "profiles" / "default" / "config.yaml").read_text(encoding="utf-8"))
    taken = get_argument_parser().parse_args([f"--{option}", str(default[option]), "--cores", "1"])
    assert taken.max_checksum_file_size > SPEECH
    for profile in (REPOSITORY / "profiles").glob("*/config.yaml"):
        own = yaml.safe_load(profile.read_text(encoding="utf-8"))
        assert own.get(option, default[option]) == default[option]
