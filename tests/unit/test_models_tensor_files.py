"""Equal tensors make equal files, in any process; what is in them is what was written."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from cascade_equivalence.models.tensor_files import order_metadata

METADATA = {"b": "1", "a": 'quotation " mark, \\ and é', "d": "line\nend\x1f", "c": "{}"}
TENSORS = {"y": torch.arange(6.0).reshape(2, 3), "x": torch.ones(3, dtype=torch.bfloat16), "none": torch.zeros(0)}


def test_tensors_and_metadata_stay_and_keys_are_in_order(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file(TENSORS, file, METADATA)
    size = file.stat().st_size
    order_metadata(file)
    assert file.stat().st_size == size
    read = load_file(file)
    assert read.keys() == TENSORS.keys()
    assert all(torch.equal(read[name], tensor) and read[name].dtype == tensor.dtype for name, tensor in TENSORS.items())
    with safe_open(file, "pt") as opened:
        assert opened.metadata() == METADATA
    places = [file.read_bytes().index(f'"{key}":"'.encode()) for key in sorted(METADATA)]
    assert places == sorted(places)
    before = file.read_bytes()
    order_metadata(file)
    assert file.read_bytes() == before


def test_a_file_without_metadata_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    save_file(TENSORS, file)
    before = load_file(file)
    order_metadata(file)
    assert all(torch.equal(load_file(file)[name], tensor) for name, tensor in before.items())


def test_a_header_of_another_kind_is_refused(tmp_path: Path) -> None:
    header = b'{"__metadata__":{"b":"\xc3\xa9","a":1e5}}'
    file = tmp_path / "a.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ValueError, match="longer"):
        order_metadata(file)


def test_a_converted_whisper_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from cascade_equivalence.models.openai_whisper import write_weights\n"
        "write_weights({'w': np.ones((2, 3), np.float16)}, {'n_mels': 80, 'n_vocab': 9}, Path(sys.argv[1]))\n"
    )
    files = [tmp_path / f"{number}.safetensors" for number in range(6)]
    for file in files:
        subprocess.run([sys.executable, "-c", code, str(file)], check=True)
    assert len({file.read_bytes() for file in files}) == 1
