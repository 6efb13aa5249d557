"""One pooled keep-alive connection to a server: requests in, decoded JSON out."""
from __future__ import annotations

import http.client
import json
import random
import socket
import threading
import time
from typing import Any, Iterator, Optional
from urllib.parse import urlencode

from .errors import NexaDBConnectionError, NexaDBTimeout, from_answer

IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE"}


class Transport:
    """Thread-safe: each thread that asks at the same time gets a connection of its own from the pool."""

    def __init__(self, host: str, port: int, api_key: Optional[str], timeout: float, retries: int) -> None:
        self.host, self.port, self.timeout, self.retries = host, port, timeout, retries
        self.headers = {"Accept": "application/json"}
        if api_key:
            self.headers["X-API-Key"] = api_key
        self._idle: list[http.client.HTTPConnection] = []
        self._lock = threading.Lock()

    def _take(self) -> http.client.HTTPConnection:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)

    def _give(self, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._idle.append(connection)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def request(self, method: str, path: str, body: Any = None, params: Optional[dict[str, Any]] = None,
                idempotent: Optional[bool] = None) -> Any:
        """Send one request and return its decoded answer; raise what the server or the network said.

        A broken connection is tried again, with a growing pause, where a repetition does no harm.
        """
        may_repeat = method in IDEMPOTENT if idempotent is None else idempotent
        for attempt in range(self.retries + 1):
            try:
                status, text = self._once(method, path, body, params)
                break
            except NexaDBTimeout:
                raise
            except NexaDBConnectionError:
                if not may_repeat or attempt == self.retries:
                    raise
                time.sleep(min(2.0, 0.05 * 2 ** attempt) * (0.5 + random.random() / 2))
        try:
            answer = json.loads(text) if text else {}
        except ValueError:
            answer = text.decode("utf-8", "replace")
        if status >= 400 or not isinstance(answer, dict):
            raise from_answer(status, answer)
        return answer

    def stream(self, method: str, path: str, body: Any = None,
               params: Optional[dict[str, Any]] = None) -> Iterator[Any]:
        """The documents of an NDJSON answer, one at a time."""
        connection = self._take()
        complete = False
        try:
            response = self._send(connection, method, path, body, params, "application/x-ndjson")
            if response.status >= 400:
                text = response.read()
                complete = True
                raise from_answer(response.status, json.loads(text) if text else {})
            for line in response:
                if line.strip():
                    yield json.loads(line)
            complete = True
        except (OSError, http.client.HTTPException) as error:
            raise self._network_error(error) from error
        finally:
            if complete:
                self._give(connection)
            else:
                connection.close()

    def events(self, path: str, params: dict[str, Any], last_id: Optional[str]) -> "Events":
        """An open answer of server-sent events."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            response = self._send(connection, "GET", path, None, params, "text/event-stream", headers)
            if response.status >= 400:
                text = response.read()
                raise from_answer(response.status, json.loads(text) if text else {})
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._network_error(error) from error
        except BaseException:
            connection.close()
            raise
        return Events(self, connection, response)

    def _once(self, method: str, path: str, body: Any, params: Optional[dict[str, Any]]) -> tuple[int, bytes]:
        connection = self._take()
        try:
            response = self._send(connection, method, path, body, params, "application/json")
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._network_error(error) from error
        self._give(connection)
        return response.status, text

    def _send(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any,
              params: Optional[dict[str, Any]], accept: str,
              more: Optional[dict[str, str]] = None) -> http.client.HTTPResponse:
        if params:
            path += "?" + urlencode(params)
        headers = dict(self.headers, Accept=accept, **(more or {}))
        data = None
        if body is not None:
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
            headers["Content-Type"] = "application/json"
        connection.request(method, path, data, headers)
        return connection.getresponse()

    def _network_error(self, error: Exception) -> NexaDBConnectionError:
        where = f"{self.host}:{self.port}"
        if isinstance(error, socket.timeout):
            return NexaDBTimeout(f"no answer from {where} within {self.timeout} s")
        return NexaDBConnectionError(f"no answer from {where}: {error or type(error).__name__}")


class Events:
    """Blocks of server-sent events as (id, event, data); what a block lacks is None."""

    def __init__(self, transport: Transport, connection: http.client.HTTPConnection,
                 response: http.client.HTTPResponse) -> None:
        self._transport, self._connection, self._response = transport, connection, response

    def next(self) -> Optional[tuple[Optional[str], Optional[str], Optional[str]]]:
        """The next block; None when the server has ended the stream."""
        fields: dict[str, str] = {}
        try:
            for raw in self._response:
                line = raw.decode("utf-8").rstrip("\n")
                name, _, value = line.partition(": ")
                if line and name:
                    fields[name] = value
                elif not line and fields:
                    return fields.get("id"), fields.get("event"), fields.get("data")
        except (OSError, http.client.HTTPException) as error:
            raise self._transport._network_error(error) from error
        return None

    def close(self) -> None:
        self._connection.close()
