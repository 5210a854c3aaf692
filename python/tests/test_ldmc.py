# SPDX-License-Identifier: MIT
"""The package as a program uses it."""
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ldmc

TOP = Path(__file__).resolve().parents[2]
LDM = TOP / "build/ldm"


def test_pictures_are_the_command_lines(model, files, tmp_path):
    if not LDM.exists():
        pytest.skip("no build/ldm")
    ckpt, config = files
    subprocess.run([LDM, "generate", "--ckpt", ckpt, "--config", config, "--steps", "4", "-n", "3", "--seed", "9",
                    "-o", tmp_path / "cli", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    for p in model.generate(3, steps=4, seed=9):
        p.save(tmp_path / "mine.png")
        mine, theirs = tmp_path / "mine.png", tmp_path / f"cli/{p.index:05}.png"
        with Image.open(mine) as a, Image.open(theirs) as b:
            assert (np.asarray(a) == np.asarray(b)).all() and a.mode == b.mode
        recipe = json.loads(ldmc.read_recipe(theirs))
        del recipe["files"]  # names of files on the command's line
        assert recipe == json.loads(ldmc.read_recipe(mine)) == json.loads(p.recipe)


def test_a_class_is_a_number():
    """Messages name what a program gives, not options of the command line."""
    ckpt = TOP / "tests/data/models/class.ckpt"
    with ldmc.Model.open(ckpt, config=ckpt.with_suffix(".yaml")) as model:
        with pytest.raises(ldmc.UsageError, match=r"give it a number \(class\)") as e:
            model.generate(steps=1)
        assert "--" not in str(e.value)
        one, text = next(model.generate(class_=1, steps=1)), next(model.generate(class_="1", steps=1))
        assert (one.pixels == text.pixels).all()


def test_names_of_diffusers(model):
    run = model.generate(num_images_per_prompt=2, num_inference_steps=3, guidance_scale=1.5)
    assert len(run) == 2 and run.settings()["steps"] == "3" and run.settings()["scale"] in ("1", "1.5")


def test_iterator(model):
    run = model.generate(3, steps=2, seed=2**63)
    assert (len(run), run.steps, len(run.timesteps)) == (3, 2, 2)
    assert run.settings()["steps"] == "2" and run.settings()["batch"] != "0"
    pictures = list(run)
    assert [p.index for p in pictures] == [0, 1, 2]
    assert [p.seed for p in pictures] == [2**63, 2**63 + 1, 2**63 + 2]
    with pytest.raises(StopIteration):
        next(run)
    h, w, c = pictures[0].pixels.shape
    assert c == 3 and run.size == (w, h)
    first = pictures[0].pixels.copy()
    run.close()
    run.close()
    assert (pictures[0].pixels == first).all()  # its own memory
    expected = np.clip((pictures[0].image.transpose(1, 2, 0) + 1) / 2, 0, 1) * 255
    assert np.abs(expected - first).max() <= 1
    with pytest.raises(ldmc.UsageError):
        next(run)


def test_values_of_every_type(model):
    p = next(model.generate(1, steps=np.int64(2), eta=0.5, seed=np.uint32(3), quantize=np.bool_(False), shape=(3, 8, 8),
                            sampler="ddim", temperature=None))
    r = json.loads(p.recipe)
    assert (r["steps"], r["eta"], r["seed"], r["quantize"], r["shape"]) == (2, 0.5, 3, False, [3, 8, 8])
    for bad in ({"steps": 0}, {"stepz": 3}, {"sampler": "x"}, {"eta": "much"}, {"shape": (3, 8)}, {"seed": "a\0b"},
                {"seed": -2}, {"steps": 2.5}):
        with pytest.raises(ldmc.UsageError) as e:
            model.generate(1, **bad)
        assert e.value.code == "ERR_USAGE" and isinstance(e.value, ValueError)


def test_a_seed_of_minus_one_is_drawn(model):
    runs = [list(model.generate(2, steps=1, shape=(3, 8, 8), seed=s)) for s in (-1, "random")]
    for first, second in runs:
        assert 0 <= first.seed < 2**32 and second.seed == first.seed + 1
        assert json.loads(first.recipe)["seed"] == first.seed
    assert runs[0][0].seed != runs[1][0].seed
    again = next(model.generate(like=runs[0][0]))
    assert (again.pixels == runs[0][0].pixels).all()


def test_values_of_wrong_types(model, tmp_path):
    """Each is refused as a UsageError that begins with the setting's name."""
    for bad in ({"steps": {}}, {"steps": object()}, {"eta": [0.5]}, {"shape": (3, 8.5, 8)}, {"shape": ("a", 8, 8)},
                {"shape": (3, None, 8)}, {"prompt": 3}, {"prompt": {"a": 1}}, {"prompt": b"a"}, {"negative": ["a"]},
                {"prompt": "\ud800"}, {"prompts": [1]}, {"prompts": []}, {"sampler": len}, {"seed": "x"},
                {"like": 3}, {"progress": "yes"}, {"x_t": "noise"}, {"init": {}}, {"steps": np.array([[1]])}):
        key = "prompt" if "prompts" in bad else next(iter(bad))
        with pytest.raises(ldmc.UsageError, match="^" + key + ":"):
            model.generate(1, **bad)
    with pytest.raises(ldmc.UsageError, match="a text is given as prompt="):
        model.generate("a man")
    with pytest.raises(ldmc.UsageError, match="give one of them"):
        model.generate(1, prompt="a", prompts=["b"])
    p = next(model.generate(np.array(1), steps=1))
    with pytest.raises(ldmc.UsageError, match="^quality:"):
        p.save(tmp_path / "a.jpg", quality="high")
    assert (next(model.generate(like=p)).pixels == p.pixels).all()


def test_settings_tables():
    for kind in ("job", "model", "eval", "bench"):
        rows = ldmc.settings(kind)
        assert rows and len({s.key for s in rows}) == len(rows)
        assert all(s.help for s in rows)
    steps = next(s for s in ldmc.settings() if s.key == "steps")
    assert steps.type == "int" and steps.minimum == 1 and steps.default == "50" and steps.changes_pixels
    sampler = next(s for s in ldmc.settings() if s.key == "sampler")
    assert {s["name"] for s in ldmc.samplers()} == set(sampler.choices)
    with pytest.raises(ldmc.UsageError):
        ldmc.settings("toaster")


def test_progress_and_exceptions_in_it(model):
    seen = []
    list(model.generate(2, steps=3, batch=1, progress=seen.append))
    sampling = [(p.first_image, p.step) for p in seen if p.stage == "sampling"]
    assert sampling == [(i, s) for i in (0, 1) for s in range(4)]
    assert {p.step_count for p in seen} == {3} and {p.image_count for p in seen} == {2}

    class Mine(Exception):
        pass

    def stop(p):
        if p.step == 2 and not stopped:
            stopped.append(p)
            raise Mine("enough")

    stopped = []
    run = model.generate(1, steps=4, progress=stop)
    with pytest.raises(Mine):
        next(run)
    whole = next(model.generate(1, steps=4))
    assert (next(run).pixels == whole.pixels).all()  # goes on as if nothing had been


def test_cancel_from_another_thread(model):
    started = threading.Event()
    run = model.generate(1, steps=500, progress=lambda p: started.set())
    threading.Thread(target=lambda: (started.wait(), run.cancel())).start()
    begin = time.monotonic()
    with pytest.raises(ldmc.CancelledError):
        next(run)
    assert time.monotonic() - begin < 5


def test_keyboard_interrupt(model):
    steps = []

    def progress(p):
        steps.append(p.step)
        if p.step == 3 and len(steps) < 10:
            os.kill(os.getpid(), signal.SIGINT)

    run = model.generate(1, steps=200, progress=progress)
    with pytest.raises(KeyboardInterrupt):
        next(run)
    assert max(steps) <= 4


def test_arrays_as_settings_and_complex_ones(model):
    assert model.generate(1, steps=1, shape=np.array([3, 8, 8])).size == model.generate(1, steps=1, shape=(3, 8, 8)).size
    with pytest.raises(ldmc.UsageError, match="x_t: complex"):
        model.generate(1, steps=1, x_t=np.zeros((1, 3, 16, 16), np.complex64))


def test_interrupt_from_outside(model):
    """The signal comes while the library computes, so Python raises as it enters the progress function."""
    for progress in (None, lambda p: None):
        run = model.generate(1000, steps=1000, progress=progress)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            for _ in run:
                pass
        run.close()


def test_gil_is_released(model):
    count = 0
    done = False

    def spin():
        nonlocal count
        while not done:
            count += 1
            time.sleep(0.0005)

    t = threading.Thread(target=spin)
    t.start()
    try:
        before = count
        begin = time.monotonic()
        model.eval("unet", np.zeros((16, 3, 32, 32), np.float32), t=5)
        took = time.monotonic() - begin
        during = count - before
    finally:
        done = True
        t.join()
    assert during >= took / 0.05, (during, took)  # the other thread ran all the while


def test_threads_share_a_model(model):
    expected = [next(model.generate(1, steps=3, seed=s)).pixels for s in range(4)]
    got = {}

    def work(s):
        got[s] = next(model.generate(1, steps=3, seed=s, threads=1)).pixels

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all((got[s] == expected[s]).all() for s in range(4))


def test_one_generation_in_two_threads(model):
    inside, out = threading.Event(), []
    run = model.generate(1, steps=50, progress=lambda p: inside.set())

    def other():
        inside.wait()
        try:
            next(run)
        except ldmc.UsageError as e:
            out.append(e)

    t = threading.Thread(target=other)
    t.start()
    next(run)
    t.join()
    assert len(out) == 1


def test_memory_goes(files):
    m = ldmc.Model.open(*files)
    run = m.generate(1, steps=2)
    gone = weakref.ref(run)
    m.close()
    with pytest.raises(ldmc.UsageError):
        m.generate(1)
    assert next(run).index == 0  # a run keeps what it needs
    del run
    gc.collect()
    assert gone() is None


def test_arrays(model):
    x = np.random.default_rng(1).standard_normal((1, 3, 16, 16), dtype=np.float32)
    a = next(model.generate(steps=2, x_t=x))
    b = next(model.generate(steps=2, x_t=np.asfortranarray(x.astype(np.float64))))
    assert (a.latent == b.latent).all() and a.latent.shape == (3, 16, 16)
    kept = next(model.generate(1, steps=2, mask=np.ones((1, 1, 16, 16)), x0=x, quantize=False))
    assert np.corrcoef(kept.latent.ravel(), x[0].ravel())[0, 1] > 0.95  # kept, but for the last step's noise
    eps = model.eval("unet", x, t=10)
    assert eps.shape == x.shape and eps.dtype == np.float32 and eps.flags.c_contiguous
    part = eps[0, 1]
    del eps
    gc.collect()
    assert np.isfinite(part).all()  # a view keeps the library's memory
    z = model.eval("encode", model.eval("decode", x))
    assert z.shape == x.shape
    for bad in (np.zeros(()), np.zeros((0, 3)), np.zeros((1,) * 9)):
        with pytest.raises((ldmc.UsageError, ValueError)):
            model.eval("unet", bad)
    with pytest.raises(ldmc.UsageError):
        model.eval("heart", x)
    with pytest.raises(ldmc.LdmError):
        model.eval("unet", np.zeros((1, 5, 16, 16)), t=1)


def test_pictures_in(model, files, tmp_path):
    first = next(model.generate(1, steps=3, seed=1))
    first.save(tmp_path / "a.png")
    mine = next(model.generate(1, steps=8, seed=3, init=first.pil(), strength=0.5))
    assert (next(model.generate(1, steps=8, seed=3, init=first.pixels, strength=0.5)).pixels == mine.pixels).all()
    if LDM.exists():
        subprocess.run([LDM, "generate", "--ckpt", files[0], "--config", files[1], "--init", tmp_path / "a.png",
                        "--strength", "0.5", "--steps", "8", "--seed", "3", "-o", tmp_path / "b.png", "--quiet"],
                       check=True, stdout=subprocess.DEVNULL)
        assert (np.asarray(Image.open(tmp_path / "b.png")) == mine.pixels).all()
    for mode in ("L", "P", "RGBA", "1", "LA"):
        next(model.generate(1, steps=2, init=first.pil().convert(mode)))
    assert len(model.generate(steps=2, init=[first.pil()] * 3)) == 3
    for bad in (np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 4), np.uint8), 7):
        with pytest.raises(ldmc.UsageError):
            model.generate(1, init=bad)
    with pytest.raises(ldmc.LdmError):
        model.generate(1, mask_image=first.pil())  # of what?
    out = ldmc.Pipeline(*files)(image=first.pil(), strength=0.5, num_inference_steps=8, generator=3)
    assert (np.asarray(out.images[0]) == mine.pixels).all()


