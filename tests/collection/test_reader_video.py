"""Videos: frames in order and in RGB, counted as decoded, and films that end early."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from engine.collection.readers import limits, reader_for, video_frames
from engine.collection.readers.base import How, RawImage
from engine.errors import CaseRefusedError

CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v", ".mkv": "MJPG", ".mpg": "MPG1"}
COUNT = 12


def film(path: Path, colour: bool = True, codec: str = "") -> NDArray[np.uint8]:
    """A block that moves and a background that grows lighter, in RGB."""
    frames = np.zeros((COUNT, 48, 64, 3), dtype=np.uint8)
    for n, frame in enumerate(frames):
        frame[...] = 10 * n + 20
        frame[8:24, 2 * n : 2 * n + 16] = (230, 30, 30) if colour else 240
    code = cv2.VideoWriter_fourcc(*(codec or CODECS[path.suffix]))
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 25.0, (64, 48))
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    assert path.stat().st_size > 500
    return frames


def read(path: Path, every: int = 1) -> RawImage:
    return reader_for(path).read(path, How(every=every))


def refused(path: Path) -> str:
    with pytest.raises(CaseRefusedError) as caught:
        read(path)
    return caught.value.code


@pytest.mark.parametrize("ending", CODECS)
def test_frames_in_order_and_in_rgb(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    frames = film(path)
    raw = read(path)
    assert (raw.kind, raw.time_axis, raw.channel_axis) == ("image", 0, 3)
    assert raw.array.shape == frames.shape
    assert np.abs(raw.array.astype(int) - frames).mean() < 8  # lossy
    block = raw.array[3, 12:20, 10:18].reshape(-1, 3).mean(axis=0)
    assert block[0] > 180
    assert block[2] < 90


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize("every", [2, 5, 100])
def test_every_nth_frame(tmp_path: Path, ending: str, every: int) -> None:
    path = tmp_path / f"a{ending}"
    film(path)
    np.testing.assert_array_equal(read(path, every).array, read(path).array[::every])


def test_a_grey_film_is_grey_but_for_labels(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    frames = film(path, colour=False, codec="FFV1")
    np.testing.assert_array_equal(read(path).array, frames[..., 0])
    labels = reader_for(path).read_labels(path)
    assert isinstance(labels, RawImage)
    assert labels.array.shape == (COUNT, 48, 64, 3)


@pytest.mark.parametrize("ending", [".avi", ".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("keep", [0.4, 0.7, 0.95])
def test_films_that_end_early(tmp_path: Path, ending: str, keep: float) -> None:
    path = tmp_path / f"a{ending}"
    film(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])
    assert refused(path) == "truncated_file"


def test_a_film_whose_pictures_are_gone(tmp_path: Path) -> None:
    """The index counts twelve frames; the data of the last ones are zeros."""
    path = tmp_path / "a.mp4"
    film(path)
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat")
    end = content.index(b"moov") if content.index(b"moov") > start else len(content)
    middle = (start + end) // 2
    content[middle : end - 4] = bytes(end - 4 - middle)
    path.write_bytes(content)
    assert refused(path) == "truncated_file"


@pytest.mark.parametrize("ending", CODECS)
@pytest.mark.parametrize("content", [b"", b"x" * 500, b"#EXTM3U\n#EXTINF:1,\nother.mp4\n"])
def test_something_else(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"a{ending}"
    assert refused(path) == "missing_file"
    path.write_bytes(content)
    assert refused(path) == "unreadable_file"


def test_a_container_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0")
    assert refused(tmp_path / "a.mp4") == "unreadable_file"


def test_a_long_film_is_refused_before_memory_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.avi"
    film(path)
    monkeypatch.setattr(limits, "MOST_BYTES", 8 * 48 * 64 * 3)
    assert refused(path) == "too_large"
    assert read(path, every=2).frames == 6


def test_a_decoder_that_crashes_costs_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fuzzing found films that corrupt the decoder's memory; here it ends in the middle."""
    crash = tmp_path / "crash.py"
    crash.write_text(
        "import os, struct, sys\n"
        "sys.stdout.buffer.write(struct.pack('<QQ', 4, 4) + bytes(48))\n"
        "sys.stdout.flush()\n"
        "os.abort()\n"
    )
    path = tmp_path / "a.avi"
    film(path)
    monkeypatch.setattr(video_frames, "__file__", str(crash))
    assert refused(path) == "unreadable_file"
