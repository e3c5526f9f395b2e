"""Bad input: names, links and what they lead to."""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

from bad_dicom import SEG, put_series
from bad_entry import Accepted, PassedOver, Refused, Site, bad, nothing
from bad_kits import MASKS, META, NIFTI, PICTURE, STACK

KEPT = "Stored under this name; ids and folders have it percent-encoded where they must."
NOT_FOLLOWED = "Give the folder the files really lie in, or copy them."


def _named(what: str, *cases: str, seen: str = KEPT, function: str) -> None:
    """An entry whose only oddity is its name; as a picture, and so with a label of that name."""

    def spoil(site: Site) -> None:
        nothing(site)

    spoil.__name__ = function
    bad("names and paths", what, PICTURE, Accepted(), seen, cases=cases)(spoil)


_named("a name with spaces", " b a d ", function="name_spaces")
_named("a name with quotes of three kinds", "b\"a'd`", function="name_quotes")
_named("a name with a newline and a tab", "b\na\td", function="name_newline")
_named("a name with percent signs, one of them an encoded slash", "b%2Fa%d%%s",
       function="name_percent")  # fmt: skip
_named("a name with `..` inside and at its end", "b..a../..".replace("/", ""), function="name_dots")
_named("a name with a backslash, a colon and a pipe", "b\\a:d|", function="name_backslash")
_named("a name of wildcards", "[b]*?a{d}", function="name_wildcards")
_named("a name that is a placeholder", "{case}", function="name_placeholder")
_named("a name that begins with `--` and `$(...)`", "--out=$(id);rm", function="name_shell")
_named("a name of 250 bytes", "b" * 246, function="name_long",
       seen="Stored; its folder in the collection is cut and told apart by a hash.")  # fmt: skip
_named("a name of 82 three-byte letters", "\u533b" * 82, function="name_long_unicode",
       seen="Stored; its folder in the collection is cut and told apart by a hash.")  # fmt: skip
_named("a name with emoji and a letter that turns the direction of reading", "b\u202e\U0001fa7ba",
       function="name_emoji")  # fmt: skip
_named("names that the collection uses itself: `catalog`, `zarr.json`, `image`", "catalog",
       "zarr.json", "image", function="name_reserved",
       seen="Stored; folders of these names are encoded.")  # fmt: skip
_named("names that some systems reserve: `CON`, `nul.`", "CON", "nul.", function="name_windows")
_named("names that look like grouped pictures: `_20x24_0`", "_20x24_0", function="name_group",
       seen="Stored; a leading `_` is encoded.")  # fmt: skip
_named(
    "two names that differ in upper and lower case",
    "Bad",
    "bad",
    function="name_case",
    seen="Two cases; a disk that does not tell them apart cannot hold them in the first place.",
)
_named("one name in two Unicode forms (NFC and NFD)", unicodedata.normalize("NFC", "b\u00e4d"),
       unicodedata.normalize("NFD", "b\u00e4d"), function="name_unicode",
       seen="Two cases: names are compared as they are, letter by letter.")  # fmt: skip


@bad("names and paths", "volumes whose names the file system just holds", NIFTI, Accepted(),
     "Stored; its folder in the collection is cut and told apart by a hash.",
     cases=("b" * 250 + "1", "b" * 250 + "2"))  # fmt: skip
def long_volume_names(site: Site) -> None:
    nothing(site)


@bad("names and paths", "a name that is no UTF-8", PICTURE, Refused("unsafe_path"),
     "Rename the file: no catalog can hold such a name.",
     cases=("bad\udcff",), refused_as="bad\\xff")  # fmt: skip
def no_utf8(site: Site) -> None:
    nothing(site)


@bad(
    "names and paths",
    "a hidden file (`._bad.png`) among the pictures",
    PICTURE,
    PassedOver(),
    "Names that begin with a dot are no data, unless the recipe's template begins so too.",
)
def hidden_file(site: Site) -> None:
    for path in (site.image, site.label):
        path.rename(path.with_name("._bad.png"))


