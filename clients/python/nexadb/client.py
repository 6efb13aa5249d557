"""NexaDB, its collections and its vector collections."""
from __future__ import annotations

import json
import time
from typing import Any, Iterator, Optional, Sequence
from urllib.parse import quote

from .errors import InvalidRequest, NexaDBConnectionError, NotFound, from_answer
from .transport import Events, Transport

Document = dict[str, Any]


def segment(name: str) -> str:
    """One segment of a path: a collection's path or an id, percent-encoded."""
    return quote(name, safe="")


def id_text(document_id: Any) -> str:
    """An id as it is written in a path: a string or an integer as it is, an ObjectId by its digits."""
    if isinstance(document_id, dict) and set(document_id) == {"$oid"}:
        return document_id["$oid"]
    if isinstance(document_id, dict) and set(document_id) == {"$numberLong"}:
        return document_id["$numberLong"]
    return str(document_id)


class CollectionClient:
    """The documents of one collection; nested collections are named by their path, `users/archive`."""

    def __init__(self, name: str, transport: Transport) -> None:
        self.name = name
        self._transport = transport
        self._path = "/collections/" + segment(name)

    def _document(self, document_id: Any) -> str:
        return f"{self._path}/documents/{segment(id_text(document_id))}"

    def _post(self, action: str, body: Document, reads: bool = False) -> Any:
        return self._transport.request("POST", f"{self._path}/{action}", body, idempotent=reads)

    # --- inserting

    def insert(self, document: Document) -> Any:
        """Insert a document and return its id. DuplicateKey when its _id exists."""
        return self._transport.request("POST", self._path, document)["document_id"]

    def insert_many(self, documents: Sequence[Document]) -> list[Any]:
        """Insert all of them or, when one is refused, none; return their ids in order."""
        return self._post("bulk", {"documents": list(documents)})["document_ids"]

    # --- reading

    def find(self, query: Optional[Document] = None, limit: int = 100, skip: int = 0,
             sort: Optional[Document] = None, projection: Optional[Document] = None) -> list[Document]:
        """The documents that match, at most `limit` (0: all)."""
        body: Document = {"query": query or {}, "limit": limit}
        if skip:
            body["skip"] = skip
        if sort:
            body["sort"] = sort
        if projection:
            body["projection"] = projection
        return self._post("query", body, reads=True)["documents"]

    def query(self, query: Optional[Document] = None, limit: int = 100, **options: Any) -> list[Document]:
        """The same as find."""
        return self.find(query, limit, **options)

    def find_one(self, query: Optional[Document] = None) -> Optional[Document]:
        """The first document that matches, or None."""
        found = self.find(query, limit=1)
        return found[0] if found else None

    def find_by_id(self, document_id: Any) -> Optional[Document]:
        """The document with this id, or None."""
        try:
            return self._transport.request("GET", self._document(document_id))["document"]
        except NotFound:
            return None

    def iterate(self, query: Optional[Document] = None, sort: Optional[Document] = None) -> Iterator[Document]:
        """Every document that matches, streamed: memory does not grow with their number."""
        body: Document = {"query": query or {}, "limit": 0}
        if sort:
            body["sort"] = sort
        return self._transport.stream("POST", f"{self._path}/query", body)

    def aggregate(self, pipeline: Sequence[Document]) -> list[Document]:
        """The results of an aggregation pipeline."""
        return self._post("aggregate", {"pipeline": list(pipeline)})["results"]

    def count(self, query: Optional[Document] = None) -> int:
        """How many documents match; all of them without a query."""
        return self._post("count", {"filter": query or {}}, reads=True)["count"]

    def distinct(self, field: str, query: Optional[Document] = None) -> list[Any]:
        """The different values of a field, in order."""
        return self._post("distinct", {"field": field, "filter": query or {}}, reads=True)["values"]

    # --- changing

    def update(self, document_id: Any, updates: Document) -> bool:
        """Merge top-level fields into a document; False when there is none."""
        return self._exists("PUT", document_id, updates)

    def update_many(self, query: Document, update: Any, multi: bool = True, upsert: bool = False) -> Document:
        """Apply update operators (`{"$set": ...}`); returns {"matched", "modified", ...}."""
        return self._post("update", {"filter": query, "update": update, "multi": multi, "upsert": upsert})

    def replace(self, document_id: Any, document: Document) -> bool:
        """Put a whole document in place, creating it when absent; True when it replaced one."""
        answer = self._transport.request("PUT", self._document(document_id), document, {"replace": "true"})
        return answer.get("message") == "Document updated"

    def delete(self, document_id: Any) -> bool:
        """Delete a document; False when there is none."""
        return self._exists("DELETE", document_id, None)

    def delete_many(self, query: Document, multi: bool = True) -> int:
        """Delete what matches; returns how many."""
        return self._post("delete", {"filter": query, "multi": multi})["deleted"]

    def watch(self, since: Optional[str] = None, full_document: bool = True) -> Watch:
        """The changes of this collection as they happen, or those after the token `since` ("0": all that are kept)."""
        return Watch(self._transport, f"{self._path}/changes", since, full_document)

    def _exists(self, method: str, document_id: Any, body: Optional[Document]) -> bool:
        try:
            self._transport.request(method, self._document(document_id), body)
            return True
        except NotFound:
            return False


