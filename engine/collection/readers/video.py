"""Frames of videos (`.mp4`, `.mov`, `.avi`, `.mkv`, `.mpg`, `.mpeg`) through OpenCV.

The container is recognised by its first bytes before a decoder sees it: decoders also understand
playlists, which name other files. Frames are counted as they are decoded; what a header says about
their number only serves to notice a film that ends early.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from engine.collection.readers.base import PLAIN, How, ImageFile, OneFile, RawImage, refuse
from engine.collection.readers.containers import check_container
from engine.collection.readers.limits import admit, bounded_memory
from engine.collection.readers.pixels import merge_grey

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # refusals say what is wrong

_MOST_DECODED = 2_000_000  # nine hours at 60 frames a second
_MAY_LACK = 2  # frames that a header counts and a decoder leaves out, at the edges of a cut


class VideoReader(OneFile):
    """Every n-th frame (`every`) on axis 0, in the order they are shown, rotation applied."""

    extensions = (".mp4", ".mov", ".avi", ".mkv", ".mpg", ".mpeg")

    def read(self, path: Path, how: How = PLAIN) -> RawImage:
        """uint8 [frame, y, x, 3], or [frame, y, x] where all colours are grey."""
        array = merge_grey(_frames(path, how.every))
        return RawImage(array, "image", channel_axis=3 if array.ndim == 4 else None, time_axis=0)

    def read_labels(self, path: Path, how: How = PLAIN, image: ImageFile | None = None) -> RawImage:
        """Colours stay colours; of a video the decoder gives no exact values."""
        return RawImage(_frames(path, how.every), "image", channel_axis=3, time_axis=0)


def _frames(path: Path, every: int) -> NDArray[np.uint8]:
    """uint8[frame, y, x, 3], RGB."""
    exact = check_container(path)
    with bounded_memory(path):
        capture = None
        try:
            capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
            kept, decoded = _decoded(capture, every, path)
            stated = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        except (cv2.error, ValueError, OverflowError) as error:
            raise _undecodable(path, error) from error
        finally:
            if capture is not None:
                capture.release()
        if not kept:
            raise _undecodable(path, "no frame")
        if exact and decoded < stated - _MAY_LACK:
            raise refuse(
                "truncated_file",
                "the video ends early, or some of its frames cannot be decoded",
                path,
                got=f"{decoded} frames",
                expected=f"{stated}, as its index says",
                remedy="fetch the file again",
            )
        return np.stack(kept)


def _decoded(
    capture: cv2.VideoCapture, every: int, path: Path
) -> tuple[list[NDArray[np.uint8]], int]:
    """(every n-th frame, number of frames decoded)."""
    kept: list[NDArray[np.uint8]] = []
    size = (int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)))
    decoded = 0
    while decoded < _MOST_DECODED and capture.grab():
        if decoded % every == 0:
            admit((len(kept) + 1, *(max(1, n) for n in size), 3), 1, path)
            found, frame = capture.retrieve()
            if not found:
                break
            size = frame.shape[:2]
            if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape != (*size, 3):
                raise ValueError(f"a frame of {frame.dtype} {frame.shape}")
            if kept and frame.shape != kept[0].shape:
                raise refuse(
                    "unsupported_layout",
                    "the frames differ in size",
                    path,
                    got=f"{frame.shape[:2]} at frame {decoded}",
                    expected=f"{kept[0].shape[:2]}",
                )
            kept.append(np.ascontiguousarray(frame[..., ::-1]))
        decoded += 1
    if decoded == _MOST_DECODED:
        raise refuse("too_large", "the video does not end", path, got=f"{decoded} frames")
    return kept, decoded


def _undecodable(path: Path, got: object) -> Exception:
    return refuse(
        "unreadable_file",
        "the video cannot be decoded",
        path,
        got=str(got)[:200],
        expected="a video that OpenCV can decode",
        remedy="fetch the file again, or convert it",
    )


VIDEO = VideoReader()
