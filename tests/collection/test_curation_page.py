"""The curation report as files: one page, one JSON, and what is said on the way."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from curation_makers import body, collection, jpeg, picture, texture
from PIL import Image

from dashboards.curation.overlay import Ink, draw, encode
from dashboards.curation.pictures import BUDGET_BYTES, Pictures
from engine.cli import run
from engine.collection.case import Label
from engine.collection.catalog import Catalog
from engine.collection.curation.frame import Frame
from engine.commands.curation import beside
from engine.stores import place_of


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every kind of finding, and names that would break a careless page."""
    wrong = body("wrong", seed=5)
    wrong = replace(wrong, labels=np.ascontiguousarray(wrong.labels[..., ::-1]))
    odd = body("odd<b>", seed=6)
    odd = replace(odd, meaning=(Label(0, 1, "a</script>_left"), Label(0, 2, "a</script>_right")))
    return collection(
        tmp_path_factory.mktemp("page") / "my.zarr",
        [body("good"), wrong, odd, *(picture(f"p{k}", texture(k)) for k in range(3))],
        [picture("leak", jpeg(texture(1), 60), dataset="copy", modality="X-ray")],
    )


@pytest.fixture(scope="module")
def written(world: Path) -> Path:
    assert run(["curation", str(world)]) == 0
    return world.parent / "my-curation"


