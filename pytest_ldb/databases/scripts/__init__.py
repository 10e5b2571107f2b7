"""SQL, JavaScript and shell scripts of the database types, as files."""

from pathlib import Path

_HERE = Path(__file__).parent


def script(name: str) -> str:
    """Return the text of a file in this folder."""
    return (_HERE / name).read_text(encoding="utf-8")
