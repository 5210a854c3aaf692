# SPDX-License-Identifier: MIT
"""The Inception network of torch-fidelity and of pytorch-fid with weights from a safetensors file."""
from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path

import numpy as np
import torch

TAPS = ("64", "192", "768", "2048", "logits_unbiased", "logits")


def state_dict(path: str) -> dict:
    """The tensors of a safetensors file, with the counters that BatchNorm has in PyTorch."""
    data = Path(path).read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, t in json.loads(data[8:8 + size]).items():
        begin, end = (8 + size + at for at in t["data_offsets"])
        out[name] = torch.from_numpy(np.frombuffer(data[begin:end], np.float32).reshape(t["shape"]).copy())
        if name.endswith("running_var"):
            out[name.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    return out


def torch_fidelity_network(path: str, features: list[str]):
    """As its users open a file of weights: a .pth."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with tempfile.NamedTemporaryFile(suffix=".pth") as f:
        torch.save(state_dict(path), f.name)
        return FeatureExtractorInceptionV3("made", features, feature_extractor_weights_path=f.name).eval()


def pytorch_fid_network(path: str):
    """All four of its blocks; their weights do not come from the network."""
    from pytorch_fid import inception

    inception.load_state_dict_from_url = lambda *a, **k: state_dict(path)
    return inception.InceptionV3([0, 1, 2, 3]).eval()
