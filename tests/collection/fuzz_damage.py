"""Ways to damage bytes: at random, or knowing enough of a format to get past its checksums."""

from __future__ import annotations

import gzip
import io
import random
import re
import struct
import zipfile
import zlib

_NUMBERS = (0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1,
            2**63 - 1, 2**64 - 1)  # fmt: skip
_WORDS = (b"0", b"-1", b"1", b"3", b"4", b"99999", b"2147483648", b"1e400", b"nan", b"inf", b"-inf",
          b"18446744073709551616", b"1e-320", b"", b"()", b"[]", b"null", b"../x", b"/etc/passwd",
          b"LIST", b"LOCAL", b"none", b'"', b"{}", b"true", b"%d 1 9 1")  # fmt: skip
_HEAD = 512


def damaged(content: bytes, other: bytes, rng: random.Random, name: str) -> bytes:
    """One to four changes; a compressed layer is often opened, damaged within and closed again."""
    inside = rng.random() < 0.6
    if inside and name.endswith(".gz"):
        try:
            return gzip.compress(_changed(gzip.decompress(content), other, rng), mtime=0)
        except (OSError, EOFError, zlib.error):
            pass
    if inside and name.endswith(".npz"):
        return _rezipped(content, other, rng)
    if inside and name.endswith(".png"):
        return _with_checksums(_changed(content, other, rng))
    if inside and name.endswith(".mat"):
        return _mat_inside(content, other, rng)
    return _changed(content, other, rng)


def _changed(content: bytes, other: bytes, rng: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if out:
            rng.choice(_CHANGES)(out, other, rng)
    return bytes(out)


def _at(out: bytearray, rng: random.Random) -> int:
    """A place, more often in the header."""
    return rng.randrange(min(len(out), _HEAD) if rng.random() < 0.6 else len(out))


def _flip(out: bytearray, _other: bytes, rng: random.Random) -> None:
    for _ in range(rng.randint(1, 8)):
        out[_at(out, rng)] ^= 1 << rng.randrange(8)


def _byte(out: bytearray, _other: bytes, rng: random.Random) -> None:
    out[_at(out, rng)] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))


def _truncate(out: bytearray, _other: bytes, rng: random.Random) -> None:
    del out[_at(out, rng) if rng.random() < 0.5 else rng.randrange(len(out)) :]


def _splice(out: bytearray, other: bytes, rng: random.Random) -> None:
    if other:
        start = rng.randrange(len(other))
        part = other[start : start + rng.randint(1, max(2, len(other) // 3))]
        at = _at(out, rng)
        out[at : at + rng.choice((0, len(part)))] = part


def _number(out: bytearray, _other: bytes, rng: random.Random) -> None:
    width = rng.choice((1, 2, 4, 8))
    value = rng.choice(_NUMBERS) & ((1 << 8 * width) - 1)
    at = _at(out, rng)
    at -= at % min(width, 4) if rng.random() < 0.7 else 0
    out[at : at + width] = value.to_bytes(width, rng.choice(("little", "big")))


def _float(out: bytearray, _other: bytes, rng: random.Random) -> None:
    value = rng.choice((float("nan"), float("inf"), -1.0, 0.0, 1e38, 1e-40, -0.0, 2.5))
    at = _at(out, rng)
    packed = struct.pack(rng.choice("<>") + "f", value)
    out[at - at % 4 : at - at % 4 + 4] = packed


def _zeros(out: bytearray, _other: bytes, rng: random.Random) -> None:
    at, length = _at(out, rng), rng.choice((4, 16, 64, 512))
    end = min(len(out), at + length)
    out[at:end] = bytes(end - at)


def _twice(out: bytearray, _other: bytes, rng: random.Random) -> None:
    at, length = _at(out, rng), rng.choice((1, 8, 32, 256))
    out[at:at] = out[at : at + length] * rng.choice((1, 1, 2, 20))


def _cut(out: bytearray, _other: bytes, rng: random.Random) -> None:
    at = _at(out, rng)
    del out[at : at + rng.choice((1, 2, 4, 30))]


def _word(out: bytearray, _other: bytes, rng: random.Random) -> None:
    """Another word for one written out in a header."""
    found = list(re.finditer(rb"[-+.\w/]{1,40}", bytes(out[:4096])))
    if found:
        match = rng.choice(found)
        out[match.start() : match.end()] = rng.choice(_WORDS)


def _line(out: bytearray, other: bytes, rng: random.Random) -> None:
    """A line lost, doubled or taken from another file."""
    lines = bytes(out).split(b"\n")
    at = rng.randrange(min(len(lines), 40))
    what = rng.random()
    if what < 0.4:
        del lines[at]
    elif what < 0.7:
        lines.insert(at, lines[at])
    else:
        lines.insert(at, rng.choice(other.split(b"\n")[:40]) if other else b"x")
    out[:] = b"\n".join(lines)


_CHANGES = (_flip, _flip, _byte, _truncate, _splice, _number, _number, _float, _zeros, _twice, _cut,
            _word, _word, _line)  # fmt: skip


def _rezipped(content: bytes, other: bytes, rng: random.Random) -> bytes:
    out = io.BytesIO()
    try:
        with (
            zipfile.ZipFile(io.BytesIO(content)) as old,
            zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for name in old.namelist():
                data = old.read(name)
                new.writestr(name, _changed(data, other, rng) if rng.random() < 0.6 else data)
    except (zipfile.BadZipFile, OSError, ValueError):
        return _changed(content, other, rng)
    return out.getvalue()


def _with_checksums(content: bytes) -> bytes:
    """A PNG with the checksum of every chunk made right."""
    out, at = bytearray(content), 8
    while at + 12 <= len(out):
        length = int.from_bytes(out[at : at + 4], "big")
        end = at + 8 + length
        if end + 4 > len(out):
            break
        out[end : end + 4] = struct.pack(">I", zlib.crc32(bytes(out[at + 4 : end])))
        at = end + 4
    return bytes(out)


def _mat_inside(content: bytes, other: bytes, rng: random.Random) -> bytes:
    """Damage within one compressed variable of a MATLAB 5 file."""
    at, parts = 128, []
    while at + 8 <= len(content):
        kind, length = struct.unpack_from("<II", content, at)
        if kind != 15 or at + 8 + length > len(content):
            return _changed(content, other, rng)
        parts.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    if not parts:
        return _changed(content, other, rng)
    chosen = rng.randrange(len(parts))
    out = bytearray(content[:128])
    for number, part in enumerate(parts):
        if number == chosen:
            part = zlib.compress(_changed(zlib.decompress(part), other, rng))
        out += struct.pack("<II", 15, len(part)) + part
    return bytes(out)
