"use strict";

(() => {
  const root = document.getElementById("swagger-ui");

  // Swagger UI knows the dark by a class, and browsers by a preference.
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const dim = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", dim);
  dim();

  window.ui = window.SwaggerUIBundle({
    url: root.dataset.openapi,
    domNode: root,
    deepLinking: true,
    displayRequestDuration: true,
    filter: true,
    // Listed, and folded: operations are what one comes for.
    defaultModelsExpandDepth: 0,
    // A token typed here lives as long as this page and is never stored.
    persistAuthorization: false,
    // The validator of swagger.io would be asked from elsewhere; this page talks to its own service alone.
    validatorUrl: null,
    queryConfigEnabled: false,
    presets: [window.SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
})();
