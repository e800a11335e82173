"""Reading the JSON documents that people hand to the command, with messages they can act on."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from fedproof.errors import CallerError

Document = TypeVar("Document", bound=BaseModel)


def read_document(kind: type[Document], path: Path, what: str) -> Document:
    """Read ``path`` as ``kind``; ``what`` names it in messages ("proof", "model").

    Raises :class:`CallerError` if the file is missing, unreadable, or not such a document, naming the first
    field that is wrong.
    """
    try:
        return kind.model_validate_json(path.read_text())
    except FileNotFoundError as e:
        raise CallerError(f"no {what} file {path}") from e
    except (OSError, UnicodeDecodeError) as e:
        raise CallerError(f"cannot read {path}: {e}") from e
    except ValidationError as e:
        problem = e.errors()[0]
        where = ".".join(str(p) for p in problem["loc"])
        raise CallerError(f"{path} is not a {what} file: {where or 'file'}: {problem['msg']}") from e
