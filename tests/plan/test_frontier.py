"""Tests of the frontier: no task starts before its inputs exist, and each task ends exactly once."""

import itertools
import pickle
import random
import time

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.toy_packs import stitch_pack, train_pack

from sweeper.plan.frontier import Frontier
from sweeper.spec.records.task import Pack, TrainPack


def next_of(frontier: Frontier) -> Pack:
    pack = frontier.next()
    assert pack is not None
    return pack


def test_models_come_first_and_among_them_those_that_most_packs_need():
    packs = [
        stitch_pack("old", ["old"]),
        train_pack("x"),
        train_pack("y"),
        stitch_pack("y", ["y"]),
        stitch_pack("y", ["x"]),
        stitch_pack("y", ["old"]),
    ]
    frontier = Frontier(packs, {"old"})
    assert [next_of(frontier).tasks for _ in range(3)] == [("y",), ("x",), ("old>old",)]
    assert frontier.next() is None
    assert not frontier.over


def test_a_stitch_starts_as_soon_as_its_own_models_exist():
    packs = [train_pack("a"), train_pack("b"), train_pack("c"), stitch_pack("a", ["b"]), stitch_pack("a", ["c"])]
    frontier = Frontier(packs)
    started = [next_of(frontier) for _ in range(3)]
    assert frontier.next() is None
    frontier.finish(started[0].id, done=started[0].tasks)
    assert frontier.next() is None
    frontier.finish(started[1].id, done=started[1].tasks)
    assert next_of(frontier).tasks == ("a>b",)
    assert frontier.next() is None


def test_a_stitch_starts_as_soon_as_its_snapshot_exists():
    frontier = Frontier([train_pack("early", "late"), stitch_pack("early", ["early"]), stitch_pack("early", ["late"])])
    frontier.finish(next_of(frontier).id, done=["early"], failed=["late"])
    assert next_of(frontier).tasks == ("early>early",)
    assert frontier.blocked == {"early>late": "late"}


def test_only_what_needs_a_failed_model_is_blocked():
    packs = [train_pack("a"), train_pack("b"), train_pack("c"), stitch_pack("a", ["b", "c"], measures=["b", "c"])]
    frontier = Frontier(packs)
    for pack in [next_of(frontier) for _ in range(3)]:
        frontier.finish(pack.id, **{"failed" if pack.tasks == ("b",) else "done": pack.tasks})
    assert frontier.blocked == {"a>b": "b", "a~b": "b"}
    pack = next_of(frontier)
    assert pack.tasks == ("a>c", "a~c")
    assert pack.inputs == ("a", "c")
    frontier.finish(pack.id, done=pack.tasks)
    assert frontier.over


def test_a_run_waits_for_the_model_that_it_begins_with():
    packs = [train_pack("child", init="parent"), train_pack("parent"), train_pack("x"), stitch_pack("x", ["child"])]
    frontier = Frontier(packs)
    started = [next_of(frontier) for _ in range(2)]
    assert {pack.tasks for pack in started} == {("parent",), ("x",)}
    assert frontier.next() is None
    for pack in started:
        frontier.finish(pack.id, done=pack.tasks)
    child = next_of(frontier)
    assert (child.tasks, child.inputs) == (("child",), ("parent",))
    frontier.finish(child.id, done=child.tasks)
    assert next_of(frontier).tasks == ("x>child",)


def test_a_run_whose_beginning_is_done_comes_before_stitches():
    frontier = Frontier([stitch_pack("old", ["old"]), train_pack("child", init="old")], {"old"})
    assert next_of(frontier).tasks == ("child",)


def test_what_begins_with_a_failed_model_is_blocked_and_so_is_what_needs_that():
    packs = [
        train_pack("a"),
        train_pack("b1", "b2", init="a"),
        train_pack("c", init="b2"),
        stitch_pack("c", ["c"]),
        stitch_pack("b1", ["a"]),
    ]
    frontier = Frontier(packs)
    frontier.finish(next_of(frontier).id, failed=["a"])
    assert frontier.blocked.keys() == {"b1", "b2", "c", "c>c", "b1>a"}
    assert frontier.over
    assert Frontier(packs[1:]).blocked.keys() == frontier.blocked.keys(), "nobody makes the first"


