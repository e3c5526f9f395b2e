"""Decodes a video in a process of its own, run by `video.py` as a script.

A damaged film can corrupt the memory of the process that decodes it. Output: per kept frame its
height and width (two little-endian uint64) and its RGB bytes; then 0, the number of decoded frames
and the number the container states. Output without that end means that decoding failed.
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO

MOST_DECODED = 2_000_000  # nine hours at 60 frames a second


def decode(path: str, every: int, out: BinaryIO) -> None:
    """Write every n-th frame of a video, and how many there were."""
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"  # what is wrong is said by the refusal
    import cv2  # not above: the process that starts this one reads MOST_DECODED only
    import numpy as np

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    decoded = 0
    while decoded < MOST_DECODED and capture.grab():
        if decoded % every == 0:
            found, frame = capture.retrieve()
            if not found:
                break
            if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
                return
            out.write(struct.pack("<QQ", *frame.shape[:2]))
            out.write(np.ascontiguousarray(frame[..., ::-1]).tobytes())
        decoded += 1
    stated = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    out.write(struct.pack("<QQQ", 0, decoded, stated))
    out.flush()


if __name__ == "__main__":
    decode(sys.argv[1], int(sys.argv[2]), sys.stdout.buffer)
