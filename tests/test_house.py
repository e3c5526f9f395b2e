"""The walls of the house: which room may know what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ENGINE = ROOT / "engine"

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in ENGINE.rglob("*.py")
    if "pipeline" not in path.parts
    and path.relative_to(ENGINE).as_posix() not in ("__main__.py", "training/distributed.py")
)

BLOCK_RAY = """
import importlib, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name == "ray" or name.startswith("ray."):
            raise ImportError("ray is blocked")
sys.meta_path.insert(0, Block())
for name in sys.argv[1:]:
    importlib.import_module(name)
assert "ray" not in sys.modules
"""


def test_all_but_the_pipeline_and_the_edge_of_training_imports_without_ray() -> None:
    assert "engine.evaluate" in MODULES
    assert "engine.models.sam" in MODULES
    done = subprocess.run(
        [sys.executable, "-c", BLOCK_RAY, *MODULES], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_the_pipeline_does_not_import_without_ray() -> None:
    """The test above can fail: the same blocker stops the one room that needs ray."""
    done = subprocess.run(
        [sys.executable, "-c", BLOCK_RAY, "engine.pipeline.run"],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode != 0
    assert "ray is blocked" in done.stderr


def test_a_worker_begins_without_what_only_a_sam_needs() -> None:
    """segment_anything and torchvision: a quarter of the time an evaluator takes to begin."""
    asked = "import sys, engine.pipeline.actor; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    known = done.stdout.split()
    assert "torch" in known
    assert {"torchvision", "segment_anything"}.isdisjoint(known)


FORBIDDEN = {
    "prompts": {"torch", "engine.models", "engine.scoring", "engine.collection", "engine.results"},
    "scoring": {"engine.collection", "engine.results", "engine.pipeline"},
    "models": {"engine.collection", "engine.scoring", "engine.results", "engine.pipeline"},
    "collection": {"torch", "engine.models", "engine.scoring", "engine.results"},
    "results": {"torch", "engine.models", "engine.prompts", "engine.pipeline", "engine.analysis"},
    "analysis": {"torch", "engine.models", "engine.pipeline", "engine.collection"},
}


@pytest.mark.parametrize("room", FORBIDDEN)
def test_data_flows_one_way(room: str) -> None:
    for path in (ENGINE / room).rglob("*.py"):
        for name in _imports(path):
            walls = {w for w in FORBIDDEN[room] if name == w or name.startswith(w + ".")}
            assert not walls, f"{path} imports {name}"


def _imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names