@bad("names and paths", "a hidden folder among the cases", SEG, PassedOver(),
     "Names that begin with a dot are no data.")  # fmt: skip
def hidden_folder(site: Site) -> None:
    (site.raw / "bad").rename(site.raw / ".Trash")


@bad("names and paths", "an image that is a link out of the raw folder", PICTURE,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def image_link(site: Site) -> None:
    site.image.unlink()
    site.image.symlink_to(site.outside / "secret.png")


@bad("names and paths", "a label that is a relative link out of the raw folder", PICTURE,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def label_link(site: Site) -> None:
    site.label.unlink()
    site.label.symlink_to("../../outside/secret_mask.png")


@bad("names and paths", "the raw half of an MHD that is a link out of the raw folder", META,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def companion_link(site: Site) -> None:
    raw = site.image.with_suffix(".raw")
    raw.unlink()
    raw.symlink_to(site.outside / "secret.raw")


@bad("names and paths", "a folder of masks that is a link out of the raw folder", MASKS,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def folder_link(site: Site) -> None:
    masks = site.label.parent
    shutil.rmtree(masks)
    (site.outside / "disc.png").write_bytes((site.outside / "secret_mask.png").read_bytes())
    masks.symlink_to(site.outside)


@bad("names and paths", "a DICOM series that is a link out of the raw folder", SEG,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def series_link(site: Site) -> None:
    shutil.rmtree(site.image)
    put_series(site.outside / "ct", "bad")
    site.image.symlink_to(site.outside / "ct")


@bad("names and paths", "a folder of slices that is a link to an empty folder outside", STACK,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def empty_link(site: Site) -> None:
    shutil.rmtree(site.image)
    (site.outside / "empty").mkdir()
    site.image.symlink_to(site.outside / "empty")


@bad("names and paths", "one slice of a series that is a link out of the raw folder", SEG,
     Refused("unsafe_path"), NOT_FOLLOWED)  # fmt: skip
def slice_link(site: Site) -> None:
    path = sorted(site.image.iterdir())[1]
    path.rename(site.outside / "slice.dcm")
    path.symlink_to(site.outside / "slice.dcm")


@bad("names and paths", "a hidden link out of the raw folder among the slices", STACK, Accepted(),
     "Hidden files are passed over unopened.")  # fmt: skip
def hidden_link(site: Site) -> None:
    (site.image / ".x").symlink_to(site.outside / "secret.png")


@bad("names and paths", "a link to another file of the raw folder", PICTURE, Accepted(),
     "Read like the file itself.")  # fmt: skip
def inner_link(site: Site) -> None:
    site.image.rename(site.raw / "elsewhere.png")
    site.image.symlink_to("../elsewhere.png")


@bad("names and paths", "a link to nothing", PICTURE, PassedOver(), "There is no such file.")
def dangling_link(site: Site) -> None:
    site.image.unlink()
    site.image.symlink_to("nowhere.png")


@bad("names and paths", "a link to itself", PICTURE, PassedOver(), "There is no such file.")
def looping_link(site: Site) -> None:
    site.image.unlink()
    site.image.symlink_to(site.image.name)


@bad("names and paths", "a label that is a link to itself", PICTURE, Refused("missing_label"),
     "Put the file there.")  # fmt: skip
def looping_label(site: Site) -> None:
    site.label.unlink()
    site.label.symlink_to(site.label.name)


@bad("names and paths", "a folder in itself: a link to the folder above", MASKS, Accepted(),
     "Templates have a fixed depth: nothing is walked for ever.")  # fmt: skip
def looping_folder(site: Site) -> None:
    (site.label.parent / "again").symlink_to("..")


@bad("names and paths", "thousands of files that belong to no case", PICTURE, Accepted(),
     "Passed over; a folder is listed once.")  # fmt: skip
def crowd(site: Site) -> None:
    for number in range(2000):
        Path(site.raw / f"masks/other{number}.txt").touch()
