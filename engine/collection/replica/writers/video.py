"""Videos: Motion JPEG in AVI, MPEG-4 in MP4. Lossy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.collection.replica.files import Done, Piece
from engine.collection.replica.writers.pictures import as_colours
from engine.errors import UserError


def write_video(path: Path, pieces: Sequence[Piece], done: Done) -> None:
    """Every frame, and those between that the recipe leaves out.

    Raises:
        UserError: no encoder is installed.
    """
    import cv2

    (piece,) = pieces
    array = piece.stored if piece.colour else as_colours(piece.stored)
    frames = array if piece.time else array[None]
    codec = "MJPG" if path.suffix.lower() == ".avi" else "mp4v"
    size = (frames.shape[2], frames.shape[1])
    code = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), code, 25.0, size)
    if not writer.isOpened():
        raise UserError("no encoder for this video", where=str(path), expected=codec)
    for frame in np.repeat(frames, piece.how.every, axis=0):
        writer.write(np.ascontiguousarray(frame[..., ::-1], dtype=np.uint8))
    writer.release()
