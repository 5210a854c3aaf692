# SPDX-License-Identifier: MIT
"""Models, and the pictures that they make."""
from __future__ import annotations

import os
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Optional, Union

import numpy as np

from ._lib import (FileError, NumericError, UsageError, apply, as_text, check_status, encoded, exception, ffi, lib,
                   new_error, take_text, text)
from ._names import own_names
from ._reports import Assignments, Configs, PathLike, model_options

PARTS = {"unet": lib.LDM_PART_UNET, "encode": lib.LDM_PART_ENCODE, "decode": lib.LDM_PART_DECODE,
         "quantize": lib.LDM_PART_QUANTIZE, "indices": lib.LDM_PART_INDICES}

# ---- arrays ------------------------------------------------------------------------------------------


def _borrowed(a: Any, name: str) -> "tuple[Any, Any]":
    """An ldm_array over the memory of `a`, and the array that keeps it: `a` itself where it is float32 in C
    order already."""
    if np.iscomplexobj(a):
        raise UsageError(f"{name}: complex numbers are not taken", "ERR_USAGE")
    try:
        kept = np.ascontiguousarray(a, dtype=np.float32)
    except (TypeError, ValueError) as e:
        raise UsageError(f"{name}: an array of numbers is needed, not {type(a).__name__}: {e}", "ERR_USAGE") from None
    if not 1 <= kept.ndim <= 8 or kept.size == 0:
        raise UsageError(f"{name}: an array of shape {kept.shape} is not taken", "ERR_USAGE")
    out = ffi.new("ldm_array *")
    out.ndim, out.numel = kept.ndim, kept.size
    for i, n in enumerate(kept.shape):
        out.shape[i] = n
    out.data = ffi.cast("float *", kept.ctypes.data)
    return out, kept


def _read_image(path: PathLike) -> "tuple[Any, Any]":
    """The picture in a file, as the command line reads it; its memory is the library's."""
    err, out = new_error(), ffi.new("ldm_image *")
    check_status(lib.ldm_image_read_channels(encoded(path), 0, out, err), err)
    kept = ffi.gc(out.pixels, lib.ldm_release)
    return {"height": out.height, "width": out.width, "channels": out.channels, "pixels": kept}, kept


def _image(a: Any, name: str) -> "tuple[Any, Any]":
    """An ldm_image over the memory of a picture: PIL, an array [h, w], [h, w, 3] or [h, w, 4] of bytes, or read
    from a file that is named."""
    if isinstance(a, (str, os.PathLike)):
        return _read_image(a)
    mode = a.mode if hasattr(a, "getbands") else ""  # PIL's; "": no PIL image
    if mode.startswith("I;16"):
        a = (np.asarray(a) >> 8).astype(np.uint8)  # the upper byte, as a file of 16 bits is read; PIL itself cuts off at 255
    elif mode in ("I", "F"):
        raise UsageError(f"{name}: a PIL image of mode {mode} has no known white: make it one of mode L (0 to 255) or "
                         "I;16 (0 to 65535), or give the file's name", "ERR_USAGE")
    elif mode not in ("", "L", "RGB", "RGBA"):
        a = a.convert("RGBA" if "A" in a.getbands() or "transparency" in a.info else "RGB")
    kept = np.ascontiguousarray(a)
    if kept.dtype != np.uint8 or kept.ndim not in (2, 3) or kept.size == 0 or kept.shape[2:] not in ((), (1,), (3,), (4,)):
        raise UsageError(f"{name}: a file's name, a PIL image or bytes of shape [h, w], [h, w, 3] or [h, w, 4] are "
                         f"needed, not {kept.dtype} {kept.shape}", "ERR_USAGE")
    out = {"height": kept.shape[0], "width": kept.shape[1], "channels": kept.shape[2] if kept.ndim == 3 else 1,
           "pixels": ffi.cast("uint8_t *", kept.ctypes.data)}
    return out, kept


class _Owned:
    """An ldm_array of the library's as NumPy sees it: nothing is copied, and the memory goes with the last view."""

    def __init__(self, array: Any) -> None:
        self._array = ffi.gc(array, lib.ldm_array_free)
        self.__array_interface__ = {
            "version": 3, "typestr": "<f4", "shape": tuple(array.shape[i] for i in range(array.ndim)),
            "data": (int(ffi.cast("uintptr_t", array.data)), False)}


