"""Reading a form that a page sent: ``application/x-www-form-urlencoded`` only.

FastAPI's own ``Form()`` needs python-multipart; the dashboard sends no files, so the
standard library's parser is enough.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from scoregate.dashboard.app.security import MAX_BODY
from scoregate.errors import RequestError

MAX_FIELDS = 200


async def form(request: Request) -> dict[str, str]:
    """Return the fields of a form; of a field that comes twice the last counts.

    Raises
    ------
    RequestError
        The form is too large or no form.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RequestError("The form is too large.", f"It may have {MAX_BODY} bytes.")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise RequestError("The form can't be read.", "Send it from the page again.") from error
    return dict(pairs)
