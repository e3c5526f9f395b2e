"""Bad input: outlines and run-length codes of pictures."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import numpy as np
from bad_entry import Accepted, Refused, Site, bad
from bad_kits import COCO, FLAT, GREY, LABELME, RUNS, save
from bad_pictures import png_of

REPAIR = "Repair it, or skip the case with this reason."


def edit(site: Site, **changes: Any) -> None:
    """Fields of the JSON replaced."""
    content = json.loads(site.label.read_text())
    site.label.write_text(json.dumps({**content, **changes}))


def first(site: Site, field: str, **changes: Any) -> None:
    """Fields of the first annotation, image or shape replaced."""
    content = json.loads(site.label.read_text())
    content[field][0].update(changes)
    site.label.write_text(json.dumps(content))


@bad("polygons", "a COCO file_name with `..` that names the image", COCO, Accepted(),
     "Names are compared with the image's path and never opened; what stands before `..` does "
     "not count.")  # fmt: skip
def dotted_file_name(site: Site) -> None:
    first(site, "images", file_name="../../train/../bad.png")


@bad(
    "polygons",
    "a COCO file_name that leads out of the folder",
    COCO,
    Refused("foreign_reference"),
    "It is not opened; give the file that lists this image.",
)
def foreign_file_name(site: Site) -> None:
    first(site, "images", file_name="../outside/secret.png")


@bad("polygons", "a COCO file that does not list the image", COCO, Refused("foreign_reference"),
     "Give the image folder that belongs to this file.")  # fmt: skip
def unlisted_image(site: Site) -> None:
    first(site, "images", file_name="other.png")


@bad("polygons", "a COCO file that lists the image twice", COCO, Refused("foreign_reference"),
     "Remove one entry.")  # fmt: skip
def listed_twice(site: Site) -> None:
    content = json.loads(site.label.read_text())
    edit(site, images=[*content["images"], {**content["images"][0], "id": 2}])


@bad("polygons", "a COCO image of another size", COCO, Refused("shape_mismatch"),
     "Fetch the image the outlines were drawn on; nothing is resized.")  # fmt: skip
def other_size(site: Site) -> None:
    first(site, "images", height=40)


@bad("polygons", "a COCO polygon of two points", COCO, Refused("bad_contour"), REPAIR)
def two_points(site: Site) -> None:
    first(site, "annotations", segmentation=[[1, 1, 9, 9]])


@bad("polygons", "a COCO polygon with an odd count of numbers", COCO, Refused("bad_contour"),
     REPAIR)  # fmt: skip
def odd_numbers(site: Site) -> None:
    first(site, "annotations", segmentation=[[1, 1, 9, 9, 1, 9, 3]])


@bad("polygons", "NaN among the points", COCO, Refused("bad_contour"), REPAIR)
def nan_point(site: Site) -> None:
    first(site, "annotations", segmentation=[[1, 1, 9, float("nan"), 9, 9]])


@bad("polygons", "a point 10^300 pixels away", COCO, Refused("bad_contour"), REPAIR)
def far_point(site: Site) -> None:
    first(site, "annotations", segmentation=[[1, 1, 9, 1e300, 9, 9]])


@bad("polygons", "a COCO annotation with a box only", COCO, Refused("bad_contour"),
     "Boxes are no outlines; fetch the segmentations.")  # fmt: skip
def box_only(site: Site) -> None:
    first(site, "annotations", segmentation=[], bbox=[1, 1, 5, 5])


@bad("polygons", "a COCO category the file does not list", COCO, Refused("unreadable_file"),
     "Repair the file.")  # fmt: skip
def unknown_category(site: Site) -> None:
    first(site, "annotations", category_id=9)


@bad("polygons", "a COCO category the recipe does not name", COCO, Refused("unknown_label_value"),
     "Name it under `structures` or `ignore`.")  # fmt: skip
def unnamed_category(site: Site) -> None:
    first(site, "categories", name="stroma")


@bad("polygons", "run lengths that sum to more than the picture", COCO,
     Refused("shape_mismatch"), "Give the image at the size it was labelled at.")  # fmt: skip
def long_runs(site: Site) -> None:
    first(site, "annotations", segmentation={"size": [20, 24], "counts": [100, 10**12]})


@bad("polygons", "compressed run lengths that are damaged", COCO, Refused("unreadable_file"),
     "Fetch the file again.")  # fmt: skip
def damaged_runs(site: Site) -> None:
    first(site, "annotations", segmentation={"size": [20, 24], "counts": "\x00~~zz"})


@bad("polygons", "JSON nested 100,000 deep", COCO, Refused("unreadable_file"),
     "It is no outline file.")  # fmt: skip
def deep_json(site: Site) -> None:
    site.label.write_text("[" * 100_000)


@bad("polygons", "a LabelMe file with an absolute imagePath to another picture", LABELME,
     Refused("foreign_reference"), "It is not opened; correct imagePath.")  # fmt: skip
def absolute_image_path(site: Site) -> None:
    edit(site, imagePath=f"{site.outside}/secret.png")


@bad("polygons", "a LabelMe file with the image's path on another computer", LABELME, Accepted(),
     "Only the last name counts, and nothing is opened.")  # fmt: skip
def path_elsewhere(site: Site) -> None:
    edit(site, imagePath="C:\\Users\\x\\..\\bad.jpg")


@bad("polygons", "an outline that crosses itself so that pixels lie inside twice", LABELME,
     Refused("bad_contour"), REPAIR)  # fmt: skip
def crossing(site: Site) -> None:
    round_once = [[2, 2], [12, 2], [12, 12], [2, 12]]
    first(site, "shapes", points=round_once + [[x + 1, y + 1] for x, y in round_once])


@bad("polygons", "a line where an outline is expected", LABELME, Refused("bad_contour"), REPAIR)
def a_line(site: Site) -> None:
    first(site, "shapes", shape_type="linestrip")


@bad("polygons", "an outline wholly beside the image", LABELME, Accepted({"cup/0": FLAT["cup/0"]}),
     "It has no pixel; the other object is stored.")  # fmt: skip
def beside(site: Site) -> None:
    first(site, "shapes", points=[[100, 100], [120, 100], [120, 120]])


@bad("polygons", "a LabelMe mask that is a PNG bomb", LABELME, Refused("unreadable_file"), REPAIR)
def mask_bomb(site: Site) -> None:
    text = base64.b64encode(png_of(60_000, 60_000, zlib.compress(bytes(9)))).decode()
    first(site, "shapes", shape_type="mask", points=[[1, 1], [3, 3]], mask=text)


@bad("polygons", "a table of runs that leave the picture", RUNS, Refused("shape_mismatch"),
     "Give the image at the size it was labelled at.")  # fmt: skip
def leaving_runs(site: Site) -> None:
    site.label.write_text("ImageId,EncodedPixels,ClassId\nbad,1 3 470 99,1\n")


@bad("polygons", "a table of runs with a word among the numbers", RUNS,
     Refused("unreadable_file"), "Fetch the file again.")  # fmt: skip
def words_in_runs(site: Site) -> None:
    site.label.write_text("ImageId,EncodedPixels,ClassId\nbad,1 3 =cmd() 4,1\nbad,9 3 30 3,2\n")


@bad("polygons", "a table with a row cut short", RUNS, Refused("truncated_file"),
     "Fetch the file again.")  # fmt: skip
def short_row(site: Site) -> None:
    site.label.write_text("ImageId,EncodedPixels,ClassId\nbad,1 3 9 4\n")


@bad("polygons", "a picture of another size than its outlines", LABELME,
     Refused("shape_mismatch"), "Fetch the picture the outlines were drawn on.")  # fmt: skip
def resized_picture(site: Site) -> None:
    save(site.image, np.concatenate([GREY, GREY]))
