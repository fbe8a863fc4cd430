"""Look at the built site in a browser: python docs/check_site.py [chromium] [folder].

Checks that search finds an estimator, that a copy button copies code without prompts,
that no link inside the site is dead, that nothing fails in the console, and that pages
fit a phone, in the light and in the dark theme. Needs playwright and a Chromium, whose
path may be given. Writes pictures of some pages to ``docs/_build/pictures``.
"""

import functools
import http.server
import re
import shutil
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

from playwright.sync_api import sync_playwright

BUILD = Path(__file__).parent / "_build"
PAGES = [
    "index.html",
    "get_started.html",
    "user_guide/choosing.html",
    "user_guide/how_it_works.html",
    "user_guide/tuning.html",
    "api/index.html",
    "api/generated/sktsrep.SSLVQTokenizer.html",
    "auto_examples/index.html",
    "benchmarks.html",
]
# By how many pixels something that cannot be scrolled to reaches beyond the window.
OVERFLOW = """() => {
    const scrolls = element => {
        for (let e = element.parentElement; !e.matches(".bd-article");
             e = e.parentElement)
            if (/auto|scroll/.test(getComputedStyle(e).overflowX)) return true;
        return false;
    };
    const reach = element => element.getBoundingClientRect().right - innerWidth;
    const all = [...document.querySelectorAll(".bd-article *")];
    return Math.max(0, ...all.filter(e => reach(e) > 1 && !scrolls(e)).map(reach));
}"""
DESKTOP = {"width": 1360, "height": 900}
PHONE = {"width": 390, "height": 844}


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def served(folder):
    """Address at which a folder is served on this machine."""
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def dead_links(folder):
    """Links from a page of the site to a page or a heading that is not there."""
    pages = {path: path.read_text("utf-8") for path in sorted(folder.rglob("*.html"))}
    anchors = {
        path: set(re.findall(r'\bid="([^"]+)"', html)) for path, html in pages.items()
    }
    dead = []
    for path, html in pages.items():
        for link in set(re.findall(r'<a\b[^>]*\bhref="([^"]+)"', html)):
            if re.match(r"[a-z]+:", link):
                continue
            target, anchor = urldefrag(unquote(urljoin(path.as_uri(), link)))
            target = Path(target.removeprefix("file://"))
            is_missing = not target.exists()
            if is_missing or (anchor and anchor not in anchors.get(target, {anchor})):
                dead.append(f"{path.relative_to(folder)}: {link}")
    return dead


class Site:
    """The site in a browser; keeps what fails in the console."""

    def __init__(self, browser, address):
        self.browser = browser
        self.address = address
        self.errors = []

    @contextmanager
    def page(self, name, viewport=DESKTOP, scheme="light"):
        """A page, with nothing loaded from elsewhere."""
        context = self.browser.new_context(viewport=viewport, color_scheme=scheme)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        is_elsewhere = re.compile(f"^(?!{re.escape(self.address)})")
        page.route(is_elsewhere, lambda route: route.fulfill(body=""))
        page.on("console", lambda message: self._keep(name, message))
        page.on("pageerror", lambda error: self.errors.append(f"{name}: {error}"))
        page.goto(self.address + name)
        yield page
        context.close()

    def _keep(self, name, message):
        if message.type == "error":
            self.errors.append(f"{name}: {message.text}")

    def search_finds(self, words, result):
        """Whether a search leads to a page."""
        with self.page(f"search.html?q={words}") as page:
            link = page.locator(f"#search-results a[href*='{result}']").first
            link.wait_for(timeout=20_000)
            return link.is_visible()

    def copied(self, name):
        """What the first copy button of a page with prompts copies."""
        with self.page(name) as page:
            block = page.locator("div.highlight", has_text=">>>").first
            block.hover()
            block.locator("button.copybtn").click()
            return page.evaluate("navigator.clipboard.readText()")

    def overflow(self, name, viewport, scheme):
        """By how many pixels a page is wider than the window; keeps a picture."""
        with self.page(name, viewport, scheme) as page:
            page.wait_for_timeout(300)
            kind = f"{viewport['width']}_{scheme}"
            stem = name.removesuffix(".html").replace("/", "_")
            page.screenshot(path=BUILD / "pictures" / f"{stem}_{kind}.png")
            return page.evaluate(OVERFLOW)


def check(site):
    """Problems that the browser shows."""
    if not site.search_finds("SSLVQTokenizer", "sktsrep.SSLVQTokenizer.html"):
        yield "search does not find SSLVQTokenizer"
    copied = site.copied("get_started.html")
    if not copied.startswith("import numpy as np") or ">>>" in copied:
        yield f"the copy button copies {copied!r}"
    for name in PAGES:
        for viewport in (DESKTOP, PHONE):
            for scheme in ("light", "dark"):
                pixels = site.overflow(name, viewport, scheme)
                if pixels > 0:
                    yield f"{name} is {pixels} pixels wider than {viewport['width']}"
    yield from site.errors


def main(chromium=None, folder=BUILD / "html"):
    chromium = chromium or shutil.which("chromium")  # None is playwright's own
    (BUILD / "pictures").mkdir(parents=True, exist_ok=True)
    problems = [f"dead link in {link}" for link in dead_links(Path(folder).resolve())]
    with served(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        problems += check(Site(browser, address))
        browser.close()
    print("\n".join(problems) or "no problem found")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
