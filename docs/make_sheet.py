"""Draw docs/images/phantoms.jpg: two phantom subjects of every modality, structures outlined.

    python docs/make_sheet.py            (half a minute)

The subjects are those of `samscope demo`. Levels are those a model is given, except that the
brightest and darkest 0.2 % may saturate; every colour is one structure, or one of its instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import binary_erosion

from engine.collection.intensity import to_uint8
from engine.collection.phantoms import FAMILIES, Shot
from engine.collection.phantoms.base import subject_generator, subject_name
from engine.study import Intensity

TARGET = Path(__file__).parent / "images" / "phantoms.jpg"
ORDER = (
    *("CT", "MRI", "T1W", "T1-Gd", "T2W", "T2-FLAIR", "DW", "ADC", "Cine-MRI", "CMR"),
    *("ultrasound", "X-ray", "fundus", "dermoscopy", "colonoscopy"),
    *("histopathology", "electron microscopy", "microscopy"),
)
COLOURS = (
    *((0, 200, 140), (255, 170, 0), (80, 190, 255), (255, 90, 90), (245, 235, 70)),
    *((220, 120, 255), (160, 255, 90), (255, 150, 190), (0, 230, 230), (255, 255, 255)),
)
SUBJECTS = (2, 3)  # as in engine/commands/demo.py
PAIRS_A_ROW = 3
SIDE_PX, GAP_PX, TITLE_PX = 236, 6, 24

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def examples() -> dict[str, list[Shot]]:
    """Modality -> a shot of each subject."""
    found: dict[str, list[Shot]] = {modality: [] for modality in ORDER}
    for name in FAMILIES:
        for number in SUBJECTS:
            generator = subject_generator(name, subject_name("demo", number), 0)
            shots = {shot.modality: shot for shot in reversed(FAMILIES.get(name).draw(generator))}
            for modality, shot in shots.items():
                found[modality].append(shot)
    return found


def plane(shot: Shot) -> tuple[Picture, list[Mask]]:
    """The slice that shows most structures, as uint8 RGB, and its objects."""
    objects = list(shot.masks.values()) + [
        numbers == n
        for numbers in shot.instances.values()
        for n in range(1, int(numbers.max()) + 1)
    ]
    image = shot.image
    if objects[0].ndim == 3:
        best = int(np.argmax(np.sum([mask.any(axis=(1, 2)) for mask in objects], axis=0)))
        image, objects = image[best], [mask[best] for mask in objects]
    levels = to_uint8(image, Intensity(percentiles=(0.2, 99.8)), 0.0, 0.0).image
    rgb = levels if levels.ndim == 3 else np.repeat(levels[..., None], 3, axis=2)
    return rgb, [mask for mask in objects if mask.any()]


def outlined(picture: Picture, objects: list[Mask]) -> Image.Image:
    """The middle square of the picture, enlarged or reduced, with one-pixel outlines."""
    side = min(picture.shape[:2])
    top, left = ((n - side) // 2 for n in picture.shape[:2])
    part = (slice(top, top + side), slice(left, left + side))
    shown = np.array(Image.fromarray(picture[part]).resize((SIDE_PX, SIDE_PX), Image.LANCZOS))
    for number, mask in enumerate(objects):
        small = np.array(Image.fromarray(mask[part]).resize((SIDE_PX, SIDE_PX), Image.NEAREST))
        shown[small & ~binary_erosion(small, border_value=1)] = COLOURS[number % len(COLOURS)]
    return Image.fromarray(shown)


def places() -> Iterator[tuple[str, int, int]]:
    """(modality, x, y) of every pair."""
    width = len(SUBJECTS) * (SIDE_PX + GAP_PX) + 2 * GAP_PX
    height = SIDE_PX + TITLE_PX + 2 * GAP_PX
    for number, modality in enumerate(ORDER):
        row, column = divmod(number, PAIRS_A_ROW)
        yield modality, column * width + GAP_PX, row * height


def main() -> None:
    found = examples()
    font = ImageFont.load_default(size=16)
    spots = list(places())
    right = max(x for _, x, _ in spots) + len(SUBJECTS) * (SIDE_PX + GAP_PX)
    bottom = max(y for _, _, y in spots) + SIDE_PX + TITLE_PX + GAP_PX
    sheet = Image.new("RGB", (right, bottom), (24, 24, 27))
    draw = ImageDraw.Draw(sheet)
    for modality, x, y in spots:
        draw.text((x, y + 3), modality, fill=(235, 235, 235), font=font)
        for number, shot in enumerate(found[modality]):
            sheet.paste(outlined(*plane(shot)), (x + number * (SIDE_PX + GAP_PX), y + TITLE_PX))
    TARGET.parent.mkdir(exist_ok=True)
    sheet.save(TARGET, quality=88)


if __name__ == "__main__":
    main()
