#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Headless Chromium drives the page: form, progress, preview, cancel, gallery, recipe, dropped picture, start
picture with a mask, comparison, keyboard; a phone of 360 px and dark mode; axe-core over what is shown. No
message on the console, no request to another host.

    apt install chromium; pip install websocket-client axe-core-python
    tests/server/outside/page.py build/ldm-server [folder for screenshots]
"""
import base64
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

import axe_core_python
import websocket

from load import GIVE_UP, Server, wait

AXE = next(pathlib.Path(axe_core_python.__file__).parent.rglob("axe.min.js")).read_text()


class Page:
    """A tab of Chromium by its debugging protocol."""

    def __init__(self, folder):
        self.browser = subprocess.Popen(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
                                         "--remote-allow-origins=*", "--user-data-dir=" + folder, "about:blank"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        file = folder + "/DevToolsActivePort"
        wait(lambda: os.path.exists(file) and open(file).read().count("\n"), "Chromium")
        port = open(file).read().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as r:
            tab = next(t for t in json.load(r) if t["type"] == "page")
        self.socket = websocket.create_connection(tab["webSocketDebuggerUrl"], timeout=GIVE_UP)
        self.ids, self.wrong, self.requests = itertools.count(1), [], []
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(domain + ".enable")

    def call(self, method, **params):
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            got = json.loads(self.socket.recv())
            self.note(got)
            if got.get("id") == number:
                assert "error" not in got, (method, got["error"])
                return got["result"]

    def note(self, got):
        what, p = got.get("method"), got.get("params")
        if what == "Runtime.exceptionThrown":
            self.wrong.append(p["exceptionDetails"].get("exception", {}).get("description"))
        elif what == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning"):
            self.wrong.append(p["args"])
        elif what == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.wrong.append(p["entry"]["text"] + " " + p["entry"].get("url", ""))
        elif what == "Network.requestWillBeSent":
            self.requests.append(p["request"]["url"])
        elif what == "Page.javascriptDialogOpening":
            self.socket.send(json.dumps({"id": next(self.ids), "method": "Page.handleJavaScriptDialog", "params": {"accept": True}}))

    def js(self, code):
        r = self.call("Runtime.evaluate", expression=code, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in r, (code, r["exceptionDetails"])
        return r["result"].get("value")

    def until(self, code):
        wait(lambda: self.js(code), code)

    def set(self, key, value):
        self.js(f"document.getElementById('set-{key}').value = {json.dumps(str(value))}")

    def press(self, text):
        """The visible button of that text, the first one."""
        assert self.js(f"(b => b ? (b.click(), true) : false)([...document.querySelectorAll('button')]"
                       f".find(b => b.textContent === {json.dumps(text)} && b.offsetParent))"), text

    def shot(self, path):
        size = self.js("[innerWidth, document.documentElement.scrollHeight]")
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True,
                         clip={"x": 0, "y": 0, "width": size[0], "height": min(size[1], 4000), "scale": 1})["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def check(self, what):
        """axe-core, the rules of WCAG 2 A and AA and of good practice; and that nothing sticks out sideways."""
        self.js(AXE + "; true")
        found = self.js("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => [v.id, v.help, "
                        "v.nodes.map(n => n.target.join(' ')).slice(0, 5)]))")
        assert not found, (what, found)
        assert self.js("document.documentElement.scrollWidth <= innerWidth"), what

    def close(self):
        self.browser.kill()
        self.browser.wait()


def drive(p, s, shots):
    done = "document.getElementById('said').textContent === 'Done.'"
    cards = "document.querySelectorAll('#gallery li').length"
    begin = time.time()
    p.call("Page.navigate", url=s.url + "/")
    p.until("document.querySelectorAll('#first input, #first select').length > 3 && !!document.getElementById('verdict').textContent")
    p.set("steps", 200)
    p.press("Generate")
    p.until("document.querySelector('#jobs progress') && document.querySelector('#jobs progress').value > 0")
    p.until("!!document.querySelector('#jobs img:not([hidden])')") # the preview
    p.until(done)
    p.until(cards + " === 1")
    print(f"form, progress, preview, picture: {time.time() - begin:.0f} s")
    p.check("a picture")

    p.set("steps", 1000)
    p.set("count", 50)
    p.press("Generate")
    p.until("/step/.test(document.querySelector('#jobs p')?.textContent)")
    p.press("Cancel")
    p.until("document.querySelector('#jobs p')?.textContent === 'cancelled'")
    print("cancel")

    p.set("count", "")
    p.set("steps", 3)
    p.press("Again")
    p.until("document.getElementById('set-steps').value === '200'")
    p.press("Recipe")
    p.until("document.getElementById('recipe').open && document.querySelectorAll('#recipe-list dt').length > 2")
    p.check("a recipe")
    p.press("Close")
    seed = p.js("document.querySelector('#gallery .soft').textContent.match(/seed (\\d+)/)[1]")
    p.press("Back to the defaults")
    # the gallery's picture, dropped on the page
    p.js("fetch(document.querySelector('#gallery img').src).then(r => r.blob()).then(b => { const d = new DataTransfer(); "
         "d.items.add(new File([b], 'a.png', {type: 'image/png'})); dispatchEvent(new DragEvent('drop', {dataTransfer: d})); })")
    p.until(f"document.getElementById('set-seed').value === '{seed}'")
    assert p.js("document.getElementById('set-steps').value") == "200"
    p.set("steps", 3)
    p.press("Vary")
    p.until(cards + " === 2")
    p.until(done)
    print("again, recipe, drop, vary")

    p.press("As start picture")
    p.until("!document.getElementById('begin-shown').hidden")
    before = p.js("document.getElementById('mask').toDataURL()")
    box = p.js("(m => { m.scrollIntoView({block: 'center'}); const r = m.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })"
               "(document.getElementById('mask'))")
    for kind, at in (("mousePressed", .3), ("mouseMoved", .5), ("mouseReleased", .7)):
        p.call("Input.dispatchMouseEvent", type=kind, x=box[0] + at * box[2], y=box[1] + .5 * box[3], button="left", buttons=1, clickCount=1)
    assert p.js("document.getElementById('mask').toDataURL()") != before
    p.check("a mask")
    p.set("steps", 4)
    p.press("Generate")
    p.until(cards + " === 3")
    job = s.get("/api/v1/jobs?limit=1")["jobs"][0]
    assert job["init"] and job["mask"], job
    p.press("Begin with noise")
    print("start picture and mask")

    # what is not a picture takes the old one's place; a WebP is one, as a PNG
    choose = ("(async () => { const d = new DataTransfer(); d.items.add(%s); const f = document.getElementById('begin-file'); "
              "f.files = d.files; f.dispatchEvent(new Event('change')); })()")
    webp = "new File([await new Promise(done => document.createElement('canvas').toBlob(done, 'image/webp'))], 'a.webp', {type: 'image/webp'})"
    p.js(choose % webp)
    p.until("!document.getElementById('begin-shown').hidden")
    assert p.js("begin.source.startsWith('data:image/png')")
    p.js(choose % "new File(['RIFF'], 'b.webp', {type: 'image/webp'})")
    p.until("document.getElementById('begin-shown').hidden && document.getElementById('said').textContent.startsWith('b.webp is no picture')")
    print("a WebP, and what is none")

    # two sides in pixels; a seed of -1 is a random one; a recipe's shape is its sides
    assert not p.js("document.getElementById('set-shape')")
    model = s.get("/api/v1/model")
    assert p.js("document.getElementById('set-width').placeholder") == str(model["width"])
    wide = model["width"] + 2 * model["side_step"]
    p.set("width", wide)
    p.set("seed", -1)
    p.set("steps", 4)
    p.press("Generate")
    p.until(cards + " === 4")
    p.until(f"document.querySelector('#gallery img').naturalWidth === {wide}")
    assert s.get("/api/v1/jobs?limit=1")["jobs"][0]["settings"]["seed"] >= 0
    p.press("Back to the defaults")
    assert p.js("document.getElementById('set-width').value") == ""
    p.press("Again")
    p.until(f"document.getElementById('set-width').value === '{wide}' && !document.getElementById('set-height').value")
    p.press("Remove")
    p.until(cards + " === 3")
    p.press("Back to the defaults")
    p.set("steps", 4)
    print("width and height, a seed of -1")

    p.js("document.getElementById('compare').open = true; document.getElementById('compare-key').value = 'steps'; "
         "document.getElementById('compare-value').value = '5'")
    p.press("Generate")
    p.until(cards + " === 5")
    p.js("document.getElementById('compare').open = false")
    # by keys alone: Ctrl+Enter from a field
    p.js("document.getElementById('set-steps').focus()")
    for kind in ("rawKeyDown", "keyUp"):
        p.call("Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, modifiers=2)
    p.until(cards + " === 6")
    p.press("Remove")
    p.until(cards + " === 5")
    print("comparison, keys, removal")
    assert not p.wrong, p.wrong
    # what is refused is said at its field; the browser notes the status on the console by itself
    p.set("steps", 0)
    p.press("Generate")
    p.until("document.getElementById('set-steps').classList.contains('wrong')")
    assert p.js("document.getElementById('now').hidden") # nothing is at work
    p.set("steps", 2)
    p.set("width", 65)
    p.press("Generate")
    p.until("document.getElementById('set-width').classList.contains('wrong')")
    p.set("width", "")
    # a job that fails says why once
    p.js("finish(panel('x', 'a job'), {state: 'failed', error: {message: 'the reason'}, pictures: [], notes: [], model: null})")
    assert p.js("document.body.innerText.split('the reason').length") <= 2, p.js("document.body.innerText")
    p.js("document.getElementById('jobs').replaceChildren(); document.getElementById('now').hidden = true")
    assert all("422" in str(w) for w in p.wrong), p.wrong
    p.wrong.clear()
    p.set("steps", "")

    p.js("for (const d of document.querySelectorAll('details')) d.open = true; scrollTo(0, 0)")
    for name, width, dark in (("desk", 1280, False), ("dark", 1280, True), ("phone", 360, False), ("phone_dark", 360, True)):
        p.call("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1, mobile=width < 400)
        p.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        time.sleep(0.3)
        p.check(name)
        p.shot(f"{shots}/{name}.png")
    print("axe-core: no violation on a desk, a phone of 360 px, light and dark")
    assert not p.wrong, p.wrong
    assert all(u.startswith((s.url, "data:", "blob:", "about:")) for u in p.requests), p.requests


def main():
    shots = sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        s = Server(sys.argv[1], folder + "/pictures")
        p = Page(folder + "/chromium")
        try:
            drive(p, s, shots)
        finally:
            p.close()
        assert s.stop() == 0
    print("screenshots: " + shots)


if __name__ == "__main__":
    main()
