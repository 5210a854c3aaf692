# SPDX-License-Identifier: MIT
"""Pictures the way diffusers' pipelines are called."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Union

import numpy as np

from ._lib import FileError, UnsupportedError, UsageError, settings
from ._model import Model, Picture, Progress, pillow
from ._reports import Assignments, Configs, PathLike


@dataclass(frozen=True)
class PipelineOutput:
    """images: PIL images, or an array [N, height, width, channels] of 0 to 1 for output_type "np"."""

    images: Any
    pictures: "list[Picture]" = field(repr=False)

    def __iter__(self) -> Any:
        return iter((self.images,))


def _seed(generator: Any) -> Optional[int]:
    """A number, or what has one: torch.Generator (initial_seed)."""
    if generator is None:
        return None
    if hasattr(generator, "initial_seed"):
        return int(generator.initial_seed())
    if isinstance(generator, (int, np.integer)) and not isinstance(generator, bool):
        return int(generator)
    raise UsageError(f"generator: a seed or a torch.Generator is needed, not {type(generator).__name__}", "ERR_USAGE")


# What from_pretrained is given for other libraries' sake.
_IDLE = ("safety_checker", "feature_extractor", "requires_safety_checker", "use_safetensors", "local_files_only",
         "low_cpu_mem_usage", "variant", "add_watermarker")


def _is_dtype(name: str) -> bool:
    return name.startswith("torch.") or name in ("float16", "bfloat16", "float32", "float64", "half")


def _check_dtype(dtype: Any) -> None:
    if dtype is not None and str(dtype) not in ("torch.float32", "float32", "auto"):
        raise UnsupportedError(f"{dtype}: ldm computes in float32: leave the type out; settings(\"model\") has "
                               "precision", "ERR_UNSUPPORTED")


class Pipeline:
    """A model behind the call of diffusers' pipelines:

    pipe = ldmc.Pipeline(path); pipe("prompt", num_inference_steps=20, generator=seed).images

    image, mask_image and strength: of image-to-image and inpainting. A model that takes no prompt refuses one. What is not named here goes by the library's own keys
    (settings("job")), e.g. sampler="dpmpp_2m".
    """

    def __init__(self, ckpt: Optional[PathLike] = None, config: Configs = None, *, set: Assignments = None,
                 **settings_: Any) -> None:
        self.model = Model.open(ckpt, config, set=set, **settings_)
        self._keys = {s.key for s in settings("job")}

    @classmethod
    def from_pretrained(cls, path: PathLike, config: Configs = None, *, torch_dtype: Any = None,
                        **settings_: Any) -> "Pipeline":
        """As diffusers' from_pretrained of a folder: also of a checkpoint. Nothing is downloaded."""
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"from_pretrained: a folder or a file is needed, not {type(path).__name__}", "ERR_USAGE")
        if not os.path.exists(path):
            raise FileError(f"{os.fspath(path)}: there is no such folder or file, and ldm downloads nothing", "ERR_IO")
        _check_dtype(torch_dtype)
        for key in _IDLE:
            settings_.pop(key, None)
        return cls(path, config, **settings_)

    def to(self, *where: Any) -> "Pipeline":
        """to("cpu"), where it is already; another device is refused, and another type than float32."""
        for one in where:
            name = str(one)
            if _is_dtype(name):
                _check_dtype(one)
            elif name.split(":")[0] != "cpu":
                raise UnsupportedError(f"to: ldm computes on the processor, and '{name}' is none: leave it out or say "
                                       "to(\"cpu\")", "ERR_UNSUPPORTED")
        return self

    def _text(self, key: str, value: Any, out: "dict[str, Any]") -> None:
        if value is None or value == "":
            return
        if key not in self._keys:
            raise UsageError(f"{key}: this version of ldm makes no pictures of texts; call without it", "ERR_USAGE")
        out[key] = value

    def _shape(self, height: Optional[int], width: Optional[int]) -> "Optional[tuple[int, int, int]]":
        info = self.model.info
        if height is None and width is None:
            return None
        for key, side in (("height", height), ("width", width)):
            if side is not None and (isinstance(side, bool) or not isinstance(side, (int, np.integer))):
                raise UsageError(f"{key}: a whole number of pixels is needed, not {type(side).__name__}", "ERR_USAGE")
        h, w = height or info.latent_h * info.downsample, width or info.latent_w * info.downsample
        if h % info.downsample or w % info.downsample:
            raise UsageError(f"height and width: {h} and {w} are not both multiples of {info.downsample}", "ERR_USAGE")
        return info.latent_channels, h // info.downsample, w // info.downsample

    def __call__(self, prompt: "Union[str, list[str], None]" = None, *, negative_prompt: Optional[str] = None,
                 num_inference_steps: Optional[int] = None, guidance_scale: Optional[float] = None,
                 eta: Optional[float] = None, generator: Any = None, num_images_per_prompt: int = 1,
                 height: Optional[int] = None, width: Optional[int] = None, latents: Any = None,
                 image: Any = None, mask_image: Any = None, strength: Optional[float] = None,
                 output_type: str = "pil", return_dict: bool = True,
                 callback_on_step_end: "Optional[Callable[[Pipeline, int, float, dict], Any]]" = None,
                 progress: Any = None, **more: Any) -> Any:
        if output_type not in ("pil", "np"):
            raise UsageError(f"output_type: '{output_type}' is not one of pil, np", "ERR_USAGE")
        if output_type == "pil":
            pillow()  # before the work, not after it
        values = dict(more, steps=num_inference_steps, scale=guidance_scale, eta=eta, seed=_seed(generator),
                      strength=strength, shape=self._shape(height, width))
        self._text("prompt", prompt, values)
        self._text("negative", negative_prompt, values)
        if callback_on_step_end is not None:
            call = callback_on_step_end

            def progress(p: Progress) -> None:
                if p.stage == "sampling" and p.step:
                    call(self, p.step - 1, p.timestep, {})

        with self.model.generate(None if latents is not None else num_images_per_prompt, progress=progress,
                                 x_t=latents, init=image, mask_image=mask_image, **values) as run:
            pictures = list(run)
        images: Any = [p.pil() for p in pictures] if output_type == "pil" else np.stack(
            [np.clip(p.image.transpose(1, 2, 0) / 2 + 0.5, 0, 1) for p in pictures])
        return PipelineOutput(images, pictures) if return_dict else (images,)
