"""Webhooks: ended jobs, signed and posted to their callback_url (https://www.standardwebhooks.com).

SQL says what is due and what a reply means; each attempt is told to it, and can be seen there.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from standardwebhooks.webhooks import Webhook

from .. import outbound
from ..database import Pool, call
from ..settings import Settings

log = logging.getLogger("pgsluice.work")

# The lease in SQL is twice as long.
_SECONDS = 15.0
_MOST_OF_A_REPLY = 4096


class Deliveries:
    """A hand that posts one webhook after the other."""

    words = ("webhook",)

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings

    async def once(self) -> float | None:
        """Deliver one webhook that is due."""
        taken = await self._call("take_delivery")
        if "seconds" in taken:
            seconds: float | None = taken["seconds"]
            return seconds if seconds is None else max(seconds, 0.05)
        token = {"delivery_id": taken["delivery_id"], "attempt": taken["attempt"]}
        try:
            told = await self._post(taken)
        except asyncio.CancelledError:
            await asyncio.shield(self._call("delivery_done", **token))
            raise
        state = await self._call("delivery_done", **token, **told)
        log.info(
            "webhook of job %s: %s after attempt %d (%s)",
            taken["job_id"],
            state,
            taken["attempt"],
            told.get("status") or told.get("error"),
        )
        return 0

    async def _post(self, taken: dict[str, Any]) -> dict[str, Any]:
        """What is to be told of the attempt: status or error, and how long it took."""
        started = time.monotonic()
        told: dict[str, Any]
        try:
            outbound.check_url(self._settings, taken["url"])
            async with (
                asyncio.timeout(_SECONDS),
                outbound.client(self._settings, seconds=_SECONDS) as client,
            ):
                told = await self._send(client, taken)
        except TimeoutError:
            told = {"error": f"no reply within {_SECONDS:.0f} s"}
        except (outbound.Refused, httpx.HTTPError, httpx.InvalidURL) as exc:
            told = {"error": str(exc) or type(exc).__name__}
        return {**told, "duration_ms": round((time.monotonic() - started) * 1000)}

    async def _send(self, client: httpx.AsyncClient, taken: dict[str, Any]) -> dict[str, Any]:
        body = msgspec.json.encode(taken["body"])
        headers = self._signed(taken, body)
        async with client.stream("POST", taken["url"], content=body, headers=headers) as reply:
            told = {"status": reply.status_code}
            if reply.is_success:
                return told
            wait = reply.headers.get("retry-after", "")
            if wait.isascii() and wait.isdigit():
                told["retry_after"] = min(int(wait[:9]), 86400)
            return {**told, "error": await _first_words(reply)}

    def _signed(self, taken: dict[str, Any], body: bytes) -> dict[str, str]:
        now = datetime.now(UTC)
        webhook = Webhook(self._settings.webhook_secret or taken["secret"])
        return {
            "Content-Type": "application/json",
            "webhook-id": taken["delivery_id"],
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": webhook.sign(taken["delivery_id"], now, body.decode()),
        }

    async def _call(self, name: str, **args: Any) -> Any:
        async with self._pool.connection() as conn:
            return await call(conn, name, **args)


async def _first_words(reply: httpx.Response) -> str:
    """How a reply that is no success begins, for whoever looks into it."""
    if reply.is_redirect:
        return "redirects are not followed; mend the callback_url"
    read = b""
    # raw: a compressed reply could unfold to any size
    async for block in reply.aiter_raw():
        read += block
        if len(read) >= _MOST_OF_A_REPLY:
            break
    text = " ".join(read[:_MOST_OF_A_REPLY].decode(errors="replace").split())
    return text.replace("\x00", "")[:300] or reply.reason_phrase
