# SPDX-License-Identifier: MIT
"""Writes unet.onnx and decode.onnx (float32, any batch) for ONNX Runtime and OpenVINO.

    python export_onnx.py CONFIG.yaml CKPT FOLDER
"""
from __future__ import annotations

import sys
from pathlib import Path

import torch

import networks


def main() -> None:
    config, ckpt, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    unet, decode = networks.load(config, ckpt, mapped=True)
    p = networks.params(config)
    x, given = torch.randn(2, *networks.latent(p)), networks.context(p)
    context = (torch.randn(2, *given),) if given else ()
    batch = torch.export.Dim("batch", min=1, max=64)
    for name, net, args in (("unet", unet, (x, torch.tensor([500, 500]), *context)), ("decode", decode, (x,))):
        with torch.inference_mode():
            torch.onnx.export(net, args, str(folder / f"{name}.onnx"), dynamo=True, external_data=True,
                              dynamic_shapes=({0: batch},) * len(args), input_names=["x", "t", "context"][:len(args)],
                              output_names=["y"])


if __name__ == "__main__":
    main()
