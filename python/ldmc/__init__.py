# SPDX-License-Identifier: MIT
"""Latent diffusion models: CompVis checkpoints, checked and sampled by the C library of ldm.

    model = ldmc.Model.open("model.ckpt", "config.yaml")
    for picture in model.generate(4, steps=50, progress=True):
        picture.save(f"{picture.index:05}.png")
"""
from ._lib import (CancelledError, ConfigError, FileError, FormatError, LdmError, LimitError, MismatchError,
                   NumericError, OutOfMemory, RangeError, Setting, UnsafeError, UnsupportedError, UsageError, settings)
from ._model import Generation, Model, ModelInfo, Picture, Progress, read_recipe, shipped_path, version
from ._pipeline import Pipeline, PipelineOutput
from ._reports import Cause, CheckReport, InspectReport, check, inspect, samplers

__version__ = version()
__all__ = [
    "CancelledError", "Cause", "CheckReport", "ConfigError", "FileError", "FormatError", "Generation",
    "InspectReport", "LdmError", "LimitError", "MismatchError", "Model", "ModelInfo", "NumericError", "OutOfMemory",
    "Picture", "Pipeline", "PipelineOutput", "Progress", "RangeError", "Setting", "UnsafeError", "UnsupportedError",
    "UsageError", "check", "inspect", "read_recipe", "samplers", "settings", "shipped_path", "version",
]
