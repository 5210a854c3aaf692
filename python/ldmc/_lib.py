# SPDX-License-Identifier: MIT
"""The library: finding and loading it, its errors as exceptions, its settings as objects."""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional

import numpy as np

from ._cffi import ffi

_VERSION = (0, 2)


def _load() -> Any:
    named = os.environ.get("LDMC_LIBRARY")
    inside = Path(__file__).parent / "lib/libldmc.so.0"
    places = [named] if named else [str(inside)] if inside.exists() else ["libldmc.so.0", "libldmc.so"]
    reasons = []
    for place in places:
        try:
            found = ffi.dlopen(place)
        except OSError as e:
            reasons.append(str(e))
            continue
        version = ffi.string(found.ldm_version()).decode()
        if tuple(map(int, version.split(".")[:2])) != _VERSION:
            raise ImportError(f"{place} is ldm {version}; this package needs {_VERSION[0]}.{_VERSION[1]}")
        return found
    raise ImportError("the library of ldm was not found: " + "; ".join(reasons))


lib = _load()

# ---- errors ------------------------------------------------------------------------------------------


class LdmError(Exception):
    """A call of the library failed.

    code: the status' name ("ERR_CONFIG"); line and column: the place in a text file, or None; offset: the byte
    in a binary file, or None.
    """

    def __init__(self, message: str, code: str = "", offset: Optional[int] = None,
                 line: Optional[int] = None, column: Optional[int] = None) -> None:
        super().__init__(message)
        self.code, self.offset, self.line, self.column = code, offset, line, column


class OutOfMemory(LdmError, MemoryError):
    """The memory ended."""


class FileError(LdmError, OSError):
    """A file could not be read or written."""


class UsageError(LdmError, ValueError):
    """An argument or setting is wrong."""


class FormatError(LdmError, ValueError):
    """A file is malformed."""


class UnsafeError(FormatError):
    """A file asks for code to be executed."""


class UnsupportedError(LdmError, NotImplementedError):
    """Valid, but ldm cannot do it."""


class ConfigError(LdmError, ValueError):
    """A value of a configuration is missing or wrong."""


class MismatchError(LdmError):
    """Configuration and checkpoint do not match."""


class RangeError(LdmError, ValueError):
    """A size or number is out of range."""


class LimitError(LdmError, MemoryError):
    """A limit on memory or size would be exceeded."""


class NumericError(LdmError, ArithmeticError):
    """A computation gave NaN or infinity."""


class CancelledError(LdmError):
    """The work was cancelled."""


_CLASSES = {
    "ERR_NOMEM": OutOfMemory, "ERR_IO": FileError, "ERR_USAGE": UsageError, "ERR_FORMAT": FormatError,
    "ERR_UNSAFE": UnsafeError, "ERR_UNSUPPORTED": UnsupportedError, "ERR_CONFIG": ConfigError,
    "ERR_MISMATCH": MismatchError, "ERR_RANGE": RangeError, "ERR_LIMIT": LimitError,
    "ERR_NUMERIC": NumericError, "ERR_CANCELLED": CancelledError,
}


def new_error() -> Any:
    return ffi.new("ldm_error *")


def exception(status: int, err: Any) -> LdmError:
    """The exception of a failed call."""
    code = ffi.string(lib.ldm_status_name(status)).decode()
    message = text(err.msg) or text(lib.ldm_status_text(status))
    return _CLASSES.get(code, LdmError)(message, code, err.offset if err.offset >= 0 else None,
                                        err.line or None, err.column or None)


def check_status(status: int, err: Any) -> None:
    if status:
        raise exception(status, err)


def text(p: Any) -> Optional[str]:
    return None if p == ffi.NULL else ffi.string(p).decode("utf-8", "replace")


def take_text(p: Any) -> str:
    """A text that the library handed over."""
    try:
        return text(p[0]) or ""
    finally:
        lib.ldm_release(p[0])


def encoded(value: Any) -> bytes:
    """A path or text as the library takes it."""
    try:
        raw = os.fsencode(value) if isinstance(value, (str, os.PathLike)) else str(value).encode()
    except UnicodeEncodeError as e:
        raise UsageError(f"a text holds half of a character: {e.reason}", "ERR_USAGE") from None
    if b"\0" in raw:
        raise UsageError("a text holds a NUL character", "ERR_USAGE")
    return raw


