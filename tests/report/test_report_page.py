"""The report: self-contained, honest, and saying what the database says."""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from results.synthetic import Synthetic, make, study

from dashboards.figures import FIGURES
from dashboards.gallery import GalleryItem
from dashboards.page.times import duration, moment
from dashboards.report import build_report
from dashboards.report import facts as facts_page
from engine.analysis import run
from engine.errors import UserError
from engine.results.query import connect

LIMIT_BYTES = 5_000_000
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Collects what a page refers to, its scripts and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.targets: list[tuple[str, str]] = []
        self.downloads: dict[str, str] = {}
        self.scripts: dict[str, str] = {}
        self.ids: set[str] = set()
        self.text = ""
        self._script: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.add(values.get("id", ""))
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            if name in values:
                self.targets.append((tag, values[name]))
        if "download" in values:
            self.downloads[values["download"]] = values["href"]
        self._script = values.get("id", "main") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data
        else:
            self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Synthetic:
    made = make(
        tmp_path_factory.mktemp("report"),
        leave_out=lambda cell: cell.model == "tuned" and cell.strategy == "box",
    )
    made.build()
    return made


@pytest.fixture(scope="module")
def html(made: Synthetic) -> str:
    picture = made.run_dir / "a.png"
    picture.write_bytes(PNG)
    items = [GalleryItem("box: best", "Dice <1>", PNG), GalleryItem("box: worst", "x", picture)]
    path = build_report(made.run_dir, items)
    assert path == made.run_dir / "report.html"
    return path.read_text()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_nothing_is_loaded_from_elsewhere(html: str, page: Page) -> None:
    assert page.targets
    for tag, target in page.targets:
        assert target.startswith(("data:", "#")), (tag, target[:80])
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", html)
    assert not re.search(r"url\(\s*['\"]?(https?:)?//", html)
    assert "@import" not in html


def test_links_inside_the_page_lead_somewhere(page: Page) -> None:
    for _, target in page.targets:
        if target.startswith("#"):
            assert target[1:] in page.ids


def test_plotly_is_there_once_and_whole(html: str, page: Page) -> None:
    assert html.count('id="plotly-packed"') == 1
    code = gzip.decompress(base64.b64decode(page.scripts["plotly-packed"])).decode()
    assert code.startswith("/**\n* plotly.js")
    assert len(html.encode()) < LIMIT_BYTES


def test_every_figure_has_data_and_a_csv(made: Synthetic, page: Page) -> None:
    with connect(made.run_dir) as connection:
        for spec in FIGURES:
            figure = json.loads(page.scripts[f"figure-{spec.name}"])
            assert figure["data"]
            uri = page.downloads[f"{spec.name}.csv"]
            text = base64.b64decode(uri.removeprefix("data:text/csv;base64,")).decode()
            rows = list(csv.DictReader(io.StringIO(text)))
            answer = run(connection, spec.question)
            assert len(rows) == len(answer)
            if "n" in answer.column_names:
                assert [int(row["n"]) for row in rows] == answer["n"].to_pylist()


def test_counts_stand_beside_every_figure(made: Synthetic, page: Page) -> None:
    with connect(made.run_dir) as connection:
        (row,) = [
            row for row in run(connection, "leaderboard").to_pylist()
            if (row["model"], row["strategy"], row["selection"]) == ("tiny", "box", "oracle")
        ]  # fmt: skip
    count = f"{row['n']}/{row['expected']}"
    for name in ("dice_by_strategy", "oracle_gap"):
        layout = json.loads(page.scripts[f"figure-{name}"])["layout"]
        assert any(count in text for text in layout["yaxis"]["ticktext"])
    assert "Trials scored / expected" in page.text


def test_banner_tells_what_is_wrong(page: Page) -> None:
    assert "Read this first" in page.text
    assert "tiny: untrained, randomly drawn weights" in page.text
    assert "tuned has seen abdomen_ct in training" in page.text
    assert "tuned has seen skin/photo in training" in page.text
    assert re.search(r"Incomplete: 102 of 476 expected trials are pending", page.text)
    assert re.search(r"\d+ of 476 expected trials failed", page.text)


