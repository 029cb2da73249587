// The live parts of the pages: polling that rests in a hidden tab, and words when the server is gone.
(() => {
  "use strict";
  const gone = document.getElementById("server-gone");
  const back = document.getElementById("server-back");

  // 1. Parts that are fetched again are merged into what is there: only what differs is touched. The focus, a
  //    scrolled table and a pointer over a button stay, and a bar moves instead of being drawn anew.
  function merge(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    let next = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const known = counterpart(old, next, child);
      if (!known) {
        old.insertBefore(child, next);
        continue;
      }
      if (known === next) next = next.nextSibling;
      else old.insertBefore(known, next);
      merge(known, child);
    }
    while (next) {
      const rest = next.nextSibling;
      next.remove();
      next = rest;
    }
  }

  function counterpart(parent, next, child) {
    if (child.id) {
      const known = document.getElementById(child.id);
      return known && known.parentNode === parent && known.nodeName === child.nodeName ? known : null;
    }
    return next && !next.id && next.nodeName === child.nodeName ? next : null;
  }

  document.body.addEventListener("htmx:beforeSwap", (event) => {
    event.detail.shouldSwap = false;
    if (event.detail.isError) return;
    const fetched = new DOMParser().parseFromString(event.detail.serverResponse, "text/html");
    const parts = [...fetched.querySelectorAll("[data-live]")];
    // Something else came, such as the page to log in: let it be shown whole.
    if (!parts.length) window.location.reload();
    for (const part of parts) {
      const here = document.getElementById(part.id);
      if (here && !isSelecting(here)) mergeInto(here, part);
    }
    estimateAnew();
  });

  // What a press of the form would start depends on the task that leads: when another one does, it is asked again.
  let led = leadingTask();

  function leadingTask() {
    const card = document.getElementById("leading");
    return card ? card.dataset.task : "";
  }

  function estimateAnew() {
    const form = document.getElementById("start");
    if (!form || leadingTask() === led) return;
    led = leadingTask();
    window.htmx.trigger(form, "change");
  }

  function mergeInto(here, part) {
    const kept = document.createElement(here.nodeName);
    for (const { name, value } of here.attributes) kept.setAttribute(name, value);
    kept.append(...part.childNodes);
    merge(here, kept);
  }

  function isSelecting(part) {
    const selection = window.getSelection();
    return selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  }

  // 2. Nothing is asked while nobody looks; who comes back sees the newest at once.
  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !window.htmx) return;
    document.querySelectorAll("[data-poll]").forEach((poll) => window.htmx.trigger(poll, "wake"));
  });

  // 3. What is shown grows old when the server is gone: say so, and say when it is back.
  const isPoll = (event) => event.target instanceof Element && event.target.hasAttribute("data-poll");
  let backSince = null;

  function say(place, words, looks) {
    place.textContent = words;
    place.className = words ? looks : "";
  }

  function lost(event) {
    if (!isPoll(event) || document.body.classList.contains("stale")) return;
    document.body.classList.add("stale");
    say(back, "", "");
    say(gone, gone.dataset.words, "banner bad");
  }
  document.body.addEventListener("htmx:sendError", lost);
  document.body.addEventListener("htmx:timeout", lost);
  document.body.addEventListener("htmx:responseError", lost);

  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!isPoll(event) || !event.detail.successful || !document.body.classList.contains("stale")) return;
    document.body.classList.remove("stale");
    say(gone, "", "");
    say(back, back.dataset.words, "banner");
    clearTimeout(backSince);
    backSince = setTimeout(() => say(back, "", ""), 8000);
  });

  // 4. The dialog that asks once more; without scripts the link leads to a page that does.
  const dialog = document.getElementById("cancel-dialog");
  document.body.addEventListener("click", (event) => {
    const link = event.target instanceof Element && event.target.closest("a[data-cancel]");
    if (!link || !dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    dialog.querySelector("form.go").action = link.href;
    dialog.showModal();
  });
})();
