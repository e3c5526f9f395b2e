"""One evaluator's work in a process of its own; prints the most memory it held, bytes.

python tests/models/memory_child.py MODEL prompts|everything SIDE PRECISION
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

from engine.models import load_model
from engine.models.numerics import numerics_of
from engine.prompts.base import Point, Prompt
from engine.study import EverythingParams, ModelChoice

NAME, WHAT, SIDE, PRECISION = sys.argv[1:]

model = load_model(ModelChoice(name=NAME), "cpu", PRECISION)  # type: ignore[arg-type]
side = int(SIDE)
image = np.random.default_rng(0).integers(0, 255, (side, side), dtype=np.uint8)
embedding = model.embed([image])[0]
if WHAT == "prompts":
    prompt = Prompt(points=tuple(Point(x=9 + k, y=9, positive=True) for k in range(10)))
    batch = numerics_of("cpu").decode_batch_for(side, side)
    model.decode(embedding, [prompt] * batch)
else:
    thresholds = {"pred_iou_thresh": -10.0, "stability_score_thresh": 0.0}
    model.everything(embedding, EverythingParams(points_per_side=8, **thresholds))
# Not getrusage: it counts what the parent held when it forked.
(kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
sys.stdout.write(f"{int(kilobytes) * 1024}\n")
