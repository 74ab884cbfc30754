"""A headless Chromium, driven through two pipes by its DevTools protocol; no package is needed for that."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"),
    *(
        "--no-first-run",
        "--disable-extensions",
        "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ),
)


class Browser:
    """One tab; a context manager. What the page logs and asks for is kept."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._number = 0
        self._buffer = b""
        self.problems: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> Browser:
        assert FOUND is not None
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()

        def arrange() -> None:
            os.dup2(theirs_in, 90)  # out of the way of 3 and 4, which the other may be
            os.dup2(theirs_out, 91)
            os.dup2(90, 3)
            os.dup2(91, 4)

        self._process = subprocess.Popen(
            [FOUND, *OPTIONS, f"--user-data-dir={self._profile}", "about:blank"],
            preexec_fn=arrange,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        target = next(t for t in self._ask("Target.getTargets")["targetInfos"] if t["type"] == "page")
        parameters = {"targetId": target["targetId"], "flatten": True}
        self._session = self._ask("Target.attachToTarget", parameters)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the tab answers."""
        return self._ask(method, params, self._session)

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> float:
        """The page is loaded; returns the seconds that took."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.ask("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", {"features": [scheme]})
        started = time.monotonic()
        self.ask("Page.navigate", {"url": page.as_uri()})
        while self.run("document.readyState") != "complete" or self.run("location.protocol") != "file:":
            time.sleep(0.02)
        return time.monotonic() - started

    def run(self, script: str) -> Any:
        """The value of a script's last expression, as JSON knows it."""
        answer = self.ask("Runtime.evaluate", {"expression": script, "returnByValue": True, "awaitPromise": True})
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, code: int) -> None:
        """A key is pressed and let go."""
        for kind in ("rawKeyDown", "char", "keyUp"):
            text = {"text": "\r"} if kind == "char" and key == "Enter" else {}
            event = {"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, **text}
            self.ask("Input.dispatchKeyEvent", event)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """The picture of what is seen, or of the whole page, is in the file."""
        parameters = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
            parameters["clip"] = {
                "x": 0,
                "y": 0,
                "width": size["width"],
                "height": min(size["height"], 9000),
                "scale": 1,
            }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.ask("Page.captureScreenshot", parameters)["data"]))

    def _ask(self, method: str, params: dict[str, Any] | None = None, session: str | None = None) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params or {}}
        message |= {"sessionId": session} if session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "the browser has ended"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        parsed: dict[str, Any] = json.loads(message)
        return parsed

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Log.entryAdded" and params["entry"]["level"] in {"error", "warning"}:
            self.problems.append(params["entry"]["text"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(params["exceptionDetails"].get("text")))
        elif event.get("method") == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