def _copy(pointer: Any, shape: "tuple[int, ...]", dtype: Any) -> "Optional[np.ndarray]":
    if pointer == ffi.NULL:
        return None
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(ffi.buffer(pointer, size), dtype=dtype).reshape(shape).copy()


# ---- pictures ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Progress:
    """Where a run is. step 0: the first step is about to begin."""

    step: int
    step_count: int
    timestep: float
    first_image: int
    images_in_batch: int
    image_count: int
    stage: str  # "sampling" or "decoding"


@dataclass(frozen=True)
class Picture:
    """One finished picture. The arrays are its own."""

    index: int
    seed: int
    pixels: "Optional[np.ndarray]" = field(repr=False)  # [height, width, 3] uint8; None: no RGB form
    image: np.ndarray = field(repr=False)  # [channels, height, width] float32, -1..1, not clamped
    latent: np.ndarray = field(repr=False)  # [C, H, W] float32
    recipe: str = field(repr=False)  # JSON: everything needed to repeat it

    def pil(self) -> Any:
        """The picture as a PIL.Image (of the package pillow); a grey one in mode L."""
        Image = pillow()
        im = Image.fromarray(self._written())
        im.info["ldm"] = self.recipe
        return im

    def save(self, path: PathLike, quality: int = 95) -> None:
        """Writes a PNG or a JPEG, as the name ends (.png, .jpg, .jpeg), with the recipe in it. Complete or not at
        all. Folders that are missing are made."""
        ending = os.path.splitext(os.fspath(path))[1]
        if ending.lower() not in (".png", ".jpg", ".jpeg"):
            raise UsageError(f"'{os.fspath(path)}' {'ends in ' + ending if ending else 'has no ending'}, and pictures "
                             "are written as .png, .jpg or .jpeg; others by pil().save", "ERR_USAGE")
        if isinstance(quality, bool) or not isinstance(quality, (int, np.integer)):
            raise UsageError(f"quality: a whole number is needed, not {type(quality).__name__}", "ERR_USAGE")
        pixels = self._written()
        im = ffi.new("ldm_image *")
        im.height, im.width = pixels.shape[:2]
        im.channels = 1 if pixels.ndim == 2 else 3
        im.pixels = ffi.cast("uint8_t *", pixels.ctypes.data)
        err, folder = new_error(), os.path.dirname(os.fspath(path))
        try:
            os.makedirs(folder or ".", exist_ok=True)
        except OSError as e:
            raise FileError(f"cannot make the folder {folder}: {e.strerror}", "ERR_IO") from None
        check_status(lib.ldm_image_write_quality(encoded(path), im, int(quality), self.recipe.encode(), err), err)

    def _written(self) -> np.ndarray:
        if self.pixels is None:
            raise UsageError(f"a picture of {self.image.shape[0]} channels has no RGB form; its values are in "
                             "`image`", "ERR_USAGE")
        return np.ascontiguousarray(self.pixels[:, :, 0] if self.image.shape[0] == 1 else self.pixels)

    def _repr_png_(self) -> "Optional[bytes]":
        if self.pixels is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            self.save(os.path.join(folder, "picture.png"))
            with open(os.path.join(folder, "picture.png"), "rb") as f:
                return f.read()


def pillow() -> Any:
    """PIL.Image, which only some calls need."""
    try:
        from PIL import Image
    except ImportError as e:
        raise ImportError("PIL images need the package pillow: pip install pillow (Picture.pixels and Picture.save "
                          "do without it)") from e
    return Image


def read_recipe(path: PathLike) -> str:
    """The recipe in a picture that ldm wrote; FormatError where there is none."""
    err, out = new_error(), ffi.new("char **")
    check_status(lib.ldm_image_read_recipe(encoded(path), out, err), err)
    return take_text(out)