# ---- settings ----------------------------------------------------------------------------------------

_KINDS = {"model": lib.LDM_SETTINGS_MODEL, "job": lib.LDM_SETTINGS_JOB, "eval": lib.LDM_SETTINGS_EVAL,
          "bench": lib.LDM_SETTINGS_BENCH}
_TYPES = {lib.LDM_TYPE_INT: "int", lib.LDM_TYPE_U64: "int", lib.LDM_TYPE_REAL: "float",
          lib.LDM_TYPE_BOOL: "bool", lib.LDM_TYPE_CHOICE: "choice", lib.LDM_TYPE_TEXT: "text",
          lib.LDM_TYPE_SHAPE: "shape", lib.LDM_TYPE_BYTES: "bytes", lib.LDM_TYPE_LIST: "list"}


@dataclass(frozen=True)
class Setting:
    """A row of the library's tables of settings."""

    key: str
    type: str  # "int", "float", "bool", "choice", "text", "shape", "bytes" or "list"
    group: str  # a heading; "": for programs only
    help: str
    default: Optional[str]  # as text; None: chosen, or none
    minimum: float
    maximum: float
    choices: "tuple[str, ...]"
    changes_pixels: bool


def _setting(row: Any) -> Setting:
    choices: "list[str]" = []
    while lib.ldm_setting_choice(row, len(choices)) != ffi.NULL:
        choices.append(text(lib.ldm_setting_choice(row, len(choices))) or "")
    return Setting(text(lib.ldm_setting_key(row)) or "", _TYPES.get(lib.ldm_setting_get_type(row), "text"),
                   text(lib.ldm_setting_group(row)) or "",
                   (text(lib.ldm_setting_help(row)) or "").replace("\n", " "),
                   text(lib.ldm_setting_default(row)), lib.ldm_setting_min(row), lib.ldm_setting_max(row),
                   tuple(choices), bool(lib.ldm_setting_flags(row) & lib.LDM_SETTING_PIXELS))


def settings(kind: str = "job") -> "list[Setting]":
    """What can be set: of a "job" (generate), a "model" (open), an "eval" or a "bench"."""
    if kind not in _KINDS:
        raise UsageError(f"'{kind}' is not one of {', '.join(_KINDS)}", "ERR_USAGE")
    n = lib.ldm_setting_count(_KINDS[kind])
    return [_setting(lib.ldm_setting_at(_KINDS[kind], i)) for i in range(n)]


TEXTS = ("prompt", "negative")


def _whole(key: str, value: Any) -> str:
    """One number of a list; text that is one, too."""
    try:
        number = int(value)
        if isinstance(value, str) or number == value:
            return str(number)
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError(f"{key}: {value!r} in its list is not a whole number", "ERR_USAGE")


def as_text(key: str, value: Any) -> bytes:
    """A value in the form that every setting takes."""
    if key in TEXTS and not isinstance(value, str):
        raise UsageError(f"{key}: a text is needed, not {type(value).__name__}", "ERR_USAGE")
    if isinstance(value, (bool, np.bool_)):
        return b"true" if value else b"false"
    if isinstance(value, (tuple, list)) or getattr(value, "ndim", 0) == 1:
        return ",".join(_whole(key, v) for v in value).encode()
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # one number of NumPy's or PyTorch's
        value = value.item()
    if not isinstance(value, (str, os.PathLike, int, float)):
        raise UsageError(f"{key}: a value of the type {type(value).__name__} is not taken", "ERR_USAGE")
    try:
        return encoded(value)
    except UsageError as e:
        raise UsageError(f"{key}: {e}", e.code) from None


def apply(setter: Any, obj: Any, values: Mapping[str, Any], lists: Iterable[str] = ()) -> None:
    """Sets every value that is not None; a list in `lists` adds one by one."""
    err = new_error()
    for key, value in values.items():
        if value is None:
            continue
        many = value if key in lists and isinstance(value, (list, tuple)) else [value]
        for one in many:
            check_status(setter(obj, key.encode(), as_text(key, one), err), err)
