"""Tests of the frontier: no task starts before its inputs exist, and each task ends exactly once."""

import itertools
import pickle
import random
import time
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.plan_jobs import jobs
from support.schedule import longest_path, simulate
from support.toy_packs import stitch_pack, train_pack

from sweeper.plan.frontier import Frontier
from sweeper.plan.plan import Plan
from sweeper.spec.records.task import Pack, TrainPack


def lasting(seconds: float, pack: Pack) -> Pack:
    """Return a pack with other estimated seconds."""
    return replace(pack, seconds=seconds)


def next_of(frontier: Frontier) -> Pack:
    """Return the next pack, which must exist."""
    pack = frontier.next()
    assert pack is not None
    return pack


def test_the_pack_at_the_head_of_the_longest_path_comes_first():
    packs = [
        lasting(4, stitch_pack("old", ["old"])),
        lasting(1, train_pack("x")),
        lasting(1, train_pack("y")),
        lasting(2, stitch_pack("x", ["x"])),
        lasting(5, stitch_pack("y", ["x"])),
        lasting(9, stitch_pack("y", ["y"])),
        lasting(1, train_pack("parent")),
        lasting(1, train_pack("child", init="parent")),
        lasting(12, stitch_pack("child", ["old"])),
    ]
    frontier = Frontier(packs, {"old"})
    assert [next_of(frontier).tasks for _ in range(4)] == [("parent",), ("y",), ("x",), ("old>old",)]


def test_of_equal_paths_the_pack_that_most_packs_wait_for_comes_first():
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


def test_only_tasks_that_need_a_failed_model_are_blocked():
    packs = [train_pack("a"), train_pack("b"), train_pack("c"), stitch_pack("a", ["b", "c"], measurements=["b", "c"])]
    frontier = Frontier(packs)
    for pack in [next_of(frontier) for _ in range(3)]:
        frontier.finish(pack.id, **{"failed" if pack.tasks == ("b",) else "done": pack.tasks})
    assert frontier.blocked == {"a>b": "b", "a~b": "b"}
    pack = next_of(frontier)
    assert pack.tasks == ("a>c", "a~c")
    assert pack.inputs == ("a", "c")
    frontier.finish(pack.id, done=pack.tasks)
    assert frontier.over


def test_a_stopped_kind_is_dropped_and_its_packs_wait_only_for_what_the_rest_needs():
    frontier = Frontier([train_pack("a"), train_pack("b"), stitch_pack("a", ["b"], measurements=["a"])])
    started = {pack.tasks: pack for pack in [next_of(frontier) for _ in range(2)]}
    assert frontier.stop("stitches") == 1
    assert frontier.dropped == {"a>b"}
    frontier.finish(started["a",].id, done=["a"])
    assert next_of(frontier).tasks == ("a~a",), "the measurement does not need b"


def test_a_withdrawn_model_drops_the_tasks_that_need_it_also_those_that_a_running_pack_loses():
    packs = [stitch_pack("a", ["a", "b"]), stitch_pack("c", ["a", "b"]), stitch_pack("c", ["c"], measurements=["c"])]
    frontier = Frontier(packs, done={"a", "b", "c"})
    running = next_of(frontier)
    frontier.withdraw("b")
    assert frontier.finish(running.id, done=["a>a"]) == ()
    assert frontier.dropped == {"a>b", "c>b"}
    started = [next_of(frontier).tasks for _ in range(2)]
    assert sorted(started) == [("c>a",), ("c>c", "c~c")]
    assert frontier.next() is None


def test_a_dropped_pack_leaves_its_tasks_and_those_that_need_them_neither_done_nor_failed():
    frontier = Frontier([train_pack("a"), stitch_pack("a", ["a"])])
    pack = next_of(frontier)
    assert frontier.finish(pack.id) == ("a",)
    frontier.drop(pack.id)
    assert frontier.over
    assert (frontier.dropped, frontier.failed, frontier.blocked) == ({"a", "a>a"}, {}, {})


def test_all_need_says_whether_the_tasks_that_have_not_started_need_one_of_some_models():
    frontier = Frontier([stitch_pack("a", ["b", "c"]), stitch_pack("b", ["c"], measurements=["b"])], {"a", "b", "c"})
    assert frontier.all_need("stitches", ["a", "b"])
    assert frontier.all_need("stitches", ["c", "b"])
    assert frontier.all_need("similarities", ["b"])
    assert not frontier.all_need("stitches", ["a"])
    assert frontier.all_need("models", []), "there is none"


def test_a_training_run_waits_for_its_initial_model():
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


def test_a_training_run_whose_initial_model_is_done_is_ready():
    packs = [stitch_pack("old", ["old"]), train_pack("child", init="old"), stitch_pack("child", ["old"])]
    frontier = Frontier(packs, {"old"})
    assert next_of(frontier).tasks == ("child",)


