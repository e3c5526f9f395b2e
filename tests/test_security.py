"""What no source file may do: run data as code, hand text to a shell, open a door to the network.

A use that is right stands in `ALLOWED` with its reason; an entry nothing uses any more fails too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [
    path for room in ("engine", "jobs", "dashboards") for path in (ROOT / room).rglob("*.py")
]

NEVER = {
    "eval", "exec", "compile", "__import__",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "cPickle.loads", "cloudpickle.loads",
    "ray.cloudpickle.loads", "dill.loads", "joblib.load", "marshal.loads", "shelve.open",
    "pandas.read_pickle", "pd.read_pickle",
    "yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "yaml.unsafe_load_all",
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput",
    "tempfile.mktemp", "shutil.unpack_archive",
    "xml.etree.ElementTree.parse", "xml.dom.minidom.parse", "lxml.etree.parse",
}  # fmt: skip
"""Calls that run what they are given, or that cannot be told from such."""

UNBOUNDED = {"extract", "extractall"}
"""Methods of archives that write where a member's name says; members are read in memory instead."""

MUST_SAY = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
}
"""Calls that are safe only with this argument, spelled out."""

EVERYWHERE = {"0.0.0.0", "::"}
"""Addresses that listen to the whole network."""

ALLOWED = {
    (
        "engine/configuration/plain_yaml.py",
        "yaml.load",
    ): "with its own loader, a SafeLoader that refuses more",
    ("engine/planning/tasks.py", "pickle.loads"): "a task of ours, between processes of one "
    "Ray cluster, whose own messages are pickles; never a file",
    ("engine/training/distributed.py", "pickle.loads"): "an event of ours, likewise",
}


def findings(source: str) -> Iterator[str]:
    """Names of what a source must not do."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in EVERYWHERE:
            yield "listens everywhere"
        if isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    said = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    if name in NEVER:
        yield name
    if isinstance(call.func, ast.Attribute) and call.func.attr in UNBOUNDED:
        yield f".{call.func.attr}"
    if name in MUST_SAY and said.get(MUST_SAY[name][0], ...) is not MUST_SAY[name][1]:
        yield f"{name} without {MUST_SAY[name][0]}={MUST_SAY[name][1]}"
    if said.get("allow_pickle", False) is not False:
        yield "allow_pickle"
    if name.startswith("subprocess.") and said.get("shell", False) is not False:
        yield "shell"


def _imported_bare(source: str) -> Iterator[str]:
    """`from pickle import loads` would hide a call from the names above."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                if name in NEVER | set(MUST_SAY) or name.startswith("subprocess."):
                    yield name


def _all_findings() -> set[tuple[str, str]]:
    return {
        (path.relative_to(ROOT).as_posix(), found)
        for path in SOURCES
        for source in [path.read_text(encoding="utf-8")]
        for found in (*findings(source), *_imported_bare(source))
    }


def test_no_source_runs_data_as_code() -> None:
    assert len(SOURCES) > 300
    assert _all_findings() - set(ALLOWED) == set()


def test_every_exception_is_still_needed() -> None:
    assert set(ALLOWED) <= _all_findings()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("pickle.loads(x)", "pickle.loads"),
        ("yaml.load(x, Loader=yaml.Loader)", "yaml.load"),
        ("eval('1')", "eval"),
        ("torch.load(p)", "torch.load without weights_only=True"),
        ("torch.load(p, weights_only=False)", "torch.load without weights_only=True"),
        ("torch.load(p, weights_only=flag)", "torch.load without weights_only=True"),
        ("np.load(p)", "np.load without allow_pickle=False"),
        ("np.lib.format.read_array(f, allow_pickle=True)", "allow_pickle"),
        ("subprocess.run('ls', shell=True)", "shell"),
        ("archive.extractall(folder)", ".extractall"),
        ("serve(host='0.0.0.0')", "listens everywhere"),
    ],
)
def test_the_scan_sees(source: str, found: str) -> None:
    assert found in set(findings(source))


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "torch.load(p, weights_only=True)",
        "np.load(p, allow_pickle=False)",
        "yaml.safe_load(x)",
        "re.compile(x)",
        "subprocess.run(['ls'], shell=False)",
    ],
)
def test_the_scan_lets_pass(source: str) -> None:
    assert set(findings(source)) == set()


def test_the_scan_sees_names_imported_bare() -> None:
    assert list(_imported_bare("from pickle import loads, dumps")) == ["pickle.loads"]


def test_every_dependency_is_pinned() -> None:
    """What is installed is what was tested: `constraints.txt` names one version of everything."""
    import re
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[^\s=]+( ;.*)?", pin) for pin in pins)
    pinned = {_plain(pin.partition("==")[0]) for pin in pins}
    named = {_plain(re.split(r"[\[<>=~! ]", want)[0]) for want in wanted}
    assert named - pinned == set()


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