def test_failed_picture_and_the_next(model):
    x = np.zeros((2, 3, 16, 16), np.float32)
    x[0] = 3e38
    run = model.generate(steps=2, x_t=x)
    with pytest.raises(ldmc.NumericError) as e:
        next(run)
    assert e.value.code == "ERR_NUMERIC" and "picture 0" in str(e.value)
    assert next(run).index == 1


def test_check_and_inspect(files, tmp_path):
    good = ldmc.check(*files)
    assert good.fits and not good.missing and good.matching == good.data["model_keys"] and "FITS" in str(good)
    assert "FITS" in good._repr_html_()
    bad = ldmc.check(*files, set={"model.params.unet_config.params.num_res_blocks": 3})
    assert not bad.fits and bad.causes and bad.causes[0].remedy
    odd = tmp_path / "<b>x.yaml"
    odd.write_bytes(files[1].read_bytes())
    assert "<b>x" not in ldmc.inspect(odd)._repr_html_()  # names are no HTML
    inside = ldmc.inspect(files[0], keys=True)
    assert inside.kind == "checkpoint" and len(inside.keys) == inside.data["tensor_count"]
    assert "<table>" in inside._repr_html_()
    assert ldmc.inspect(files[1]).kind == "latent diffusion"
    picture = next(ldmc.Model.open(*files).generate(steps=2, seed=77))
    for name in ("a.png", "a.jpg"):
        picture.save(tmp_path / name)
        made = ldmc.inspect(tmp_path / name, keys=True)
        assert made.kind == "picture" and made.data["seed"] == 77 and not made.keys
        assert made.data == json.loads(ldmc.read_recipe(tmp_path / name))
        assert "a picture that ldm made" in str(made) and f"--like {tmp_path / name}" in str(made)
        assert "picture" in made._repr_html_()
    Image.fromarray(picture.pixels).save(tmp_path / "bare.png")
    with pytest.raises(ldmc.FormatError, match="holds no recipe"):
        ldmc.inspect(tmp_path / "bare.png")
    broken = tmp_path / "b.yaml"
    broken.write_text("model:\n  target: [1\n")
    with pytest.raises(ldmc.LdmError) as e:
        ldmc.check(files[0], broken)
    assert e.value.line and "b.yaml" in str(e.value)
    with pytest.raises(ldmc.FileError) as e:
        ldmc.inspect(tmp_path / "none.ckpt")
    assert isinstance(e.value, OSError) and e.value.code == "ERR_IO"
    (tmp_path / "junk.ckpt").write_bytes(b"junk")
    with pytest.raises(ldmc.LdmError):
        ldmc.Model.open(tmp_path / "junk.ckpt", files[1])
    with pytest.raises(ldmc.FileError):
        ldmc.Model.open(b"a".decode() + "\udcff.ckpt", files[1])  # a name that is no UTF-8


