"""Stable ids, seeds and hashes: the names by which everything is found again.

Nothing here depends on paths, workers, batches or the order of work (protocol, "Identifiers"
and section 2, "Randomness").
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROTOCOL_VERSION = 1

_RESERVED = re.compile(r"[/%|\x00-\x1f\x7f-\x9f]")


def quote_name(name: str) -> str:
    """Percent-encode `/`, `%`, `|` and control characters (UTF-8, upper-case hex)."""
    return _RESERVED.sub(
        lambda m: "".join(f"%{byte:02X}" for byte in m.group().encode("utf-8")), name
    )


def case_id(dataset: str, case: str) -> str:
    """`{dataset}/{case}`."""
    return f"{quote_name(dataset)}/{quote_name(case)}"


def slice_id(dataset: str, case: str, index: int) -> str:
    """`{dataset}/{case}/{slice:05d}`; `index` counts from 0 in the oriented array."""
    return f"{case_id(dataset, case)}/{index:05d}"


def object_id(dataset: str, case: str, index: int, structure: str, instance: int = 0) -> str:
    """`{dataset}/{case}/{slice:05d}/{structure}/{instance}`."""
    return f"{slice_id(dataset, case, index)}/{quote_name(structure)}/{instance}"


def entity_id(dataset: str, case: str, structure: str, instance: int = 0) -> str:
    """`{dataset}/{case}/{structure}/{instance}`: the same thing over the slices of a case."""
    return f"{case_id(dataset, case)}/{quote_name(structure)}/{instance}"


def trial_seed(
    study_seed: int, object_id: str, strategy: str, jitter_lo: int, jitter_hi: int, trial: int
) -> int:
    """128-bit seed of one trial's PCG64 (protocol section 2)."""
    text = f"{study_seed}|{object_id}|{strategy}|{jitter_lo}-{jitter_hi}|{trial}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def canonical_json(value: Mapping[str, Any] | list[Any]) -> str:
    """JSON with sorted keys and no spaces; refuses NaN and infinity."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def fingerprint(value: Mapping[str, Any] | list[Any]) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
