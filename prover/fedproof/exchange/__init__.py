"""What travels: content by its hash, updates, and whole rounds as files."""

from fedproof.exchange.store import ContentMismatch, ContentMissing, ContentStore
from fedproof.exchange.updates import UpdateExchange, UpdatePackage, receive_update, send_update

__all__ = [
    "ContentMismatch",
    "ContentMissing",
    "ContentStore",
    "UpdateExchange",
    "UpdatePackage",
    "receive_update",
    "send_update",
]
