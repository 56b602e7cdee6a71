"""`gristmill computations` against running duchies: real gRPC, mutual TLS, SQLite."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from duchy.conftest import Duchy, StartDuchy
from duchy.facts import ID, computation
from duchy.mills import claim, confirm, publish_key
from duchy.stand_in import Kingdom
from duchy.test_computation_control import in_stage, token_of
from gristmill.cli.main import main
from gristmill.trust.development import Party
from wfa.measurement.internal.duchy.protocol.liquid_legions_sketch_aggregation_v2_pb2 import (
    LiquidLegionsSketchAggregationV2 as Llv2,
)
from wfa.measurement.system.v1alpha.computation_pb2 import Computation

REASON = "--reason=the disk was full"
Command = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def duchy(start: StartDuchy, kingdom: Kingdom) -> Duchy:
    """A worker with one computation in INITIALIZATION_PHASE."""
    started = await start("worker1")
    kingdom.say(computation())
    await in_stage(started, Llv2.INITIALIZATION_PHASE)
    return started


def flags(duchy: Duchy, party: Party | None = None) -> list[str]:
    me = duchy.keys.duchy(duchy.name)
    tls = (party or me).tls
    return [
        f"--tls-cert-file={tls.certificate_file}",
        f"--tls-key-file={tls.key_file}",
        f"--cert-collection-file={tls.collection_file}",
        f"--computations-service-target=127.0.0.1:{duchy.running.ports.internal_api}",
        f"--computations-service-cert-host={me.cert_host}",
        "--computations-default-deadline=8s",
        "--allow-development-certificates",
    ]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command: exit code, standard output, standard error."""

    async def command(duchy: Duchy, action: str, *rest: str, party: Party | None = None) -> tuple[int, str, str]:
        capsys.readouterr()
        with capture_logs():  # the duchy's, which runs in this process
            code = await asyncio.to_thread(main, ["computations", action, *rest, *flags(duchy, party)])
        out, err = capsys.readouterr()
        return code, out, err

    return command


async def parsed(ran: Awaitable[tuple[int, str, str]]) -> Any:
    code, out, err = await ran
    assert (code, err) == (0, "")
    return json.loads(out)


async def confirmed(duchy: Duchy, kingdom: Kingdom) -> None:
    """WAIT_TO_START at a worker, WAIT_SETUP_PHASE_INPUTS at the aggregator."""
    await publish_key(duchy)
    kingdom.say(computation(Computation.PENDING_PARTICIPANT_CONFIRMATION))
    await in_stage(duchy, Llv2.CONFIRMATION_PHASE)
    await confirm(duchy)


async def test_the_list_has_stage_and_holder(duchy: Duchy, run: Command) -> None:
    await claim(duchy)
    (row,) = (await parsed(run(duchy, "list", "--json")))["computations"]
    assert (row["computation"], row["stage"], row["state"]) == (ID, "INITIALIZATION_PHASE", "RUNNING")
    assert row["lease"]["owner"] == "mill-1"
    code, out, _ = await run(duchy, "list")
    assert code == 0
    assert [ID in line and "initialization phase" in line and "mill-1" in line for line in out.splitlines()] == [
        False,
        True,
    ]


async def test_a_claimed_stage_is_shown_with_the_age_of_its_lease(duchy: Duchy, run: Command) -> None:
    await claim(duchy)
    lease = (await parsed(run(duchy, "show", ID, "--json")))["lease"]
    assert 0 <= lease["age_seconds"] < 60
    assert (lease["renewed"], lease["expired"]) == (None, False)
    _, out, _ = await run(duchy, "show", ID)
    assert "mill-1, for " in out
    assert "runs out in " in out


async def test_missing_requisitions_are_shown_while_they_can_come(duchy: Duchy, run: Command) -> None:
    assert (await parsed(run(duchy, "show", ID, "--json")))["missing_requisitions"] == ["AAAAAAAAAAE", "AAAAAAAAAAI"]


async def test_a_wait_is_shown_with_who_owes_what(start: StartDuchy, kingdom: Kingdom, run: Command) -> None:
    aggregator = await start("aggregator")
    kingdom.say(computation())
    await in_stage(aggregator, Llv2.INITIALIZATION_PHASE)
    await confirmed(aggregator, kingdom)
    shown = await parsed(run(aggregator, "show", ID, "--json"))
    assert shown["kind"] == "wait"
    assert sorted((lack["what"], lack["owed_by"]) for lack in shown["missing_inputs"]) == [
        ("setup phase input from worker1", "worker1"),
        ("setup phase input from worker2", "worker2"),
    ]
    assert shown["missing_requisitions"] == [], "they are fulfilled at another duchy"


async def test_peers_say_where_they_are_and_a_silent_one_is_named(
    duchy: Duchy, start: StartDuchy, kingdom: Kingdom, run: Command
) -> None:
    aggregator = await start("aggregator")
    await in_stage(aggregator, Llv2.INITIALIZATION_PHASE)
    await confirmed(duchy, kingdom)
    await in_stage(duchy, Llv2.WAIT_TO_START)
    asked = [
        "--peers",
        f"--duchy-info-config={duchy.keys.duchy_cert_config_file}",
        f"--duchy-computation-control-target=aggregator=127.0.0.1:{aggregator.running.ports.computation_control}",
        "--duchy-computation-control-target=worker2=127.0.0.1:1",
    ]
    shown = await parsed(run(duchy, "show", ID, "--json", *asked))
    peers = {peer["duchy"]: peer for peer in shown["peers"]}
    assert peers["aggregator"] == {"duchy": "aggregator", "stage": "INITIALIZATION_PHASE", "error": None}
    assert "UNAVAILABLE" in peers["worker2"]["error"]
    first = shown["deliveries"][0]
    assert (first["message"], first["receiver"], first["received"]) == ("SETUP_PHASE_INPUT", "aggregator", False)
    code, out, _ = await run(duchy, "show", ID, *asked)
    assert code == 0
    assert "UNAVAILABLE" in out