def test_training_runs_that_start_from_a_failed_model_and_their_dependents_are_blocked():
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
    assert Frontier(packs[1:]).blocked.keys() == frontier.blocked.keys(), "model a is not done and no pack trains it"


def test_a_task_whose_model_is_in_no_pack_is_blocked():
    frontier = Frontier([stitch_pack("a", ["b"]), stitch_pack("a", ["a"])], {"a"})
    assert frontier.blocked == {"a>b": "b"}
    assert next_of(frontier).tasks == ("a>a",)


def test_lost_tasks_are_retried_split_or_failed():
    frontier = Frontier([stitch_pack("a", ["a", "b", "c", "d", "e"])], {"a", "b", "c", "d", "e"})
    pack = next_of(frontier)
    assert frontier.finish(pack.id, done=["a>a"]) == ("a>b", "a>c", "a>d", "a>e")
    assert frontier.counts().lost == 1
    assert not frontier.over
    retried = frontier.retry(pack.id)
    assert next_of(frontier) == retried
    assert retried.id != pack.id
    frontier.finish(retried.id)
    left, right = frontier.split(retried.id)
    assert (left.tasks, right.tasks) == (("a>b", "a>c"), ("a>d", "a>e"))
    assert next_of(frontier) == left
    assert frontier.fail(left.id, "the worker was killed") == ("a>b", "a>c")
    frontier.finish(next_of(frontier).id, failed=["a>d"], done=["a>e"])
    assert frontier.over
    assert frontier.failed == {"a>b": "the worker was killed", "a>c": "the worker was killed", "a>d": ""}
    assert frontier.done == {"a>a", "a>e"}


def test_a_single_task_is_not_split_and_can_be_retried():
    frontier = Frontier([train_pack("a")])
    pack = next_of(frontier)
    with pytest.raises(ValueError, match="single task"):
        frontier.split(pack.id)
    assert frontier.retry(pack.id).tasks == ("a",)


def test_tasks_or_packs_that_do_not_belong_are_refused_without_a_change():
    frontier = Frontier([train_pack("a"), train_pack("b")])
    pack = next_of(frontier)
    counts_before = frontier.counts()
    with pytest.raises(ValueError, match="both done and failed: b"):
        frontier.finish(pack.id, done=["b"])
    with pytest.raises(ValueError, match="both done and failed: a"):
        frontier.finish(pack.id, done=["a"], failed=["a"])
    with pytest.raises(KeyError):
        frontier.finish("unknown")
    with pytest.raises(KeyError):
        frontier.retry("unknown")
    assert frontier.counts() == counts_before


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


@settings(max_examples=60, deadline=None)
@given(jobs(), st.integers(1, 12), st.integers(0, 2**32))
def test_the_order_changes_neither_the_tasks_nor_the_packs(sweep, workers, seed):
    """Check that estimates, workers and the order of packs decide only when a pack starts, within Graham's bound."""
    plan, chance = Plan.of(sweep), random.Random(seed)
    packs = list(itertools.islice(plan.packs(), 501))
    assume(len(packs) <= 500)  # larger jobs take a minute and show nothing new
    in_other_order = [lasting(chance.uniform(0.1, 100), pack) for pack in chance.sample(packs, len(packs))]
    schedule, other_schedule = simulate(packs, workers), simulate(in_other_order, workers)
    assert schedule.done == other_schedule.done == plan.missing
    assert {pack.id: pack.tasks for pack in schedule.packs} == {pack.id: pack.tasks for pack in other_schedule.packs}
    work = sum(pack.seconds for pack in in_other_order)
    bound = work / workers + (1 - 1 / workers) * longest_path(in_other_order)
    assert other_schedule.seconds <= bound * (1 + 1e-9), "no worker is idle while a pack is ready"


