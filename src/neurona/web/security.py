"""Who may ask what: host, origin and token are checked before anything else, and every answer says what it may do."""

from __future__ import annotations

import hmac
import ipaddress
import socket
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neurona.i18n import LANGUAGES, _, language, speaking
from neurona.web.endpoint import problem

__all__ = ["HEADERS", "Guard", "is_loopback", "preferred_language"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_SAFE = ("GET", "HEAD", "OPTIONS")
_LARGEST_QUERY = 8_192  # characters


class Guard:
    """ASGI middleware in front of everything.

    - A request for a host that is not this server's is refused: a page elsewhere may let its own name lead here (DNS
      rebinding). Addresses in numbers cannot be made to, and are allowed.
    - A request that changes something is refused when it comes from another origin.
    - With a token, whoever does not know it is refused; whoever comes with it in the address is given a cookie.
    - The language of the answer is `?lang=`, else `language`, else the browser's.
    """

    def __init__(self, app: ASGIApp, *, host: str, token: str | None, language: str | None = None) -> None:
        self._app, self._token, self._language = app, token, language
        names = {"localhost", host.lower()}
        if not is_loopback(host):
            own = socket.gethostname().lower()
            names |= {own, own.partition(".")[0], own.partition(".")[0] + ".local"}
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        query = scope["query_string"][:_LARGEST_QUERY].decode("latin-1")
        parameters = dict(parse_qsl(query))
        chosen = parameters.get("lang", "")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given.setdefault(name, value)
                given.setdefault("cache-control", "no-store")
                given["content-language"] = language()
                given.add_vary_header("Accept-Language")
            await send(message)

        if chosen not in LANGUAGES:
            chosen = self._language or preferred_language(headers.get("accept-language", ""))
        with speaking(chosen):
            refusal = self._refusal(scope, headers, parameters)
            await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope, headers: Headers, parameters: dict[str, str]) -> Response | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_ours(host):
            return problem(421, _("this server is not called {host!r}.").format(host=host[:100]))
        if len(scope["query_string"]) > _LARGEST_QUERY:
            return problem(414, _("this address is too long."))
        if scope["method"] not in _SAFE and not _is_same_origin(headers, f"{scope['scheme']}://{host}"):
            return problem(403, _("only pages of this server may do this."))
        return self._without_token(scope, headers, parameters)

    def _is_ours(self, host: str) -> bool:
        name = _without_port(host).lower().rstrip(".")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True

    def _without_token(self, scope: Scope, headers: Headers, parameters: dict[str, str]) -> Response | None:
        """Return None for who knows the token; else a refusal, or the way to the page with the cookie."""
        if self._token is None:
            return None
        port = scope["server"][1] if scope.get("server") else ""
        cookie = f"neurona-{port}"  # a host has one jar for all its ports
        bearer = headers.get("authorization", "")
        if self._is_token(bearer.removeprefix("Bearer ")) or self._is_token(_cookies(headers).get(cookie, "")):
            return None
        if scope["method"] not in _SAFE or not self._is_token(parameters.pop("token", "")):
            return problem(401, _("this server asks for the token that its terminal shows in the address."))
        path = quote(scope["path"]) if not scope["path"].startswith("//") else "/"
        answer = RedirectResponse(path + (f"?{urlencode(parameters)}" if parameters else ""), 303)
        answer.set_cookie(cookie, self._token, httponly=True, samesite="strict", secure=scope["scheme"] == "https")
        return answer

    def _is_token(self, given: str) -> bool:
        assert self._token is not None  # noqa: S101
        return hmac.compare_digest(given.encode(), self._token.encode())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that listens on `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def preferred_language(accepted: str) -> str:
    """Return the one of our languages that an Accept-Language header likes best; the process's for none of them."""
    weighed = []
    for place, part in enumerate(accepted.split(",")[:32]):
        name, _semicolon, weight = part.partition(";")
        code = name.strip().partition("-")[0].lower()
        quality = _quality(weight.strip().removeprefix("q="))
        if code in LANGUAGES and quality > 0:
            weighed.append((-quality, place, code))
    return min(weighed)[2] if weighed else language()


def _quality(text: str) -> float:
    try:
        return float(text) if text else 1.0
    except ValueError:
        return 0.0


def _is_same_origin(headers: Headers, own: str) -> bool:
    origin = headers.get("origin")
    if origin is not None:
        return origin.lower() == own.lower()
    return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
