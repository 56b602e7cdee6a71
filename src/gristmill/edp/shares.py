"""From VIDs to two shares of a frequency vector (share-shuffle specification, sections 3 and 5)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from gristmill import _native
from gristmill.edp.keys import DataProviderKeys
from gristmill.edp.progress import OnProgress, reported
from gristmill.edp.refusal import Declined, Refusal
from gristmill.edp.share_shuffle import ShareTask
from gristmill.errors import BadInput
from gristmill.secret import Secret
from gristmill.trust.random_seed import SEED_BYTES, seal_seed
from wfa.measurement.api.v2alpha.requisition_fulfillment_service_pb2 import FulfillRequisitionRequest

Header = FulfillRequisitionRequest.Header.HonestMajorityShareShuffle


def write_share(
    vids: Sequence[int],
    task: ShareTask,
    index: _native.VidIndex,
    keys: DataProviderKeys,
    *,
    output: Path,
    threads: int,
    on_progress: OnProgress | None = None,
) -> Header:
    """Count the VIDs of the sample, write one share to `output`; what says of the other one in the header.

    `output` must not exist; it becomes a serialized wfa.frequency_count.FrequencyVector. The other share is a seed,
    signed by this data provider and encrypted to the worker that does not store. Raises Declined if nobody is sampled,
    or for a key that cannot be encrypted to.
    """
    seed = Secret(secrets.token_bytes(SEED_BYTES))
    try:
        sealed = seal_seed(seed, keys.signer, task.peer_key)
    except BadInput as error:
        raise Declined(Refusal.CONSENT_SIGNAL_INVALID, error.message) from None
    progress = _native.Progress()
    with reported(progress, on_progress):
        vector = _native.FrequencyVector(
            index,
            vids,
            sampling_start=task.sampling_start,
            sampling_width=task.sampling_width,
            maximum=task.maximum_frequency,
            progress=progress,
        )
        if not len(vector):
            raise Declined(Refusal.SPEC_INVALID, "vid_sampling_interval has nobody of this population")
        register_count = vector.share(
            output=str(output),
            seed=seed.expose(),
            ring_modulus=task.modulus,
            maximum=task.maximum_frequency,
            threads=threads,
            progress=progress,
        )
    return Header(secret_seed=sealed, register_count=register_count, data_provider_certificate=keys.certificate)