class FrontierMachine(RuleBasedStateMachine):
    """A comparison of the frontier with a simple model that keeps one state per task: pending, running, done, ..."""

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
            snapshots = list(itertools.islice(names, size))
            circular = snapshots[0] <= init <= MODELS[sum(runs) - 1]  # a model of this run or of a later one
            packs.append(train_pack(*snapshots, init="" if circular else init))
        self.trained = {task for pack in packs for task in pack.tasks}
        old -= self.trained
        tops_by_bottom: dict[str, list[str]] = {}
        for a, b in sorted(pairs):
            tops_by_bottom.setdefault(a, []).append(b)
        for a, tops in tops_by_bottom.items():
            while tops:
                size = sizes.pop()
                packs.append(stitch_pack(a, tops[:size]))
                tops = tops[size:]
        self.needs = {task: pack.inputs for pack in packs if isinstance(pack, TrainPack) for task in pack.tasks}
        self.needs |= {f"{a}>{b}": (a, b) for a, b in pairs}
        self.state = dict.fromkeys(self.needs, "pending")
        self.state |= dict.fromkeys(old, "old")
        self.frontier = Frontier(packs, frozenset(old))
        self.lost_tasks: dict[str, frozenset[str]] = {}
        self.stopped_kinds: set[str] = set()
        self.running_packs: dict[str, Pack] = {}
        self._block()

    def _block(self):
        for _ in MODELS:  # once for each step of the longest possible chain of initial models
            for task, needs in self.needs.items():
                cannot_run = any(self.state.get(m, "failed") in ("failed", "blocked") for m in needs)
                if self.state[task] == "pending" and cannot_run:
                    self.state[task] = "blocked"

    def _drop(self, kind):
        """Drop the tasks of a stopped kind that are pending, and the tasks that need those."""
        is_model = kind == "models"
        own = {task for task, state in self.state.items() if state == "pending" and (task in self.trained) == is_model}
        self.state.update(dict.fromkeys(own, "dropped"))
        for _ in MODELS:
            for task, needs in self.needs.items():
                if self.state[task] == "pending" and any(self.state.get(model) == "dropped" for model in needs):
                    self.state[task] = "dropped"

    def _startable_tasks(self):
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
        assert set(pack.tasks) <= set(self._startable_tasks())
        self.state.update(dict.fromkeys(pack.tasks, "running"))
        self.running_packs[pack.id] = pack

    @precondition(lambda self: self.running_packs)
    @rule(data=st.data())
    def finish(self, data):
        pack = self.running_packs.pop(data.draw(st.sampled_from(sorted(self.running_packs))))
        ends = data.draw(st.lists(st.sampled_from("dfl"), min_size=len(pack.tasks), max_size=len(pack.tasks)))
        done = {task for task, end in zip(pack.tasks, ends, strict=True) if end == "d"}
        failed = {task for task, end in zip(pack.tasks, ends, strict=True) if end == "f"}
        lost_tasks = self.frontier.finish(pack.id, done, failed)
        self.state.update(dict.fromkeys(done, "done") | dict.fromkeys(failed, "failed"))
        if ("models" if isinstance(pack, TrainPack) else "stitches") in self.stopped_kinds:
            assert not lost_tasks
            self.state.update(dict.fromkeys(set(pack.tasks) - done - failed, "pending"))
            self._drop("models" if isinstance(pack, TrainPack) else "stitches")
        else:
            assert set(lost_tasks) == set(pack.tasks) - done - failed
        if lost_tasks:
            self.lost_tasks[pack.id] = frozenset(lost_tasks)
        self._block()

    @precondition(lambda self: self.lost_tasks)
    @rule(data=st.data(), how=st.sampled_from(["retry", "split", "fail"]))
    def settle_lost_tasks(self, data, how):
        pack_id = data.draw(st.sampled_from(sorted(self.lost_tasks)))
        tasks = self.lost_tasks.pop(pack_id)
        if how == "fail" or (how == "split" and len(tasks) == 1):
            assert set(self.frontier.fail(pack_id, "lost")) == tasks
            self.state.update(dict.fromkeys(tasks, "failed"))
            self._block()
            return
        packs = [self.frontier.retry(pack_id)] if how == "retry" else self.frontier.split(pack_id)
        assert sorted(task for pack in packs for task in pack.tasks) == sorted(tasks)
        self.state.update(dict.fromkeys(tasks, "pending"))

    @precondition(lambda self: not self.lost_tasks)
    @rule(kind=st.sampled_from(["models", "stitches"]))
    def stop(self, kind):
        before = sum(state == "dropped" for state in self.state.values())
        number = self.frontier.stop(kind)
        self.stopped_kinds.add(kind)
        self._drop(kind)
        assert number == sum(state == "dropped" for state in self.state.values()) - before

    @rule()
    def pickle_and_unpickle(self):
        self.frontier = pickle.loads(pickle.dumps(self.frontier))

    @invariant()
    def states_agree(self):
        if not hasattr(self, "frontier"):
            return
        for state in ("done", "failed", "blocked", "dropped"):
            assert set(getattr(self.frontier, state)) == {t for t, s in self.state.items() if s == state}
        assert not any(s == "pending" for s in self.state.values()) or not self.frontier.over
        unsettled = [s for s in self.state.values() if s in ("pending", "running")]
        assert self.frontier.over == (not unsettled)
        counts = self.frontier.counts()
        assert counts.running == len(self.running_packs)
        assert counts.lost == len(self.lost_tasks)

    def teardown(self):
        """Finish all remaining tasks and check that each has exactly one end."""
        if not hasattr(self, "frontier"):
            return
        for pack_id in self.lost_tasks:
            self.frontier.retry(pack_id)
        for pack_id, pack in self.running_packs.items():
            self.frontier.finish(pack_id, done=pack.tasks)
        while pack := self.frontier.next():
            self.frontier.finish(pack.id, done=pack.tasks)
        assert self.frontier.over
        ends = [set(getattr(self.frontier, end)) for end in ("done", "failed", "blocked", "dropped")]
        assert set.union(*ends) == set(self.needs)
        assert sum(map(len, ends)) == len(self.needs)


TestFrontierMachine = FrontierMachine.TestCase
TestFrontierMachine.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
