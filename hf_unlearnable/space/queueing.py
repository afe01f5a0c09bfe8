"""The queue is shared: a client may hold a part of it, and not all."""

from __future__ import annotations

import ipaddress
from typing import Any

SHARE = 8  # waiting or running at once for one client
_FULL = (
    f"{SHARE} requests of yours are waiting or running here, as many as one visitor may have. Wait for one to end, or "
    "run this page on your own machine."
)


def share(queue: Any) -> None:
    """Refuses a client's request while `SHARE` of its others are in the queue.

    Args:
        queue: Gradio's queue of a page, whose `push` it puts a check before.
    """
    push = queue.push

    async def checked(body: Any, request: Any, username: str | None) -> tuple[bool, Any, str]:
        one = client(request)
        if one is not None and sum(client(event.request) == one for event in _present(queue)) >= SHARE:
            return False, _FULL, "queue_full"
        return await push(body=body, request=request, username=username)

    queue.push = checked


def _present(queue: Any) -> list[Any]:
    waiting = [event for one in queue.event_queue_per_concurrency_id.values() for event in one.queue]
    return waiting + [event for job in queue.active_jobs if job for event in job]


def client(request: Any) -> str | None:
    """Whose request it is: the address that sent it; None for programs of this machine.

    Behind a proxy, as on a Space, every request comes from an internal address, and the header X-Forwarded-For names
    the client. A client can write addresses of its own choice into that header, but only in front of what a proxy
    appends: the last public one counts.
    """
    sender = request.client.host if request.client else ""
    if _is_public(sender):
        return sender
    forwarded = [part.strip() for part in request.headers.get("x-forwarded-for", "").split(",")]
    public = [part for part in forwarded if _is_public(part)]
    if public:
        return public[-1]
    return None if sender in ("", "127.0.0.1", "::1") else sender


def _is_public(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False
