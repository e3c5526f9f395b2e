"""The data a unit's numbers depend on, as one hash per unit, for millions of objects at once.

The hash is the fingerprint of a record `{"slices": [...], "unit": data_sha256}` with, per slice,
`[slice_id, index, spacing_row_mm, spacing_col_mm, volume_lo, volume_hi, objects]` and, per object,
`[object_id, layer, value]`: the stored values, and which slices and objects take part. The text
that is hashed is put together in Arrow; `tests/oracles/plan.py` says the same record by record.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from engine.collection.sampled import Index, SampledUnits

_BLOCK_UNITS = 512
"""Units whose text is in memory at once: some tens of MB."""

_NEEDS_ESCAPE = r"[^ !#-\[\]-~]"
"""What JSON writes otherwise than it is: quotes, backslashes, controls, all beyond ASCII."""

_SLICE = (
    "slice_id", "index", "spacing_row_mm", "spacing_col_mm", "volume_lo", "volume_hi",
)  # fmt: skip
_OBJECT = ("object_id", "layer", "value")


def data_fingerprints(units: SampledUnits) -> list[str]:
    """SHA-256 (hex) per unit of the canonical JSON of its record."""
    hashes: list[str] = []
    for start in range(0, len(units), _BLOCK_UNITS):
        stop = min(start + _BLOCK_UNITS, len(units))
        hashes += (hashlib.sha256(text).hexdigest() for text in _records(units, start, stop))
    return hashes


def _records(units: SampledUnits, start: int, stop: int) -> Iterator[bytes]:
    """Canonical JSON of the records of the units start..stop-1."""
    slice_cuts = units.slice_starts[start : stop + 1]
    object_cuts = units.object_starts[slice_cuts[0] : slice_cuts[-1] + 1]
    objects = _lists(units.objects, object_cuts, _OBJECT)
    per_slice = _joined(objects, object_cuts)
    per_unit = _joined(_lists(units.slices, slice_cuts, _SLICE, per_slice), slice_cuts)
    sums = _json(units.units["data_sha256"].slice(start, stop - start))
    texts = _text('{"slices":', per_unit, ',"unit":', sums, "}")
    for text in texts.cast(pa.binary()):
        yield text.as_py()


def _lists(
    table: pa.Table, cuts: Index, columns: tuple[str, ...], last: pa.Array | None = None
) -> pa.Array:
    """Per row a JSON list of its `columns`, and of `last` where it is given."""
    rows = table.slice(int(cuts[0]), int(cuts[-1] - cuts[0]))
    fields = [_json(rows[name]) for name in columns]
    if last is not None:
        fields.append(last)
    inner = pc.binary_join_element_wise(*fields, ",")
    return _text("[", inner, "]")


def _joined(texts: pa.Array, cuts: Index) -> pa.Array:
    """Per group a JSON list of its texts; the groups begin at `cuts - cuts[0]`."""
    groups = pa.ListArray.from_arrays(pa.array(cuts - cuts[0], pa.int32()), texts)
    return _text("[", pc.binary_join(groups, ","), "]")


def _json(column: pa.ChunkedArray) -> pa.Array:
    """Per value its JSON, as `json.dumps` writes it."""
    values = column.combine_chunks()
    if pa.types.is_string(values.type):
        odd = pc.any(pc.match_substring_regex(values, _NEEDS_ESCAPE)).as_py()
        if values.null_count == 0 and not odd:
            return _text('"', values, '"')
    coded = values.dictionary_encode()  # by their bits: -0.0 is not 0.0
    distinct = coded.dictionary.to_pylist()
    texts = pa.array([json.dumps(value, allow_nan=False) for value in distinct], pa.string())
    return pc.fill_null(texts.take(coded.indices), "null")


def _text(*parts: str | pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(*parts, "")
