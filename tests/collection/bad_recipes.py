"""Bad input: recipes and folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bad_entry import Accepted, Refused, Site, Stops, bad, changed, nothing
from bad_kits import GREY, MAP, NIFTI, PICTURE, put_volume, save
from raw_makers import recipe

CORRECT = "Correct the recipe; nothing was written."
WHOLE = """
dataset: made_up
title: t
licence: l
source: s
series:
  - images: "images/{case}.png"
    modality: CT
    labels:
      - {file: "masks/{case}.png", kind: values, structures: {disc: 1, cup: 2}}
"""


def written(text: str | bytes) -> Callable[[Site], str]:
    """A recipe as a file, `{outside}` in it replaced."""

    def write(site: Site) -> str:
        path = site.raw.parent / "recipe.yaml"
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text.replace("{outside}", str(site.outside)))
        return str(path)

    return write


def stated(label: dict[str, Any] | None = None, **fields: Any) -> Callable[[Site], object]:
    """The recipe of pictures, saying something else in its series."""
    return lambda _site: changed(PICTURE, label, **fields).recipe


def _text(function: str, what: str, text: str | bytes, *says: str, seen: str = CORRECT) -> None:
    def spoil(site: Site) -> None:
        nothing(site)

    spoil.__name__ = function
    bad("recipes and folders", what, PICTURE, Stops(says), seen, recipe=written(text))(spoil)


def _series(
    function: str, what: str, says: tuple[str, ...], label: dict[str, Any] | None = None,
    seen: str = CORRECT, **fields: Any,
) -> None:  # fmt: skip
    def spoil(site: Site) -> None:
        nothing(site)

    spoil.__name__ = function
    chosen = stated(label, **fields)
    bad("recipes and folders", what, PICTURE, Stops(says), seen, recipe=chosen)(spoil)


_RUN = "!!python/object/apply:os.system ['touch {outside}/written']"
_text("tag_runs", "a recipe with a tag that runs a command", WHOLE.replace("title: t",
      f"title: {_RUN}"), "recipe.yaml", seen="Tags are never obeyed.")  # fmt: skip
_text("tag_unknown", "a recipe with an unknown tag", WHOLE.replace("title: t", "title: !secret t"),
      "recipe.yaml")  # fmt: skip
_WORDS = ", ".join(
    ["b0: &b0 [x, x, x, x, x, x, x, x, x]"]
    + [f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]" for n in range(1, 12)]
)
_text("anchor_bomb", "a recipe whose anchors would unfold to 9^12 words",
      WHOLE + f"replica: {{{_WORDS}}}\n", "unfold")  # fmt: skip
_text("anchor_ring", "a recipe with an anchor inside itself", WHOLE + "replica: &r {cases: [*r]}\n",
      "within itself")  # fmt: skip
_text("deep_yaml", "a recipe nested 10,000 deep", WHOLE + "replica: " + "[" * 10_000, "deep")
_text("no_yaml", "a recipe that is no YAML", WHOLE + "\n  - : [", "recipe.yaml")
_text("empty_recipe", "an empty recipe", "", "empty")
_text("list_recipe", "a recipe that is a list", "- a\n- b\n", "mapping")
_text("binary_recipe", "a picture given as the recipe", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\xff",
      "recipe.yaml")  # fmt: skip
_text("misspelt_field", "a misspelt field", WHOLE.replace("modality", "modalty"),
      "did you mean", seen="The message names the field and the nearest right word.")  # fmt: skip
_text("twice_key", "the same value under two structures, one of them lost to a repeated key",
      WHOLE.replace("{disc: 1, cup: 2}", "{1: disc, 1: cup}"), "twice",
      seen="Of equal keys YAML keeps the last; here they refuse the recipe.")  # fmt: skip

_series("climbing_images", "a template of images with `..`", ("..",), images="../raw/{case}.png")
_series("absolute_images", "an absolute template of images", ("relative",),
        images="/etc/{case}.png")  # fmt: skip
_series("climbing_label", "a template of labels with `..`", ("..",),
        {"file": "../outside/secret_mask.png"})  # fmt: skip
_series("backslash_label", "a template with backslashes", ("relative",),
        {"file": "..\\outside\\{case}.png"})  # fmt: skip
_series("stray_braces", "a template with stray braces", ("braces",), images="images/{case}}.png")
_series("unknown_placeholder", "a subject from a placeholder the images lack", ("patient",),
        subject="{patient}")  # fmt: skip
_series("zero_structure", "a structure of value 0", ("background",),
        {"structures": {"disc": 0}})  # fmt: skip
_series("true_structure", "a structure of value `true`", ("whole number",),
        {"structures": {"disc": True}})  # fmt: skip
_series("wide_colour", "a colour of 300", ("0..255",),
        {"kind": "colours", "structures": {"disc": [300, 0, 0]}})  # fmt: skip
_series("nan_spacing", "a spacing of NaN", ("spacing",), spacing_mm=[float("nan"), 1.0])
_series("minus_spacing", "a negative spacing", ("positive",), spacing_mm=[-1.0, 1.0])
_series("no_orientation_letters", "an orientation that is none", ("orientation",),
        orientation="XYZ")  # fmt: skip
_series("no_file", "a template that fits no file", ("nearest is",), images="imges/{case}.png",
        seen="The message names the nearest existing folder.")  # fmt: skip
_series("unknown_ending", "images in a format nobody reads", ("no file matches",),
        images="images/{case}.docx")  # fmt: skip


@bad("recipes and folders", "images that are there, in a format nobody reads",
     changed(PICTURE, images="images/{case}.docx"), Refused("unreadable_file", (".docx",)),
     "The message lists the known endings.", alone=True)  # fmt: skip
def known_to_nobody(site: Site) -> None:
    site.image.write_bytes((site.raw / "images/bad.png").read_bytes())


@bad("recipes and folders", "a data set named `..`", PICTURE, Accepted(),
     "Its folder in the collection is encoded.", dataset="..",
     recipe=lambda site: recipe(dict(PICTURE.series), dataset=".."))  # fmt: skip
def dataset_dots(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "a data set named `a/../../b` with a newline", PICTURE, Accepted(),
     "Its folder in the collection is encoded.", dataset="a/../../b\n",
     recipe=lambda site: recipe(dict(PICTURE.series), dataset="a/../../b\n"))  # fmt: skip
def dataset_slash(site: Site) -> None:
    nothing(site)


_STRUCTURE = "../d\n'|%"


@bad("recipes and folders", "a structure named with a path, a newline and quotes",
     changed(PICTURE, {"structures": {_STRUCTURE: 1, "cup": 2}}),
     Accepted({f"{_STRUCTURE}/0": (MAP == 1)[None], "cup/0": (MAP == 2)[None]}),
     "Stored under this name; ids have it percent-encoded.", alone=True)  # fmt: skip
def structure_name(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "two images that get one case name", PICTURE, Stops(("are named",)),
     "Say `case:` with a template that tells them apart.",
     recipe=stated({"file": "masks/a_good.png"}, images="images/{case}.{any}"))  # fmt: skip
def one_name(site: Site) -> None:
    save(site.image.with_suffix(".bmp"), GREY)


@bad("recipes and folders", "a `skip` of a case that is not there", PICTURE,
     Accepted(), "A notice says so; correct the name.", notice="bda",
     recipe=lambda site: recipe(dict(PICTURE.series), skip={"bda": "blurred"}))  # fmt: skip
def skip_unknown(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "a frame that gets the name of another case",
     NIFTI, Refused("refused", ("taken",)), "Say `case:` with a template that tells them apart.",
     cases=("bad_t000", "bad"), stored=("bad_t000", "bad_t001"))  # fmt: skip
def frame_name(site: Site) -> None:
    import numpy as np
    from bad_kits import VOLUME

    put_volume(site.raw / "images/bad.nii", np.stack([VOLUME] * 2, axis=-1))


_TABLE = {"file": "who.csv", "column": "image", "subject": "patient"}
LOOKED_UP = changed(PICTURE, lookup=[_TABLE])
_HEAD = "image,patient\na_good,p1\n"


@bad(
    "recipes and folders",
    "a table of subjects that does not know a case",
    LOOKED_UP,
    Refused("unknown_subject"),
    "Complete the table: whose a case is is not guessed.",
)
def unknown_subject(site: Site) -> None:
    (site.raw / "who.csv").write_text(_HEAD)


@bad("recipes and folders", "a table of subjects that says two things of one case", LOOKED_UP,
     Stops(("two things of 'bad'",)), "Correct the table.")  # fmt: skip
def two_subjects(site: Site) -> None:
    (site.raw / "who.csv").write_text(f"{_HEAD}bad,p2\nbad,p3\n")


@bad("recipes and folders", "a table of subjects that is missing", LOOKED_UP,
     Stops(("who.csv",)), "Fetch it with the images.")  # fmt: skip
def no_table(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "a table of subjects that is a link out of the raw folder", LOOKED_UP,
     Stops(("inside the raw folder",)), "Copy it there.")  # fmt: skip
def table_link(site: Site) -> None:
    (site.outside / "who.csv").write_text(f"{_HEAD}bad,p2\n")
    (site.raw / "who.csv").symlink_to(site.outside / "who.csv")


@bad("recipes and folders", "a table of subjects with a quote that never ends", LOOKED_UP,
     Stops(("cannot be read",)), "Repair the table.")  # fmt: skip
def open_quote(site: Site) -> None:
    (site.raw / "who.csv").write_text(f'{_HEAD}"bad,p2\n' + "x" * 300_000)


@bad("recipes and folders", "a table of subjects with such a quote in its header", LOOKED_UP,
     Stops(("cannot be read",)), "Repair the table.")  # fmt: skip
def open_header(site: Site) -> None:
    (site.raw / "who.csv").write_text('"image,patient\na_good,p1\nbad,p2\n')


@bad("recipes and folders", "a picture given as the table of subjects", LOOKED_UP,
     Stops(("no column 'image'",)), "Give the table.")  # fmt: skip
def picture_as_table(site: Site) -> None:
    (site.raw / "who.csv").write_bytes(site.image.read_bytes())


@bad("recipes and folders", "a table of subjects with a byte order mark, semicolons and spaces",
     LOOKED_UP, Accepted(), "Read.")  # fmt: skip
def odd_table(site: Site) -> None:
    (site.raw / "who.csv").write_text("\ufeff image ; patient\na_good; p1\nbad ;p2\n")


def _emptied(site: Site) -> Path:
    return site.raw


@bad("recipes and folders", "the raw folder given as the collection", PICTURE,
     Stops(("not a collection",)), "Give another `--out`.", out=_emptied)  # fmt: skip
def out_is_raw(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "a file given as the collection", PICTURE, Stops(("a file",)),
     "Give another `--out`.", out=lambda site: site.outside / "secret.png")  # fmt: skip
def out_is_file(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "someone else's folder given as the collection", PICTURE,
     Stops(("not a collection",)), "Give another `--out`; nothing in it was changed.",
     out=lambda site: site.outside)  # fmt: skip
def out_is_foreign(site: Site) -> None:
    nothing(site)


@bad("recipes and folders", "a raw folder with nothing in it", PICTURE, Stops(("no file matches",)),
     "Give the folder that the recipe's paths start from.", alone=True)  # fmt: skip
def empty_raw(site: Site) -> None:
    for path in (site.image, site.label):
        path.unlink()
        path.parent.rmdir()
