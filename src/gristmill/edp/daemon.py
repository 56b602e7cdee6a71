"""A data provider that answers its requisitions: asks the kingdom for them, fulfils or refuses each, starts over."""

from __future__ import annotations

import random
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from gristmill import _native
from gristmill.edp.delivery import Content, deliver
from gristmill.edp.events import Events
from gristmill.edp.keys import DataProviderKeys
from gristmill.edp.liquid_legions import SketchTask
from gristmill.edp.population import Population
from gristmill.edp.refusal import Declined, Refusal
from gristmill.edp.requisition import Accepted, certificates_needed, examine
from gristmill.edp.shares import write_share
from gristmill.edp.sketch import write_encrypted_sketch
from gristmill.errors import GristmillError
from gristmill.observe.calls import LoggedClient
from gristmill.observe.logs import logger
from gristmill.trust.channels import Target, channel, client_credentials
from wfa.measurement.api.v2alpha import requisitions_service_pb2 as wire
from wfa.measurement.api.v2alpha.certificate_pb2 import Certificate
from wfa.measurement.api.v2alpha.certificates_service_pb2 import GetCertificateRequest
from wfa.measurement.api.v2alpha.certificates_service_pb2_grpc import CertificatesStub
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2_grpc import RequisitionFulfillmentStub
from wfa.measurement.api.v2alpha.requisition_pb2 import Requisition
from wfa.measurement.api.v2alpha.requisitions_service_pb2_grpc import RequisitionsStub

log = logger("edp")