class Watch:
    """Changes as they happen, from the moment it was made: iterate over it, and close it or use `with`.

    A change is `{"operationType", "ns", "documentKey", "fullDocument"?, "token"}`. A broken connection is made again
    and goes on where it was; `token` is that place, for `watch(since=token)` of another day. The watch of a collection
    ends when the collection is dropped.
    """

    def __init__(self, transport: Transport, path: str, since: Optional[str], full_document: bool) -> None:
        self.token = since
        self._transport, self._path = transport, path
        self._params = {} if full_document else {"fullDocument": "false"}
        self._events: Optional[Events] = None
        self._ended = self._dropped = False
        self._open()

    def _open(self) -> None:
        """Connect, and wait until the server says from where it tells: nothing after that is missed."""
        params = dict(self._params, since=self.token) if self.token == "0" else self._params
        self._events = self._transport.events(self._path, params, self.token if self.token != "0" else None)
        block = self._events.next()
        if block and block[0]:
            self.token = block[0]

    def __iter__(self) -> "Watch":
        return self

    def __next__(self) -> Document:
        failures = 0
        while not self._ended:
            try:
                if self._events is None:
                    self._open()
                block = self._events.next()
                if block is None and not self._dropped:
                    raise NexaDBConnectionError("the server ended the stream")
            except NexaDBConnectionError:
                self._disconnect()
                failures += 1
                if failures > self._transport.retries:
                    raise
                time.sleep(0.05 * 2 ** failures)
                continue
            if block is None:
                break
            token, event, data = block
            self.token = token or self.token
            if event == "error":
                self.close()
                raise from_answer(410, json.loads(data or "{}"))
            if data is not None:
                change = json.loads(data)
                self._dropped = change["operationType"] == "drop" and self._path != "/changes"
                return change
        self.close()
        raise StopIteration

    def _disconnect(self) -> None:
        if self._events is not None:
            self._events.close()
        self._events = None

    def close(self) -> None:
        self._ended = True
        self._disconnect()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class VectorCollectionClient:
    """Documents that carry a vector in one field."""

    def __init__(self, name: str, transport: Transport, dimensions: int = 768, field: str = "vector") -> None:
        self.name, self.dimensions, self.field = name, dimensions, field
        self.collection = CollectionClient(name, transport)
        self._transport = transport

    def _checked(self, vector: Sequence[float]) -> list[float]:
        values = [float(x) for x in vector]
        if len(values) != self.dimensions:
            raise InvalidRequest(f"a vector of {self.dimensions} dimensions is needed, this one has {len(values)}",
                                 code="dimension_mismatch")
        return values

    def insert(self, document: Document, vector: Sequence[float]) -> Any:
        """Insert a document with its vector and return its id."""
        return self.collection.insert({**document, self.field: self._checked(vector)})

    def search(self, query_vector: Sequence[float], limit: int = 10, metric: str = "cosine",
               filter: Optional[Document] = None) -> list[Document]:
        """The nearest documents, nearest first: {"document_id", "similarity", "document"}."""
        body: Document = {"vector": self._checked(query_vector), "limit": limit, "dimensions": self.dimensions,
                          "field": self.field, "metric": metric}
        if filter:
            body["filter"] = filter
        return self._transport.request("POST", f"/vector/{segment(self.name)}/search", body, idempotent=True)["results"]


class NexaDB:
    """A server. Use it as a context manager, or close() it; threads may share it."""

    def __init__(self, host: str = "localhost", port: int = 6969, api_key: Optional[str] = None,
                 timeout: float = 30.0, retries: int = 3) -> None:
        self._transport = Transport(host, port, api_key, timeout, retries)

    def __enter__(self) -> "NexaDB":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def collection(self, name: str) -> CollectionClient:
        return CollectionClient(name, self._transport)

    def vector_collection(self, name: str, dimensions: int = 768, field: str = "vector") -> VectorCollectionClient:
        return VectorCollectionClient(name, self._transport, dimensions, field)

    def list_collections(self) -> list[str]:
        return self._transport.request("GET", "/collections")["collections"]

    def drop_collection(self, name: str) -> bool:
        """Drop a collection with all that is in it; False when there is none."""
        try:
            self._transport.request("DELETE", "/collections/" + segment(name))
            return True
        except NotFound:
            return False

    def watch(self, since: Optional[str] = None, full_document: bool = True) -> Watch:
        """The changes of all collections as they happen, or those after the token `since` ("0": all that are kept)."""
        return Watch(self._transport, "/changes", since, full_document)

    def status(self) -> Document:
        return self._transport.request("GET", "/status")

    def stats(self) -> Document:
        return self._transport.request("GET", "/stats")["stats"]
