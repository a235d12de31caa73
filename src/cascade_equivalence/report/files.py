"""Writing a file whole or not at all."""

from pathlib import Path


def write_bytes(path: Path, data: bytes) -> Path:
    """Write to a temporary name in the same folder, then rename; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(data)
    temporary.replace(path)
    return path


def write_text(path: Path, text: str) -> Path:
    """Write text as UTF-8, whole or not at all."""
    return write_bytes(path, text.encode())
