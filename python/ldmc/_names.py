# SPDX-License-Identifier: MIT
"""What diffusers calls settings of a job."""
from typing import Any, Dict

_OWN = {
    "class_": "class",  # "class" is a word of Python's
    "guidance_scale": "scale",
    "num_inference_steps": "steps",
    "negative_prompt": "negative",
    "num_images_per_prompt": "count",
    "num_images": "count",
}


def own_names(settings: Dict[str, Any]) -> Dict[str, Any]:
    """The settings by ldm's names; a name that is given in ldm's form, too, stays and is refused later."""
    return {key if _OWN.get(key, key) in settings else _OWN.get(key, key): value for key, value in settings.items()}
