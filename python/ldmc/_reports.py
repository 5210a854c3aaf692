# SPDX-License-Identifier: MIT
"""What the library says about files: check, inspect, samplers."""
from __future__ import annotations

import html
import json
import os
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Union

from ._lib import apply, check_status, encoded, exception, ffi, lib, new_error, take_text

PathLike = Union[str, "os.PathLike[str]"]
Configs = Union[None, PathLike, Sequence[PathLike]]
Assignments = Union[None, Mapping[str, Any], Sequence[str]]


def _assignments(values: Assignments) -> "list[str]":
    if values is None:
        return []
    if isinstance(values, Mapping):
        return [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in values.items()]
    return [values] if isinstance(values, str) else list(values)


def model_options(ckpt: Optional[PathLike], config: Configs, set: Assignments, settings: Mapping[str, Any]) -> Any:
    """An ldm_model_options that is freed with the object."""
    err, out = new_error(), ffi.new("ldm_model_options **")
    check_status(lib.ldm_model_options_create(out, err), err)
    options = ffi.gc(out[0], lib.ldm_model_options_free)
    many = config if isinstance(config, (list, tuple)) else [config] if config is not None else None
    apply(lib.ldm_model_options_set, options,
          {"ckpt": ckpt, "config": many, "set": _assignments(set), **settings}, lists=("config", "set"))
    return options


def _table(rows: "list[tuple[Any, ...]]", head: "tuple[str, ...]") -> str:
    cells = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return ("<table><thead><tr>" + "".join(f"<th>{html.escape(h)}</th>" for h in head) + "</tr></thead><tbody>" +
            cells + "</tbody></table>")


def _components(data: Mapping[str, Any]) -> "list[tuple[Any, ...]]":
    rows = []
    for name, c in data.get("components", {}).items():
        inside = c.get("checkpoint", c)
        rows.append((name, c.get("status", ""), inside.get("tensors", ""), inside.get("elements", "")))
    return rows


@dataclass(frozen=True)
class Cause:
    """Why a configuration does not fit, and what to change."""

    id: str
    finding: str
    remedy: str
    set: Optional[str] = None


@dataclass(frozen=True)
class CheckReport:
    """Whether a configuration fits a checkpoint. data has all of it, as `ldm check --json` prints it."""

    fits: bool
    headline: str
    verdict: str
    next_step: str
    matching: int
    missing: "list[str]"
    unexpected: "list[str]"
    causes: "list[Cause]"
    notes: "list[str]"
    text: str = field(repr=False)
    data: "dict[str, Any]" = field(repr=False)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        colour = "#1a7f37" if self.fits else "#b42318"
        parts = [f'<p><b style="color:{colour}">{html.escape(self.headline)}</b> {html.escape(self.verdict)}</p>',
                 _table(_components(self.data), ("component", "status", "tensors", "numbers"))]
        if self.causes:
            parts.append(_table([(c.finding, c.remedy) for c in self.causes], ("finding", "remedy")))
        parts += [f"<p>{html.escape(n)}</p>" for n in self.notes]
        return "".join(parts)


@dataclass(frozen=True)
class InspectReport:
    """What is in a checkpoint, a configuration or a picture. data has all of it, as `ldm inspect --json` prints it."""

    kind: str
    path: str
    components: "dict[str, Any]"
    keys: "list[str]"
    text: str = field(repr=False)
    data: "dict[str, Any]" = field(repr=False)

    def __str__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return (f"<p><b>{html.escape(self.path)}</b>: {html.escape(self.kind)}</p>" +
                _table(_components(self.data), ("component", "status", "tensors", "numbers")))


def check(ckpt: Optional[PathLike] = None, config: Configs = None, *, set: Assignments = None,
          values: bool = False, **settings: Any) -> CheckReport:
    """Holds a configuration against a checkpoint.

    values: read the weights, too. NaN in them is no exception here: the report says so, and `fits` is false.
    """
    options, err = model_options(ckpt, config, set, settings), new_error()
    check_status(lib.ldm_model_options_find_files(options, True, err), err)
    how = lib.LDM_REPORT_ALL | (lib.LDM_REPORT_VALUES if values else 0)
    got = []
    for kind in (0, lib.LDM_REPORT_JSON):
        err, out, fits = new_error(), ffi.new("char **"), ffi.new("bool *")
        status = lib.ldm_check(options, how | kind, out, fits, err)
        if out[0] == ffi.NULL:
            raise exception(status, err)
        got.append(take_text(out))
        if status == lib.LDM_ERR_CONFIG:
            raise exception(status, err)
    data = json.loads(got[1])
    causes = [Cause(c.get("id", ""), c.get("finding", ""), c.get("remedy", ""), c.get("set"))
              for c in data.get("causes", [])]
    return CheckReport(bool(fits[0]) and not status, data.get("headline", ""), data.get("verdict", ""),
                       data.get("next_step", ""), data.get("matching", 0), data.get("missing", []),
                       data.get("unexpected", []), causes, data.get("notes", []), got[0], data)


def inspect(path: PathLike, *, keys: bool = False) -> InspectReport:
    """What is in a checkpoint or a YAML file; reads no weights. keys: the names of all tensors, too.

    Of a picture that ldm made: kind "picture", and its recipe as data.
    """
    text, raw = _inspect(path, lib.LDM_REPORT_ALL), _inspect(path, lib.LDM_REPORT_ALL | lib.LDM_REPORT_JSON)
    data = json.loads(raw)
    kind = data.get("kind", "picture")  # recipes have none
    names = json.loads(_inspect(path, lib.LDM_REPORT_KEYS | lib.LDM_REPORT_JSON)) if keys and kind != "picture" else []
    return InspectReport(kind, os.fspath(path), data.get("components", {}), names, text, data)


def _inspect(path: PathLike, how: int) -> str:
    err, out = new_error(), ffi.new("char **")
    status = lib.ldm_inspect(encoded(path), how, out, err)
    report = take_text(out) if out[0] != ffi.NULL else ""
    check_status(status, err)
    return report


def samplers() -> "list[dict[str, Any]]":
    """The samplers: name, aliases, evaluations, the settings that they take."""
    err, out = new_error(), ffi.new("char **")
    check_status(lib.ldm_samplers(lib.LDM_REPORT_JSON, out, err), err)
    return json.loads(take_text(out))
