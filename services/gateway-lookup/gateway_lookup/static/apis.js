"use strict";

(() => {
  const chooser = document.getElementById("service");
  const sheet = document.getElementById("swagger-ui");

  // Swagger UI knows the dark by a class; the rest of the page by the browser's own preference.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const dim = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", dim);
  dim();

  function say(text) {
    const note = document.createElement("p");
    note.className = "about";
    note.setAttribute("role", "status");
    note.textContent = text;
    sheet.replaceChildren(note);
  }

  function show() {
    const name = chooser.value;
    if (!name) return say("No service has said yet what it can do. One that starts is here within seconds: load this page again.");
    if (!window.SwaggerUIBundle) return say("What shows the operations could not be loaded. Load this page again.");
    // A new page part and a new UI: the token that was typed for the other service goes with the old one.
    const part = document.createElement("div");
    sheet.replaceChildren(part);
    window.ui = window.SwaggerUIBundle({
      url: `/apis/${encodeURIComponent(name)}/openapi.json`,
      domNode: part,
      deepLinking: false,
      displayRequestDuration: true,
      filter: true,
      // Listed, and folded: operations are what one comes for.
      defaultModelsExpandDepth: 0,
      persistAuthorization: false,
      validatorUrl: null,
      queryConfigEnabled: false,
      presets: [window.SwaggerUIBundle.presets.apis],
      layout: "BaseLayout",
    });
    history.replaceState(null, "", `#${name}`);
  }

  const wanted = location.hash.slice(1);
  if ([...chooser.options].some((option) => option.value === wanted)) chooser.value = wanted;
  chooser.addEventListener("change", show);
  show();
})();
