"""The object store: media, files and artifacts as blobs in a folder or an S3-compatible store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from buoy_server.errors import StartError


def open_objects(url: str) -> ObjectStore:
    """Opens `file:///PATH` or `s3://BUCKET/PREFIX` (credentials from the usual AWS_ variables).

    Raises:
        StartError: It cannot be reached or written.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            folder = Path(unquote(parts.path))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return LocalStore(folder)
        store: ObjectStore = S3Store.from_url(url)
        # One cheap question, so that a wrong bucket shows now and not with the first upload.
        next(iter(obstore.list(store, chunk_size=1)), None)
        return store
    except (BaseError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise StartError(
            f"the objects in {parts.scheme}://{parts.netloc}{parts.path} cannot be opened ({reason})"
        ) from error
