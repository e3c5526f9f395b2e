"""Times in words."""

from __future__ import annotations

from datetime import datetime


def moment(iso: str) -> str:
    """An ISO 8601 time as `2026-11-23 10:00 UTC`; what is none stays as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    zone = (when.tzname() or "").removesuffix("+00:00")
    return f"{when:%Y-%m-%d %H:%M} {zone}".strip()


def duration(seconds: float | None) -> str:
    """Seconds in words: `12.5 s`, `3 min 20 s`, `5 h 02 min`."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
