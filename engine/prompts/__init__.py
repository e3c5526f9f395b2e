"""Prompts: an object's mask becomes points and boxes, at rest or displaced (protocol section 2).

Everything here is pure: a prompt depends on the mask, the trial's ids and the study's options, and
never on batches, workers or the order of work. What is costly is computed once per object
(`ObjectGeometry`) and travels inside the situation of each trial (`situations_of`).
"""

from engine.prompts.base import Box, Mask, Point, Prompt, Prompter, Situation
from engine.prompts.geometry import ObjectGeometry
from engine.prompts.situations import PreparedSituation, next_step, situations_of
from engine.prompts.strategies import PROMPTERS, prompter

ALGORITHM_VERSION = 1
"""Raised whenever a prompt of an unchanged study would change; part of every identity."""

__all__ = [
    "ALGORITHM_VERSION",
    "PROMPTERS",
    "Box",
    "Mask",
    "ObjectGeometry",
    "Point",
    "PreparedSituation",
    "Prompt",
    "Prompter",
    "Situation",
    "next_step",
    "prompter",
    "situations_of",
]
