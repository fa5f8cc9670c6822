from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from neurona.i18n import speaking
from neurona.web.endpoint import Refusal
from neurona.web.jobs import Job, Jobs

LONG = 30.0  # seconds; nothing here takes so long


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs(workers=1, most_waiting=3)
    yield made
    assert made.close(LONG)


class Work:
    """Work that a test lets go on, and that knows when it was begun."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()

    def __call__(self, job: Job) -> str:
        self.begun.set()
        while not self.may_end.wait(0.01):
            if job.asked_to_stop():
                return "stopped"
        return "ended"


def heard(job: Job) -> list[tuple[str, dict[str, object]]]:
    """Return what a follower hears of a job that has ended."""

    async def follow() -> list[tuple[str, dict[str, object]]]:
        return [event[1:] async for event in job.follow() if event is not None]

    return asyncio.run(follow())


def test_two_clients_queue_and_the_second_hears_when_its_turn_comes(jobs: Jobs) -> None:
    first, second = Work(), Work()
    one, two = jobs.start("play", "a", first), jobs.start("play", "b", second)
    assert first.begun.wait(LONG)
    assert (one.state, two.state, jobs.ahead_of(two)) == ("running", "waiting", 0)
    assert not second.begun.is_set()
    first.may_end.set()
    assert second.begun.wait(LONG)
    assert one.wait(LONG)
    assert (one.state, one.result, two.state) == ("done", "ended", "running")
    second.may_end.set()
    assert two.wait(LONG)
    assert heard(two) == [("state", {"state": "running"}), ("state", {"state": "done"})]


def test_a_client_has_one_job_until_it_asks_it_to_stop(jobs: Jobs) -> None:
    work = Work()
    job = jobs.start("play", "a", work)
    assert work.begun.wait(LONG)
    with pytest.raises(Refusal, match="you have a training under way") as refused:
        jobs.start("play", "a", Work())
    assert refused.value.status == 409
    job.stop()
    after = Work()
    after.may_end.set()
    assert jobs.start("play", "a", after).wait(LONG)
    assert job.state == "stopped"


def test_a_job_that_waits_stops_at_once_and_leaves_the_queue(jobs: Jobs) -> None:
    work = Work()
    jobs.start("play", "a", work)
    assert work.begun.wait(LONG)
    others = [jobs.start("play", client, Work()) for client in "bcd"]
    with pytest.raises(Refusal, match="too many") as refused:
        jobs.start("play", "e", Work())
    assert refused.value.status == 503
    assert [jobs.ahead_of(job) for job in others] == [0, 1, 2]
    others[0].stop()
    assert (others[0].state, jobs.ahead_of(others[2])) == ("stopped", 1)
    assert heard(others[0]) == [("state", {"state": "stopped"})]
    jobs.start("play", "e", Work())


def test_a_job_ends_when_its_reader_has_gone(jobs: Jobs) -> None:
    followed, ended = threading.Event(), threading.Event()

    def work(job: Job) -> None:
        job.tell("begun")
        assert followed.wait(LONG)
        while not job.asked_to_stop():
            ended.wait(0.01)

    job = jobs.start("play", "a", work, patience=LONG)
    job._patience = 0.0  # from now on, so that no test waits

    async def follow_for_a_moment() -> None:
        events = job.follow()
        assert await anext(events) == (1, "state", {"state": "running"})
        followed.set()
        assert not job.asked_to_stop()
        await events.aclose()

    job._followers += 1  # somebody else looks on meanwhile
    asyncio.run(follow_for_a_moment())
    assert not job.asked_to_stop()
    job._followers -= 1
    assert job.wait(LONG)
    assert job.state == "stopped"


def test_a_job_whose_time_is_up_says_so_in_the_readers_language(jobs: Jobs) -> None:
    def work(job: Job) -> None:
        while not job.asked_to_stop():
            pass

    with speaking("es"):
        job = jobs.start("play", "a", work, seconds=0.01)
    assert job.wait(LONG)
    name, values = heard(job)[-1]
    assert (name, values["state"]) == ("state", "stopped")
    assert "segundos" in str(values["note"])


def test_who_rests_lets_others_work(jobs: Jobs) -> None:
    order: list[str] = []
    rests = threading.Event()

    def slow(job: Job) -> None:
        order.append("slow begins")
        rests.set()
        job.rest(LONG)
        order.append("slow goes on")

    def quick(job: Job) -> None:
        order.append("quick")

    one = jobs.start("play", "a", slow)
    assert rests.wait(LONG)
    assert jobs.start("play", "b", quick).wait(LONG)
    assert order == ["slow begins", "quick"]
    one.stop()  # which ends its rest
    assert one.wait(LONG)
    assert order[-1] == "slow goes on"


def test_who_has_rested_waits_for_a_place(jobs: Jobs) -> None:
    work = Work()
    goes_on = threading.Event()

    def resting(job: Job) -> None:
        job.rest(0.001)
        goes_on.set()

    first = Work()
    jobs.start("play", "z", first)
    assert first.begun.wait(LONG)
    one = jobs.start("play", "a", resting)
    two = jobs.start("play", "b", work)
    first.may_end.set()
    assert work.begun.wait(LONG)  # while `one` rests, or after it
    work.may_end.set()
    assert one.wait(LONG)
    assert two.wait(LONG)
    assert goes_on.is_set()
    assert jobs.start("play", "c", lambda job: None).wait(LONG)  # no place was lost


def test_of_a_picture_only_the_last_is_kept(jobs: Jobs) -> None:
    def work(job: Job) -> None:
        for number in range(100):
            job.tell("epoch", number=number)
            job.show("weights", number=number)

    job = jobs.start("play", "a", work)
    assert job.wait(LONG)
    events = heard(job)
    assert [values["number"] for name, values in events if name == "epoch"] == list(range(100))
    assert [values["number"] for name, values in events if name == "weights"] == [99]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Refusal(400, "too wide"), "too wide"),
        (RuntimeError("/home/somebody/secret"), "the server could not do this; its terminal says why."),
    ],
)
def test_what_goes_wrong_is_told_without_a_path(jobs: Jobs, error: Exception, sentence: str) -> None:
    def work(job: Job) -> None:
        raise error

    job = jobs.start("play", "a", work)
    assert job.wait(LONG)
    assert heard(job)[-1] == ("state", {"state": "failed", "error": sentence})
