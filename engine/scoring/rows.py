"""Rows of scores as they are stored; field names equal those of `engine.results.schema`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from engine.scoring.counts import Counts
from engine.scoring.distances import Distances

Status = Literal["ok", "empty_prediction", "failed"]


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One mask of a trial (`schema.CANDIDATE`)."""

    candidate: int
    predicted_iou: float
    tp: int
    pred_px: int


@dataclass(frozen=True, slots=True)
class SelectionRow:
    """One selection of a trial with its scores (`schema.SELECTION`).

    Attributes:
        selection: `oracle`, `predicted_iou` or `single`.
        candidate, predicted_iou: of the selected mask; None where nothing was selected.
        tp, pred_px: None only when the trial failed.
        hausdorff_px ... nsd_mm: see `Distances`.
    """

    selection: str
    status: Status
    candidate: int | None
    predicted_iou: float | None
    tp: int | None
    pred_px: int | None
    hausdorff_px: float | None = None
    hd95_px: float | None = None
    assd_px: float | None = None
    nsd: float | None = None
    hausdorff_mm: float | None = None
    hd95_mm: float | None = None
    assd_mm: float | None = None
    nsd_mm: float | None = None

    @classmethod
    def of(
        cls,
        selection: str,
        candidate: int | None,
        predicted_iou: float | None,
        counts: Counts,
        distances: Distances,
    ) -> SelectionRow:
        """The row of a scored selection; its status follows from `counts.pred_px`."""
        status: Status = "ok" if counts.pred_px else "empty_prediction"
        return cls(
            selection,
            status,
            candidate,
            predicted_iou,
            counts.tp,
            counts.pred_px,
            **asdict(distances),
        )


@dataclass(frozen=True, slots=True)
class TrialScores:
    """All rows of one trial."""

    candidates: tuple[CandidateRow, ...]
    selections: tuple[SelectionRow, ...]


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """An object's overlap with one candidate of Everything (`schema.OVERLAPS`), tp > 0."""

    candidate: int
    tp: int


@dataclass(frozen=True, slots=True)
class SliceCandidateRow:
    """One candidate of Everything, once per slice (`schema.SLICE_CANDIDATES`)."""

    candidate: int
    point_x: float
    point_y: float
    mask_index: int
    predicted_iou: float
    stability_score: float
    pred_px: int


@dataclass(frozen=True, slots=True)
class EverythingScores:
    """All rows of one object under Everything."""

    overlaps: tuple[OverlapRow, ...]
    selections: tuple[SelectionRow, ...]


def failed_selections(selections: tuple[str, ...]) -> tuple[SelectionRow, ...]:
    """The rows of a trial that could not be scored: nothing but the name and the status."""
    return tuple(SelectionRow(name, "failed", None, None, None, None) for name in selections)
