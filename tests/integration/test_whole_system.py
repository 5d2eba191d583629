"""A whole system of real processes, with certificates: daos_server, embedded engines, dmg; what may befall it."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from daos_control.demo.layout import Layout
from daos_control.demo.session import program
from daos_control.security import certs

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts in a namespace of its own need root"),
]

PATIENCE_SECONDS = 60.0


def free_port() -> int:
    """A port that nobody holds now, below those that the system itself gives out."""
    while True:
        port = random.randrange(11000, 30000)
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


class System:
    """One server with two engines, in a mount namespace that outlives them."""

    def __init__(self, state: Path) -> None:
        self.layout = Layout.plan(state, hosts=1, engines=2, port=free_port())
        self.host = self.layout.hosts[0]
        certs.init(self.layout.certificates)
        self.layout.write_configs()
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sleep", "600"])
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        namespace = Path(f"/proc/{self.holder.pid}/ns/mnt")
        self.until(lambda: namespace.readlink() != Path("/proc/self/ns/mnt").readlink(), "a namespace of its own")
        with self.layout.server_log(self.host).open("ab") as log:
            self.server = subprocess.Popen(
                ["nsenter", f"--mount={namespace}", program("daos_server"), "start", "-o",
                 str(self.layout.server_config(self.host))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def close(self) -> None:
        for process in (self.server, self.holder):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)
        shutil.rmtree(self.layout.sockets, ignore_errors=True)

    def dmg(self, *arguments: str, config: Path | None = None) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [program("dmg"), "-o", str(config or self.layout.control_config), *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip

    def answer(self, *arguments: str) -> Any:
        """What the command answers in JSON; it must succeed."""
        done = self.dmg("-j", *arguments)
        assert done.returncode == 0, done.stderr + self.log()
        return json.loads(done.stdout)["response"]

    def states(self) -> dict[int, str]:
        done = self.dmg("-j", "system", "query")
        if done.returncode:
            return {}
        return {member["rank"]: member["state"] for member in json.loads(done.stdout)["response"]["members"]}

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Look again and again, for at most PATIENCE_SECONDS."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}: {self.states()}\n{self.log()}"

    def until_states(self, wanted: dict[int, str]) -> None:
        self.until(lambda: self.states() == wanted, str(wanted))

    def format(self) -> None:
        self.until(lambda: self.dmg("storage", "format").returncode == 0, "a format")
        self.until_states({0: "joined", 1: "joined"})

    def pools(self) -> dict[str, str]:
        return {pool["label"]: pool["uuid"] for pool in self.answer("pool", "list")["pools"] or ()}

    def engine_pids(self) -> list[int]:
        assert self.server is not None
        children = Path(f"/proc/{self.server.pid}/task/{self.server.pid}/children").read_text().split()
        return sorted(
            int(pid) for pid in children if b"-I" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        )

    def log(self) -> str:
        return self.layout.server_log(self.host).read_text()[-4000:]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    made = System(tmp_path)
    try:
        made.start()
        made.format()
        yield made
    finally:
        made.close()


def test_pools_are_made_queried_changed_and_destroyed(system: System) -> None:
    created = system.answer("pool", "create", "--size=256MiB", "tank")
    assert created["tgt_ranks"] == [0, 1]
    assert created["tier_bytes"] == [128 << 20, 0]
    assert system.pools() == {"tank": created["uuid"]}
    query = system.answer("pool", "query", "tank")
    assert query["tier_stats"][0]["total"] == 256 << 20
    assert 0 < query["tier_stats"][0]["free"] <= 256 << 20

    for wrong, told in (
        (("pool", "create", "--size=256MiB", "tank"), "code = 609"),
        (("pool", "create", "--size=256MiB", "not a label"), "label"),
        (("pool", "create", "--size=1TiB", "huge"), "DER_NOSPACE(-1007)"),
        (("pool", "create", "--size=1MiB", "tiny"), "code = 604"),
        (("pool", "create", "--size=256MiB", "--nranks=9", "wide"), "code = 607"),
        (("pool", "query", "nowhere"), "nowhere"),
        (("storage", "format"), "code = 509"),
        (("system", "erase"), "rank"),
    ):
        done = system.dmg(*wrong)
        assert done.returncode == 1, wrong
        assert told in done.stderr, (wrong, done.stderr)
    assert system.pools() == {"tank": created["uuid"]}

    assert system.dmg("pool", "set-prop", "tank", "label:barrel,reclaim:disabled").returncode == 0
    assert system.pools() == {"barrel": created["uuid"]}
    assert "disabled" in system.dmg("pool", "get-prop", "barrel", "reclaim").stdout
    assert system.dmg("pool", "evict", "barrel").returncode == 0
    assert system.dmg("pool", "destroy", "barrel").returncode == 0
    assert system.pools() == {}
    assert system.answer("pool", "create", "--size=256MiB", "tank")["uuid"] != created["uuid"]


def test_a_killed_engine_is_errored_and_comes_back_with_its_pools(system: System) -> None:
    pool = system.answer("pool", "create", "--size=256MiB", "tank")["uuid"]
    victim = system.engine_pids()[-1]
    os.kill(victim, signal.SIGKILL)
    system.until(lambda: sorted(system.states().values()) == ["errored", "joined"], "one errored rank")
    assert system.dmg("system", "start").returncode == 0
    system.until_states({0: "joined", 1: "joined"})
    assert victim not in system.engine_pids()
    assert system.pools() == {"tank": pool}
    assert system.answer("pool", "query", "tank")["disabled_targets"] == 0


def test_a_killed_server_and_its_restart_lose_nothing(system: System) -> None:
    pool = system.answer("pool", "create", "--size=256MiB", "tank")["uuid"]
    members = {m["rank"]: (m["uuid"], m["incarnation"]) for m in system.answer("system", "query")["members"]}
    assert system.dmg("system", "set-attr", "site:basement").returncode == 0
    assert system.server is not None
    engines = system.engine_pids()
    system.server.kill()
    system.server.wait(30)
    system.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in engines), "the end of the engines")

    system.start()

    def rejoined() -> bool:
        if set(system.states().values()) != {"joined"}:
            return False
        now = {m["rank"]: (m["uuid"], m["incarnation"]) for m in system.answer("system", "query")["members"]}
        return all(now[r][0] == uuid and now[r][1] > started for r, (uuid, started) in members.items())

    system.until(rejoined, "both ranks joined again")
    assert system.pools() == {"tank": pool}
    assert "basement" in system.dmg("system", "get-attr", "site").stdout
    assert system.answer("pool", "query", "tank")["tier_stats"][0]["total"] == 256 << 20


def test_a_system_stops_starts_and_is_erased_and_formatted_again(system: System) -> None:
    system.answer("pool", "create", "--size=256MiB", "tank")
    stopped = system.answer("system", "stop", "--force")["Results"]
    assert [(r["Rank"], r["state"], r["Errored"]) for r in stopped] == [
        (0, "stopped", False),
        (1, "stopped", False),
    ]
    assert system.states() == {0: "stopped", 1: "stopped"}
    assert system.engine_pids() == []
    assert system.dmg("system", "start", "-r", "1").returncode == 0
    system.until_states({0: "stopped", 1: "joined"})
    assert system.dmg("system", "start").returncode == 0
    system.until_states({0: "joined", 1: "joined"})
    assert system.dmg("system", "stop").returncode == 0
    assert system.dmg("system", "erase").returncode == 0
    system.until(lambda: "uninitialized" in system.dmg("system", "query").stderr, "an uninitialized system")
    system.format()
    assert system.pools() == {}


def test_a_certificate_of_the_wrong_role_or_out_of_its_time_is_refused(system: System, tmp_path: Path) -> None:
    admin = system.layout.control_config.read_text()
    agent = tmp_path / "agent.yml"
    agent.write_text(admin.replace("admin.crt", "agent.crt").replace("admin.key", "agent.key"))
    denied = system.dmg("system", "query", config=agent)
    assert denied.returncode == 1
    assert "code = PermissionDenied" in denied.stderr
    assert 'cert: "agent"' in denied.stderr

    files = system.layout.certificates
    (tmp_path / "old.crt").write_bytes(_expired(files))
    old = tmp_path / "old.yml"
    old.write_text(admin.replace(str(files / "admin.crt"), str(tmp_path / "old.crt")))
    refused = system.dmg("system", "query", config=old)
    assert refused.returncode == 1
    assert "code = 903" in refused.stderr
    assert "expired" in refused.stderr

    plain = tmp_path / "plain.yml"
    plain.write_text(admin.partition("transport_config")[0] + "transport_config: {allow_insecure: true}\n")
    assert system.dmg("system", "query", config=plain).returncode == 1
    assert system.states() == {0: "joined", 1: "joined"}


def _expired(files: Path) -> bytes:
    """The administrator's certificate as it would look a year after its end."""
    template = x509.load_pem_x509_certificate((files / "admin.crt").read_bytes())
    key: Any = load_pem_private_key((files / "daosCA.key").read_bytes(), password=None)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(template.issuer)
        .public_key(template.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=730))
        .not_valid_after(now - timedelta(days=365))
    )
    return builder.sign(key, hashes.SHA512()).public_bytes(Encoding.PEM)


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [1, 2])
def test_the_demo_runs_a_whole_system_and_leaves_nothing(tmp_path: Path, hosts: int) -> None:
    state = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "daos_control.demo", "--state", str(state), "--hosts", str(hosts),
         "--port", str(free_port()), "--once"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Joined") == 2 * hosts
    assert "Pool created" in done.stdout
    assert not state.exists()
    assert str(state) not in Path("/proc/self/mountinfo").read_text()
