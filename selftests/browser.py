# SPDX-License-Identifier: MIT
"""A page in headless Chromium: browser.py PAGE STEP ARGUMENT [STEP ARGUMENT...]

    eval EXPRESSION     prints its value
    key NAME            presses it, as a keyboard would
    size WIDTHxHEIGHT   of the window
    media FEATURES      screen or print, light or dark: print,light
    shot FILE.png       a picture of the window
    pdf FILE            as on paper

Messages of scripts, exceptions and requests other than that for the page are
lines "message: ..." on the standard error. The exit code is 1 if a step failed.
Chromium is spoken to over two pipes, so that nothing listens anywhere.
"""

import base64
import fcntl
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Of all steps; a machine may be busy with something else.
SECONDS = 240

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
           "--disable-dev-shm-usage", "--disable-background-networking",
           "--disable-component-update", "--remote-debugging-pipe",
           # Nothing is known by name: there is no network to wait for.
           "--host-resolver-rules=MAP * ~NOTFOUND")

# What Chromium does on a key goes by its number.
KEYS = {"Tab": 9, "Enter": 13, "Space": 32, "End": 35, "Home": 36,
        "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
TEXTS = {"Enter": "\r", "Space": " "}


class Failed(Exception):
    """What the browser said, or did not say in time."""


class Browser:
    """One page of it."""

    def __init__(self, profile):
        self.deadline = time.monotonic() + SECONDS
        self.last = 0
        self.session = None
        self.rest = b""
        reads, self.to = high_pipe()
        self.of, writes = high_pipe()
        self.process = subprocess.Popen(
            ["chromium", *OPTIONS, f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=(3, 4), env={**os.environ, "HOME": profile},
            preexec_fn=lambda: (os.dup2(reads, 3), os.dup2(writes, 4)))
        os.close(reads)
        os.close(writes)

    def open(self, page):
        """When its scripts have run."""
        target = self.ask("Target.createTarget", url="about:blank")
        self.session = self.ask("Target.attachToTarget", flatten=True,
                                targetId=target["targetId"])["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        url = Path(page).resolve().as_uri()
        self.ask("Page.navigate", url=url)
        while self._event() != "Page.loadEventFired":
            pass

    def close(self):
        """It may write its profile meanwhile."""
        os.close(self.to)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    # --- the protocol ---

    def ask(self, method, **params):
        """What it answers."""
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") != self.last:
                tell(answer)
            elif "error" in answer:
                raise Failed(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def _event(self):
        message = self._message()
        tell(message)
        return message.get("method")

    def _message(self):
        while b"\0" not in self.rest:
            left = max(0, self.deadline - time.monotonic())
            if not select.select([self.of], [], [], left)[0]:
                raise Failed(f"no answer within {SECONDS} seconds")
            got = os.read(self.of, 1 << 20)
            if not got:
                raise Failed("chromium has ended")
            self.rest += got
        text, self.rest = self.rest.split(b"\0", 1)
        return json.loads(text)

    # --- steps ---

    def eval(self, expression):
        """A step."""
        answer = self.ask("Runtime.evaluate", expression=expression,
                          awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise Failed(f"{expression}: {answer['exceptionDetails']}")
        print(answer["result"].get("value"))

    def key(self, name):
        """A step."""
        event = {"key": TEXTS.get(name, name), "code": name,
                 "windowsVirtualKeyCode": KEYS[name]}
        if name in TEXTS:
            event["text"] = TEXTS[name]
        self.ask("Input.dispatchKeyEvent", type="keyDown", **event)
        self.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    def size(self, size):
        """A step."""
        width, height = map(int, size.split("x"))
        self.ask("Emulation.setDeviceMetricsOverride", width=width,
                 height=height, deviceScaleFactor=1, mobile=False)

    def media(self, features):
        """A step."""
        medium, scheme = features.split(",")
        self.ask("Emulation.setEmulatedMedia", media=medium, features=[
            {"name": "prefers-color-scheme", "value": scheme}])

    def shot(self, file):
        """A step."""
        self._write(file, self.ask("Page.captureScreenshot"))

    def pdf(self, file):
        """A step."""
        self._write(file, self.ask("Page.printToPDF", printBackground=False,
                                   paperWidth=8.27, paperHeight=11.69))

    def _write(self, file, answer):
        Path(file).write_bytes(base64.b64decode(answer["data"]))


def high_pipe():
    """Above the numbers that Chromium wants its ends to have."""
    ends = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in ends]
    for fd in ends:
        os.close(fd)
    return high


def tell(message):
    """What a page has no reason to do."""
    method, params = message.get("method"), message.get("params", {})
    what = {
        "Runtime.consoleAPICalled": lambda: params["args"],
        "Runtime.exceptionThrown": lambda: params["exceptionDetails"],
        "Log.entryAdded": lambda: params["entry"],
        "Network.requestWillBeSent": lambda: params["request"]["url"],
    }.get(method)
    told = what() if what else None
    if method == "Network.requestWillBeSent" and \
            params.get("type") == "Document":
        return
    if told:
        print(f"message: {told}", file=sys.stderr)


def main(page, *words):
    """0, or 1 after a message."""
    with tempfile.TemporaryDirectory(prefix="browser-",
                                     ignore_cleanup_errors=True) as profile:
        browser = Browser(profile)
        try:
            browser.open(page)
            for step, argument in zip(words[::2], words[1::2], strict=True):
                getattr(browser, step)(argument)
        except Failed as err:
            print(f"browser: {err}", file=sys.stderr)
            return 1
        finally:
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
