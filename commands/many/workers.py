"""Tasks on workers of Dask distributed: other processes of this machine, or of several. Loaded only where they are.

Each worker does one picture at a time and keeps its networks loaded; at most one picture a worker is under way. Where a
worker dies, its picture is tried once more in the end with no other under way; if that one dies too, it is the picture.
"""

import contextlib
import io
import itertools
import logging
import os
import signal
import socket
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import dask.config  # noqa: TID253
from distributed import (  # noqa: TID253
    Client,
    Future,
    KilledWorker,
    LocalCluster,
    WorkerPlugin,
    as_completed,
    get_worker,
)

from commands.many.doing import do, hashes_of
from commands.many.task import Outcome, Task
from commands.networks import Networks
from commands.work import THREAD_VARIABLES
from interp.errors import GramscopeError, UsageError

CONNECT_S = 20
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)
DIED = "The process that worked on it died, twice: of its memory, perhaps. Try it alone, with a smaller --size."
Work = Callable[[Task, "Station"], Outcome]


class Station(WorkerPlugin):
    """A worker's place of work, where networks stay loaded from one picture to the next."""

    def setup(self, worker: Any) -> None:
        """Called where a worker starts, or starts again."""
        self.networks, self.lock, self.threads = Networks(), threading.Lock(), worker.state.nthreads

    def teardown(self, worker: Any) -> None:
        """Called where this batch ends: the worker may stay."""
        self.networks = Networks()


def do_task(task: Task, station: Station) -> Outcome:
    """Do a task as if its words had been typed in the folder where the batch was started; it speaks to nobody."""
    from typer.main import get_command

    from cli import app  # which knows every command

    command: Any = get_command(app)
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), _within(task.folder):
        outcome = do(command.commands[task.command], task.on(station.threads), station.networks, claims=True)
    debugged = outcome.code and "--debug" in task.words
    return replace(outcome, message=said.getvalue()) if debugged else outcome


def _within(folder: str) -> contextlib.AbstractContextManager[None]:
    if not Path(folder).is_dir():
        raise UsageError(
            f"The worker on {socket.gethostname()} sees no folder {folder!r}; expected the folders of the machine that "
            "the batch is started on, under the same names."
        )
    return contextlib.chdir(folder)


def at_station(name: str, work: Work, task: Task) -> Outcome:
    """Do a task in a worker, whatever its number of threads one at a time: they are the task's."""
    station: Any = get_worker().plugins[name]
    with station.lock:
        return work(task, station)


class OnWorkers:
    """Does tasks on workers, each as soon as one is free.

    Args:
        workers: How many to start on this machine; 0 where `address` names others.
        address: Of a scheduler whose workers see the same folders as this machine.
        threads: Of each worker to be started.
        work: What is done with a task.
    """

    live = False

    def __init__(self, workers: int, address: str | None, threads: int, work: Work = do_task) -> None:
        self.workers, self.address, self.threads, self.work = workers, address, threads, work
        self.name = f"gramscope-{uuid.uuid4().hex}"

    def __enter__(self) -> "OnWorkers":
        with contextlib.ExitStack() as stack:
            stack.enter_context(_silenced(logging.getLogger("distributed.client")))
            self.client = stack.enter_context(_client(self.address or stack.enter_context(self._cluster())))
            try:
                self.client.register_plugin(Station(), name=self.name)
            except Exception as error:  # whatever its unpickling meets over there
                raise UsageError(
                    f"The workers of {self.address} cannot be used ({error}); expected Gramscope to be installed there "
                    "in the version that is here."
                ) from error
            if self.address:  # others go on with those workers
                stack.callback(self._leave)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stack.close()

    def _leave(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):  # the scheduler may have gone first
            self.client.unregister_worker_plugin(self.name)

    def run(self, tasks: Iterable[Task], begin: Callable[[Task], None]) -> Iterator[tuple[Task, Outcome]]:
        """Do them, at most one a worker at a time, and those whose worker died once more in the end, one by one."""
        suspects: list[Task] = []
        for task, future in self._finished(tasks, begin, lambda: len(self.client.scheduler_info()["workers"])):
            if isinstance(future.exception(), KilledWorker):
                suspects.append(task)
            else:
                yield task, future.result()
        for task, future in self._finished(suspects, begin, lambda: 1):
            if isinstance(future.exception(), KilledWorker):
                inputs = [task.photo] if task.painting is None else [task.photo, task.painting]
                yield task, Outcome(GramscopeError.exit_code, DIED, hashes_of(inputs), lost=True)
            else:
                yield task, future.result()

    def _finished(
        self, tasks: Iterable[Task], begin: Callable[[Task], None], limit: Callable[[], int]
    ) -> Iterator[tuple[Task, Future]]:
        waiting, under_way = iter(tasks), {}
        finished = as_completed(loop=self.client.loop)

        def fill() -> None:
            for task in itertools.islice(waiting, max(1, limit()) - len(under_way)):
                begin(task)
                future = self.client.submit(
                    at_station, self.name, self.work, task, pure=False, key=f"{task.stem}-{uuid.uuid4().hex}"
                )
                under_way[future] = task
                finished.add(future)

        fill()
        for future in finished:
            task = under_way.pop(future)
            if future.status in ("cancelled", "lost"):
                raise GramscopeError(
                    f"The scheduler at {self.address} is gone. The same command with --resume goes on."
                )
            fill()
            yield task, future

    def _cluster(self) -> LocalCluster:
        """Workers of this machine: each dies but once of a picture, and their nannies leave the threads to us."""
        settings: dict[str, Any] = {"distributed.scheduler.allowed-failures": 0}
        settings |= {f"distributed.nanny.pre-spawn-environ.{name}": self.threads for name in THREAD_VARIABLES}
        with dask.config.set(settings), _unset(THREAD_VARIABLES), _interrupted_after():
            return LocalCluster(
                n_workers=self.workers,
                threads_per_worker=self.threads,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                memory_limit=None,  # a picture's memory is foretold and kept to its share; Dask would halt it half-way
                silence_logs=logging.CRITICAL,
            )


@contextlib.contextmanager
def _silenced(logger: logging.Logger) -> Iterator[None]:
    """Keep a logger's tracebacks from the user, who is told in a sentence."""
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _interrupted_after() -> Iterator[None]:
    """Put an interruption off until workers have started: Dask cannot close a cluster that is half there.

    A terminal's Ctrl-C goes to the workers too, which are to be ended by this process alone: they inherit that it is
    blocked.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    came: list[int] = []
    before = {each: signal.signal(each, lambda number, _: came.append(number)) for each in INTERRUPTIONS}
    mask = None
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # or the first worker's start would, and unblock
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _unset(variables: Iterable[str]) -> Iterator[None]:
    """Hide variables of the environment, which Dask prefers to its settings, and put them back."""
    before = {name: os.environ.pop(name, None) for name in variables}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)  # Dask's nannies leave theirs here
            if value is not None:
                os.environ[name] = value


def _client(address: Any) -> Client:
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
        client.wait_for_workers(1, timeout=CONNECT_S)
    except (OSError, ValueError, TimeoutError) as error:
        raise UsageError(
            f"No scheduler with a worker answers at {address!r} ({error}); expected an address such as "
            "tcp://192.168.0.2:8786, where `dask scheduler` runs, and a `dask worker` beside it."
        ) from error
    return client


def threads_for(workers: int) -> int:
    """Threads of each of so many workers: as the environment says, else the processors are divided among them."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked) if asked.isdigit() and int(asked) else max(1, usable // workers)