def test_a_task_whose_model_is_in_no_pack_is_blocked():
    frontier = Frontier([stitch_pack("a", ["b"]), stitch_pack("a", ["a"])], {"a"})
    assert frontier.blocked == {"a>b": "b"}
    assert next_of(frontier).tasks == ("a>a",)


def test_lost_tasks_are_put_back_whole_or_in_halves_or_given_up():
    frontier = Frontier([stitch_pack("a", ["a", "b", "c", "d", "e"])], {"a", "b", "c", "d", "e"})
    pack = next_of(frontier)
    assert frontier.finish(pack.id, done=["a>a"]) == ("a>b", "a>c", "a>d", "a>e")
    assert frontier.counts().lost == 1
    assert not frontier.over
    again = frontier.retry(pack.id)
    assert next_of(frontier) == again
    assert again.id != pack.id
    frontier.finish(again.id)
    left, right = frontier.split(again.id)
    assert (left.tasks, right.tasks) == (("a>b", "a>c"), ("a>d", "a>e"))
    assert next_of(frontier) == left
    assert frontier.fail(left.id, "it kills its worker") == ("a>b", "a>c")
    frontier.finish(next_of(frontier).id, failed=["a>d"], done=["a>e"])
    assert frontier.over
    assert frontier.failed == {"a>b": "it kills its worker", "a>c": "it kills its worker", "a>d": ""}
    assert frontier.done == {"a>a", "a>e"}


def test_a_single_task_is_not_split_and_stays():
    frontier = Frontier([train_pack("a")])
    pack = next_of(frontier)
    with pytest.raises(ValueError, match="single task"):
        frontier.split(pack.id)
    assert frontier.retry(pack.id).tasks == ("a",)


def test_what_does_not_belong_to_a_pack_is_refused_and_changes_nothing():
    frontier = Frontier([train_pack("a"), train_pack("b")])
    pack = next_of(frontier)
    before = frontier.counts()
    with pytest.raises(ValueError, match="can't settle b"):
        frontier.finish(pack.id, done=["b"])
    with pytest.raises(ValueError, match="can't settle a"):
        frontier.finish(pack.id, done=["a"], failed=["a"])
    with pytest.raises(KeyError):
        frontier.finish("unknown")
    with pytest.raises(KeyError):
        frontier.retry("unknown")
    assert frontier.counts() == before


def test_a_frontier_without_packs_is_over():
    assert Frontier([]).over


def test_ten_thousand_packs_take_about_a_second():
    models = [f"m{i}" for i in range(1000)]
    draw = random.Random(0)
    packs: list[Pack] = [train_pack(name) for name in models]
    packs += [stitch_pack(draw.choice(models), draw.sample(models, 10)) for _ in range(10_000)]
    unique = {pack.id: pack for pack in packs}
    start = time.process_time()
    frontier = Frontier(unique.values())
    while pack := frontier.next():
        frontier.finish(pack.id, done=pack.tasks)
    assert time.process_time() - start < 5
    assert frontier.over


MODELS = [f"m{i}" for i in range(6)]


