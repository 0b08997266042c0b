"""Threads of training steps and of matrix products."""

import os

import pytest
import threadpoolctl

from sardonyx.trainer import threads


@pytest.fixture(autouse=True)
def restored():
    yield
    threads.set_blas_threads(1)
    threads.set_threads(None)


def in_use():
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


def test_limit_holds_inside_only():
    before = in_use()
    threads.set_blas_threads(1)
    with threads.limited_threads():
        assert in_use() <= {1}
    assert in_use() == before


def test_none_leaves_things_alone():
    before = in_use()
    threads.set_blas_threads(None)
    with threads.limited_threads():
        assert in_use() == before


@pytest.mark.parametrize("setter", [threads.set_threads, threads.set_blas_threads])
@pytest.mark.parametrize("count", [0, -1, 1.5, True, "2"])
def test_wrong_counts(setter, count):
    with pytest.raises(ValueError, match=f"{setter.__name__}: expected a positive integer or None"):
        setter(count)


# What is set, the environment's OMP_NUM_THREADS, and the threads of a step on 5 cores.
STEPS = [(None, None, 5), (None, "", 5), (None, "0", 5), (None, "3", 3), (None, "3,2", 3), (None, "many", 5),
         (2, "3", 2), (7, None, 7)]  # fmt: skip


@pytest.mark.parametrize(("chosen", "environment", "expected"), STEPS)
def test_threads_of_a_step(monkeypatch, chosen, environment, expected):
    monkeypatch.setattr(threads, "available_cores", lambda: 5)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if environment is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
    threads.set_threads(chosen)
    assert threads.step_threads() == expected


# What /proc/self/cgroup says, files under /sys/fs/cgroup, and the cores of 8 that a process may use.
GROUPS = [
    ("0::/", {}, 8),
    ("0::/", {"cpu.max": "max 100000"}, 8),
    ("0::/", {"cpu.max": "200000 100000"}, 2),
    ("0::/box/inner", {"box/inner/cpu.max": "150000 100000"}, 2),
    ("0::/box/inner", {"box/cpu.max": "300000 100000", "box/inner/cpu.max": "max 100000"}, 3),
    ("0::/box/../../outside", {"cpu.max": "100000 100000"}, 1),
    ("0::/", {"cpu.max": "20000 100000"}, 1),
    ("0::/", {"cpu.max": "6400000 100000"}, 8),
    ("0::/", {"cpu.max": "nonsense"}, 8),
    ("4:memory:/box\n3:cpu,cpuacct:/box", {"cpu,cpuacct/box/cpu.cfs_quota_us": "250000\n",
                                          "cpu,cpuacct/box/cpu.cfs_period_us": "100000\n"}, 3),
    ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ("1:cpu:/away", {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"}, 2),
    ("2:cpuacct:/", {"cpuacct/cpu.cfs_quota_us": "100000", "cpuacct/cpu.cfs_period_us": "100000"}, 8),
    ("3:cpuset:/", {}, 8),
    (None, {}, 8),
]  # fmt: skip


@pytest.mark.parametrize(("groups", "files", "cores"), GROUPS)
def test_cores_are_those_of_the_control_group(tmp_path, monkeypatch, groups, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    written = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in {**written, **({} if groups is None else {"proc/self/cgroup": groups})}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.available_cores(str(tmp_path)) == cores
    assert threads.session_threads(str(tmp_path)) == (0 if cores == 8 else cores)


def test_cores_are_those_a_process_may_run_on(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert threads.available_cores(str(tmp_path)) == threads.session_threads(str(tmp_path)) == 2


def test_there_is_a_core():
    assert threads.available_cores() >= 1
