"""Opens /docs in a browser and tells what it found there: docs.py <address> <picture>."""

import json
import sys
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

address, picture = sys.argv[1:]
asked, complaints = [], []

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#operations-default-v1_rooms_list, [id$=v1_rooms_list]")
    operations = page.locator(".opblock").count()
    # Asks the server from the page, as a reader would.
    health = page.locator("[id$='-health']").first
    health.locator("button.opblock-summary-control").click()
    health.get_by_role("button", name="Try it out").click()
    health.get_by_role("button", name="Execute").click()
    health.locator(".live-responses-table .response-col_status").first.wait_for()
    answer = health.locator(".live-responses-table").inner_text()
    page.screenshot(path=picture)
    browser.close()

own = urlsplit(address).netloc
elsewhere = [url for url in asked if urlsplit(url).scheme != "data" and urlsplit(url).netloc != own]
print(json.dumps({"operations": operations, "answer": answer, "elsewhere": elsewhere, "complaints": complaints, "asked": asked}))
