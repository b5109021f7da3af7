"""The pages: the portal, the API page, and the page for a name that nobody has. Every text that goes in is
escaped.
"""

from functools import cache
from html import escape
from importlib.resources import files
from string import Template

from fountain_common.landing import shortened
from fountain_common.names import PLATFORM

from gateway_lookup.catalog import site
from gateway_lookup.schemas import Catalog, CatalogService
from gateway_lookup.settings import GatewaySettings

_BASE = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "script-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_KIND = {
    "healthy": "good",
    "degraded": "warn",
    "draining": "warn",
    "unhealthy": "bad",
    "expired": "bad",
    "unknown": "",
}
_WORD = {"expired": "gone", "unknown": "not seen yet"}
ASSETS = {
    "portal.css": "text/css; charset=utf-8",
    "portal.js": "text/javascript; charset=utf-8",
    "apis.js": "text/javascript; charset=utf-8",
}


def page_headers(**more: str) -> dict[str, str]:
    """Return a page's headers: a policy without inline scripts and styles, with more sources where a page
    needs them.
    """
    policy = {**_BASE, **{name.replace("_", "-"): sources for name, sources in more.items()}}
    return {
        "Content-Security-Policy": "; ".join(f"{name} {sources}" for name, sources in policy.items()),
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }


def portal_page(settings: GatewaySettings, title: str, version: str, catalog: Catalog, more: int = 0) -> str:
    """Return the portal: the platform's front page, with a card a service; `more` are not shown. The gateway,
    whose landing page it is too, is named at its foot, by title and version.
    """
    texts = _escaped({"title": title, "version": version, "domain": settings.domain})
    return _template("portal.html").substitute({**texts, "live": _live(catalog.services, more)})


def apis_page(settings: GatewaySettings, services: list[CatalogService], more: int) -> str:
    """Return the page with the services' operations behind one selector; `more` are not shown."""
    names = [service.service_name for service in services]
    options = "".join(
        f'<option value="{escape(name)}">{escape(_named(service.title, name))}</option>'
        for name, service in zip(names, services, strict=True)
    )
    links = "".join(
        f'<li><a href="/apis/{escape(name)}/openapi.json">{escape(name)}</a></li>' for name in names
    )
    rest = f'<p class="about">And {more} more, each at its own <code>/docs</code>.</p>' if more else ""
    texts = _escaped({"domain": settings.domain})
    return _template("apis.html").substitute({**texts, "options": options, "links": links, "rest": rest})


def not_found_page(settings: GatewaySettings, label: str, near: list[str]) -> str:
    """Return the page for a host name under which nobody is reached, with names that look like it."""
    host = f"{label}.{settings.domain}" if label else settings.domain
    links = " or ".join(f'<a href="{escape(site(settings, name))}/">{escape(name)}</a>' for name in near)
    texts = _escaped({"host": host, "site": site(settings), "domain": settings.domain})
    return _template("not_found.html").substitute(
        {**texts, "near": f"<p>Did you mean {links}?</p>" if near else ""}
    )


@cache
def asset(name: str) -> bytes:
    """Return a file of the pages; KeyError if it is none."""
    if name not in ASSETS:
        raise KeyError(name)
    return (files("gateway_lookup") / "static" / name).read_bytes()


@cache
def _template(name: str) -> Template:
    return Template((files("gateway_lookup") / "static" / name).read_text(encoding="utf-8"))


def _escaped(texts: dict[str, str]) -> dict[str, str]:
    return {name: escape(text) for name, text in texts.items()}


def _named(title: str, name: str) -> str:
    return title if title == name else f"{title} ({name})"


def _live(services: list[CatalogService], more: int) -> str:
    own = [service for service in services if service.service_name not in PLATFORM]
    platform = [service for service in services if service.service_name in PLATFORM]
    groups = [("Services", own), ("Platform", platform)]
    rest = f'<p class="about">And {more} more, in <code>GET /catalog</code>.</p>' if more else ""
    return _summary(services) + "".join(_group(name, members) for name, members in groups if members) + rest


def _summary(services: list[CatalogService]) -> str:
    counts = {word: sum(1 for service in services if service.status == word) for word in _KIND}
    plural = "" if len(services) == 1 else "s"
    badges = [f'<span class="badge">{len(services)} service{plural}</span>']
    badges += [
        f'<span class="badge {_KIND[word]}">{count} {_WORD.get(word, word)}</span>'
        for word, count in counts.items()
        if count
    ]
    return f'<p class="summary" role="status">{"".join(badges)}</p>'


def _group(name: str, services: list[CatalogService]) -> str:
    cards = "\n".join(_card(service) for service in services)
    return f'<h2 class="group">{name}</h2>\n<ul class="services">\n{cards}\n</ul>\n'


def _card(service: CatalogService) -> str:
    kind = _KIND[service.status]
    texts = _escaped(
        {
            "name": service.service_name,
            "title": service.title,
            "about": shortened(service.description) or "No description.",
            "status": _WORD.get(service.status, service.status),
            "version": f"version {service.version}" if service.version else "no version",
            "site": service.links.site,
            "docs": service.links.docs,
            "health": service.links.health,
            "instances": _instances(service.instances),
            "missing": ", ".join(service.degraded),
        }
    )
    missing = '<p class="missing">Misses {missing}</p>' if service.degraded else ""
    return (
        f'<li class="service {kind}" data-service="{{name}}">'
        '<div class="top"><h3><a href="{site}">{title}</a></h3>'
        f'<span class="badge {kind}">{{status}}</span></div>'
        '<p class="name"><code>{name}</code> {version}</p>'
        f'<p class="about">{{about}}</p>{missing}'
        '<div class="foot"><span>{instances}</span>'
        '<nav aria-label="{name}"><a href="{docs}">Docs</a><a href="{health}">Health</a></nav></div></li>'
    ).format(**texts)


def _instances(counts: dict[str, int]) -> str:
    running = {state: count for state, count in counts.items() if state != "expired"}
    total = sum(running.values())
    if not total:
        return "no instance"
    words = "1 instance" if total == 1 else f"{total} instances"
    off = ", ".join(f"{count} {state}" for state, count in sorted(running.items()) if state != "up")
    return f"{words} ({off})" if off else words
