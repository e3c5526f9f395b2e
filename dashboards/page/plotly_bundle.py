"""plotly.js as the page carries it: compressed, once.

The bundle of the Python package is 4.8 MB; gzip and base64 bring it to 2 MB, and every browser
since 2023 unpacks it without help (DecompressionStream).
"""

from __future__ import annotations

import base64
import gzip
from functools import lru_cache

from plotly.offline import get_plotlyjs, get_plotlyjs_version


@lru_cache(maxsize=1)
def packed() -> str:
    """plotly.js, gzip, base64; the same bytes every time."""
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def version() -> str:
    """Version of plotly.js."""
    return str(get_plotlyjs_version())
