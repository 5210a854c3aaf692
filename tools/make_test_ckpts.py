#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the tiny checkpoints under tests/data/checkpoint, one per container, with torch.

    python3 tools/make_test_ckpts.py [tests/data/checkpoint]

All hold the same tensors (values below, exact in every type), so that the tests can compare them.
The tests themselves need no Python: what this writes is committed.
"""
import collections
import json
import os
import struct
import sys
import zipfile

import torch


def state_dict(dtype=torch.float32):
    sd = collections.OrderedDict()
    sd["a.weight"] = (torch.arange(12, dtype=torch.float32).reshape(3, 4) / 4 - 1).to(dtype)
    sd["a.bias"] = torch.tensor([0.5, -0.25, 65504.0]).to(dtype)
    sd["count"] = torch.tensor(7, dtype=torch.int64)
    base = torch.arange(24, dtype=torch.float32).to(dtype)
    sd["view.transposed"] = base[4:16].reshape(4, 3).t()
    sd["view.shared"] = base[12:]
    sd["view.expanded"] = base[5:6].expand(3, 2)
    sd["empty"] = torch.zeros(0, 3, dtype=dtype)
    return sd


def lightning():
    import torch.nn as nn
    sd = state_dict()
    sd["a.bias"] = nn.Parameter(sd["a.bias"])
    return {"epoch": 3, "global_step": 1234, "pytorch-lightning_version": "1.4.2", "state_dict": sd,
            "callbacks": {nn.Identity: {"monitor": "val/loss", "best": torch.tensor(0.5)}},
            "optimizer_states": [{"state": {0: {"step": 5, "exp_avg": torch.zeros(3, 4)}},
                                  "param_groups": [{"lr": 1e-06, "betas": (0.9, 0.999)}]}],
            "lr_schedulers": [], "hyper_parameters": {"timesteps": 1000, "when": None}}


def write_safetensors(path, sd):
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}
    head, blob = {"__metadata__": {"format": "pt"}}, b""
    for k, v in sd.items():
        raw = v.contiguous().view(-1).view(torch.uint8).numpy().tobytes() if v.numel() else b""
        head[k] = {"dtype": names[v.dtype], "shape": list(v.shape),
                   "data_offsets": [len(blob), len(blob) + len(raw)]}
        blob += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + blob)


def deflate(src, dst):
    with zipfile.ZipFile(src) as a, zipfile.ZipFile(dst, "w", zipfile.ZIP_DEFLATED) as b:
        for i in a.infolist():
            b.writestr(zipfile.ZipInfo(i.filename, (1980, 1, 1, 0, 0, 0)), a.read(i),
                       zipfile.ZIP_DEFLATED)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else "tests/data/checkpoint"
    os.makedirs(out, exist_ok=True)

    def p(name):
        return os.path.join(out, name)

    torch.save({"state_dict": state_dict(), "global_step": 5}, p("zip_f32.ckpt"))
    torch.save({"state_dict": state_dict(torch.float16)}, p("zip_f16.ckpt"))
    torch.save(state_dict(torch.bfloat16), p("bare_bf16.ckpt"))
    torch.save(state_dict(torch.float64), p("bare_f64_protocol4.ckpt"), pickle_protocol=4)
    torch.save(lightning(), p("lightning.ckpt"))
    old = dict(_use_new_zipfile_serialization=False)
    torch.save({"state_dict": state_dict(), "global_step": 5}, p("legacy_f32.ckpt"), **old)
    torch.save(lightning(), p("lightning_legacy.ckpt"), **old)
    write_safetensors(p("f32.safetensors"), state_dict())
    write_safetensors(p("f16.safetensors"), state_dict(torch.float16))
    deflate(p("zip_f32.ckpt"), p("deflated_f32.ckpt"))


if __name__ == "__main__":
    main()
