"""Real data sets, exported and read back: the same objects, pixel for pixel."""

from __future__ import annotations

from pathlib import Path

import pytest
from collection.test_export import read_back, stored

from engine.collection.export import export_collection
from engine.collection.ingest import ingest

# dataset: objects on slices, and the same with instances united
OBJECTS = {
    "hvsmr_whole_heart_cmr": (129, 129),
    "sam_med2d_demo": (28, 28),
    "sct_spinal_cord_mri": (230, 230),
    "stardist_fluorescence": (190, 2),
    "totalsegmentator_ct_mr": (1597, 1597),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_real_objects_survive_every_format(shared_data: Path, tmp_path: Path, name: str) -> None:
    if not (shared_data / name).is_dir():
        pytest.skip(f"real images are absent: {shared_data / name}")
    collection = tmp_path / "in.zarr"
    ingest(name, shared_data / name, collection)
    for form in ("coco", "nnunet"):
        exact = form == "coco"
        back = {}
        for number, folder in enumerate(
            export_collection(collection, form, tmp_path / form).folders
        ):
            back |= stored(read_back(folder, tmp_path / f"{form}{number}.zarr"))
        assert back == stored(collection, per_slice=exact, instances=exact)
        assert len(back) == OBJECTS[name][0 if exact else 1]
