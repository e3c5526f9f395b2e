"""Fill in a page's template."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dashboards.page import plotly_bundle
from dashboards.page.times import duration, moment


def render(
    template: str, *, warnings: Sequence[str], styles: Sequence[str] = (), **values: object
) -> str:
    """The HTML of a template that extends `page/base.html`.

    Args:
        template: its path in `dashboards`.
        warnings: what a reader must see first, printed as a banner.
        styles: paths in `dashboards` of its own style sheets.
        values: what the template itself names.
    """
    environment = Environment(
        loader=PackageLoader("dashboards", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"duration": duration, "moment": moment}
    return environment.get_template(template).render(
        css=_resource("page/page.css", *styles),
        script=_resource("page/script.html"),
        plotly_packed=plotly_bundle.packed(),
        plotly_version=plotly_bundle.version(),
        built=datetime.now(UTC).isoformat(timespec="seconds"),
        warnings=warnings,
        **values,
    )


def _resource(*names: str) -> Markup:
    """Files of ours one after the other, printed as they are."""
    return Markup(
        "".join((files("dashboards") / name).read_text(encoding="utf-8") for name in names)
    )
