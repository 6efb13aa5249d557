"""The module name of the predecessor's client: `from nexadb_client import NexaDB` goes on working."""
from nexadb import *  # noqa: F401,F403
from nexadb import __all__, __version__  # noqa: F401
