"""SQL, JavaScript and shell scripts of the database types, as files."""

from pathlib import Path

_HERE = Path(__file__).parent


def script(name: str) -> str:
    """Return the text of a file in this folder."""
    return (_HERE / name).read_text(encoding="utf-8")


def line(name: str) -> str:
    """Return the SQL in a file of this folder as one line: what is deferred is kept by lines."""
    lines = script(name).splitlines()
    return " ".join(text.strip() for text in lines if not text.startswith("--"))
