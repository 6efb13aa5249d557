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
              params: Optional[dict[str, Any]], accept: str) -> http.client.HTTPResponse:
        if params:
            path += "?" + urlencode(params)
        headers = dict(self.headers, Accept=accept)
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
