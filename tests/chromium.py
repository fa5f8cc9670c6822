"""A Chromium without a window, for the tests of what people look at."""

from __future__ import annotations

import base64
import json
import shutil
import time
from pathlib import Path
from typing import Any

import axe_core_python
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

ABSENT = "Chromium and its driver are not installed (Debian's packages: chromium, chromium-driver)"
_AXE = Path(axe_core_python.__file__).with_name("axe.min.js")
_PATIENCE_SECONDS = 60.0


def binaries() -> tuple[str, str] | None:
    """Return the paths of Chromium and of its driver, None where one of them is not installed."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Chromium:
    """The browser: opens files, takes on the size and the colours of a reader's screen, and remembers what it did."""

    def __init__(self, browser: str, driver: str) -> None:
        options = Options()
        options.binary_location = browser
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self._driver = webdriver.Chrome(options=options, service=Service(driver))

    def _screen(self, width: int, scale: float = 1.0) -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": scale, "mobile": width < 500}
        self._driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def quit(self) -> None:
        """End the browser."""
        self._driver.quit()

    def show(
        self, file: Path, *, width: int, scheme: str, ready: str = "document.documentElement.dataset.drawn === 'all'"
    ) -> None:
        """Open `file` on a screen of `width` pixels, in `light` or `dark`, and wait until it is ready."""
        self._screen(width)
        self.turn(scheme)
        self._driver.get(file.resolve().as_uri())
        self.wait(ready)

    def blank(self, body: str = "", *, width: int = 800, scale: float = 1.0) -> None:
        """Show a page that holds `body` only, on a screen of `width` points with `scale` pixels a point."""
        self._screen(width, scale)
        page = f"<!doctype html><html lang='en'><meta charset='utf-8'><title>blank</title><body>{body}"
        self._driver.get("data:text/html;base64," + base64.b64encode(page.encode()).decode())

    def load(self, module: str) -> None:
        """Load the text of an ES module that imports nothing; what it exports become names of the page."""
        self.run(
            "const module = await import('data:text/javascript;base64,' + given); Object.assign(window, module);",
            base64.b64encode(module.encode()).decode(),
        )

    def run(self, body: str, given: Any = None) -> Any:
        """Return what the body of an asynchronous JavaScript function returns; `given` is what it is given."""
        answer = self._driver.execute_async_script(
            "const [given, done] = arguments;"
            f"(async () => {{ {body} }})()"
            ".then((value) => done({value}), (error) => done({error: String(error)}));",
            given,
        )
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer.get("value")

    def command(self, name: str, **values: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol, as `Input.dispatchTouchEvent`."""
        return self._driver.execute_cdp_cmd(name, values)

    def open(self, address: str, *, width: int = 1280, scheme: str = "light") -> None:
        """Open a page of a server, on a screen of `width` pixels, and wait until its tab is there."""
        self.visit(address, width=width, scheme=scheme)
        self.wait("document.querySelector('.tab[data-ready]:not([hidden])') !== null")

    def picture(self, path: Path) -> None:
        """Write what is on the screen as PNG."""
        path.write_bytes(self.captured())

    def captured(self, area: dict[str, float] | None = None) -> bytes:
        """Return what is on the screen, or in an `area` of the page (CDP's `Viewport`), as PNG."""
        options = {} if area is None else {"clip": area, "captureBeyondViewport": True}
        return base64.b64decode(self.command("Page.captureScreenshot", format="png", **options)["data"])

    def visit(self, address: str, *, width: int = 1280, scheme: str = "light") -> None:
        """Open an address of a server on a screen of `width` pixels, in `light` or `dark`."""
        self._screen(width)
        self.turn(scheme)
        self._driver.get("about:blank")  # so that an address that differs after its # alone is opened anew, too
        self._driver.get(address)

    def press(self, selector: str) -> None:
        """Press what a CSS selector finds, with the keyboard."""
        self._driver.find_element("css selector", selector).send_keys(Keys.ENTER)

    def choose(self, selector: str, value: str) -> None:
        """Choose the option with `value`."""
        Select(self._driver.find_element("css selector", selector)).select_by_value(value)

    def type(self, selector: str, text: str) -> None:
        """Write `text` in the place of what a field holds, and leave it."""
        self._driver.find_element("css selector", selector).send_keys(Keys.CONTROL, "a", Keys.NULL, text, Keys.TAB)

    def wait(self, condition: str) -> None:
        """Wait until a JavaScript expression is true."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self.ask(condition):
            if time.monotonic() > until:
                raise TimeoutError(f"{condition} was not so in {_PATIENCE_SECONDS:.0f} s: {self.messages()}")
            time.sleep(0.05)

    def turn(self, scheme: str) -> None:
        """Turn the colours of the screen to `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def ask(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return self._driver.execute_script(f"return {expression}")

    def messages(self) -> list[str]:
        """Return what the console has said since the last question."""
        return [entry["message"] for entry in self._driver.get_log("browser")]

    def requested(self) -> set[str]:
        """Return the addresses that were asked for since the last question, those inside the file left out."""
        events = (json.loads(entry["message"])["message"] for entry in self._driver.get_log("performance"))
        found = {
            event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"
        }
        return {address for address in found if not address.startswith(("data:", "blob:"))}

    def violations(self) -> list[str]:
        """Return what axe-core finds against WCAG 2 and good practice, a line each.

        What Plotly has drawn is one image to assistive technology, and is not gone through mark by mark.
        """
        self._driver.execute_script(_AXE.read_text(encoding="utf-8"))
        found = self._driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run({exclude: ['[data-figure] > *']}, {resultTypes: ['violations']})"
            ".then((result) => done(result.violations));"
        )
        return [f"{one['id']} ({one['impact']}): {node['html'][:120]}" for one in found for node in one["nodes"]]