class _Line:
    """A line on stderr, for want of tqdm, with the calls of its that are needed here."""

    def __init__(self, total: int, unit: str) -> None:
        self.n, self._total, self._unit, self._said = 0, total, unit, ""
        self._again = sys.stderr.isatty()

    def update(self, n: int) -> None:
        self.n += n

    def set_postfix_str(self, said: str, refresh: bool = True) -> None:
        self._said = said
        if self._again:
            self._write("\r")

    def _write(self, begin: str) -> None:
        done = f"{100 * self.n // max(self._total, 1):3}% {self.n}/{self._total} {self._unit}s, {self._said}"
        print(f"{begin}{done:<72}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        self._write("\r" if self._again else "")
        print(file=sys.stderr)


def _bar_maker() -> "Callable[..., Any]":
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Line
    return tqdm


class _Bar:
    """tqdm, of notebooks or terminals, over all evaluations of a run; a plain line where it is not installed."""

    def __init__(self) -> None:
        self._make: "Callable[..., Any]" = _bar_maker()
        self._bar: Any = None

    def __call__(self, p: Progress) -> None:
        if self._bar is None:
            self._bar = self._make(total=p.step_count * p.image_count, unit="step")
        done = p.first_image * p.step_count + p.step * p.images_in_batch
        self._bar.update(done - self._bar.n)
        self._bar.set_postfix_str(f"picture {p.first_image + 1} of {p.image_count}, {p.stage}", refresh=False)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


ProgressLike = Union[None, bool, Callable[[Progress], Any]]


def _recipe(like: Any) -> bytes:
    """A recipe's text: as it is, or of a picture."""
    like = getattr(like, "recipe", like)
    if not isinstance(like, str):
        raise UsageError(f"like: a recipe (Picture.recipe, read_recipe) is needed, not {type(like).__name__}",
                         "ERR_USAGE")
    return encoded(like)


def _prompts(settings: "dict[str, Any]") -> "Optional[list[bytes]]":
    """Takes a list of prompts out of the settings; prompts is another word for it."""
    if "prompts" in settings:
        if settings.get("prompt") is not None:
            raise UsageError("prompt and prompts are the same: give one of them", "ERR_USAGE")
        settings["prompt"] = settings.pop("prompts")
    if not isinstance(settings.get("prompt"), (list, tuple)):
        return None
    prompts = settings.pop("prompt")
    if not prompts or not all(isinstance(p, str) for p in prompts):
        raise UsageError("prompt: a text or a list of texts is needed", "ERR_USAGE")
    return [as_text("prompt", p) for p in prompts]


class Generation:
    """The pictures of one job, one by one: an iterator. Its memory and threads go with close() or the object.

    The work happens in next(), without the GIL. An exception in the progress function, KeyboardInterrupt among
    them, and cancel() from another thread end it within a step; next() may then be called again and samples the
    same batch from its first step. A picture that holds NaN raises NumericError; the next ones go on.
    """

    def __init__(self, model: "Model", job: Any, arrays: "list[Any]", progress: ProgressLike) -> None:
        self._lock = threading.Lock()
        self._keep = (model._handle(), arrays)
        if progress not in (None, True, False) and not callable(progress):
            raise UsageError(f"progress: True or a function is needed, not {type(progress).__name__}", "ERR_USAGE")
        self._fn = _Bar() if progress is True else progress or None
        self._raised: Optional[BaseException] = None
        self._cancelled = False
        self._callback = ffi.callback("int(void *, ldm_progress *)", self._progress, error=1, onerror=self._failed)
        lib.ldm_job_set_progress(job, self._callback, ffi.NULL)
        err, out = new_error(), ffi.new("ldm_run **")
        check_status(lib.ldm_run_create(self._keep[0], job, out, err), err)
        self._run: Any = ffi.gc(out[0], lib.ldm_run_free)
        info = lib.ldm_run_get_info(self._run)
        self.count: int = info.count
        self.steps: int = info.steps_run
        self.timesteps = [info.timesteps[i] for i in range(info.steps_run)]
        self.size = (info.image_w, info.image_h)
        self._image = (info.image_c, info.image_h, info.image_w)
        self._latent = (info.latent_c, info.latent_h, info.latent_w)
        self.memory_bytes: int = info.memory_total
        self.notes = [text(lib.ldm_run_note(self._run, i)) or "" for i in range(lib.ldm_run_note_count(self._run))]

    def _progress(self, _ctx: Any, p: Any) -> int:
        if self._fn is not None:
            self._fn(Progress(p.step, p.step_count, p.timestep, p.first_image, p.images_in_batch, p.image_count,
                              text(p.stage) or ""))
        return int(self._cancelled)

    def _failed(self, _kind: Any, raised: BaseException, _traceback: Any) -> None:
        """What _progress raised goes on in __next__. No `try` inside of _progress would do: Python raises the
        KeyboardInterrupt of a signal that came meanwhile when it enters the function, before its first line."""
        self._raised = raised

    def settings(self) -> "dict[str, str]":
        """The job as it is run: every value is set or was chosen."""
        from ._lib import settings

        with self._lock:
            job, out = lib.ldm_run_get_job(self._opened()), {}
            for s in settings("job"):
                err, value = new_error(), ffi.new("char **")
                if not lib.ldm_job_get(job, s.key.encode(), value, err) and value[0] != ffi.NULL:
                    out[s.key] = take_text(value)
            return out

    def cancel(self) -> None:
        """May be called from any thread: the running next() raises CancelledError within a step."""
        self._cancelled = True

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> "Iterator[Picture]":
        return self

    def __next__(self) -> Picture:
        if not self._lock.acquire(blocking=False):
            raise UsageError("this generation is being advanced by another thread", "ERR_USAGE")
        try:
            return self._next()
        finally:
            self._lock.release()

    def _opened(self) -> Any:
        if self._run is None:
            raise UsageError("the generation is closed", "ERR_USAGE")
        return self._run

    def _next(self) -> Picture:
        run, err, out = self._opened(), new_error(), ffi.new("ldm_result **")
        self._raised = None
        status = lib.ldm_run_next(run, out, err)
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised
        if status:
            self._cancelled = False
            raise exception(status, err)
        r = out[0]
        if r == ffi.NULL:
            self._close_bar()
            raise StopIteration
        if r.status:
            failure = exception(r.status, err)
            raise NumericError(f"picture {r.index} (seed {r.seed}): {failure}", failure.code)
        recipe = ffi.new("char **")
        check_status(lib.ldm_run_recipe(run, r.index, recipe, err), err)
        return Picture(r.index, r.seed, _copy(r.pixels, (r.height, r.width, r.channels), np.uint8),
                       _copy(r.image, self._image, np.float32), _copy(r.latent, self._latent, np.float32),
                       take_text(recipe))

    def _close_bar(self) -> None:
        if isinstance(self._fn, _Bar):
            self._fn.close()

    def close(self) -> None:
        """Frees memory and threads. Not while another thread is in next()."""
        with self._lock:
            self._close_bar()
            if self._run is not None:
                ffi.release(self._run)
            self._run = None

    def __enter__(self) -> "Generation":
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()


# ---- models ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ModelInfo:
    """Facts of an open model."""

    ckpt_path: str
    ckpt_format: str
    isa: str
    precision: str
    weights: str  # "EMA" or "raw"
    is_default: bool
    latent_channels: int
    latent_h: int
    latent_w: int
    downsample: int
    side_step: int  # pixels: a side is a multiple of it, at most side_max
    side_max: int
    codebook: bool
    posterior: bool
    timesteps: int
    guidance_has_effect: bool
    load_seconds: float
    reads_text: bool


class Model:
    """A loaded model. Immutable: threads may share one, and each have generations of their own on it."""

    def __init__(self, pointer: Any) -> None:
        self._pointer = ffi.gc(pointer, lib.ldm_model_close)
        info = lib.ldm_model_get_info(pointer)
        values = {}
        for name in ModelInfo.__dataclass_fields__:
            value = getattr(info, name)
            values[name] = text(value) or "" if isinstance(value, ffi.CData) else value
        self.info = ModelInfo(**values)
        self.notes = [text(lib.ldm_model_note(pointer, i)) or "" for i in range(lib.ldm_model_note_count(pointer))]

    @classmethod
    def open(cls, ckpt: Optional[PathLike] = None, config: Configs = None, *, set: Assignments = None,
             like: Optional[str] = None, **settings: Any) -> "Model":
        """Opens, checks and packs a model; without ckpt the shipped one.

        ckpt: a checkpoint, or a folder that holds one. config: a YAML file, or several laid over each other; without
        it the one beside the checkpoint. set: values of the configuration, by dotted key.
        like: a recipe (Picture.recipe, read_recipe), for what is not given. settings: see settings("model").
        """
        options = model_options(ckpt, config, set, settings)
        err, out = new_error(), ffi.new("ldm_model **")
        if like is not None:
            check_status(lib.ldm_model_options_use_recipe(options, _recipe(like), ffi.NULL, err), err)
        check_status(lib.ldm_model_options_find_files(options, True, err), err)
        check_status(lib.ldm_model_open(options, out, err), err)
        return cls(out[0])

    def _handle(self) -> Any:
        if self._pointer is None:
            raise UsageError("the model is closed", "ERR_USAGE")
        return self._pointer

    def close(self) -> None:
        """The memory goes as soon as no generation uses the model any more."""
        self._pointer = None

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()

    def sha256(self) -> str:
        """The checkpoint's SHA-256; reads the whole file on the first call."""
        handle, err, out = self._handle(), new_error(), ffi.new("const char **")
        check_status(lib.ldm_model_hash(handle, out, err), err)
        return text(out[0]) or ""

    def generate(self, count: Optional[int] = None, *, progress: ProgressLike = None,
                 like: "Union[str, Picture, None]" = None,
                 x_t: Any = None, noise: Any = None, mask: Any = None, x0: Any = None, context: Any = None,
                 uncond_context: Any = None, init: Any = None, mask_image: Any = None,
                 **settings: Any) -> Generation:
        """Makes pictures: an iterator of Picture, which computes as it is advanced.

        Picture i has seed + i; seed=-1 draws one, which Picture.seed says. progress: True shows a bar (tqdm's, else a
        line), a function gets a Progress after each step. like: a recipe, or the picture that has it, for what is not
        given. init: a picture (a file's name; PIL or an array, which are taken as they lie, without EXIF's orientation),
        or several, to begin with (image-to-image); mask_image: what of it is painted (light, of 0 to 255). x_t,
        noise, mask, x0, context, uncond_context: arrays, see the README. settings: see settings("job"), among them prompt (of a list, also as prompts=, `count` pictures are made of
        each), negative, class_ and strength.
        """
        settings = own_names(settings)
        if "count" in settings:
            count = settings.pop("count")
        if isinstance(count, str) and not count.strip().lstrip("-").isdigit():
            raise UsageError(f"count: the number of pictures is needed, not {count!r}; a text is given as prompt=...",
                             "ERR_USAGE")
        prompts = _prompts(settings)
        handle, err, out = self._handle(), new_error(), ffi.new("ldm_job **")
        check_status(lib.ldm_job_create(handle, out, err), err)
        job = ffi.gc(out[0], lib.ldm_job_free)
        apply(lib.ldm_job_set, job, {"count": count, **settings})
        if like is not None:
            check_status(lib.ldm_job_use_recipe(job, _recipe(like), err), err)
        kept = []
        if prompts is not None:
            texts = [ffi.new("char[]", p) for p in prompts]
            list_of = ffi.new("char *[]", texts)
            kept += [texts, list_of]
            check_status(lib.ldm_job_set_prompts(job, list_of, len(texts), err), err)
        for name, value in (("init", init), ("mask", mask_image)):
            if value is None:
                continue
            many = [_image(v, name) for v in (value if isinstance(value, (list, tuple)) else [value])]
            images = ffi.new("ldm_image[]", [m[0] for m in many])
            kept += [images, many]
            check_status(lib.ldm_job_set_images(job, name.encode(), images, len(many), err), err)
        for name, value in (("x_t", x_t), ("noise", noise), ("mask", mask), ("x0", x0), ("context", context),
                            ("uncond_context", uncond_context)):
            if value is not None:
                array, owner = _borrowed(value, name)
                kept += [array, owner]
                check_status(lib.ldm_job_set_array(job, name.encode(), array, err), err)
        return Generation(self, job, kept, progress)

    def eval(self, part: str, array: Any, *, context: Any = None, noise: Any = None, **settings: Any) -> np.ndarray:
        """Runs one part ("unet", "encode", "decode", "quantize", "indices") on an array. The result is the
        library's memory: nothing is copied. settings: see settings("eval"), e.g. t=500 of the UNet."""
        if part not in PARTS:
            raise UsageError(f"'{part}' is not one of {', '.join(PARTS)}", "ERR_USAGE")
        handle, err, out = self._handle(), new_error(), ffi.new("ldm_eval_job **")
        check_status(lib.ldm_eval_job_create(PARTS[part], out, err), err)
        job = ffi.gc(out[0], lib.ldm_eval_job_free)
        apply(lib.ldm_eval_job_set, job, settings)
        kept = []
        for name, value in (("in", array), ("context", context), ("noise", noise)):
            if value is not None:
                a, owner = _borrowed(value, name)
                kept += [a, owner]
                check_status(lib.ldm_eval_job_set_array(job, name.encode(), a, err), err)
        result = ffi.new("ldm_array *")
        check_status(lib.ldm_eval(handle, job, result, err), err)
        return np.asarray(_Owned(result))


def version() -> str:
    """The library's version."""
    return text(lib.ldm_version()) or ""


def shipped_path(name: str) -> str:
    """A file that comes with ldm, by its name in the source tree ("models/demo/config.yaml")."""
    err, out = new_error(), ffi.new("char **")
    check_status(lib.ldm_shipped_path(encoded(name), out, err), err)
    return os.fspath(take_text(out))
