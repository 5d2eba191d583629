"""A tiny engine for tests: speaks dRPC as the real one does, and fails at a chosen point.

Reads from its environment FAKE_ENGINE, a list separated by commas:
  exit-at-once, mute (never reports ready), stubborn (ignores SIGTERM and SIGINT), exit-after-report,
  exit-on-set-rank, exit-on-set-up, refuse-set-rank, refuse-set-up, mute-on-set-up, self-terminate (on GROUP_UPDATE)
and writes every call it gets as a line to FAKE_ENGINE_LOG. `-s` and `-d` are as on an engine's command line.
"""

import argparse
import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from google.protobuf.message import Message

from daos_control import drpc
from daos_control.drpc import DrpcServer, Method
from daos_control.proto.ctl import server_pb2
from daos_control.proto.mgmt import svc_pb2
from daos_control.proto.shared import event_pb2
from daos_control.proto.srv import srv_pb2

WAYS = frozenset(filter(None, os.environ.get("FAKE_ENGINE", "").split(",")))
EXIT_STATUS = 3


def die() -> None:
    os._exit(EXIT_STATUS)


class Engine:
    def __init__(self, sockets: Path, index: int) -> None:
        self.sockets = sockets
        self.index = index
        self.rank = -1
        log = os.environ.get("FAKE_ENGINE_LOG")
        self.log = Path(log) if log else None

    def note(self, text: str) -> None:
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{text}\n")

    async def set_rank(self, request: Message) -> svc_pb2.DaosResp:
        assert isinstance(request, svc_pb2.SetRankReq)
        self.note(f"set_rank {request.rank} {request.map_version}")
        if "exit-on-set-rank" in WAYS:
            die()
        self.rank = request.rank
        return svc_pb2.DaosResp(status=-1003 if "refuse-set-rank" in WAYS else 0)

    async def set_up(self, _request: Message) -> svc_pb2.DaosResp:
        self.note("set_up")
        if "exit-on-set-up" in WAYS:
            die()
        if "mute-on-set-up" in WAYS:
            await asyncio.Event().wait()
        return svc_pb2.DaosResp(status=-1014 if "refuse-set-up" in WAYS else 0)

    async def group_update(self, request: Message) -> svc_pb2.GroupUpdateResp:
        assert isinstance(request, svc_pb2.GroupUpdateReq)
        self.note(f"group_update {request.map_version}")
        if "self-terminate" in WAYS:
            event = event_pb2.RASEvent(id=5, type=2, severity=3, rank=self.rank, msg="told to")
            notice = event_pb2.ClusterEventReq(sequence=1, event=event)
            await drpc.call(self.sockets / "daos_server.sock", Method.CLUSTER_EVENT, notice, timeout=10)
            os.kill(os.getpid(), signal.SIGKILL)
        return svc_pb2.GroupUpdateResp()

    async def prep_shutdown(self, _request: Message) -> svc_pb2.DaosResp:
        self.note("prep_shutdown")
        return svc_pb2.DaosResp()

    async def set_log_masks(self, request: Message) -> server_pb2.SetLogMasksResp:
        assert isinstance(request, server_pb2.SetLogMasksReq)
        self.note(f"set_log_masks {request.masks}")
        return server_pb2.SetLogMasksResp()

    async def run(self) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, (lambda: None) if "stubborn" in WAYS else stopped.set)
        os.write(1, b"fake engine starts\n")
        os.write(2, b"it has something to complain about\n")
        if "exit-at-once" in WAYS:
            die()
        socket = self.sockets / f"daos_engine_{os.getpid()}.sock"
        server = DrpcServer(socket)
        server.handle(Method.SET_RANK, self.set_rank)
        server.handle(Method.SET_UP, self.set_up)
        server.handle(Method.GROUP_UPDATE, self.group_update)
        server.handle(Method.PREP_SHUTDOWN, self.prep_shutdown)
        server.handle(Method.SET_LOG_MASKS, self.set_log_masks)
        await server.start()
        self.note("start")
        if "mute" not in WAYS:
            report = srv_pb2.NotifyReadyReq(
                uri=f"ofi+tcp://127.0.0.1:{31000 + self.index}",
                nctxs=1,
                drpcListenerSock=str(socket),
                instanceIdx=self.index,
                ntgts=1,
                incarnation=time.time_ns(),
                check_mode="-C" in sys.argv,
            )
            await drpc.call(self.sockets / "daos_server.sock", Method.NOTIFY_READY, report, timeout=10)
        if "exit-after-report" in WAYS:
            die()
        await stopped.wait()
        # The real engine leaves its socket file behind.
        os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-d", type=Path, required=True)
    parser.add_argument("-I", type=int, default=0)
    options, _ = parser.parse_known_args()
    asyncio.run(Engine(options.d, options.I).run())


if __name__ == "__main__":
    main()
