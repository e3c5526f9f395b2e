"""Why something is not evaluated: every reason code of the `exclusions` table, in one place.

`by_rule` separates what the protocol or a recipe leaves out on purpose from what is broken and
waits for repair (`refused` in the catalog is `not by_rule`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.errors import UserError, nearest

Level = Literal["case", "slice", "object"]


@dataclass(frozen=True)
class Reason:
    """One reason code.

    Attributes:
        code: word in the `reason` column.
        level: what is left out: a whole case, a slice or an object.
        by_rule: True for an intended exclusion, False for an error to repair.
        meaning: one sentence for people.
    """

    code: str
    level: Level
    by_rule: bool
    meaning: str


_TABLE = (
    Reason("missing_label", "case", False, "a label file the recipe asks for does not exist"),
    Reason("missing_file", "case", False, "a file vanished between finding and reading it"),
    Reason("truncated_file", "case", False, "a file ends before its data do"),
    Reason("unreadable_file", "case", False, "a file cannot be decoded, or holds another kind"),
    Reason("unsupported_layout", "case", False, "the axes of a file are none that can be placed"),
    Reason("shape_mismatch", "case", False, "image and label have different numbers of voxels"),
    Reason("geometry_mismatch", "case", False, "image and label differ in spacing, origin or axes"),
    Reason("bad_geometry", "case", False, "the header's geometry is singular or not finite"),
    Reason("unknown_orientation", "case", False, "the file does not say where left and right are"),
    Reason("ambiguous_orientation", "case", False, "the file says two different orientations"),
    Reason("unknown_label_value", "case", False, "a label value or colour the recipe lacks"),
    Reason(
        "dtype_mismatch", "case", False, "label values are not whole numbers or not of one kind"
    ),
    Reason("non_finite", "case", False, "NaN or infinity among the values (protocol 1.6)"),
    Reason("frame_mismatch", "case", False, "numbers of frames differ from label or recipe"),
    Reason("too_large", "case", False, "a file holds more than is decoded at once"),
    Reason("no_array", "case", False, "a container lacks the array the recipe names"),
    Reason("several_series", "case", False, "a folder holds several series and no choice is made"),
    Reason("missing_slices", "case", False, "slices of a series are missing"),
    Reason("duplicate_slices", "case", False, "two different slices of a series lie in one place"),
    Reason("mixed_orientations", "case", False, "slices of a series differ in size or direction"),
    Reason("foreign_reference", "case", False, "the label points at another image"),
    Reason("bad_contour", "case", False, "a contour has no inside on a slice of the image"),
    Reason("unknown_subject", "case", False, "the table of subjects does not know the case"),
    Reason("worker_died", "case", False, "the process that read it died each time it tried"),
    Reason("unsafe_path", "case", False, "a name leads out of the raw folder, or is no text"),
    Reason("refused", "case", False, "refused for a reason without a code of its own"),
    Reason("recipe_skip", "case", True, "the recipe skips this case and says why"),
    Reason("empty_case", "case", True, "no labelled pixel in the whole case"),
    Reason("slice_without_objects", "slice", True, "no object in this slice (protocol 1.5)"),
    Reason("object_too_small", "object", True, "area not above the minimum (protocol 1.5)"),
    Reason("not_sampled", "object", True, "case, slice or object outside the study's sample"),
    Reason("dataset_not_in_study", "case", True, "the study names other datasets"),
    Reason("case_not_in_study", "case", True, "the study names other modalities or subjects"),
)

REASONS: dict[str, Reason] = {reason.code: reason for reason in _TABLE}


def reason(code: str) -> Reason:
    """The entry of `code`. Raises UserError naming the nearest known code."""
    if code not in REASONS:
        raise UserError(
            f"unknown exclusion reason '{code}'", got=code, remedy=nearest(code, REASONS)
        )
    return REASONS[code]
