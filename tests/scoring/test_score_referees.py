"""Outside libraries on the same masks, only where their definition is ours.

- scipy: Euclidean distance transform of the border images; border = mask minus its erosion by the
  4-neighbour cross with outside as 0. Same definitions throughout, with spacing.
- MONAI: the same border; `symmetric=True` averages over both directions together, surface Dice
  without subvoxels counts border pixels. Float32. It takes empty masks otherwise than we do
  (infinities and NaN), so both masks are non-empty here.
- SimpleITK: its Hausdorff filter measures filled masks (inside is distance 0); given border
  images it measures what we do.
- scikit-image: `hausdorff_distance` between point sets, given border images.
"""

from __future__ import annotations

import warnings
from types import ModuleType

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.masks import Mask, blobs, not_empty, shapes, speckles
from scipy import ndimage
from skimage.metrics import hausdorff_distance

from engine.scoring import TruthBorder

PAIRS = shapes(24).flatmap(lambda s: st.tuples(not_empty(s), not_empty(s)))
SPACING = (0.8, 1.7)


@pytest.fixture(scope="module")
def monai_metrics() -> ModuleType:
    """MONAI warns on import (deprecations of its own dependencies), which would fail tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import monai.metrics

    return monai.metrics


def edge(mask: Mask) -> Mask:
    inner: Mask = ndimage.binary_erosion(mask)
    return mask & ~inner


def large_pairs() -> list[tuple[Mask, Mask]]:
    shape = (160, 210)
    egg = blobs(shape, [(70, 90, 40, 60)])
    two = blobs(shape, [(75, 80, 35, 66), (140, 190, 15, 12)])
    return [
        (egg, two),
        (two, egg & ~blobs(shape, [(70, 90, 10, 25)])),
        (egg, speckles(shape, 1, 0.02)),
        (blobs(shape, [(8, 8, 12, 12)]), blobs(shape, [(155, 205, 9, 9)])),
    ]


@given(PAIRS, st.sampled_from([(1.0, 1.0), SPACING]))
@settings(max_examples=60)
def test_scipy_distance_transform(pair: tuple[Mask, Mask], spacing: tuple[float, float]) -> None:
    check_scipy(pair, spacing)


@pytest.mark.parametrize("pair", large_pairs())
def test_scipy_on_large_masks(pair: tuple[Mask, Mask]) -> None:
    check_scipy(pair, (1.0, 1.0))
    check_scipy(pair, SPACING)


def check_scipy(pair: tuple[Mask, Mask], spacing: tuple[float, float]) -> None:
    truth, pred = pair
    a, b = edge(pred), edge(truth)
    there = ndimage.distance_transform_edt(~b, sampling=spacing)[a]
    back = ndimage.distance_transform_edt(~a, sampling=spacing)[b]
    both = np.concatenate([there, back])
    found = TruthBorder.from_mask(truth, spacing).distances(pred)
    assert found.hausdorff_mm == pytest.approx(both.max(), abs=1e-9)
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    assert found.hd95_mm == pytest.approx(hd95, abs=1e-9)
    assert found.assd_mm == pytest.approx(both.mean(), abs=1e-9)
    assert found.nsd_mm == pytest.approx((both <= 2 + 1e-9).mean(), abs=1e-12)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # from itself
@pytest.mark.parametrize("spacing", [None, SPACING])
@pytest.mark.parametrize("pair", large_pairs())
def test_monai(
    monai_metrics: ModuleType, pair: tuple[Mask, Mask], spacing: tuple[float, float] | None
) -> None:
    import torch

    truth, pred = pair
    y_pred, y = (torch.from_numpy(mask)[None, None].float() for mask in (pred, truth))
    common = {"include_background": True, "spacing": spacing}
    hausdorff = monai_metrics.compute_hausdorff_distance(y_pred, y, **common)
    hd95 = monai_metrics.compute_hausdorff_distance(y_pred, y, percentile=95, **common)
    assd = monai_metrics.compute_average_surface_distance(y_pred, y, symmetric=True, **common)
    nsd = monai_metrics.compute_surface_dice(y_pred, y, class_thresholds=[2.0], **common)
    found = TruthBorder.from_mask(truth, spacing).distances(pred)
    names = ("hausdorff_px", "hd95_px", "assd_px", "nsd")
    if spacing is not None:
        names = ("hausdorff_mm", "hd95_mm", "assd_mm", "nsd_mm")
    for name, theirs in zip(names, (hausdorff, hd95, assd, nsd), strict=True):
        assert getattr(found, name) == pytest.approx(theirs.item(), rel=2e-6), name


@given(PAIRS)
@settings(max_examples=40)
def test_simpleitk_on_borders(pair: tuple[Mask, Mask]) -> None:
    images = []
    for mask in pair:
        image = SimpleITK.GetImageFromArray(edge(mask).astype(np.uint8))
        image.SetSpacing(SPACING[::-1])  # x first
        images.append(image)
    measure = SimpleITK.HausdorffDistanceImageFilter()
    measure.Execute(*images)
    found = TruthBorder.from_mask(pair[0], SPACING).distances(pair[1])
    assert found.hausdorff_mm == pytest.approx(measure.GetHausdorffDistance(), rel=1e-5)


@given(PAIRS)
@settings(max_examples=40)
def test_scikit_image_on_borders(pair: tuple[Mask, Mask]) -> None:
    found = TruthBorder.from_mask(pair[0]).distances(pair[1])
    assert found.hausdorff_px == pytest.approx(hausdorff_distance(edge(pair[0]), edge(pair[1])))