def test_recipes(model, tmp_path):
    p = next(model.generate(1, steps=3, seed=5, eta=1))
    for name in ("a.png", "a.jpg"):
        p.save(tmp_path / name)
        assert json.loads(ldmc.read_recipe(tmp_path / name)) == json.loads(p.recipe)
    q = next(model.generate(like=p.recipe))
    assert (q.pixels == p.pixels).all()
    assert (next(model.generate(like=p.recipe, seed=6)).pixels != p.pixels).any()
    for bad in ("{", "[]", '{"steps": "x"}'):
        with pytest.raises(ldmc.LdmError):
            model.generate(like=bad)
    with pytest.raises(ldmc.LdmError):
        p.save(tmp_path / "a.jpg", quality=0)


def test_pil_and_notebook(model):
    p = next(model.generate(1, steps=2))
    assert (np.asarray(p.pil()) == p.pixels).all()
    assert p._repr_png_().startswith(b"\x89PNG")


def test_bar(model, capsys):
    list(model.generate(1, steps=2, progress=True))
    assert "2/2" in capsys.readouterr().err


def run_without(package, code, cwd):
    """The code as a program of its own, where the package is not installed."""
    head = f"import sys; sys.modules[{package!r}] = None\n"
    return subprocess.run([sys.executable, "-c", head + code], capture_output=True, text=True, cwd=cwd)


