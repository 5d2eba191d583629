"""A client without servers: answers by the name of the method, and the requests that were made."""

import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from unittest.mock import patch

from google.protobuf.message import Message

from daos_control.cli import dmg, session
from daos_control.client.connection import Client

Answer = Message | Exception | Callable[[Message], Message]


class FakeClient(Client):
    """Every host gives the same answers; a method without one is a mistake of the test."""

    def __init__(self, answers: Mapping[str, Answer], hosts: tuple[str, ...], requests: list[Message]) -> None:
        super().__init__(None, hosts=hosts, sleep=_no_sleep)
        self._answers = answers
        self._requests = requests

    async def call(self, address, method, request, *, timeout):  # noqa: ASYNC109
        self._requests.append(request)
        answer = self._answers[method.name]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer


async def _no_sleep(_seconds: float) -> None:
    return None


@dataclass
class Run:
    """What one run of dmg said and asked."""

    code: int
    out: str
    err: str
    both: str
    requests: list[Message] = field(default_factory=list)


class _Tee(StringIO):
    def __init__(self, shared: StringIO) -> None:
        super().__init__()
        self._shared = shared

    def write(self, text: str) -> int:
        self._shared.write(text)
        return super().write(text)


def run_dmg(*args: str, hosts: tuple[str, ...] = ("127.0.0.1",), **answers: Answer) -> Run:
    """Run dmg in this process against `answers`."""
    requests: list[Message] = []
    both = StringIO()
    out, err = _Tee(both), _Tee(both)

    def client(asked: tuple[str, ...], _notice_retry: object = None) -> FakeClient:
        return FakeClient(answers, tuple(asked) or hosts, requests)

    with patch.object(session, "_client", client), redirect_stdout(out), redirect_stderr(err):
        assert sys.stdout is out
        code = dmg.run(list(args))
    return Run(code, out.getvalue(), err.getvalue(), both.getvalue(), requests)
