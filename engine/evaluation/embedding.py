"""Embedding the slices of a chunk together, so that only the guilty one fails."""

from __future__ import annotations

from collections.abc import Sequence

from engine.errors import SamscopeError
from engine.models.base import Embedding, Image, Model


def embed_together(model: Model, images: Sequence[Image]) -> list[Embedding | Exception]:
    """One embedding or error per slice.

    When the batch fails, every slice is asked again alone, in its place in a batch of the same
    shape filled with itself: an embedding does not depend on its neighbours, an error may.
    """
    try:
        return list(_embed(model, images))
    except Exception as problem:  # noqa: BLE001  a slice must not stop its neighbours
        if len(images) <= 1:
            return [problem] * len(images)
    return [_alone(model, images, place) for place in range(len(images))]


def _alone(model: Model, images: Sequence[Image], place: int) -> Embedding | Exception:
    try:
        return _embed(model, [images[place]] * len(images))[place]
    except Exception as problem:  # noqa: BLE001  see `embed_together`
        return problem


def _embed(model: Model, images: Sequence[Image]) -> list[Embedding]:
    embedded = model.embed(images)
    if len(embedded) != len(images):
        raise SamscopeError(
            "the model embedded another number of slices than it was given",
            where=model.card.name,
            got=len(embedded),
            expected=len(images),
        )
    return embedded
