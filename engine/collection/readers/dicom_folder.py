"""Which files of a folder are the one DICOM series it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.collection.readers.base import missing, refuse
from engine.collection.readers.dicom_file import (
    ENDINGS,
    SEGMENTATIONS,
    Header,
    check_keywords,
    is_dicom,
    read_header,
)

_DIRECTORY = "DICOMDIR"
_TEXT_WITHIN = 1024


def series_of(folder: Path, pick: Mapping[str, str]) -> list[Header]:
    """Headers of the images of the one series in a folder, in the order of the file names.

    Hidden files, subfolders, DICOMDIR, DICOM files that are no images and files of other kinds
    are passed over. A file that looks like one of the series (by its ending) and is not DICOM is
    refused: it may be a damaged slice.

    Raises:
        CaseRefusedError: `several_series`, `missing_file`, or why a file cannot be read.
    """
    check_keywords(pick)
    files, others = _sorted_out(folder)
    headers = [read_header(path, tuple(pick)) for path in files]
    images = [h for h in headers if h.is_image and h.sop_class not in SEGMENTATIONS]
    if not images:
        raise refuse(
            "missing_file",
            "the folder holds no DICOM image",
            folder,
            got=_listed([path.name for path in [*files, *others]]) or "an empty folder",
            expected="the files of one series",
        )
    chosen = [header for header in images if header.fits(pick)]
    series: dict[str, list[Header]] = {}
    for header in chosen:
        series.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    if len(series) != 1:
        raise _undecided(folder, series, images, pick)
    return chosen


def _sorted_out(folder: Path) -> tuple[list[Path], list[Path]]:
    """(DICOM files, other files), by name."""
    try:
        entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError as error:
        raise missing(folder) from error
    files = [entry for entry in entries if entry.is_file() and entry.name.upper() != _DIRECTORY]
    marked = [path for path in files if is_dicom(path)]
    others = [path for path in files if path not in set(marked)]
    endings = {path.suffix.lower() for path in marked}
    for path in others:
        if _could_be_a_slice(path, endings):
            read_header(path)  # says what is wrong with it
    return marked, others


def _could_be_a_slice(path: Path, endings: set[str]) -> bool:
    ending = path.suffix.lower()
    if ending in ENDINGS:
        return True
    if ending not in endings:
        return False
    with path.open("rb") as stream:
        start = stream.read(_TEXT_WITHIN)
    return not start or b"\0" in start


def _undecided(
    folder: Path, series: dict[str, list[Header]], images: list[Header], pick: Mapping[str, str]
) -> Exception:
    if series:
        shown = [f"{headers[0].path.name}: {_words(headers)}" for headers in series.values()]
        return refuse(
            "several_series",
            "the folder holds several series",
            folder,
            got=_listed(shown, "; "),
            expected="one series",
            remedy="say pick: {SeriesDescription: ...} (or another keyword) in the recipe",
        )
    wanted = ", ".join(f"{keyword}: {pattern}" for keyword, pattern in pick.items())
    found = dict.fromkeys(
        ", ".join(f"{keyword}: {header.text(keyword)}" for keyword in pick) for header in images
    )
    return refuse(
        "several_series",
        "no file of the folder fits what the recipe picks",
        folder,
        got=_listed(list(found), "; "),
        expected=wanted,
        remedy="correct pick: in the recipe",
    )


def _words(headers: list[Header]) -> str:
    first = headers[0]
    said = [f"{key} {text}" for key in ("Modality", "SeriesNumber", "SeriesDescription",
            "ImageType") if (text := first.text(key))]  # fmt: skip
    return f"{len(headers)} files, {', '.join(said)}"


def _listed(words: list[str], between: str = ", ") -> str:
    return between.join(words[:8]) + (f" and {len(words) - 8} more" if len(words) > 8 else "")