def test_without_tqdm(files, tmp_path):
    out = run_without("tqdm", f"""
import ldmc
model = ldmc.Model.open({str(files[0])!r}, {str(files[1])!r})
for picture in model.generate(2, steps=3, progress=True):
    picture.save(f"{{picture.index:05}}.png")
""", tmp_path)
    assert not out.returncode, out.stderr
    assert (tmp_path / "00001.png").exists() and "6/6 steps" in out.stderr


def test_without_pillow(files, tmp_path):
    out = run_without("PIL", f"""
import ldmc
model = ldmc.Model.open({str(files[0])!r}, {str(files[1])!r})
picture = next(model.generate(1, steps=2))
picture.save("a.png")
assert picture._repr_png_().startswith(b"\\x89PNG")
next(model.generate(1, steps=2, init="a.png"))
for call in (picture.pil, lambda: ldmc.Pipeline({str(files[0])!r}, {str(files[1])!r})(num_inference_steps=1)):
    try:
        call()
    except ImportError as e:
        assert "pip install pillow" in str(e)
    else:
        raise SystemExit("no ImportError")
""", tmp_path)
    assert not out.returncode, out.stderr


def test_save_writes_what_the_name_says(model, tmp_path):
    p = next(model.generate(1, steps=1))
    for name, magic in (("a.png", b"\x89PNG"), ("a.JPG", b"\xff\xd8"), ("b.jpeg", b"\xff\xd8")):
        p.save(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(magic)
    for name in ("a.bmp", "a.webp", "a", "a.d/b", ".png"):
        with pytest.raises(ldmc.UsageError, match="written as .png, .jpg or .jpeg"):
            p.save(tmp_path / name)
        assert not (tmp_path / name).exists()
    p.save(tmp_path / "new/folder/a.png")  # made, as the command line does
    assert ldmc.read_recipe(tmp_path / "new/folder/a.png") == p.recipe
    with pytest.raises(ldmc.FileError, match="cannot make the folder"):
        p.save(tmp_path / "a.png/b.png")


def test_pictures_by_name(model, tmp_path):
    p = next(model.generate(1, steps=2))
    p.save(tmp_path / "a.png")
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    same = [next(model.generate(1, steps=4, init=i, mask_image=m, strength=0.5)).pixels
            for i, m in ((p.pixels, np.full((64, 64), 255, np.uint8)), (tmp_path / "a.png", tmp_path / "mask.png"),
                         (str(tmp_path / "a.png"), str(tmp_path / "mask.png")))]
    assert (same[0] == same[1]).all() and (same[0] == same[2]).all()
    Image.fromarray(np.arange(4096, dtype=np.uint16).reshape(64, 64) * 16).save(tmp_path / "grey16.png")
    with Image.open(tmp_path / "grey16.png") as deep:  # 16 bits, which PIL's own conversion cuts off at 255
        deep = deep if deep.mode.startswith("I;16") else Image.fromarray(np.asarray(deep).astype(np.uint16))
        same = [next(model.generate(1, steps=4, init=i, strength=0.5)).pixels for i in (tmp_path / "grey16.png", deep)]
    assert (same[0] == same[1]).all()
    with pytest.raises(ldmc.UsageError, match="holds 0 and 1, and white is 255"):
        model.generate(1, init=p.pixels, mask_image=np.eye(64, dtype=np.uint8))
    for mode in ("I", "F"):
        with pytest.raises(ldmc.UsageError, match=f"mode {mode} has no known white"):
            model.generate(1, init=Image.new(mode, (64, 64)))
    with pytest.raises(ldmc.FileError):
        model.generate(1, init="none.png")
    with pytest.raises(ldmc.UsageError, match="a file's name, a PIL image or bytes"):
        model.generate(1, init=7)


def test_folders(files, tmp_path):
    (tmp_path / "model.ckpt").symlink_to(files[0])
    with pytest.raises(ldmc.UsageError, match="is a folder without a configuration"):
        ldmc.Model.open(tmp_path, tmp_path)
    (tmp_path / "config.yaml").symlink_to(files[1])
    for ckpt, config in ((tmp_path, None), (tmp_path, tmp_path), (tmp_path / "model.ckpt", None)):
        assert ldmc.Model.open(ckpt, config).info.ckpt_path == str(tmp_path / "model.ckpt")
        assert ldmc.check(ckpt, config).fits
    assert ldmc.inspect(tmp_path).data["kind"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ldmc.UsageError, match="is a folder without a checkpoint"):
        ldmc.Model.open(tmp_path / "empty")


def test_pipeline(files):
    pipe = ldmc.Pipeline(*files)
    out = pipe(num_inference_steps=2, generator=3, num_images_per_prompt=2)
    assert [im.size for im in out.images] == [(64, 64)] * 2
    (arrays,) = pipe(num_inference_steps=2, generator=3, output_type="np", return_dict=False)
    assert arrays.shape == (1, 64, 64, 3) and 0 <= arrays.min() and arrays.max() <= 1

    class Generator:
        def initial_seed(self):
            return 3

    calls = []
    again = pipe(num_inference_steps=2, generator=Generator(), height=32, width=48,
                 callback_on_step_end=lambda p, i, t, kw: calls.append((i, t)))
    assert again.images[0].size == (48, 32) and [c[0] for c in calls] == [0, 1]
    with pytest.raises(ldmc.LdmError):
        pipe("a cat", num_inference_steps=2)  # no text encoder
    for bad in ({"generator": "x"}, {"height": 33}, {"output_type": "pt"}, {"stepz": 2}):
        with pytest.raises(ldmc.UsageError):
            pipe(num_inference_steps=2, **bad)


def test_pipeline_as_diffusers_is_called(files, tmp_path):
    pipe = ldmc.Pipeline.from_pretrained(*files, safety_checker=None, use_safetensors=True, torch_dtype="torch.float32").to("cpu")
    first = pipe(num_inference_steps=1, generator=3, output_type="np").images
    assert (ldmc.Pipeline(*files)(num_inference_steps=1, generator=3, output_type="np").images == first).all()
    for where in ("cuda", "cuda:0", "mps", "torch.float16"):
        with pytest.raises(ldmc.UnsupportedError, match="ldm computes"):
            pipe.to(where)
    with pytest.raises(ldmc.UnsupportedError, match="float32"):
        ldmc.Pipeline.from_pretrained(*files, torch_dtype="torch.float16")
    with pytest.raises(ldmc.FileError, match="ldm downloads nothing"):
        ldmc.Pipeline.from_pretrained("CompVis/ldm-celebahq-256")
    with pytest.raises(ldmc.UsageError, match="^width:"):
        pipe(num_inference_steps=1, width="64")
    shipped = ldmc.shipped_path("models/demo/model.ckpt")
    assert ldmc.Pipeline.from_pretrained(os.path.dirname(shipped)).model.info.ckpt_path == shipped


def test_several_prompts() -> None:
    with ldmc.Model.open() as model:
        pictures = list(model.generate(2, prompt=["a man", "a woman"], steps=1, seed=5))
        assert [json.loads(p.recipe)["prompt"] for p in pictures] == ["a man", "a man", "a woman", "a woman"]
        with pytest.raises(ldmc.UsageError, match="list of texts"):
            model.generate(1, prompt=[1])
        more = list(model.generate(prompts=("a man", "a woman"), steps=1, seed=5))
        assert [json.loads(p.recipe)["prompt"] for p in more] == ["a man", "a woman"]
        assert json.loads(next(model.generate(prompts="a man", steps=1)).recipe)["prompt"] == "a man"
    assert len(ldmc.Pipeline()(["a man", "a woman"], num_inference_steps=1, output_type="np").images) == 2


def test_fork_of_an_importer():
    code = "import ldmc; ldmc.Model.open(threads=1); print(ldmc.version())"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == ldmc.__version__


def test_another_version_is_refused(tmp_path):
    source = tmp_path / "v.c"
    source.write_text('const char *ldm_version(void) { return "9.1.0"; }\n')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "v.so", source], check=True)
    for library, said in ((tmp_path / "v.so", "9.1.0"), (tmp_path / "none.so", "not found")):
        out = subprocess.run([sys.executable, "-c", "import ldmc"], capture_output=True, text=True,
                             env={**os.environ, "LDMC_LIBRARY": str(library)})
        assert out.returncode and "ImportError" in out.stderr and said in out.stderr


def test_readme(tmp_path, monkeypatch):
    import doctest

    monkeypatch.chdir(tmp_path)
    readme = TOP / "python/README.md"
    result = doctest.testfile(str(readme), module_relative=False)
    assert result.attempted > 10 and not result.failed


def test_notebook():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    book = nbformat.read(TOP / "python/examples/pictures.ipynb", as_version=4)
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    shown = [set(out.get("data", {})) for cell in book.cells if cell.cell_type == "code" for out in cell.outputs]
    assert any("image/png" in kinds for kinds in shown) and any("text/html" in kinds for kinds in shown)
