"""URLs, redirects, and which proxy stands before an address."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urljoin, urlsplit

from update_agent.transport.errors import ProxyError, RedirectError, UrlError

if TYPE_CHECKING:
    from collections.abc import Callable

    ProxyOf = Callable[["Address"], str | None]
    """The URL of the proxy for an address, or None."""

_PORTS = {"http": 80, "https": 443}
# RFC 3986: what may stand in a path and a query. "%" is kept, as what came is quoted already where it has to be.
_SAFE = "/?:@!$&'()*+,;=-._~%[]"


@dataclass(frozen=True)
class Address:
    """A URL in its parts. ``host`` has no brackets; ``target`` is path and query, as a request line has it."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def parse(cls, url: str) -> Address:
        """Raises UrlError."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").encode("idna").decode(), parts.port
        except ValueError as error:  # UnicodeError is one
            raise UrlError(url, f"it is no URL: {error}") from error
        if parts.scheme not in _PORTS or not host:
            raise UrlError(url, "it is no URL of http or https")
        if parts.username is not None or parts.password is not None:
            raise UrlError(url.rpartition("@")[2], "a URL with a password would be shown in logs; it is not used")
        target = quote(parts.path or "/", _SAFE) + (f"?{quote(parts.query, _SAFE)}" if parts.query else "")
        return cls(parts.scheme, host, port or _PORTS[parts.scheme], target)

    @property
    def netloc(self) -> str:
        """Host and port, as the header Host has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole."""
        return f"{self.scheme}://{self.netloc}{self.target}"

    def redirected(self, location: str | None) -> Address:
        """Where a redirect leads. Raises RedirectError for one to less safety, and for none."""
        if not location:
            raise RedirectError(self.url, "it is redirected to nowhere")
        try:
            # http.client gives headers as Latin-1; servers send UTF-8.
            text = location.encode("latin-1").decode("utf-8", "surrogateescape")
            there = Address.parse(urljoin(self.url, text.partition("#")[0]))
        except (UrlError, ValueError) as error:
            raise RedirectError(self.url, f"it is redirected to what is no URL: {location!r:.200}") from error
        if self.scheme == "https" and there.scheme != "https":
            raise RedirectError(self.url, f"it is redirected from https to {there.url}, which is not followed")
        return there


@dataclass(frozen=True)
class Proxy:
    """A proxy of HTTP, reached in the clear; ``authorization`` is the value of its header, or empty."""

    host: str
    port: int
    authorization: str

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """A URL of http, or host and port. Raises ProxyError, which does not show a password."""
        shown = url.rpartition("@")[2]
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ProxyError(shown, f"it is no address of a proxy: {error}") from error
        if parts.scheme != "http" or not host:
            raise ProxyError(shown, "only proxies that are reached by http:// are supported")
        authorization = ""
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
        return cls(host, port or 80, authorization)


def one_proxy(url: str) -> ProxyOf:
    """The same proxy for every address; that of the environment where the URL is empty."""
    return (lambda _: url) if url else environment_proxy


def environment_proxy(address: Address) -> str | None:
    """What http_proxy, https_proxy, all_proxy and no_proxy say, in small letters or capitals."""
    proxies = urllib.request.getproxies_environment()
    if urllib.request.proxy_bypass_environment(address.netloc, proxies):  # type: ignore[attr-defined]
        return None
    return proxies.get(address.scheme) or proxies.get("all")
