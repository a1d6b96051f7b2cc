"""What the server is made of: opened in one order, closed in the other."""

from __future__ import annotations

from dataclasses import dataclass

from obstore.store import ObjectStore

from buoy_server.config import Options
from buoy_server.events import Broadcaster
from buoy_server.ingest.pipeline import Ingest
from buoy_server.ingest.streams import Owner
from buoy_server.metadata.engine import Metadata, open_metadata
from buoy_server.metrics.engine import MetricsEngine, open_engine
from buoy_server.metrics.reader import MetricsReader
from buoy_server.metrics.store import MetricsStore
from buoy_server.objects import open_objects
from buoy_server.query.history import HistoryQuery
from buoy_server.query.series import SeriesQuery


@dataclass
class Services:
    """The stores and what works on them. Thread-safe."""

    metadata: Metadata
    engine: MetricsEngine
    objects: ObjectStore
    ingest: Ingest
    series: SeriesQuery
    history: HistoryQuery
    broadcaster: Broadcaster

    def close(self) -> None:
        """Closes the stores. Nothing may be under way."""
        self.engine.close()
        self.metadata.close()


def open_services(options: Options) -> Services:
    """Opens the three stores.

    Raises:
        StartError: One of them cannot be opened; those before it are closed again.
    """
    metadata = open_metadata(options.metadata_url)
    try:
        objects = open_objects(options.objects_url)
        engine = open_engine(options.metrics_url, metadata.epoch)
    except BaseException:
        metadata.close()
        raise
    broadcaster = Broadcaster()

    def changed(owner: Owner, rev: int, bits: int) -> None:
        broadcaster.publish(owner.project_name, owner.run_id, rev, bits)

    reader = MetricsReader(engine)
    return Services(
        metadata=metadata,
        engine=engine,
        objects=objects,
        ingest=Ingest(metadata, MetricsStore(engine), changed),
        series=SeriesQuery(metadata, reader),
        history=HistoryQuery(metadata, reader),
        broadcaster=broadcaster,
    )
