#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A server under load and under attack by broken clients: more jobs than the queue holds, more connections
than there are places, clients that do not read, half requests, garbage, headers of 10 MB, hundreds of
pictures, kill -9 while it writes. Needs Python alone.

    tests/server/outside/load.py build/ldm-server [--pictures 500] [--kills 20]

With a build of the preset asan, every report of a sanitizer on stderr fails it. The memory is looked at in
other builds alone: a sanitizer keeps what was freed.
"""
import argparse
import atexit
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zlib

TINY = ["--ckpt", "tests/data/tiny/model.ckpt", "--config", "tests/data/tiny/config.yaml"]
REPORT = re.compile(rb"Sanitizer|runtime error", re.I)
GIVE_UP = 300


class Server:
    def __init__(self, program, out, *options, model=TINY):
        self.log = open(out + ".log", "ab")
        self.process = subprocess.Popen([program, "--port", "0", "--out", out, "--threads", "1", *model, *options],
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        atexit.register(self.process.kill) # a test that fails leaves none behind
        line = self.process.stdout.readline()
        assert "listening on" in line, line
        self.url = line.split()[-1].rstrip("/")
        self.port = int(self.url.rsplit(":", 1)[1])
        wait(lambda: self.ask("/health")[0] == 200, "the model to be loaded")

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=GIVE_UP) as r:
                return r.status, r.read(), r.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read(), e.headers
        except OSError:
            return 0, b"", {}

    def get(self, path):
        status, body, _ = self.ask(path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def submit(self, **settings):
        status, body, headers = self.ask("/api/v1/jobs", {"settings": settings})
        return json.loads(body)["id"] if status == 202 else (status, headers)

    def state(self, job):
        return self.get("/api/v1/jobs/" + job)["state"]

    def over(self, job):
        wait(lambda: self.state(job) not in ("queued", "running"), "job " + job)
        return self.state(job)

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=GIVE_UP)
        return s

    def rss(self):
        """Resident memory of its own in kB, without pages of files."""
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"RssAnon:\s+(\d+)", f.read()).group(1))

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(GIVE_UP)
        self.log.close()
        return code


def wait(what, name):
    end = time.time() + GIVE_UP
    while not what():
        assert time.time() < end, "waited in vain for " + name
        time.sleep(0.05)


def closed(s):
    """Whether the other side ends the connection, however it answers before."""
    s.settimeout(GIVE_UP)
    try:
        while s.recv(65536):
            pass
    except ConnectionError:
        pass
    except TimeoutError:
        return False
    return True


def pixels(png):
    """Checks each chunk of a PNG and unpacks its pixels; ends with an assertion where it is broken."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, data, names = 8, b"", []
    while at < len(png):
        n, name = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + n]
        assert zlib.crc32(name + body) == struct.unpack(">I", png[at + 8 + n:at + 12 + n])[0]
        data += body if name == b"IDAT" else b""
        names.append(name)
        at += 12 + n
    assert names[0] == b"IHDR" and names[-1] == b"IEND"
    return zlib.decompress(data)


# ---- the parts ------------------------------------------------------------------------------------


def many_jobs(s):
    """64 wait beside the one that runs; more are told to come back, and all can be cancelled."""
    got = [s.submit(steps=1000, count=100) for _ in range(72)]
    jobs = [g for g in got if isinstance(g, str)]
    full = [g for g in got if not isinstance(g, str)]
    assert len(jobs) in (64, 65, 66), len(jobs)
    for status, headers in full:
        assert status == 503 and headers["Retry-After"] and headers["x-should-retry"] == "false", status
    for j in jobs:
        assert s.ask(f"/api/v1/jobs/{j}/cancel", {})[0] == 200
    assert all(s.over(j) == "cancelled" for j in jobs)
    jobs = [s.submit(steps=2, seed=i) for i in range(64)]
    assert all(isinstance(j, str) and s.over(j) == "done" for j in jobs)
    return f"{len(full)} of 72 refused, 64 done"


def many_connections(s):
    held = []
    for _ in range(200):
        c = s.connect()
        c.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held.append(c)
    heads = []
    for c in held:
        c.settimeout(20)
        try:
            heads.append(c.recv(200)[:12])
        except OSError:
            heads.append(b"")
    fine = sum(h == b"HTTP/1.1 200" for h in heads)
    assert 1 <= fine <= 64, fine
    assert all(h in (b"HTTP/1.1 200", b"HTTP/1.1 503", b"") for h in heads), set(heads)
    for c in held:
        c.close()
    wait(lambda: s.ask("/health")[0] == 200, "a free place")
    return f"{fine} of 200 answered, the others refused"


def slow_readers(s):
    job = s.submit(steps=100, count=3)
    held = []
    for i in range(20):
        c = s.connect()
        c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        path = f"/api/v1/jobs/{job}/events" if i % 2 else "/openapi.json"
        c.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        held.append(c)
    assert s.over(job) == "done"
    before = time.time()
    assert s.ask("/health")[0] == 200 and time.time() - before < 5
    for c in held:
        c.close()
    return "a job was done beside 20"


