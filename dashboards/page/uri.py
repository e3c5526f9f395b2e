"""Files inside the page, as the target of a link or the source of a picture."""

from __future__ import annotations

import base64


def data_uri(kind: str, data: bytes) -> str:
    """An address that holds the bytes themselves; `kind` is their media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
