// The pages work without this script. With it, the sign-in at X runs in a window of
// its own, and the page behind goes on when it is done.
"use strict";

const channel = "BroadcastChannel" in window ? new BroadcastChannel("xarchive") : null;

// A form that leads to X opens a window. Where the browser does not let it, the form
// goes the plain way.
for (const form of document.querySelectorAll("form[data-window]")) {
  form.addEventListener("submit", () => {
    if (!channel) return;
    const opened = window.open("", "xarchive-x", "popup,width=600,height=760");
    if (!opened) return;
    form.target = "xarchive-x";
    let field = form.elements.namedItem("window");
    if (!field) {
      field = document.createElement("input");
      field.type = "hidden";
      field.name = "window";
      form.append(field);
    }
    field.value = "1";
  });
}

// The window that comes back from X tells the page behind, and closes.
const returned = document.querySelector("[data-returned]");
if (returned) {
  if (channel) channel.postMessage(returned.dataset.returned);
  if (returned.dataset.returned === "done") window.close();
} else if (channel && document.querySelector("form[data-window]")) {
  channel.onmessage = (event) => {
    // Without the fragment, with which it would be a jump within the page.
    if (event.data === "done") window.location.replace(window.location.href.split("#")[0]);
  };
}

for (const button of document.querySelectorAll("[data-close]")) {
  if (!window.opener && !returned) continue; // a window that no script opened stays
  button.hidden = false;
  button.addEventListener("click", () => window.close());
}

// Something that takes a while says so, and is not begun twice.
for (const form of document.querySelectorAll("form[data-busy]")) {
  const button = form.querySelector("button");
  form.addEventListener("submit", () => {
    button.textContent = form.dataset.busy;
    button.setAttribute("aria-disabled", "true");
    button.addEventListener("click", (event) => event.preventDefault());
  });
}

// What was asked for is where the eye and the screen reader go.
const tested = document.getElementById("tested");
if (tested) tested.focus();
