"use strict";

// Keeps the open page true: the server renders the cards, this only fetches the page again and takes them over.
(() => {
  const SECONDS = 2;
  const live = document.getElementById("live");
  const pulse = document.getElementById("pulse");
  let shown = live.innerHTML;

  async function refresh() {
    const answer = await fetch("/", { headers: { Accept: "text/html" }, credentials: "omit" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("live");
    if (fresh === null || fresh.innerHTML === shown) return;
    shown = fresh.innerHTML;
    const held = document.activeElement?.closest("#live a")?.getAttribute("href");
    live.replaceChildren(...fresh.childNodes);
    if (held) [...live.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus();
  }

  async function beat() {
    if (document.visibilityState === "visible") {
      try {
        await refresh();
        pulse.textContent = "Live";
        pulse.classList.remove("away");
      } catch {
        pulse.textContent = "Not reachable, trying again";
        pulse.classList.add("away");
      }
      pulse.hidden = false;
    }
    setTimeout(beat, SECONDS * 1000);
  }

  setTimeout(beat, SECONDS * 1000);
})();