class Links(HTMLParser):
    """Every address a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_asks_nobody(written: Path) -> None:
    page = (written / "report.html").read_text()
    links = Links()
    links.feed(page)
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert sum(link.startswith("data:image/webp") for link in links.found) == 10


def test_findings_are_on_the_page(written: Path) -> None:
    page = (written / "report.html").read_text()
    assert "1 pair of cases of different datasets with the same picture" in page
    assert "copy/leak/00000" in page
    assert "Left and right: 1" in page
    assert "ds/wrong: left at" in page
    assert "odd&lt;b&gt;" in page
    assert "odd<b>" not in page
    assert "a</script>_left" not in page


def test_every_number_is_in_the_json(written: Path) -> None:
    numbers = json.loads((written / "report.json").read_text())
    total = numbers["counts"]["total"]
    assert (total["cases"], total["slices"], total["objects"]) == (7, 22, 40)
    assert total["objects_taking_part"] == 40
    assert [rule["found"] for rule in numbers["rules"]] == [1, 0, 0, 0]
    (between,) = numbers["duplicates"]["between"]
    assert (between["dataset"], between["other"], between["case_pairs"]) == ("copy", "ds", 1)
    page = (written / "report.html").read_text()
    for text in ("7", "22", "40"):
        assert f"<b>{text}</b>" in page or f">{text}</td>" in page


def test_two_reports_differ_only_in_their_time(world: Path, written: Path, tmp_path: Path) -> None:
    assert run(["curation", str(world), "--out", str(tmp_path / "again")]) == 0
    clock = re.compile(r"<dt>(report built|pixels examined)</dt><dd>.*?</dd>")
    one, two = (
        clock.sub("", (folder / "report.html").read_text())
        for folder in (written, tmp_path / "again")
    )
    assert one == two


def test_what_is_said(world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["curation", str(world), "--out", str(tmp_path / "r")]) == 0
    said = capfd.readouterr()
    assert said.out.strip() == str(tmp_path / "r" / "report.html")
    assert "near duplicates: 1 pair of cases in copy and ds" in said.err
    assert "left and right: 1 to look at" in said.err


def test_off_says_so(world: Path, tmp_path: Path) -> None:
    out = tmp_path / "r"
    assert run(["curation", str(world), "--out", str(out), "--duplicates", "off"]) == 0
    page = (out / "report.html").read_text()
    assert "near duplicates were not looked for" in page
    assert json.loads((out / "report.json").read_text())["duplicates"] is None


def test_where_the_report_goes(tmp_path: Path) -> None:
    assert beside(tmp_path / "a.zarr") == tmp_path / "a-curation"
    assert beside(place_of("s3://bucket/deep/b.zarr")) == Path("b-curation")


def test_mistakes(world: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["curation", str(tmp_path / "none.zarr")]) == 2
    assert "there is no collection here" in capfd.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(["curation", str(world), "--out", str(tmp_path / "file")]) == 2
    assert "remedy: give another --out" in capfd.readouterr().err


def test_a_damaged_picture_leaves_the_page_whole(tmp_path: Path) -> None:
    out = collection(tmp_path / "c.zarr", [body("b0"), body("b1", seed=1)])
    for shard in (out / "ds" / "b0" / "image" / "c").rglob("*"):
        if shard.is_file():
            shard.write_bytes(b"")
    assert run(["curation", str(out), "--out", str(tmp_path / "r")]) == 0
    page = (tmp_path / "r" / "report.html").read_text()
    assert "1 array cannot be read, first ds/b0" in page
    assert page.count('<p class="unread">cannot be read</p>') == 2


def test_pixels_have_the_shape_of_their_spacing() -> None:
    image = np.zeros((50, 100), np.uint8)
    both = draw(image, [], row_mm=2.0, col_mm=1.0, plane="image", side=200)
    assert both.size == (2 * 200 + 4, 200)
    unknown = draw(image, [], row_mm=None, col_mm=None, plane="image", side=200)
    assert unknown.size == (2 * 200 + 4, 100)


def test_outlines_are_on_the_right_only_and_on_the_rim() -> None:
    image = np.full((40, 40), 128, np.uint8)
    mask = np.zeros((40, 40), np.bool_)
    mask[10:30, 10:30] = True
    ink = Ink("#E69F00", "solid")
    both = np.array(draw(image, [(ink, mask)], row_mm=1, col_mm=1, plane="image", side=40))
    left, right = both[:, :40], both[:, 44:]
    assert (left == 128).all()
    coloured = (right == (0xE6, 0x9F, 0)).all(axis=2)
    assert coloured[10:12, 10:30].all()
    assert not coloured[13:27, 13:27].any()
    assert not coloured[~mask].any()


def test_small_objects_stay_visible_when_reduced() -> None:
    image = np.full((1000, 1000), 128, np.uint8)
    mask = np.zeros((1000, 1000), np.bool_)
    mask[500:508, 500:508] = True
    ink = Ink("#E69F00", "solid")
    both = np.array(draw(image, [(ink, mask)], row_mm=1, col_mm=1, plane="image", side=250))
    assert (both == (0xE6, 0x9F, 0)).all(axis=2).sum() >= 4


def test_letters_of_known_orientation() -> None:
    image = np.zeros((100, 100), np.uint8)
    for plane, marked in (("axial", True), ("sagittal", True), ("image", False)):
        both = np.array(draw(image, [], row_mm=1, col_mm=1, plane=plane, side=100))
        assert bool((both[:, :100] > 200).any()) is marked


@pytest.mark.parametrize("most", [60_000, 8_000, 3_000])
def test_pictures_keep_to_their_bytes(most: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (250, 504, 3)).astype(np.uint8)
    encoded = encode(Image.fromarray(noise), most)
    assert (encoded.width, encoded.height) == (504, 250)
    if most > 5_000:
        assert len(encoded.uri) * 3 / 4 <= most + 60


def test_many_datasets_share_the_bytes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    groups = [
        [
            picture(
                f"p{k}", noise.integers(0, 256, (128, 128)).astype(np.uint8), dataset=f"d{n:02d}"
            )
            for k in range(7)
        ]
        for n in range(22)
    ]
    path = collection(tmp_path / "c.zarr", *groups)
    sheets = Pictures(path, Frame.of(Catalog.open(path))).sheets()
    assert len(sheets) == 22
    sizes = [
        sum(len(p.encoded.uri) for p in sheet.pictures if p.encoded is not None) for sheet in sheets
    ]
    assert {len(sheet.pictures) for sheet in sheets} == {6}
    assert max(sizes) * 3 / 4 < BUDGET_BYTES / 22
