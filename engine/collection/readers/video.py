"""Frames of videos (`.mp4`, `.mov`, `.avi`, `.mkv`, `.mpg`, `.mpeg`) through OpenCV.

The container is recognised by its first bytes before a decoder sees it: decoders also understand
playlists, which name other files. Frames are counted as they are decoded; what a header says about
their number only serves to notice a film that ends early. Decoding happens in another process,
which a damaged film may crash.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from engine.collection.readers import video_frames
from engine.collection.readers.base import PLAIN, How, ImageFile, OneFile, RawImage, refuse
from engine.collection.readers.containers import check_container
from engine.collection.readers.limits import admit, bounded_memory
from engine.collection.readers.pixels import merge_grey

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
        kept, decoded, stated = _from_child(path, every)
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


def _from_child(path: Path, every: int) -> tuple[list[NDArray[np.uint8]], int, int]:
    """(every n-th frame, number decoded, number the container states), from another process."""
    command = [sys.executable, "-P", video_frames.__file__, str(path.resolve()), str(every)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        try:
            return _received(child.stdout, path)  # type: ignore[arg-type]  # it is a pipe
        finally:
            child.kill()


def _received(pipe: IO[bytes], path: Path) -> tuple[list[NDArray[np.uint8]], int, int]:
    kept: list[NDArray[np.uint8]] = []
    while len(head := pipe.read(16)) == 16:
        height, width = struct.unpack("<QQ", head)
        if height == 0:
            decoded, stated = width, int.from_bytes(pipe.read(8), "little")
            if not kept:
                raise _undecodable(path, "no frame")
            if decoded >= video_frames.MOST_DECODED:
                raise refuse("too_large", "the video does not end", path, got=f"{decoded} frames")
            return kept, decoded, stated
        size = height * width * 3
        admit((len(kept) + 1, height, width, 3), 1, path)
        content = pipe.read(size)
        if len(content) < size:
            break
        frame = np.frombuffer(content, dtype=np.uint8).reshape(height, width, 3)
        if kept and frame.shape != kept[0].shape:
            raise refuse(
                "unsupported_layout",
                "the frames differ in size",
                path,
                got=f"{frame.shape[:2]} at frame {len(kept)} of those kept",
                expected=f"{kept[0].shape[:2]}",
            )
        kept.append(frame)
    raise _undecodable(path, f"the decoder failed after {len(kept)} kept frames")


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
