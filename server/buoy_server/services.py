"""What the server is made of: opened in one order, closed in the other."""

from __future__ import annotations

from dataclasses import dataclass

from obstore.store import ObjectStore

from buoy_server.config import Options
from buoy_server.deletion.sweeper import Sweeper
from buoy_server.events import Broadcaster
from buoy_server.ingest.pipeline import BITS_EVENTS, BITS_STATE, Ingest
from buoy_server.ingest.streams import Owner
from buoy_server.liveness.pulse import Pulse, wall_us
from buoy_server.liveness.rank_watch import RankWatch
from buoy_server.liveness.signs import Changed
from buoy_server.liveness.watch import Limits
from buoy_server.metadata.engine import Metadata, open_metadata
from buoy_server.metrics.engine import MetricsEngine, open_engine
from buoy_server.metrics.reader import MetricsReader
from buoy_server.metrics.remover import MetricsRemover
from buoy_server.metrics.store import MetricsStore
from buoy_server.objects import open_objects
from buoy_server.query.bands import BandQuery
from buoy_server.query.history import HistoryQuery
from buoy_server.query.point_batches import PointBatches
from buoy_server.query.runs import RunsQuery
from buoy_server.query.series import SeriesQuery
from buoy_server.query.series_cache import SeriesCache
from buoy_server.query.summaries import Summaries
from buoy_server.storage import Storage, folders_of

_BEAT_GRACE_S = 10.0
"""How much later than expected a heartbeat may come before nothing is said of a machine's ranks."""


@dataclass
class Services:
    """The stores and what works on them. Thread-safe."""

    metadata: Metadata
    engine: MetricsEngine
    objects: ObjectStore
    ingest: Ingest
    series: SeriesQuery
    points: PointBatches
    bands: BandQuery
    history: HistoryQuery
    summaries: Summaries
    runs: RunsQuery
    broadcaster: Broadcaster
    pulse: Pulse
    sweeper: Sweeper
    rank_watch: RankWatch

    def announce(self, changed: Changed) -> None:
        """Nudges the pages of a run that has a new event."""
        _announce(self.broadcaster, changed)

    def end_waiting(self) -> None:
        """Answers all requests that wait for something to happen, so that the server can stop."""
        self.broadcaster.close()
        self.pulse.close()
        self.sweeper.close()
        self.rank_watch.close()

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

    def tell(changed: Changed) -> None:
        _announce(broadcaster, changed)

    pulse = Pulse(metadata, options.crashed_after_s, tell)

    def changed(owner: Owner, rev: int, bits: int) -> None:
        pulse.upload(owner.stream_id)
        if bits:
            broadcaster.publish(owner.project_name, owner.run_id, rev, bits)

    reader = MetricsReader(engine)
    summaries, cache = Summaries(reader), SeriesCache()
    runs = RunsQuery(metadata, summaries)
    series = SeriesQuery(metadata, reader, runs, cache, wall_us)
    return Services(
        metadata=metadata,
        engine=engine,
        objects=objects,
        ingest=Ingest(
            metadata,
            MetricsStore(engine),
            changed,
            Storage(folders_of(options.metadata_url, options.metrics_url)),
            feed=cache.feed,
        ),
        series=series,
        points=PointBatches(metadata, reader),
        bands=BandQuery(metadata, reader, series),
        history=HistoryQuery(metadata, reader),
        summaries=summaries,
        runs=runs,
        broadcaster=broadcaster,
        pulse=pulse,
        sweeper=Sweeper(metadata, MetricsRemover(engine), options.removed_after_s),
        rank_watch=RankWatch(metadata, _limits(options, pulse), tell),
    )


def _announce(broadcaster: Broadcaster, changed: Changed) -> None:
    broadcaster.publish(changed.project, changed.run_id, changed.rev, BITS_STATE | BITS_EVENTS)


def _limits(options: Options, pulse: Pulse) -> Limits:
    return Limits(
        stopped_after_us=round(options.rank_stopped_after_s * 1e6),
        lagging_factor=options.rank_lagging_factor,
        unheard_us=round((pulse.beat_s_max + _BEAT_GRACE_S) * 1e6),
    )