class FrontierMachine(RuleBasedStateMachine):
    """A frontier against a naive account of what each task is: pending, running, done, failed or blocked."""

    @initialize(
        runs=st.lists(st.sampled_from([1, 2]), min_size=1, max_size=3),
        old=st.sets(st.sampled_from(MODELS)),
        pairs=st.sets(st.tuples(st.sampled_from(MODELS), st.sampled_from(MODELS)), max_size=12),
        sizes=st.lists(st.integers(1, 4), min_size=12, max_size=12),
        inits=st.lists(st.sampled_from(["", *MODELS]), min_size=3, max_size=3),
    )
    def start(self, runs, old, pairs, sizes, inits):
        names = iter(MODELS)
        packs: list[Pack] = []
        for size, init in zip(runs, inits, strict=False):
            own = list(itertools.islice(names, size))
            circular = own[0] <= init <= MODELS[sum(runs) - 1]  # its own model, or a later run's
            packs.append(train_pack(*own, init="" if circular else init))
        made = self.made = {task for pack in packs for task in pack.tasks}
        old -= made
        by_sender: dict[str, list[str]] = {}
        for a, b in sorted(pairs):
            by_sender.setdefault(a, []).append(b)
        for a, bs in by_sender.items():
            while bs:
                size = sizes.pop()
                packs.append(stitch_pack(a, bs[:size]))
                bs = bs[size:]
        self.needs = {task: pack.inputs for pack in packs if isinstance(pack, TrainPack) for task in pack.tasks}
        self.needs |= {f"{a}>{b}": (a, b) for a, b in pairs}
        self.state = dict.fromkeys(self.needs, "pending")
        self.state |= dict.fromkeys(old, "old")
        self.frontier = Frontier(packs, frozenset(old))
        self.lost: dict[str, frozenset[str]] = {}
        self.out: dict[str, Pack] = {}
        self._block()

    def _block(self):
        for _ in MODELS:  # along the longest chain of models
            for task, needs in self.needs.items():
                lacking = any(self.state.get(m, "failed") in ("failed", "blocked") for m in needs)
                if self.state[task] == "pending" and lacking:
                    self.state[task] = "blocked"

    def _may_start(self):
        return [
            task
            for task, needs in self.needs.items()
            if self.state[task] == "pending" and all(self.state.get(m) in ("done", "old") for m in needs)
        ]

    @rule()
    def next(self):
        pack = self.frontier.next()
        if pack is None:
            return
        may = self._may_start()
        assert set(pack.tasks) <= set(may)
        if not isinstance(pack, TrainPack):
            assert not self.made & set(may), "a model waits behind a stitch"
        self.state.update(dict.fromkeys(pack.tasks, "running"))
        self.out[pack.id] = pack

    @precondition(lambda self: self.out)
    @rule(data=st.data())
    def finish(self, data):
        pack = self.out.pop(data.draw(st.sampled_from(sorted(self.out))))
        ends = data.draw(st.lists(st.sampled_from("dfl"), min_size=len(pack.tasks), max_size=len(pack.tasks)))
        done = {task for task, end in zip(pack.tasks, ends, strict=True) if end == "d"}
        failed = {task for task, end in zip(pack.tasks, ends, strict=True) if end == "f"}
        lost = self.frontier.finish(pack.id, done, failed)
        assert set(lost) == set(pack.tasks) - done - failed
        self.state.update(dict.fromkeys(done, "done") | dict.fromkeys(failed, "failed"))
        if lost:
            self.lost[pack.id] = frozenset(lost)
        self._block()

    @precondition(lambda self: self.lost)
    @rule(data=st.data(), how=st.sampled_from(["retry", "split", "fail"]))
    def put_back(self, data, how):
        pack_id = data.draw(st.sampled_from(sorted(self.lost)))
        tasks = self.lost.pop(pack_id)
        if how == "fail" or (how == "split" and len(tasks) == 1):
            assert set(self.frontier.fail(pack_id, "lost")) == tasks
            self.state.update(dict.fromkeys(tasks, "failed"))
            self._block()
            return
        back = [self.frontier.retry(pack_id)] if how == "retry" else self.frontier.split(pack_id)
        assert sorted(task for pack in back for task in pack.tasks) == sorted(tasks)
        self.state.update(dict.fromkeys(tasks, "pending"))

    @rule()
    def pickled(self):
        self.frontier = pickle.loads(pickle.dumps(self.frontier))

    @invariant()
    def agrees(self):
        if not hasattr(self, "frontier"):
            return
        for state in ("done", "failed", "blocked"):
            assert set(getattr(self.frontier, state)) == {t for t, s in self.state.items() if s == state}
        assert not any(s == "pending" for s in self.state.values()) or not self.frontier.over
        unsettled = [s for s in self.state.values() if s in ("pending", "running")]
        assert self.frontier.over == (not unsettled)
        counts = self.frontier.counts()
        assert counts.running == len(self.out)
        assert counts.lost == len(self.lost)

    def teardown(self):
        """Check that all remaining tasks can be finished from any state."""
        if not hasattr(self, "frontier"):
            return
        for pack_id in self.lost:
            self.frontier.retry(pack_id)
        for pack_id in self.out:
            self.frontier.retry(pack_id)
        while pack := self.frontier.next():
            self.frontier.finish(pack.id, done=pack.tasks)
        assert self.frontier.over
        ends = [set(self.frontier.done), set(self.frontier.failed), set(self.frontier.blocked)]
        assert set.union(*ends) == set(self.needs)
        assert sum(map(len, ends)) == len(self.needs)


TestFrontierMachine = FrontierMachine.TestCase
TestFrontierMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
