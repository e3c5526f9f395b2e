"""One trial again: its image, truth, prompt, and the masks of its candidates."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dashboards.app.data import RunData
from dashboards.app.view import Pick
from dashboards.figures.trial_frames import Frame
from engine.collection.catalog import Catalog
from engine.collection.contract import SlicePixels, SliceRef
from engine.collection.reading import read_slices
from engine.collection.sample import sample_units
from engine.collection.sampled import SampledUnits
from engine.errors import SamscopeError, kind_of
from engine.evaluation.rows import TrialKey
from engine.evaluation.scene import Scene, make_scene
from engine.models.base import Model
from engine.models.numerics import deterministic_cpu, numerics_of
from engine.models.registry import load_model
from engine.prompts.base import Box, Point, Prompt
from engine.replay import Replayer
from engine.runs import RunDir
from engine.stores import Place
from engine.study import Study

log = logging.getLogger(__name__)

Mask = NDArray[np.bool_]
Row = Mapping[str, Any]

MOST_CANDIDATES = 8
"""Masks of Everything that are shown with an object: those that overlap it most."""
_KEPT_SLICES = 4

_TRIAL = """
    SELECT t.*, o.object_id, o.structure, l.slice_id, l.spacing_row_mm, l.spacing_col_mm,
        c.dataset, c.modality, c.subject_id
    FROM trials t JOIN objects o USING (object_key) JOIN slices l USING (slice_id)
    JOIN cases c USING (case_id)
    WHERE o.object_id = ? AND t.model = ? AND t.strategy = ? AND t.jitter_lo = ?
        AND t.jitter_hi = ? AND t.trial = ?
    ORDER BY t.step DESC"""

_CANDIDATES = f"""
    SELECT candidate, predicted_iou, tp, pred_px, dice FROM (
        SELECT * FROM candidates JOIN objects USING (object_key)
        WHERE object_id = ? AND model = ? AND strategy = ? AND jitter_lo = ? AND jitter_hi = ?
            AND trial = ? AND step = ?
        ORDER BY dice DESC, candidate LIMIT {MOST_CANDIDATES}
    ) ORDER BY candidate"""


_OF_A_LEVEL = """
    SELECT t.*, slice_id FROM trials t JOIN objects USING (object_key)
    WHERE object_id = ? AND model = ? AND strategy = ? AND jitter_lo = ? AND jitter_hi = ?
        AND step = 0
    ORDER BY trial LIMIT ?"""


@dataclass(frozen=True)
class Shown:
    """What the page Cases shows of a trial.

    Attributes:
        trial: its row, with names of its object and slice.
        candidates: (candidate, predicted_iou, tp, pred_px, dice) of those shown.
        prompt: as stored.
        image, truth: uint8[y, x] or uint8[y, x, 3], bool[y, x]; None: the collection is gone.
        masks: bool[y, x] by candidate.
        problem: why there is no image, or no mask.
    """

    trial: Row
    candidates: list[Row]
    prompt: Prompt
    image: NDArray[np.uint8] | None = None
    truth: Mask | None = None
    masks: dict[int, Mask] = field(default_factory=dict)
    problem: str | None = None


class Masks:
    """Recomputes trials of one run, one at a time, on a CPU; models and slices are kept.

    Args:
        collection: where the run's collection lies now; None: where it lay.
    """

    def __init__(self, data: RunData, collection: Place | None = None) -> None:
        self._data, self._collection = data, collection
        self._lock = threading.Lock()
        self._models: dict[tuple[Path, str], Model] = {}
        self._sampled: tuple[Path, Study, SampledUnits] | None = None
        self._replayers: OrderedDict[tuple[Path, str, str], Replayer] = OrderedDict()

    def show(self, pick: Pick) -> Shown | None:
        """A trial as far as it can be shown; None: the run has no such trial."""
        key = [pick.object_id, pick.model, pick.strategy, pick.lo, pick.hi, pick.trial]
        steps = self._data.rows(_TRIAL, key)
        trial = next((row for row in steps if pick.step in (None, row["step"])), None)
        if trial is None:
            return None
        candidates = self._candidates(trial, [*key, trial["step"]])
        shown = Shown(trial, candidates, _prompt(trial["prompt"]))
        with self._lock:
            return self._recomputed(shown)

    def frames(self, pick: Pick, most: int) -> tuple[NDArray[np.uint8], Mask, list[Frame]]:
        """(image, truth, trials) of the level of a pick, with the masks its selection took.

        Raises:
            SamscopeError: there is no such trial, or it cannot be computed again.
        """
        where = [pick.object_id, pick.model, pick.strategy, pick.lo, pick.hi]
        rows = self._data.rows(_OF_A_LEVEL, [*where, most])
        if not rows:
            raise SamscopeError("this run has no such trials", got=pick)
        with self._lock:
            study, ref, pixels = self._slice(rows[0]["slice_id"])
            image, truth = _pixels(make_scene(study, ref, pixels), pick.object_id)
            replayer = self._replayer(pick.model, study, ref, pixels)
            taken = {
                TrialKey(pick.object_id, row["gt_px"], pick.lo, pick.hi, row["trial"], 0): next(
                    (o for o in row["selections"] if o["selection"] == pick.selection), None
                )
                for row in rows
            }
            made = replayer.trials(
                study.strategy(pick.strategy),
                {key: {one["candidate"]: (one["tp"], one["pred_px"])}
                 for key, one in taken.items() if one and one["candidate"] is not None},
            )  # fmt: skip
        if image is None or truth is None:
            raise SamscopeError("the slice no longer has this object", got=pick.object_id)
        frames = []
        for row, (key, one) in zip(rows, taken.items(), strict=True):
            masks = made[key][0] if key in made else {}
            mask = next(iter(masks.values()), np.zeros_like(truth))
            frames.append(Frame(key.trial, _prompt(row["prompt"]), mask, _dice(one, key.gt_px)))
        return image, truth, frames

    def _candidates(self, trial: Row, key: list[Any]) -> list[Row]:
        """The candidates to show; those that a selection picked are always among them."""
        rows: dict[int, Row] = {row["candidate"]: row for row in self._data.rows(_CANDIDATES, key)}
        for one in trial["selections"]:
            if one["candidate"] is not None and one["candidate"] not in rows:
                dice = 2 * one["tp"] / (one["pred_px"] + trial["gt_px"])
                rows[one["candidate"]] = {**one, "dice": dice}
        return list(rows.values())

    def _recomputed(self, shown: Shown) -> Shown:
        scene, problem = None, None
        try:
            study, ref, pixels = self._slice(shown.trial["slice_id"])
            scene = make_scene(study, ref, pixels)
            shown = replace(shown, masks=self._masks(shown, study, ref, pixels))
        except Exception as error:  # whatever a model or a store raises: the rest is shown
            log.debug("replay failed", exc_info=True)
            problem = said(error)
        image, truth = _pixels(scene, shown.trial["object_id"])
        return Shown(
            shown.trial, shown.candidates, shown.prompt, image, truth, shown.masks, problem
        )

    def _masks(
        self, shown: Shown, study: Study, ref: SliceRef, pixels: SlicePixels
    ) -> dict[int, Mask]:
        stored = {row["candidate"]: (row["tp"], row["pred_px"]) for row in shown.candidates}
        if not stored:
            return {}
        trial = shown.trial
        key = TrialKey(trial["object_id"], trial["gt_px"], trial["jitter_lo"], trial["jitter_hi"],
                       trial["trial"], trial["step"])  # fmt: skip
        replayer = self._replayer(trial["model"], study, ref, pixels)
        masks, _ = replayer.candidates(study.strategy(trial["strategy"]), key, stored)
        return masks

    def _slice(self, slice_id: str) -> tuple[Study, SliceRef, SlicePixels]:
        run = RunDir.open(self._data.run_dir).reading(self._collection)
        newest = self._data.newest
        if self._sampled is None or self._sampled[0] != newest:
            study = run.study()
            units = sample_units(Catalog.open(run.collection), study).units
            self._sampled = (newest, study, units)
        _, study, units = self._sampled
        found = units.find({slice_id})
        if slice_id not in found:
            raise SamscopeError(
                "the collection no longer has this slice", where=str(run.collection), got=slice_id
            )
        return study, found[slice_id], read_slices(run.collection, [found[slice_id]])[0]

    def _replayer(self, name: str, study: Study, ref: SliceRef, pixels: SlicePixels) -> Replayer:
        newest = self._data.newest
        place = (newest, name, ref.slice_id)
        if place not in self._replayers:
            deterministic_cpu()
            if (newest, name) not in self._models:
                choice = study.model(name)
                self._models = {
                    key: model for key, model in self._models.items() if key[0] == newest
                }
                self._models[newest, name] = load_model(choice, "cpu", study.precision)
            self._replayers[place] = Replayer(
                study, self._models[newest, name], numerics_of("cpu", study.precision), ref, pixels
            )
            while len(self._replayers) > _KEPT_SLICES:
                self._replayers.popitem(last=False)
        return self._replayers[place]


def said(error: Exception) -> str:
    """Why a trial cannot be computed again, for the page."""
    return str(error) if isinstance(error, SamscopeError) else f"{kind_of(error)}: {error}"


def _dice(one: Row | None, gt_px: int) -> float | None:
    return None if not one or one["tp"] is None else 2 * one["tp"] / (one["pred_px"] + gt_px)


def _prompt(stored: Row | None) -> Prompt:
    if stored is None:
        return Prompt()
    points = tuple(Point(**point) for point in stored["points"] or ())
    return Prompt(points, Box(**stored["box"]) if stored["box"] else None)


def _pixels(scene: Scene | None, object_id: str) -> tuple[NDArray[np.uint8] | None, Mask | None]:
    if scene is None:
        return None, None
    truth = next((t.mask for t in scene.targets if t.ref.object_id == object_id), None)
    return scene.image, truth
