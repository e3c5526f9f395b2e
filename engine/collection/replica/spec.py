"""What a `replica:` block of a recipe may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from engine.collection.recipe import Recipe, Series
from engine.configuration import Frozen, validate
from engine.errors import UserError

_AXIS = {"L": "x", "R": "x", "P": "y", "A": "y", "S": "z", "I": "z"}


def _texts(value: Any) -> Any:
    """A word or a list of words; numbers would lose their leading zeros unseen."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise ValueError(f"{value!r} is no text; quote it")


Words = Annotated[tuple[str, ...], BeforeValidator(_texts)]


class Write(Frozen):
    """How files are written where the recipe leaves a choice; none changes what they mean."""

    axis_codes: str | None = Field(
        None, description="volumes: the end each stored axis points to, such as RAS"
    )
    oblique_deg: float = Field(0.0, description="volumes: tilt of the axes, less than 40")
    grey: bool = Field(False, description="images: one channel, whatever the body has")
    colour: bool = Field(False, description="images: three channels; of a grey body, equal ones")
    mask_value: int | None = Field(None, description="labels of kind mask: default 255, volumes 1")
    label_dtype: str | None = Field(None, description="labels: numpy's name; default the smallest")
    labels_per_frame: bool = Field(False, description="labels have frames of their own")
    label_colour: bool = Field(False, description="masks and values as RGB of equal channels")
    palette: bool = Field(False, description="label pictures as palette files")
    stack: Literal["dicom", "png", "jpg", "bmp", "tif"] = Field(
        "dicom", description="files of an image folder"
    )
    label_stack: Literal["dicom", "png", "bmp", "tif"] = Field(
        "png", description="files of a label folder"
    )
    mat73: bool = Field(False, description="MATLAB files of version 7.3 instead of 5")
    polygons: bool = Field(False, description="objects as polygons rather than runs of pixels")
    dicom_label: Literal["seg", "rtstruct"] = Field("seg", description="what a .dcm label is")
    tags: dict[str, str] = Field(default_factory=dict, description="DICOM: keyword: value")
    syntax: str = Field("explicit", description="DICOM: how pixels are stored")
    other_series: bool = Field(False, description="DICOM: a second series in the same folder")


class Replica(Frozen):
    """The miniature of a data set, or of one of its series."""

    cases: tuple[dict[str, Words], ...] = Field(
        ({},), description="for each case the text of every placeholder; lists: several files"
    )
    shape: tuple[int, ...] | None = Field(None, description="[y, x] or [z, y, x]")
    spacing_mm: tuple[float, ...] | None = Field(None, description="as shape")
    dtype: str | None = Field(None, description="of the image; default by format and body")
    frames: int | None = Field(None, ge=1, description="time points, channels or pages")
    write: Write = Write()

    @field_validator("cases")
    @classmethod
    def _any_case(cls, cases: tuple[dict[str, Words], ...]) -> tuple[dict[str, Words], ...]:
        if not cases:
            raise ValueError("a replica needs at least one case")
        return cases

    @field_validator("shape", "spacing_mm")
    @classmethod
    def _two_or_three(cls, values: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if values is not None and (len(values) not in (2, 3) or min(values) <= 0):
            raise ValueError("two or three positive numbers, [y, x] or [z, y, x]")
        return values

    @field_validator("dtype")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        known = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64")
        if name is not None and name not in known:
            raise ValueError(f"dtype '{name}' is none of {', '.join(known)}")
        return name

    @field_validator("write")
    @classmethod
    def _three_axes(cls, write: Write) -> Write:
        codes = write.axis_codes
        if codes is not None and sorted(_AXIS.get(c, "?") for c in codes) != ["x", "y", "z"]:
            raise ValueError(f"axis_codes '{codes}' must be three letters such as LPS or RAS")
        return write


def has_replica(recipe: Recipe) -> bool:
    """Whether a miniature can be written of every series."""
    blocks = [(recipe.replica, series.replica) for series in recipe.series]
    return all(whole is not None or own is not None for whole, own in blocks)


def replica_of(recipe: Recipe, series: Series) -> Replica:
    """The block that is valid for a series: its own, else the recipe's.

    Raises:
        UserError: there is none, or it is not valid; names the field.
    """
    own = series.replica is not None
    raw = series.replica if own else recipe.replica
    where = f"recipe {recipe.dataset}" + (f", series {series.images}" if own else "")
    if raw is None:
        raise UserError(
            f"the recipe of {recipe.dataset} says nothing about a replica",
            where=where,
            got="no replica:",
            expected="replica: {cases: [...]}",
            remedy="samscope datasets --all lists what has one",
        )
    return validate(raw, Replica, "replica", where=where)