def test_clean_run_has_no_banner(tmp_path: Path) -> None:
    trained = study(models=[{"name": "sam", "checkpoint": "elsewhere.pt"}])
    made = make(tmp_path, of=trained, fail_rate=0)
    made.run.models[0]["trained_on"] = ()  # type: ignore[index]
    made.build()
    page = Page(build_report(made.run_dir).read_text())
    assert "Read this first" not in page.text
    assert "untrained" not in page.text
    assert "gallery" not in page.ids


def test_other_subjects_of_the_same_datasets_are_told(tmp_path: Path) -> None:
    made = make(tmp_path, of=study(models=[{"name": "sam", "checkpoint": "elsewhere.pt"}]))
    card = made.run.models[0]
    card["trained_subjects"] = ("abdomen_ct/other", "skin%2Fphoto/other")  # type: ignore[index]
    made.build()
    page = Page(build_report(made.run_dir).read_text())
    assert "sam was trained on other subjects of 2 of these datasets" in page.text
    assert "has seen" not in page.text


def test_facts_of_the_run_are_there(made: Synthetic, page: Page) -> None:
    for words in ("synthetic", "collection.zarr", "protocol 1", "12.5 s", "cpu", "seed 7",
                  "2026-11-23 10:00 UTC", made.run.models[0]["weights_sha256"][:12],
                  "Huang et al.", "out of memory", "geometry_mismatch"):  # fmt: skip
        assert words in page.text, words


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    made = make(tmp_path, of=study(strategies=["box"]))
    nasty = "</script><script>alert(1)</script>"
    catalog = made.catalog / "objects.parquet"
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(catalog)
    names = pa.array([nasty if i % 2 else "liver" for i in range(len(table))])
    pq.write_table(table.set_column(3, "structure", names), catalog)
    made.build()
    html = build_report(made.run_dir, [GalleryItem(nasty, nasty, PNG)]).read_text()
    assert "<script>alert" not in html
    figure = json.loads(Page(html).scripts["figure-structure_modality"])
    assert "<script>" not in json.dumps(figure["layout"])


def test_run_with_nothing_done_still_has_a_report(tmp_path: Path) -> None:
    made = make(tmp_path, leave_out=lambda cell: True)
    made.build()
    page = Page(build_report(made.run_dir).read_text())
    assert "476 of 476 expected trials are pending" in page.text


def test_only_everything_has_no_jitter_curve(tmp_path: Path) -> None:
    made = make(tmp_path, of=study(strategies=["everything"]))
    made.build()
    page = Page(build_report(made.run_dir).read_text())
    assert "No prompted strategy" in page.text


def test_no_results_no_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no results database"):
        build_report(tmp_path)


def test_words_for_times() -> None:
    assert [duration(s) for s in (None, 1.25, 61, 7321)] == [
        "unknown", "1.2 s", "1 min 1 s", "2 h 02 min"
    ]  # fmt: skip
    assert moment("2026-11-23T10:00:00+00:00") == "2026-11-23 10:00 UTC"
    assert moment("yesterday") == "yesterday"


@pytest.mark.parametrize(
    ("trained_on", "warned"),
    [(["phantom_heart", "phantom_xray"], True), (["phantom_heart", "sa1b"], False), ([], False)],
)
def test_a_model_of_phantoms_says_so_on_other_images(
    made: Synthetic, trained_on: list[str], warned: bool
) -> None:
    with connect(made.run_dir) as connection:
        facts = facts_page.gather(connection)
    models = [{**row, "model": "new", "trained_on": trained_on} for row in facts.models[:1]]
    found = facts_page.warnings(replace(facts, models=models))
    assert any("drawn phantoms alone" in text for text in found) == warned
    akin = replace(facts, models=models, akin=[("new", 1)])
    assert not any("drawn phantoms alone" in text for text in facts_page.warnings(akin))


@pytest.mark.ray
def test_the_report_of_the_demo_can_be_sent_by_mail(demo: Path) -> None:
    assert (demo / "report.html").stat().st_size <= LIMIT_BYTES
