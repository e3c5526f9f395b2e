"""A recipe says what the files of a data set are: pixels, subjects, labels, what values mean.

Recipes are YAML; the models here are their grammar (every field, with its meaning). Nothing is
guessed: a label value or colour a recipe does not name refuses its case.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from engine.collection import template
from engine.collection.readers.base import How
from engine.configuration import Frozen
from engine.identity import fingerprint

Axes = Annotated[str, Field(pattern=r"^[zyxtc]{2,5}$")]
Template = Annotated[str, Field(min_length=1), AfterValidator(template.check)]
NameTemplate = Annotated[str, Field(min_length=1)]
Colour = tuple[int, int, int]
Plane = Literal["axial", "coronal", "sagittal"]
LabelKind = Literal["values", "colours", "mask", "instances", "objects"]
Meant = tuple[int, ...] | tuple[Colour, ...] | tuple[str, ...]

UNKNOWN = "unknown"
"""Stands in a proposed recipe where a look at the files could not tell."""

_AXIS_OF = {"L": "L", "R": "L", "P": "P", "A": "P", "S": "S", "I": "S"}


class LabelSource(Frozen):
    """One label file per case (or one per structure) and what its values mean.

    Fields by kind:
        values: `structures` maps a structure to its value or values (several: their union).
        colours: `structures` maps a structure to its colour or colours, `[r, g, b]`.
        mask: everything that is not 0 belongs to `structure`, or to the `{structure}` of the file
            name; a second non-zero value refuses the case unless `threshold` is given.
        instances: every value but 0 is one object of `structure`, its instance number the value.
        objects: the file names its objects (DICOM-SEG, RTSTRUCT, COCO, LabelMe): `structures` maps
            a structure to its name or names there; or every object belongs to `structure`.
    """

    file: Template = Field(description="same placeholders as `images`, further ones are free")
    kind: LabelKind
    structures: dict[str, Meant] = Field(
        default_factory=dict, description="values, colours, objects; values also as value: name"
    )
    structure: str | None = Field(None, min_length=1, description="mask, instances, objects")
    background: Colour = Field((0, 0, 0), description="colours")
    nearest: bool = Field(False, description="colours: each pixel takes the nearest known colour")
    ignore: Meant = Field((), description="values, colours or names that count as background")
    instances: bool = Field(False, description="objects: each is one, numbered as in the file")
    array: str | None = Field(None, description="name of the array in an npz, HDF5 or MAT file")
    axes: Axes | None = Field(None, description="its axes, e.g. zyx; c colour, t frames")
    threshold: float | None = Field(None, description="mask: a pixel belongs if value >= threshold")
    optional: bool = Field(False, description="a missing file is no label, not a refused case")

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        kind = value.get("kind")
        if kind not in get_args(LabelKind):
            return value
        out = dict(value)
        if isinstance(out.get("structures"), dict):
            out["structures"] = _by_name(out["structures"], kind)
        if out.get("ignore") is not None:
            out["ignore"] = _many(out["ignore"], kind)
        return out

    @model_validator(mode="after")
    def _fits_kind(self) -> LabelSource:
        named = "structure" in template.placeholders(self.file)
        mapped = self.kind in ("values", "colours")
        if self.kind == "objects":
            mapped = self.structure is None and not named
        if mapped != bool(self.structures):
            word = "needs" if mapped else "has no"
            raise ValueError(f"a label of kind '{self.kind}' {word} structures: {{name: value}}")
        if mapped and (self.structure or named):
            raise ValueError(f"a label of kind '{self.kind}' takes structures, not structure")
        if not mapped and (self.structure is None) == (not named):
            raise ValueError(
                f"a label of kind '{self.kind}' needs either structure: or {{structure}} in file:"
            )
        if (self.nearest or self.background != (0, 0, 0)) and self.kind != "colours":
            raise ValueError("nearest and background are for labels of kind 'colours'")
        if self.threshold is not None and self.kind != "mask":
            raise ValueError("threshold is for labels of kind 'mask'")
        if self.ignore and self.kind == "mask":
            raise ValueError("a mask has no values to ignore; give a threshold")
        if self.instances and self.kind != "objects":
            raise ValueError("instances: true is for labels of kind 'objects'")
        return self

    @property
    def how(self) -> How:
        """What its reader must know."""
        return How(self.array, self.axes)

    @model_validator(mode="after")
    def _values_are_sane(self) -> LabelSource:
        known = [v for values in self.structures.values() for v in values]
        for colour in (*known, *self.ignore, self.background):
            if isinstance(colour, tuple) and not all(0 <= c <= 255 for c in colour):
                raise ValueError(f"colour {list(colour)} is not within 0..255")
        zero: object = self.background if self.kind == "colours" else 0
        if self.kind != "objects" and zero in known:
            raise ValueError(f"{zero} is background and cannot be a structure")
        both = [v for v in known if v in self.ignore]
        if both:
            raise ValueError(f"{both[0]} is a structure and ignored at once")
        return self

    @property
    def fixed_structures(self) -> tuple[str, ...]:
        """Structures known without looking at files."""
        return tuple(self.structures) or ((self.structure,) if self.structure else ())


class Lookup(Frozen):
    """A table or list beside the images that says whose they are, or which split they are in."""

    file: str = Field(min_length=1, description="path in the raw folder")
    key: NameTemplate = Field("{case}", description="what to look for, from images' placeholders")
    column: str | None = Field(None, description="where to look; none: a list of names by line")
    subject: str | None = Field(None, description="column that holds the subject")
    split: str | None = Field(None, description="column that holds the split")
    split_is: str | None = Field(None, description="split of all that are in this list")
    optional: bool = Field(False, description="a missing file says nothing")

    @model_validator(mode="after")
    def _says_something(self) -> Lookup:
        template.check(self.file)
        if template.placeholders(self.file):
            raise ValueError("a lookup's file has no placeholders")
        if self.column is None and (self.subject or self.split or not self.split_is):
            raise ValueError("a list says split_is; subject and split need a column to look in")
        if self.column is not None and not (self.subject or self.split or self.split_is):
            raise ValueError("a lookup needs subject, split or split_is")
        return self


class Channel(Frozen):
    """One frame of a 4-D file: its name in the case, its modality where it differs."""

    name: str = Field(min_length=1)
    modality: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Series(Frozen):
    """Images of one kind: where they are, whose they are, what labels they have."""

    images: Template
    modality: str = Field(min_length=1)
    case: NameTemplate | None = Field(
        None, description="template of the case's name; default {case}, needed for literal paths"
    )
    subject: NameTemplate | None = Field(
        None, description="template; default {subject} where images has it, else the case's name"
    )
    plane: Plane | None = Field(None, description="volumes; default: protocol section 1.3")
    orientation: str | None = Field(
        None, description="axis codes, the end each array axis points to, where files state none"
    )
    channels: dict[int, Channel] = Field(
        default_factory=dict, description="4-D: frame number to name; every frame has one"
    )
    frames: Literal["cases", "slices"] = Field(
        "cases", description="pages of an image stack: one case each, or slices of one case"
    )
    spacing_mm: tuple[float, float] | tuple[float, float, float] | None = Field(
        None, description="of files that do not say it: (row, column), volumes (slice, row, column)"
    )
    flat: bool = Field(False, description="a picture in a volume format: x, y order, no patient")
    where: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="placeholder: pattern(s) with *, ?, [a-z], one must fit"
    )
    unless: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="placeholder: pattern(s) of which none may fit"
    )
    optional: bool = Field(False, description="nothing to report when no file matches `images`")
    split: NameTemplate | None = Field(None, description="official split of these cases")
    lookup: tuple[Lookup, ...] = Field((), description="tables of subjects and splits")
    array: str | None = Field(None, description="name of the array in an npz, HDF5 or MAT file")
    axes: Axes | None = Field(None, description="its axes, e.g. zyx; c colour, t frames")
    pick: dict[str, str] = Field(
        default_factory=dict, description="DICOM keyword: pattern, where a folder has many series"
    )
    every: int = Field(1, ge=1, description="of a video, every n-th frame")
    labels: tuple[LabelSource, ...]
    replica: dict[str, Any] | None = Field(None, description="as of the recipe, for this series")

    @field_validator("where", "unless", mode="before")
    @classmethod
    def _patterns(cls, where: Any) -> Any:
        if not isinstance(where, dict):
            return where
        return {k: (v,) if isinstance(v, str) else v for k, v in where.items()}

    @property
    def how(self) -> How:
        """What its reader must know."""
        return How(self.array, self.axes, self.pick, self.every)

    @field_validator("labels")
    @classmethod
    def _any_label(cls, labels: tuple[LabelSource, ...]) -> tuple[LabelSource, ...]:
        if not labels:  # min_length would report every mistake further down a second time
            raise ValueError("a series needs at least one label file")
        return labels

    @field_validator("orientation")
    @classmethod
    def _three_axes(cls, codes: str | None) -> str | None:
        if codes is not None and sorted(_AXIS_OF.get(c, "?") for c in codes) != ["L", "P", "S"]:
            raise ValueError(f"orientation '{codes}' must be three letters such as LPS or RAS")
        return codes

    @field_validator("spacing_mm")
    @classmethod
    def _positive(cls, spacing: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if spacing is not None and min(spacing) <= 0:
            raise ValueError(f"spacing_mm must be positive, got {list(spacing)}")
        return spacing

    @model_validator(mode="after")
    def _names_resolve(self) -> Series:
        known = set(template.placeholders(self.images)) - {template.ANY}
        if self.case is None and "case" not in known:
            raise ValueError(f"images '{self.images}' has no {{case}}: say case: <template>")
        for field, text, extra in (
            ("case", self.case, set[str]()),
            ("subject", self.subject, {"case"}),
            ("split", self.split, set[str]()),
            *(("lookup.key", lookup.key, {"case"}) for lookup in self.lookup),
        ):
            for name in template.placeholders(text or ""):
                if name not in known | extra:
                    raise ValueError(f"{field}: '{text}' uses {{{name}}}, which images has not")
        for field, patterns in (("where", self.where), ("unless", self.unless)):
            for name in patterns:
                if name not in known:
                    raise ValueError(f"{field}: {{{name}}} is no placeholder of images")
        return self

    @model_validator(mode="after")
    def _structures_are_distinct(self) -> Series:
        names = [name for label in self.labels for name in label.fixed_structures]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"structure '{twice[0]}' comes from two label files of one series")
        channels = [channel.name for channel in self.channels.values()]
        if len(set(channels)) < len(channels):
            raise ValueError("two channels have the same name")
        return self


class Recipe(Frozen):
    """A data set: what it is, whose licence it has, how its files become cases."""

    dataset: str = Field(min_length=1, max_length=128)
    title: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    source: str = Field(min_length=1)
    version: int = Field(1, ge=1)
    series: tuple[Series, ...]
    skip: dict[str, str] = Field(default_factory=dict, description="case: reason")
    cosmos: str | None = Field(None, description="its name in the list of COSMOS 1050K")
    paper: str | None = Field(None, description="what to cite")
    get: str | None = Field(None, description="how to get the files: page, DOI, registration")
    layout_from: str | None = Field(None, description="where the layout of the files was read")
    checked: Literal["real", "replica"] | None = Field(
        None, description="run on files of the data set, or on a generated miniature"
    )
    unsure: tuple[str, ...] = Field((), description="what could not be established")
    excluded: tuple[str, ...] = Field((), description="what is left out on purpose, and why")
    replica: dict[str, Any] | None = Field(None, description="what a miniature of it consists of")

    @field_validator("series")
    @classmethod
    def _any_series(cls, series: tuple[Series, ...]) -> tuple[Series, ...]:
        if not series:
            raise ValueError("a recipe needs at least one series")
        return series

    @property
    def sha256(self) -> str:
        """Hash of what the recipe says; comments and order of fields do not matter."""
        return fingerprint(self.model_dump(mode="json"))

    @property
    def content_sha256(self) -> str:
        """Hash of what can change a stored value: not words about the data set, not `skip`."""
        content = self.model_dump(mode="json", include={"dataset", "version", "series"})
        for series in content["series"]:
            del series["replica"]
        return fingerprint(content)


def _by_name(structures: dict[Any, Any], kind: object) -> dict[str, Any]:
    """{structure: (values)} from either {structure: value(s)} or {value: structure}."""
    out: dict[str, list[Any]] = {}
    for key, value in structures.items():
        name, values = (value, key) if _is_int(key) else (key, value)
        if not isinstance(name, str) or not name:
            raise ValueError(f"structure name {name!r} is no text; quote it")
        out.setdefault(name, []).extend(_many(values, kind))
    return {name: tuple(values) for name, values in out.items()}


def _many(value: Any, kind: object) -> tuple[Any, ...]:
    """One value or a list of them, as a tuple; `[r, g, b]` is one colour."""
    colours = kind == "colours"
    single = not isinstance(value, list | tuple) or (colours and all(map(_is_int, value)))
    parts = [value] if single else value
    one = {"colours": _colour, "objects": _name}.get(str(kind), _whole)
    return tuple(one(part) for part in parts)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"name {value!r} of an object is no text; quote it")
    return value


def _whole(value: Any) -> int:
    if not _is_int(value):
        raise ValueError(f"label value {value!r} is no whole number")
    return int(value)


def _colour(value: Any) -> Colour:
    if not isinstance(value, list | tuple) or len(value) != 3 or not all(map(_is_int, value)):
        raise ValueError(f"colour {value!r} is not [red, green, blue] with whole numbers")
    red, green, blue = value
    return red, green, blue


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
