#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clients of the package index, unmodified, against the server: webuiapi, openai, sd-parsers.

    pip install webuiapi openai sd-parsers pillow
    tests/server/outside/clients.py build/ldm-server
"""
import base64
import io
import sys
import tempfile
import threading
import time

import openai
import webuiapi
from PIL import Image
from sd_parsers import ParserManager

from load import Server

CLIP = ["--ckpt", "tests/data/models/clip.ckpt", "--config", "tests/data/models/clip.yaml", "--vocab", "tests/data/tokenize"]


def web_ui(s):
    api = webuiapi.WebUIApi(host="127.0.0.1", port=s.port, sampler="Euler a", steps=4)
    names = [x["name"] for x in api.get_samplers()]
    assert {"Euler a", "DPM++ 2M", "DDIM"} <= set(names), names
    assert any(x["name"] == "karras" for x in api.get_schedulers())
    made = api.txt2img(prompt="the cat", seed=7, width=16, height=16, cfg_scale=3, batch_size=2)
    assert len(made.images) == 2 and made.image.size == (16, 16)
    assert made.info["seed"] == 7 and made.info["all_seeds"] == [7, 8] and made.info["sampler_name"] == "Euler a"
    random_one = api.txt2img(prompt="the cat", width=16, height=16)
    assert random_one.info["seed"] >= 0
    mask = Image.new("L", (16, 16))
    mask.paste(255, (4, 4, 12, 12))
    changed = api.img2img(images=[made.image], prompt="the cat", seed=7, width=16, height=16, denoising_strength=0.5)
    painted = api.img2img(images=[made.image], mask_image=mask, prompt="the cat", seed=7, width=16, height=16, mask_blur=0)
    assert changed.image.size == painted.image.size == (16, 16)
    assert painted.image.convert("RGB").getpixel((0, 0)) == made.image.convert("RGB").getpixel((0, 0))
    png = io.BytesIO()
    info = api.png_info(made.image)
    assert "Sampler: Euler a" in info.info, info.info
    made.image.save(png, "PNG")
    assert api.get_options()["sd_model_checkpoint"] == "clip" == api.util_get_current_model()
    api.set_options({"sd_model_checkpoint": "clip"})
    assert api.util_get_model_names() == ["clip"] and "Euler a" in api.util_get_sampler_names()
    progress = []

    def watch():
        for _ in range(200):
            p = api.get_progress()
            progress.append(p["progress"])
            if p["progress"] > 0:
                api.interrupt()
                return
            time.sleep(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        api.txt2img(prompt="the cat", steps=1000, n_iter=50, width=16, height=16)
    except RuntimeError as e: # nothing was done when it was interrupted
        assert "409" in str(e.args) or "cancel" in str(e.args), e
    watcher.join()
    assert progress[-1] > 0
    wait_end = time.time() + 60
    while api.get_progress()["state"]["job_count"] and time.time() < wait_end:
        time.sleep(0.1)
    assert api.get_progress()["progress"] == 0
    for bad in ({"sampler_name": "Magic"}, {"enable_hr": True}):
        try:
            api.txt2img(prompt="the cat", **bad)
            raise AssertionError(f"{bad} was taken")
        except RuntimeError as e:
            assert e.args[0] == 422, e
    return "txt2img, img2img, mask, progress, interrupt, png-info, options, samplers, refusals"


def open_ai(s):
    client = openai.OpenAI(base_url=s.url + "/v1", api_key="none")
    assert [m.id for m in client.models.list()] == ["clip"] and client.models.retrieve("clip").id == "clip"
    r = client.images.generate(model="gpt-image-1", prompt="the cat", n=2, size="16x16", extra_body={"seed": 7, "steps": 3})
    pictures = [base64.b64decode(d.b64_json) for d in r.data]
    assert len(pictures) == 2 and Image.open(io.BytesIO(pictures[0])).size == (16, 16)
    events = list(client.images.generate(model="clip", prompt="the cat", size="16x16", stream=True, partial_images=2,
                                         extra_body={"steps": 300}))
    kinds = [e.type for e in events]
    assert kinds[-1] == "image_generation.completed", kinds
    assert Image.open(io.BytesIO(base64.b64decode(events[-1].b64_json))).size == (16, 16)
    hole = Image.new("RGBA", (16, 16), (0, 0, 0, 255))
    hole.paste((0, 0, 0, 0), (4, 4, 12, 12))
    mask = io.BytesIO()
    hole.save(mask, "PNG")
    edited = client.images.edit(model="clip", prompt="the cat", image=("a.png", pictures[0]), mask=("m.png", mask.getvalue()),
                                extra_body={"seed": 7, "steps": 3})
    assert Image.open(io.BytesIO(base64.b64decode(edited.data[0].b64_json))).size == (16, 16)
    for what, kind in ((lambda: client.images.generate(model="clip", prompt="the cat", size="17x16"), openai.UnprocessableEntityError),
                       (lambda: client.images.generate(model="none", prompt="the cat"), openai.UnprocessableEntityError),
                       (lambda: client.models.retrieve("none"), openai.NotFoundError)):
        try:
            what()
            raise AssertionError("taken")
        except kind as e:
            assert e.body["message"], e
    return f"generate, stream ({len(events) - 1} partial), edit, models, errors"


def parsers(s):
    job = s.submit(prompt="the cat", seed=5, steps=4, sampler="euler_a")
    assert s.over(job) == "done"
    info = ParserManager().parse(io.BytesIO(s.ask(f"/api/v1/pictures/{job}/0")[1]))
    assert info and info.generator.value == "AUTOMATIC1111", info
    sampler = info.samplers[0]
    assert sampler.name == "Euler a" and str(sampler.parameters["seed"]) == "5", sampler
    assert [p.value for p in info.prompts] == ["the cat"], info.prompts
    return "generator, sampler, seed, prompt"


def main():
    with tempfile.TemporaryDirectory() as folder:
        s = Server(sys.argv[1], folder + "/pictures", model=CLIP)
        for part in (web_ui, open_ai, parsers):
            print(f"{part.__name__}: {part(s)}", flush=True)
        assert s.stop() == 0


if __name__ == "__main__":
    main()