async def test_peers_without_their_targets_are_wrong_usage(duchy: Duchy, run: Command) -> None:
    code, out, err = await run(duchy, "show", ID, "--peers")
    assert (code, out) == (2, "")
    assert "--duchy-computation-control-target" in err


async def test_events_are_listed_in_order(duchy: Duchy, run: Command) -> None:
    await claim(duchy)
    events = (await parsed(run(duchy, "events", ID, "--json")))["events"]
    assert [event["kind"] for event in events] == ["created", "claimed"]
    _, out, _ = await run(duchy, "events", ID)
    assert out.index("created") < out.index("claimed")


async def test_a_retry_takes_the_stage_from_its_mill_and_is_on_record(duchy: Duchy, run: Command) -> None:
    await claim(duchy)
    code, out, _ = await run(duchy, "retry", ID, REASON, "--actor=ann")
    assert code == 0
    assert "taken from mill-1" in out
    assert (await claim(duchy, "mill-2")).attempt == 2
    events = (await parsed(run(duchy, "events", ID, "--json")))["events"]
    (retried,) = [event for event in events if event["kind"] == "retried"]
    assert (retried["actor"], retried["detail"], retried["attempt"]) == ("ann", "the disk was full", 1)


async def test_a_retry_of_a_wait_is_refused_with_what_it_waits_for(duchy: Duchy, run: Command) -> None:
    before = await publish_key(duchy)
    code, out, err = await run(duchy, "retry", ID, REASON)
    assert (code, out) == (1, "")
    assert "it waits for the kingdom to say PENDING_PARTICIPANT_CONFIRMATION" in err
    assert await token_of(duchy) == before


async def test_a_cancel_ends_it_here_and_tells_the_kingdom_why(duchy: Duchy, kingdom: Kingdom, run: Command) -> None:
    told = await parsed(run(duchy, "cancel", ID, REASON, "--actor=ann", "--json"))
    assert (told["state"], told["kingdom"]) == ("CANCELED", "TOLD")
    assert kingdom.failures == [
        f"computations/{ID}/participants/worker1: canceled by an operator of worker1: the disk was full"
    ]
    events = (await parsed(run(duchy, "events", ID, "--json")))["events"]
    assert [(event["kind"], event["actor"]) for event in events[-3:]] == [
        ("canceled", "ann"),
        ("ended", "ann"),
        ("kingdom told", "ann"),
    ]


async def test_a_kingdom_that_refuses_is_reported_and_told_again_by_a_repeat(
    duchy: Duchy, kingdom: Kingdom, run: Command
) -> None:
    kingdom.refuse_failures = 1
    code, out, err = await run(duchy, "cancel", ID, REASON)
    assert code == 1
    assert "Cancel it again" in err
    assert "CANCELED" in out
    code, out, _ = await run(duchy, "cancel", ID, "--reason=the kingdom is back")
    assert code == 0
    assert [failure.rpartition(": ")[2] for failure in kingdom.failures] == ["the disk was full"]
    events = (await parsed(run(duchy, "events", ID, "--json")))["events"]
    assert [event["kind"] for event in events[-4:]] == ["canceled", "ended", "kingdom not told", "kingdom told"]


async def test_an_unknown_computation_is_told_without_a_traceback(duchy: Duchy, run: Command) -> None:
    for action in (["show"], ["events"], ["retry", REASON], ["cancel", REASON]):
        code, out, err = await run(duchy, action[0], "AAAAAAAAAA0", *action[1:])
        assert (code, out) == (1, "")
        assert "there is no computation AAAAAAAAAA0" in err


@pytest.mark.parametrize("stranger", ["aggregator", "edp1"])
async def test_another_partys_certificate_gets_no_answer(duchy: Duchy, run: Command, stranger: str) -> None:
    (party,) = [each for each in duchy.keys.parties if each.name == stranger]
    before = await token_of(duchy)
    code, out, err = await run(duchy, "cancel", ID, REASON, party=party)
    assert (code, out) == (1, "")
    assert "UNAVAILABLE" in err
    assert await token_of(duchy) == before


async def test_an_intervention_without_a_reason_is_wrong_usage(duchy: Duchy, run: Command) -> None:
    for action in ("retry", "cancel"):
        with pytest.raises(SystemExit) as ended:
            await run(duchy, action, ID)
        assert ended.value.code == 2


async def test_a_failure_is_shown_with_its_reason(duchy: Duchy, kingdom: Kingdom, run: Command) -> None:
    kingdom.say(computation(Computation.FAILED))
    await in_stage(duchy, Llv2.COMPLETE)
    shown = await parsed(run(duchy, "show", ID, "--json"))
    assert (shown["state"], shown["ending"]) == ("FAILED", "FAILED: the kingdom says that it is FAILED")
    _, out, _ = await run(duchy, "show", ID)
    assert "the kingdom says that it is FAILED" in out
