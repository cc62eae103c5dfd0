// Keeps the page up to date: fetches it again and brings what changed into place, so that scroll positions, opened details, the
// filter and the focus stay as they are. Without this script the page reloads itself, and everything else works the same.
"use strict";

const PERIOD = 3000;
const live = document.getElementById("live");
const asOf = document.getElementById("asof");

function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  const isKept = old.nodeType === Node.ELEMENT_NODE && old.nodeName === fresh.nodeName;
  if (!isKept) {
    old.replaceWith(document.importNode(fresh, true));
    return;
  }
  for (const { name } of [...old.attributes]) {
    // Whether somebody opened something is theirs to say.
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  }
  morphChildren(old, fresh);
}

// A child with an id is the same child wherever it stands; others are told by their place.
function morphChildren(old, fresh) {
  const known = new Map();
  for (const child of old.children) if (child.id) known.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of fresh.childNodes) {
    const same = wanted.id ? known.get(wanted.id) : place && !place.id ? place : null;
    if (!same) {
      old.insertBefore(document.importNode(wanted, true), place);
      continue;
    }
    if (same !== place) old.insertBefore(same, place);
    else place = place.nextSibling;
    morph(same, wanted);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isSelecting() {
  const selection = document.getSelection();
  return selection && !selection.isCollapsed && live.contains(selection.anchorNode);
}

function say(text, isStale) {
  document.body.classList.toggle("stale", isStale);
  if (text) asOf.textContent = text;
}

async function update() {
  try {
    const here = new URL(location.pathname + location.search, location.origin);
    const answer = await fetch(here, { cache: "no-store", redirect: "error" });
    if (answer.status === 401) return say("Signed out: reload the page", true);
    if (!answer.ok) return say("Not up to date: the server has trouble", true);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (!fresh) return say("Not up to date: reload the page", true);
    if (isSelecting()) return;
    morphChildren(live, fresh);
    morph(asOf, page.getElementById("asof"));
    document.title = page.title;
    say("", false);
  } catch {
    say("Not up to date: the server does not answer", true);
  }
}

async function keepUpToDate() {
  if (document.visibilityState === "visible") await update();
  setTimeout(keepUpToDate, PERIOD);
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") update();
});
setTimeout(keepUpToDate, PERIOD);
