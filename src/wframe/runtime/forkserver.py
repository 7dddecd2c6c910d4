"""A forkserver for the workflow's jobs on this machine, as in `multiprocessing`: they start at once, not in 2 seconds.

PyTorch and pandas take longer to import than many jobs run. So the workflow starts one process (`start`), and
`python -m wframe --step ...` asks it to fork (`ask`). It imports each command's module once, before the first fork that
needs it. The fork has the caller's arguments, folder, environment and streams; the caller passes signals on, and ends
as the fork ends. Where there is no server, or a job has several threads (which OpenMP reads when it is imported), the
command runs in its own process as usual.
"""

import importlib
import json
import os
import selectors
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

AFFECTS_NO_RESULT = True
ADDRESS = "WFRAME_FORKSERVER"  # the environment variable with the server's socket
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)
LIBRARIES = ("OMP_NUM", "GOTO_NUM", "OPENBLAS_NUM", "MKL_NUM", "VECLIB_MAXIMUM", "NUMEXPR_NUM")
STARTED: list[subprocess.Popen[bytes]] = []  # kept: without its standard input, a server takes this process for ended
ONE_THREAD = {f"{library}_THREADS": "1" for library in LIBRARIES}  # as Snakemake sets them for a job with one


def start() -> subprocess.Popen[bytes]:
    """Start a server for this process's jobs; it ends with this process, once its last fork has."""
    address = Path(tempfile.mkdtemp(prefix="wframe-")) / "forkserver"
    argv = [sys.executable, "-P", "-m", "wframe.runtime.forkserver", str(address)]
    # its own session: Ctrl-C reaches the callers, which pass it on
    server = subprocess.Popen(argv, stdin=subprocess.PIPE, env=os.environ | ONE_THREAD, start_new_session=True)
    os.environ[ADDRESS] = str(address)
    STARTED.append(server)
    return server


def ask(argv: list[str]) -> int | None:
    """Run a command in a fork of the server; return its exit status, or None where there is no server for it."""
    if ADDRESS not in os.environ or argv[:1] != ["--step"] or os.environ.get("OMP_NUM_THREADS") != "1":
        return None
    server = socket.socket(socket.AF_UNIX)
    try:
        server.connect(os.environ[ADDRESS])
    except OSError:
        return None
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)  # until it's known whom to pass them on to
    request = json.dumps([argv, str(Path.cwd()), dict(os.environ)]).encode()
    pid = 0
    try:
        socket.send_fds(server, [struct.pack("q", len(request))], [0, 1, 2])
        server.sendall(request)
        pid = _number(server)
        for number in FORWARDED:
            signal.signal(number, lambda number, frame: os.kill(pid, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        status = _number(server)
    except (EOFError, OSError):  # the server was killed: so is its fork, which nobody waits for
        if pid:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        print(f"wframe {argv[2]}: the forkserver has gone; run the same command again", file=sys.stderr)
        return 1
    if status < 0:  # killed by a signal: so is this process
        with suppress(OSError):  # SIGKILL can't be handled anyway
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def serve(address: str) -> None:
    """Fork for each caller until standard input is closed and the last fork has ended."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    callers: dict[int, socket.socket | None] = {}  # by their forks; None if a caller has gone
    with selectors.DefaultSelector() as selector:
        for source in (listener, woken, sys.stdin):
            selector.register(source, selectors.EVENT_READ)
        while callers or listener.fileno() >= 0:
            for source in [key.fileobj for key, _ in selector.select()]:
                if source is sys.stdin:  # the workflow has ended
                    selector.unregister(sys.stdin)
                    selector.unregister(listener)
                    listener.close()
                elif source is woken:
                    woken.recv(4096)
                    _reap(callers, selector)
                elif source is listener and listener.fileno() >= 0:
                    caller = listener.accept()[0]
                    if pid := _fork(caller, selector):
                        callers[pid] = caller
                        selector.register(caller, selectors.EVENT_READ)
                else:  # callers say nothing more: this one was killed
                    for pid in [pid for pid, caller in callers.items() if caller is source]:
                        os.kill(pid, signal.SIGKILL)
                        selector.unregister(source)
                        callers[pid] = None
    shutil.rmtree(Path(address).parent)


def _fork(caller: socket.socket, selector: selectors.BaseSelector) -> int:
    """Fork; in the fork, run the caller's command and exit. Return the fork's process ID; 0 if the caller has gone."""
    try:
        size, fds, *_ = socket.recv_fds(caller, 8, 3)
        argv, folder, environment = json.loads(_read(caller, struct.unpack("q", size)[0]))
    except (OSError, struct.error, EOFError):
        return 0
    command = importlib.import_module("wframe.__main__")
    with suppress(Exception):  # the fork will fail in the same way, and say so
        importlib.import_module(command.COMMANDS[argv[2]][0])
    if pid := os.fork():
        for fd in fds:
            os.close(fd)
        _tell(caller, pid)
        return pid
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in (caller, *(key.fileobj for key in selector.get_map().values())):
            if isinstance(other, socket.socket):  # or callers wouldn't see that the server has gone
                other.close()
        for fd, stream in zip(fds, range(3), strict=True):
            os.dup2(fd, stream)
            os.close(fd)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[:] = [str(command.__file__), *argv]
        status = command.main(argv)
    except SystemExit as end:  # of argparse
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _reap(callers: dict[int, socket.socket | None], selector: selectors.BaseSelector) -> None:
    """Tell the callers of forks that have ended how they ended."""
    while callers:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if caller := callers.pop(pid, None):
            selector.unregister(caller)
            _tell(caller, os.waitstatus_to_exitcode(status))
            caller.close()


def _tell(caller: socket.socket, number: int) -> None:
    """Send a number to a caller, if it's still there."""
    with suppress(OSError):
        caller.sendall(struct.pack("q", number))


def _number(server: socket.socket) -> int:
    """Receive a number from the server."""
    return int(struct.unpack("q", _read(server, 8))[0])


def _read(source: socket.socket, size: int) -> bytes:
    """Read exactly so many bytes.

    Raises:
        EOFError: the other side has gone.
    """
    content = b""
    while len(content) < size:
        if not (part := source.recv(min(size - len(content), 1 << 20))):
            raise EOFError("the other side has gone")
        content += part
    return content


if __name__ == "__main__":
    serve(sys.argv[1])
