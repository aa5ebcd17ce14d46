"""A Chromium to look at pages with."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from missing import need


class Browser:
    """A headless Chromium that opens one page, driven over the DevTools protocol."""

    def __init__(self, profile: Path) -> None:
        need("chromium")
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0"]
        command += [f"--user-data-dir={profile}", "about:blank"]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"ws://127\.0\.0\.1:(\d+)/", line):
                self._port = int(found[1])
                break

    def open(self, page: Path, script: str, *, dark: bool = False) -> tuple[Any, list[str]]:
        """Open a page; when it is ready, run a script, and return its value and what the console got."""
        return asyncio.run(self._open(page, script, dark=dark))

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    async def _open(self, page: Path, script: str, *, dark: bool) -> tuple[Any, list[str]]:
        console: list[str] = []
        async with aiohttp.ClientSession() as session:
            new = f"http://127.0.0.1:{self._port}/json/new?about:blank"
            async with session.put(new) as response:
                target = await response.json()
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                number = 0

                async def call(method: str, **parameters: Any) -> Any:
                    nonlocal number
                    number += 1
                    await socket.send_json({"id": number, "method": method, "params": parameters})
                    while True:
                        message = json.loads((await socket.receive()).data)
                        if message.get("method") in (
                            "Runtime.exceptionThrown",
                            "Log.entryAdded",
                            "Runtime.consoleAPICalled",
                        ):
                            console.append(json.dumps(message["params"])[:500])
                        if message.get("id") == number:
                            assert "error" not in message, message
                            return message["result"]

                async def value(expression: str) -> Any:
                    result = await call(
                        "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
                    )
                    assert "exceptionDetails" not in result, result
                    return result["result"].get("value")

                await call("Runtime.enable")
                await call("Log.enable")
                feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
                await call("Emulation.setEmulatedMedia", features=[feature])
                await call("Page.navigate", url=page.as_uri())
                while await value("document.documentElement?.dataset.ready") != "yes":
                    await asyncio.sleep(0.05)
                return await value(script), console


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()
