"""The Bot API over HTTP: https://core.telegram.org/bots/api#making-requests."""

import asyncio
import contextlib
import hmac
import time
from typing import Any

import aiohttp
import structlog
from aiohttp import MultipartReader, web

from aisha_sandbox import faults
from aisha_sandbox.answers import ApiError
from aisha_sandbox.core import CORE, Core
from aisha_sandbox.methods import METHODS
from aisha_sandbox.params import Params, object_from, read, read_parts
from aisha_sandbox.state import Json, dumps

log = structlog.get_logger(__name__)


def routes() -> list[web.AbstractRouteDef]:
    """Return the Bot API's addresses."""
    return [
        web.route("*", "/bot{token}/{method}", serve),
        web.get("/file/bot{token}/{path:.+}", download),
    ]


def _authorize(request: web.Request, core: Core) -> None:
    if not hmac.compare_digest(request.match_info["token"].encode(), core.token.encode()):
        raise ApiError(401, "Unauthorized")


async def serve(request: web.Request) -> web.StreamResponse:
    """Carry out one method and answer as Telegram does."""
    core = request.app[CORE]
    try:
        _authorize(request, core)
        params = await read(request, core.files)
    except ApiError as error:
        return _answer(error.code, error.body())
    try:
        return await _logged(request, core, request.match_info["method"], params)
    finally:
        params.discard()


async def _logged(request: web.Request, core: Core, name: str, params: Params) -> web.StreamResponse:
    started = time.time()
    official = METHODS.get(name.lower(), (name, None))[0]
    rule = core.faults.take(name, _chat(params))
    shown = params.shown()
    try:
        status, body = await _spoiled(core, name, params, rule)
    except ApiError as error:
        return _answer(error.code, error.body())
    kind = rule["kind"] if rule else None
    dropped = kind in {"drop_before", "drop_after"}
    core.calls.add(official, shown, started, None if dropped else status, body, kind)
    if dropped and request.transport:
        request.transport.abort()
    return _answer(status, body)


def _chat(params: Params) -> Any:
    chat_id = params.values.get("chat_id")
    return int(str(chat_id)) if str(chat_id).lstrip("-").isdigit() else chat_id


async def _spoiled(core: Core, name: str, params: Params, rule: Json | None) -> tuple[int, Json]:
    """Carry out a method, unless an injected fault forbids it."""
    kind = rule["kind"] if rule else ""
    if rule and kind == "error":
        spoiled = faults.error(rule)
        return spoiled.code, spoiled.body()
    if kind == "drop_before":
        return 0, {}
    if rule and kind == "hang":
        await _hang(core, rule)
    return await call(core, name, params)


async def _hang(core: Core, rule: Json) -> None:
    """Keep a caller waiting without delaying the server's shutdown."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(core.stopping.wait(), float(rule.get("seconds", 10)))
        raise ApiError(502, "Bad Gateway")


async def call(core: Core, name: str, params: Params) -> tuple[int, Json]:
    """Carry out a method; return the HTTP status and the answer."""
    try:
        if name.lower() not in METHODS:
            raise ApiError(404, "Not Found: method not found")
        return 200, {"ok": True, "result": await METHODS[name.lower()][1](core, params)}
    except ApiError as error:
        return error.code, error.body()
    except Exception:
        log.exception("method failed", method=name)
        return 500, ApiError(500, "Internal Server Error").body()


def _answer(status: int, body: Json) -> web.Response:
    headers = {}
    if "retry_after" in body.get("parameters", {}):
        headers["Retry-After"] = str(body["parameters"]["retry_after"])
    return web.Response(
        text=dumps(body), status=status or 500, content_type="application/json", headers=headers
    )


async def download(request: web.Request) -> web.StreamResponse:
    """Serve a file by the path that getFile named; ranges work."""
    core = request.app[CORE]
    try:
        _authorize(request, core)
    except ApiError as error:
        return _answer(error.code, error.body())
    rule = core.faults.take("download", None)
    if rule and rule["kind"] == "error":
        spoiled = faults.error(rule)
        return _answer(spoiled.code, spoiled.body())
    if rule and rule["kind"] == "hang":
        await _hang(core, rule)
    if rule and rule["kind"].startswith("drop") and request.transport:
        request.transport.abort()
    path = core.files.located(request.match_info["path"])
    if path is None:
        return _answer(404, ApiError(404, "Not Found").body())
    return web.FileResponse(path, headers={"Content-Type": "application/octet-stream"})


async def webhook_reply(core: Core, answer: aiohttp.ClientResponse) -> None:
    """Carry out the method that a webhook's answer may hold, as JSON, form or multipart."""
    params = Params()
    if answer.content_type.startswith("multipart/"):
        await read_parts(MultipartReader.from_response(answer).stream, params, core.files)
    elif answer.content_type == "application/json":
        params.values = object_from(await answer.text())
    name = params.values.pop("method", None)
    if name and str(name).lower() not in {"getupdates", "setwebhook", "deletewebhook"}:
        started = time.time()
        status, body = await call(core, str(name), params)
        core.calls.add(str(name), params.shown(), started, status, body, None)
    params.discard()