def half_requests(s):
    halves = [b"", b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ",
              b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              b"Content-Length: 100\r\n\r\n{\"settings\":",
              b"POST /v1/images/edits HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x"]
    held = []
    for i in range(48):
        c = s.connect()
        c.sendall(halves[i % len(halves)])
        held.append(c)
    assert s.ask("/health")[0] == 200
    assert all(closed(c) for c in held)
    return "48 were cut"


def garbage(s):
    rng = random.Random(21)
    tokens = [b"GET ", b"POST ", b"/", b" HTTP/1.1", b"\r\n", b"\n", b"\r", b"\0", b"Host: ", b"Content-Length: ", b"-1",
              b"99999999999999999999", b"Transfer-Encoding: chunked", b"{", b"[", b"\"", b"\xff\xfe", b":", b" ", b"%00"]
    statuses = set()
    for i in range(300):
        c = s.connect()
        data = rng.randbytes(rng.randrange(1, 4000)) if i % 2 else b"".join(rng.choices(tokens, k=rng.randrange(1, 60)))
        try:
            c.sendall(data)
            c.shutdown(socket.SHUT_WR)
            c.settimeout(GIVE_UP)
            answer = b""
            while len(answer) < 1 << 20:
                more = c.recv(65536)
                if not more:
                    break
                answer += more
            if answer.startswith(b"HTTP/1.1 "):
                statuses.add(int(answer[9:12]))
        except ConnectionError:
            pass
        c.close()
    assert not any(status >= 500 and status not in (501, 503) for status in statuses), statuses
    assert s.ask("/health")[0] == 200
    return f"300 answered with {sorted(statuses)} or cut"


def large_headers(s):
    before = s.rss()
    for header in (b"X: " + b"a" * (10 << 20) + b"\r\n", b"X: a\r\n" * (2 << 20), b"a" * (10 << 20)):
        for begin in (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"GET /"):
            c = s.connect()
            try:
                c.sendall(begin + header + b"\r\n")
            except OSError:
                pass
            assert closed(c)
            c.close()
    c = s.connect()
    c.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
              b"Content-Length: 9999999999\r\n\r\n")
    assert closed(c)
    grown = s.rss() - before
    assert grown < 64 << 10, grown
    return f"6 cut, {max(grown, 0)} kB kept"


def many_pictures(s, count, sanitized):
    sizes = []
    for i in range(count):
        job = s.submit(steps=1, seed=i)
        assert s.over(job) == "done"
        assert s.ask(f"/api/v1/pictures/{job}/0")[1][:4] == b"\x89PNG"
        if i in (count // 5, count - 1):
            sizes.append(s.rss())
    assert sanitized or sizes[1] - sizes[0] < 2048, sizes
    return f"{count} made; {sizes[0]} kB after a fifth, {sizes[1]} kB at the end"


def killed(program, out, kills):
    """kill -9 at random moments: what is listed afterwards is whole, and a broken job makes the same pictures."""
    rng = random.Random(9)
    finished, restarted = {}, 0
    for _ in range(kills):
        s = Server(program, out)
        for j in s.get("/api/v1/jobs?limit=500")["jobs"]:
            if j["state"] == "broken":
                assert s.ask(f"/api/v1/jobs/{j['id']}/restart", {})[0] in (200, 202)
                assert s.over(j["id"]) == "done"
                restarted += 1
        known = s.get("/api/v1/pictures?limit=500")["jobs"]
        listed = {p["url"]: 0 for j in known for p in j["pictures"]}
        for url in listed:
            listed[url] = zlib.crc32(pixels(s.ask(url)[1]))
        for url, crc in finished.items():
            assert listed.get(url) == crc, url
        finished = listed
        for i in range(3):
            s.submit(steps=1, count=20, seed=100 * i)
        time.sleep(rng.uniform(0, 0.6))
        assert s.stop(signal.SIGKILL) == -signal.SIGKILL
    left = [f for _, _, files in os.walk(out) for f in files if ".part-" in f]
    s = Server(program, out)
    again = [f for _, _, files in os.walk(out) for f in files if ".part-" in f]
    assert s.stop() == 0
    assert not again, again
    return f"{kills} times; {restarted} jobs began again, {len(finished)} pictures whole, {len(left)} half files swept"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server")
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--kills", type=int, default=20)
    a = parser.parse_args()
    with open(a.server, "rb") as f:
        sanitized = b"__asan_init" in f.read()
    with tempfile.TemporaryDirectory() as folder:
        out = folder + "/pictures"
        s = Server(a.server, out, "--timeout", "15")
        parts = [many_jobs, many_connections, slow_readers, half_requests, garbage, large_headers,
                 lambda s: many_pictures(s, a.pictures, sanitized)]
        names = [p.__name__ for p in parts[:-1]] + ["many_pictures"]
        for name, part in zip(names, parts):
            print(f"{name}: {part(s)}", flush=True)
        assert s.stop() == 0
        print(f"killed: {killed(a.server, folder + '/killed', a.kills)}", flush=True)
        for log in (out + ".log", folder + "/killed.log"):
            with open(log, "rb") as f:
                text = f.read()
            if REPORT.search(text):
                sys.exit(text.decode(errors="replace"))
    print("no report of a sanitizer" if sanitized else "done")


if __name__ == "__main__":
    main()
