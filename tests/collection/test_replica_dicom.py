"""DICOM files of replicas: the same call writes the same bytes, whenever it is made."""

from __future__ import annotations

from pathlib import Path

import dicom_makers as make
import highdicom as hd
import numpy as np
import pytest
from dicom_makers import VOLUME
from pydicom import dcmread

from engine.collection.replica.dicom import write_picture, write_rtstruct, write_seg


def write(folder: Path) -> dict[str, bytes]:
    series = make.series(folder / "ct")
    for kind in ("BINARY", "FRACTIONAL"):
        write_seg(folder / f"{kind}.dcm", series, make.masks(), seed="s", kind=kind)
    write_rtstruct(folder / "rt.dcm", series, make.masks(), seed="s")
    write_picture(folder / "p.dcm", VOLUME[0].astype(np.uint8), seed="p")
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*.dcm"))
    }  # fmt: skip


def test_the_same_call_writes_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = write(tmp_path / "a")
    monkeypatch.setattr("time.time", lambda: 4e9)
    assert first == write(tmp_path / "b")
    assert len(first) == 9


def test_another_seed_is_another_patient_and_series(tmp_path: Path) -> None:
    one, two = make.series(tmp_path / "a"), make.series(tmp_path / "b", seed="b")
    assert one.series_uid != two.series_uid
    assert one.frame_of_reference != two.frame_of_reference
    assert not {h.SOPInstanceUID for h in one.headers} & {h.SOPInstanceUID for h in two.headers}


def test_highdicom_takes_the_series_for_a_volume(tmp_path: Path) -> None:
    series = make.series(tmp_path, orientation=(0, 1, 0, 0, 0, -1))
    volume = hd.get_volume_from_series([dcmread(p) for p in series.files])
    np.testing.assert_array_equal(np.sort(volume.array, axis=0), np.sort(VOLUME, axis=0))
    assert volume.spacing == pytest.approx((2.5, 0.7, 0.8))