_LONGEST_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Whom to ask, whom to deliver to, and what to take part in.

    Attributes:
        fulfillment: duchy -> where it takes data. The first one is delivered to where the protocol leaves the choice.
        population: all VIDs that there are, for protocols of shares.
        spool: what is delivered waits here.
        without_noise: take part also where a protocol of shares has no noise.
    """

    kingdom: Target
    fulfillment: Mapping[str, Target]
    spool: Path
    population: Population | None = None
    polling_seconds: float = 1.0
    threads: int = 1
    without_noise: bool = False
    verbose: bool = False


class DataProvider:
    """Synchronous: one requisition at a time. What fails for reasons that may pass is tried again, ever more rarely."""

    def __init__(self, keys: DataProviderKeys, settings: Settings, events: Events) -> None:
        self._keys = keys
        self._settings = settings
        self._events = events
        self._index: _native.VidIndex | None = None
        self._stop = threading.Event()
        self._retry_at: dict[str, tuple[int, float]] = {}
        self._kingdom = channel(settings.kingdom, client_credentials(keys.kingdom_roots, keys.tls))
        self._duchies = {
            duchy: channel(target, client_credentials([keys.duchy_roots[duchy]], keys.tls))
            for duchy, target in settings.fulfillment.items()
        }
        self._requisitions = RequisitionsStub(self._told(self._kingdom))
        self._certificates = CertificatesStub(self._told(self._kingdom))
        self._fulfillment = {
            duchy: RequisitionFulfillmentStub(self._told(opened)) for duchy, opened in self._duchies.items()
        }

    def _told(self, opened: grpc.Channel) -> grpc.Channel:
        return grpc.intercept_channel(opened, LoggedClient()) if self._settings.verbose else opened

    def stop(self) -> None:
        """End `run` after the requisition that is being answered. May be called from any thread or a signal handler."""
        self._stop.set()

    def close(self) -> None:
        for opened in (self._kingdom, *self._duchies.values()):
            opened.close()

    def run(self, *, once: bool = False) -> None:
        """Answer requisitions until `stop`, or with `once` until one has been answered."""
        while not self._stop.is_set():
            if self.answer_all() and once:
                return
            self._stop.wait(self._settings.polling_seconds)

    def answer_all(self) -> int:
        """Answer every open requisition once; the number answered. After an error it is tried again later."""
        answered = 0
        try:
            for requisition in self._open():
                if self._stop.is_set():
                    break
                answered += self._attempt(requisition)
        except grpc.RpcError as error:
            log.warning("the kingdom did not list requisitions", status=error.code().name, reason=error.details())
        return answered

    def _attempt(self, requisition: Requisition) -> bool:
        failures, earliest = self._retry_at.get(requisition.name, (0, 0.0))
        if time.monotonic() < earliest:
            return False
        try:
            self._answer(requisition)
        except grpc.RpcError as error:
            reason = f"{error.code().name}: {error.details()}"
        except GristmillError as error:
            reason = str(error)
        except (OSError, ValueError, RuntimeError) as error:
            reason = type(error).__name__  # the text may quote data
        else:
            self._retry_at.pop(requisition.name, None)
            return True
        wait = min(_LONGEST_WAIT_SECONDS, self._settings.polling_seconds * 2**failures) * random.uniform(0.5, 1.5)  # noqa: S311
        self._retry_at[requisition.name] = (min(failures + 1, 30), time.monotonic() + wait)
        log.warning("not answered yet", requisition=requisition.name, reason=reason, again_in_seconds=round(wait, 1))
        return False

    def _answer(self, requisition: Requisition) -> None:
        """Fulfil or refuse; raises what may pass."""
        try:
            accepted = examine(
                requisition,
                self._fetch_certificates(requisition),
                self._keys,
                without_noise=self._settings.without_noise,
            )
            duchy = self._duchy_of(accepted)
            vids = self._select(accepted)
            self._fulfil(accepted, vids, duchy)
        except Declined as declined:
            self._refuse(requisition, declined)

    def _fulfil(self, accepted: Accepted, vids: Sequence[int], duchy: str) -> None:
        requisition = accepted.requisition
        with tempfile.TemporaryDirectory(prefix="data-", dir=self._settings.spool) as directory:
            content = self._make(accepted, vids, Path(directory) / "body")
            # Making it may have taken long: the etag must be fresh, and the answer still be wanted.
            fresh = self._requisitions.GetRequisition(wire.GetRequisitionRequest(name=requisition.name))
            if fresh.state != Requisition.UNFULFILLED:
                log.info("no longer open", requisition=fresh.name, state=Requisition.State.Name(fresh.state))
                return
            deliver(
                self._fulfillment[duchy],
                accepted,
                content,
                etag=fresh.etag,
                on_progress=lambda done, total: log.info(
                    "sending", requisition=requisition.name, bytes_sent=done, bytes_total=total
                ),
            )
        log.info("fulfilled", requisition=requisition.name, duchy=duchy)

    def _duchy_of(self, accepted: Accepted) -> str:
        """Which duchy to deliver to; Declined if this data provider was not told where it is."""
        if isinstance(accepted.task, SketchTask):
            return next(iter(self._fulfillment))
        if accepted.task.storing_duchy not in self._fulfillment:
            raise Declined(
                Refusal.UNFULFILLABLE, f"this data provider does not know where duchy {accepted.task.storing_duchy} is"
            )
        return accepted.task.storing_duchy

    def _make(self, accepted: Accepted, vids: Sequence[int], file: Path) -> Content:
        """What to deliver, with its body in `file`; raises Declined."""

        def told(done: int, total: int) -> None:
            log.info("encrypting", requisition=accepted.requisition.name, done=done, total=total)

        task, threads = accepted.task, self._settings.threads
        if isinstance(task, SketchTask):
            write_encrypted_sketch(vids, task, output=file, threads=threads, on_progress=told)
            return Content(file)
        index = self._vid_index()
        shares = write_share(vids, task, index, self._keys, output=file, threads=threads, on_progress=told)
        return Content(file, shares)

    def _vid_index(self) -> _native.VidIndex:
        """Of the population; made once, as it takes a while. Declined without a population."""
        if self._index is None:
            population = self._settings.population
            if population is None:
                raise Declined(Refusal.UNFULFILLABLE, "this data provider has no population to share frequencies over")
            began = time.monotonic()
            threads, progress = self._settings.threads, _native.Progress()
            self._index = _native.VidIndex(population.ranges, threads=threads, progress=progress)
            log.info("indexed", vids=population.size, seconds=round(time.monotonic() - began, 2))
        return self._index

    def _select(self, accepted: Accepted) -> Sequence[int]:
        if (accepted.start is not None or accepted.end is not None) and not self._events.timed:
            raise Declined(Refusal.UNFULFILLABLE, "this data provider's events have no times to select a period by")
        return self._events.vids(accepted.start, accepted.end)

    def _refuse(self, requisition: Requisition, declined: Declined) -> None:
        refusal = declined.refusal
        log.warning(
            "refused",
            requisition=requisition.name,
            justification=Requisition.Refusal.Justification.Name(refusal.justification),
            reason=refusal.message,
        )
        self._requisitions.RefuseRequisition(
            wire.RefuseRequisitionRequest(name=requisition.name, refusal=refusal, etag=requisition.etag)
        )

    def _open(self) -> Iterator[Requisition]:
        """All open requisitions of this data provider, page by page."""
        token = ""
        while True:
            response = self._requisitions.ListRequisitions(
                wire.ListRequisitionsRequest(
                    parent=self._keys.name,
                    page_token=token,
                    filter=wire.ListRequisitionsRequest.Filter(states=[Requisition.UNFULFILLED]),
                )
            )
            yield from response.requisitions
            token = response.next_page_token
            if not token:
                return

    def _fetch_certificates(self, requisition: Requisition) -> dict[str, Certificate]:
        """The certificates by name, fetched each time, as one may have been revoked; an unknown one is left out."""
        found: dict[str, Certificate] = {}
        for name in certificates_needed(requisition):
            try:
                found[name] = self._certificates.GetCertificate(GetCertificateRequest(name=name))
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
                    raise
        return found
