"""NexaDB client for Python 3.9 or later; standard library only.

    from nexadb import NexaDB

    with NexaDB(host="localhost", port=6969, api_key=KEY) as db:
        users = db.collection("users")
        alice = users.insert({"name": "Alice", "age": 28})
        users.find({"age": {"$gt": 25}})
"""
from .client import CollectionClient, NexaDB, VectorCollectionClient, Watch
from .errors import (AuthError, Conflict, DuplicateKey, InvalidRequest, NexaDBConnectionError, NexaDBException,
                     NexaDBTimeout, NotFound, ServerError)

__all__ = ["AuthError", "CollectionClient", "Conflict", "DuplicateKey", "InvalidRequest", "NexaDB",
           "NexaDBConnectionError", "NexaDBException", "NexaDBTimeout", "NotFound", "ServerError",
           "VectorCollectionClient", "Watch"]
__version__ = "0.1.0"
