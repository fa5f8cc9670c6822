"""The documentation's site: built with warnings as errors, complete, asking nobody for anything, readable by all."""

from __future__ import annotations

import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import neurona
from chromium import Chromium
from documentation import PAGES, ROOT, SPANISH
from neurona.cli.program import program


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_page_is_there_in_both_languages(site: Path) -> None:
    docs = {page.relative_to(ROOT / "docs") for page in PAGES if page.is_relative_to(ROOT / "docs")}
    names = {page.with_name(page.name.removesuffix(SPANISH).removesuffix(".md")) for page in docs}
    for name in names:
        english = site / f"{name}.html"
        spanish = site / "es" / f"{name}.html"
        assert 'lang="en"' in english.read_text(encoding="utf-8")
        text = spanish.read_text(encoding="utf-8")
        assert 'lang="es"' in text
        translated = (ROOT / "docs" / f"{name}{SPANISH}").exists()
        assert ("Esta página está solo en inglés" in text) != translated
        assert "In English" not in text  # the site has a switch


def test_no_page_takes_anything_from_another_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        taken = re.findall(r"<(?:script|img|iframe|source)[^>]* src=[\"']?([^\"' >]+)", text)
        taken += re.findall(r"<link[^>]* href=[\"']?([^\"' >]+)", text)
        assert [one for one in taken if re.match(r"(https?:)?//", one)] == []
    for sheet in site.rglob("*.css"):
        assert re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8")) == []


def test_the_reference_has_every_name_command_and_key(site: Path) -> None:
    python = (site / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in neurona.__all__ if name != "__version__" and f'id="{name.lower()}"' not in python] == []
    for folder, said in ((site, "Passes over the training"), (site / "es", "pasadas por las imágenes")):
        commands = (folder / "reference" / "command-line.html").read_text(encoding="utf-8")
        assert [one.name for one in program.registered_commands if f'id="neurona-{one.name}"' not in commands] == []
        assert said in commands
        assert "--learning-rate" in commands
    keys = (site / "reference" / "lab-file.html").read_text(encoding="utf-8")
    for spec in (neurona.Network, neurona.Training, neurona.Optimizer, neurona.Augmentation):
        assert [key for key in spec.model_fields if f"<code>{key}</code>" not in keys] == []


@pytest.mark.parametrize(
    ("page", "width", "scheme"),
    [
        ("index.html", 1280, "dark"),
        ("es/statistics.html", 1280, "light"),
        ("es/tutorial.html", 390, "dark"),
        ("reference/command-line.html", 390, "light"),
    ],
)
def test_a_page_can_be_read_by_everybody(address: str, browser: Chromium, page: str, width: int, scheme: str) -> None:
    browser.messages()
    browser.requested()
    browser.visit(f"{address}/{page}", width=width, scheme=scheme)
    browser.wait("document.querySelector('.md-search')?.hasAttribute('aria-label')")
    browser.wait("document.readyState === 'complete'")
    assert browser.violations() == []
    assert browser.ask("document.documentElement.scrollWidth") <= width
    ground = browser.ask("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(17, 19, 22)" if scheme == "dark" else "rgb(251, 250, 248)")
    assert {one for one in browser.requested() if not one.startswith(address)} <= {"about:blank"}
    assert browser.messages() == []


def test_the_search_finds_spanish_pages_in_spanish(address: str, browser: Chromium) -> None:
    browser.visit(f"{address}/es/index.html")
    browser.wait("document.querySelector('.md-search')?.hasAttribute('aria-label')")
    browser.ask("document.querySelector('[data-md-toggle=search]').click()")
    browser.type(".md-search__input", "semillas divergen")
    browser.wait("document.querySelectorAll('.md-search-result__item a').length > 0")
    found = browser.ask("[...document.querySelectorAll('.md-search-result__item a')].map((link) => link.href)")
    assert all(link.startswith(f"{address}/es/") for link in found)
    assert any("statistics.html" in link for link in found)


def test_the_language_is_a_switch_that_stays_on_the_page(address: str, browser: Chromium) -> None:
    browser.visit(f"{address}/seal.html")
    browser.ask("document.querySelector('a[hreflang=es]').click()")
    browser.wait("document.documentElement.lang === 'es' && location.pathname === '/es/seal.html'")
    assert "El sello" in browser.ask("document.querySelector('h1').textContent")
