"""Drives a headless Chromium for a test: one JSON command a line on standard input, one JSON answer a line on standard output.

The browser reports everything that a page's console complains of, and every request that would leave this host.
"""

import json
import sys
import time
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

PATIENCE_MS = 60_000


class Browser:
    def __init__(self, playwright, settings):
        self.settings = settings
        self.complaints = []
        self.chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-background-networking", "--disable-component-update"],
        )
        self.page = None
        self.open({})

    def open(self, command):
        """A new window, which knows nothing of the one before."""
        if self.page:
            self.page.context.close()
        width, height = command.get("size", (1280, 900))
        context = self.chromium.new_context(
            base_url=self.settings["url"],
            http_credentials={"username": "ann", "password": self.settings["password"]},
            viewport={"width": width, "height": height},
            color_scheme=command.get("scheme", "light"),
            java_script_enabled=command.get("script", True),
        )
        context.set_default_timeout(PATIENCE_MS)
        self.page = context.new_page()
        self.page.on("console", self.note_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self.note_request)

    def note_console(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({self.page.url})")

    def note_request(self, request):
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname not in ("127.0.0.1", "localhost"):
            self.complaints.append(f"a request leaves the host: {request.url}")

    def goto(self, command):
        answer = self.page.goto(command["path"])
        return answer.status

    def see(self, command):
        """Waits until this text can be seen."""
        self.page.get_by_text(command["text"]).first.wait_for(state="visible")

    def click(self, command):
        self.page.locator(command["selector"]).first.click()

    def until(self, command):
        """Waits until this expression holds. Asked from outside: the page's policy forbids what Playwright would do inside."""
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while not self.page.evaluate(f"(() => {{ try {{ return !!({command['expression']}) }} catch {{ return false }} }})()"):
            if time.monotonic() > deadline:
                raise TimeoutError("waited in vain")
            self.page.wait_for_timeout(50)

    def evaluate(self, command):
        return self.page.evaluate(command["expression"])

    def picture(self, command):
        self.page.screenshot(path=command["path"], full_page=command.get("whole", True))

    def report(self, _):
        return self.complaints


def main():
    settings = json.loads(sys.stdin.readline())
    with sync_playwright() as playwright:
        browser = Browser(playwright, settings)
        print(json.dumps({"ok": None}), flush=True)
        for line in sys.stdin:
            command = json.loads(line)
            try:
                answer = {"ok": getattr(browser, command["do"])(command)}
            except Exception as error:
                answer = {"error": f"{error} ({browser.page.url})"}
            print(json.dumps(answer), flush=True)
        browser.chromium.close()


main()
