"""What can go wrong, as exceptions by the server's error code."""
from __future__ import annotations

from typing import Any, Optional


class NexaDBException(Exception):
    """Base of everything this library raises.

    status: HTTP status, 0 when there was no answer; code: the server's snake_case code;
    details: the whole error object (`line`, `column`, `index` where they apply).
    """

    def __init__(self, message: str, status: int = 0, code: str = "",
                 details: Optional[dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details or {}


class NexaDBConnectionError(NexaDBException):
    """No connection, or it broke before the answer was complete."""


class NexaDBTimeout(NexaDBConnectionError):
    """No answer within the client's timeout."""


class AuthError(NexaDBException):
    """401 or 403: no key, a wrong key, or a key without the right."""


class NotFound(NexaDBException):
    """404: no such document or collection."""


class DuplicateKey(NexaDBException):
    """409: a document with this _id exists."""


class Conflict(NexaDBException):
    """409 or 412: somebody else changed it first."""


class InvalidRequest(NexaDBException):
    """Another 4xx: the request is wrong; the message says how."""


class ServerError(NexaDBException):
    """5xx: the server could not do it."""


BY_CODE = {"duplicate_key": DuplicateKey, "write_conflict": Conflict, "precondition_failed": Conflict}
BY_STATUS = {401: AuthError, 403: AuthError, 404: NotFound, 409: Conflict, 412: Conflict}


def from_answer(status: int, answer: Any) -> NexaDBException:
    """The exception for a failed answer; `answer` is its decoded body, or text."""
    details = answer if isinstance(answer, dict) else {}
    code = str(details.get("code", ""))
    message = str(details.get("error") or answer or "no message")
    kind = BY_CODE.get(code) or BY_STATUS.get(status) or (ServerError if status >= 500 else InvalidRequest)
    return kind(message, status, code, details)
