// The live parts of the pages: polling that rests in a hidden tab, and words when the server is gone.
(() => {
  "use strict";
  const gone = document.getElementById("server-gone");
  const back = document.getElementById("server-back");
  let lost = false;

  const polled = (target) => target instanceof Element && target.hasAttribute("data-polled");

  document.body.addEventListener("htmx:beforeRequest", (event) => {
    if (polled(event.target) && document.hidden) event.preventDefault();
  });

  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !window.htmx) return;
    document.querySelectorAll("[data-polled]").forEach((part) => window.htmx.trigger(part, "wake"));
  });

  function failed(event) {
    if (!polled(event.target) || lost) return;
    lost = true;
    back.hidden = true;
    gone.hidden = false;
  }
  document.body.addEventListener("htmx:sendError", failed);
  document.body.addEventListener("htmx:timeout", failed);
  document.body.addEventListener("htmx:responseError", failed);

  document.body.addEventListener("htmx:afterRequest", (event) => {
    if (!polled(event.target) || !event.detail.successful || !lost) return;
    lost = false;
    gone.hidden = true;
    back.hidden = false;
    setTimeout(() => { back.hidden = true; }, 8000);
  });

  // Do not take away what somebody is about to press, has selected, or reads in an open dialog.
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (!polled(event.target)) return;
    const selection = window.getSelection();
    const selecting = selection && !selection.isCollapsed && event.target.contains(selection.anchorNode);
    if (selecting || document.querySelector("dialog[open]")) event.detail.shouldSwap = false;
  });

  // Keep the focus where it was: the swapped part brings a new element with the same id.
  let focused = null;
  document.body.addEventListener("htmx:beforeSwap", (event) => {
    if (polled(event.target) && event.target.contains(document.activeElement)) focused = document.activeElement.id;
  });
  document.body.addEventListener("htmx:afterSettle", () => {
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    focused = null;
  });

  // The dialog that asks once more; without scripts the link leads to a page that does.
  const dialog = document.getElementById("cancel-dialog");
  document.body.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-cancel]");
    if (link && dialog) {
      event.preventDefault();
      dialog.querySelector("form.go").action = link.href;
      dialog.showModal();
    }
  });
})();
