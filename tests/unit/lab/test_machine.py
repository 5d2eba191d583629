"""What the lab makes its machine from, and that the machine always ends; no machine is booted here."""

import os
import shlex
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import cpio, hardware, packages, qemu, session
from lab.errors import LabError
from lab.images import Images
from lab.modules import ModuleTree
from lab.packages import Package


def entries(data: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Name, mode and content of each entry of a newc archive, read by its definition."""
    position = 0
    while True:
        header = data[position : position + 110]
        assert header[:6] == b"070701"
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[position + 110 : position + 110 + name_size - 1].decode()
        begin = -(-(position + 110 + name_size) // 4) * 4
        if name == "TRAILER!!!":
            return
        yield name, mode, data[begin : begin + size]
        position = -(-(begin + size) // 4) * 4


def test_the_first_files_archive_holds_what_was_put_in() -> None:
    archive = cpio.Archive()
    archive.directory("bin")
    archive.file("bin/tool", b"12345", 0o755)
    archive.link("bin/sh", "tool")
    assert list(entries(archive.encode())) == [
        ("bin", 0o040755, b""),
        ("bin/tool", 0o100755, b"12345"),
        ("bin/sh", 0o120777, b"tool"),
    ]


def module(directory: Path, name: str, depends: str) -> None:
    (directory / f"{name}.ko").write_bytes(
        b"\x7fELF" + struct.pack("4x") + f"\0depends={depends}\0name=x\0".encode()
    )


def test_modules_come_after_what_they_need_and_built_in_ones_are_left_out(tmp_path: Path) -> None:
    module(tmp_path, "nd-pmem", "nd_btt,libnvdimm")
    module(tmp_path, "nd_btt", "libnvdimm")
    module(tmp_path, "libnvdimm", "")
    (tmp_path / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")

    assert ModuleTree(tmp_path).ordered(["ext4", "nd_pmem"]) == ["libnvdimm", "nd_btt", "nd_pmem"]
    with pytest.raises(LabError, match="no module 'nfit'"):
        ModuleTree(tmp_path).ordered(["nfit"])


def test_another_version_of_any_package_is_another_system() -> None:
    one, two = Package("ndctl", "76.1-1"), Package("ndctl", "76.1-2")
    assert packages.fingerprint((one,)) == packages.fingerprint((Package("ndctl", "76.1-1"),))
    assert packages.fingerprint((one,)) != packages.fingerprint((two,))


def test_arguments_reach_the_tests_through_the_machines_shell_unchanged() -> None:
    wanted = ("-k", 'a b\' "c" $HOME', "lab/tests")
    script = session.Request(wanted).text() + '\neval "set -- $LAB_PYTEST"\nprintf "%s\\0" "$@"'
    output = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    assert tuple(output.split("\0")[:-1][-3:]) == wanted


@pytest.fixture
def machine(tmp_path: Path) -> qemu.Machine:
    nowhere = tmp_path / "image"
    return qemu.Machine(Images(nowhere, nowhere, nowhere, nowhere), tmp_path)


def test_the_machine_gets_all_of_its_hardware_on_its_nodes_and_no_way_to_a_network(
    machine: qemu.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "find", lambda: "qemu")
    text = shlex.join(qemu.command(machine))
    for controller in hardware.CONTROLLERS:
        assert text.count(f"nvme,id=ctrl{controller.node},serial={controller.serial}") == 1
    assert text.count("nvme-ns,") == sum(len(c.namespaces) for c in hardware.CONTROLLERS)
    assert text.count("nvdimm,id=") == len(hardware.NVDIMMS)
    assert text.count("pxb-pcie,") == len(hardware.NODES)
    assert text.count("-netdev hubport,") == text.count("-netdev") == len(hardware.CARDS)
    sizes = {path.name: path.stat().st_size for path in machine.directory.iterdir()}
    assert sizes["nvdimm0"] == hardware.NVDIMMS[0].size_mib * hardware.MIB + hardware.LABEL_BYTES
    assert sizes["ctrl1-2"] == hardware.CONTROLLERS[1].namespaces[1].size_mib * hardware.MIB


def test_without_qemu_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LabError, match="apt-get install --no-install-recommends qemu-system-x86"):
        qemu.find()


class FakeQemu:
    """A program in QEMU's place."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = tmp_path / "state"
        self._program = tmp_path / "bin" / "fake"
        self._program.parent.mkdir()
        monkeypatch.setattr(qemu, "find", lambda: os.fspath(self._program))
        monkeypatch.setattr(session.images, "make_project", lambda image, request: image.write_text(request))

    def run(self, script: str, *, keep: bool = False, limit_s: float = 60) -> int:
        self._program.write_text(f"#!{sys.executable}\n{script}\n")
        self._program.chmod(0o755)
        nowhere = self.state / "image"
        images = Images(nowhere, nowhere, nowhere, nowhere)
        return session.run(self.state, images, session.Request(limit_s=limit_s), keep=keep)

    def runs(self) -> list[str]:
        return [path.name for path in self.state.glob("run-*")]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeQemu:
    return FakeQemu(tmp_path, monkeypatch)


RESULT = "import pathlib; pathlib.Path('result').write_text('exit {}\\n')"


@pytest.mark.parametrize("code", [0, 1, 5])
def test_the_exit_code_of_the_tests_comes_out_and_nothing_is_left(fake: FakeQemu, code: int) -> None:
    assert fake.run(RESULT.format(code)) == code
    assert fake.runs() == []


def test_a_machine_that_ends_without_a_result_is_explained_by_its_console(fake: FakeQemu) -> None:
    with pytest.raises(LabError, match="Kernel panic") as caught:
        fake.run(
            "open('console.log', 'w').write('Kernel panic - not syncing'); import sys; sys.exit('qemu says no')"
        )
    assert "qemu says no" in str(caught.value)
    assert fake.runs() == []


def test_a_machine_that_does_not_end_is_ended_at_its_time_limit(fake: FakeQemu, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    script = f"import os, signal; open({os.fspath(note)!r}, 'w').write(str(os.getpid())); signal.pause()"
    with pytest.raises(LabError, match="its time limit"):
        fake.run(script, limit_s=1.5)
    assert not Path("/proc", note.read_text()).exists()
    assert fake.runs() == []


def test_a_kept_run_stays_and_an_abandoned_one_goes(fake: FakeQemu) -> None:
    fake.run(RESULT.format(0), keep=True)
    (kept,) = fake.runs()
    (fake.state / "run-abandoned").mkdir()
    (fake.state / "run-abandoned" / "nvdimm0").touch()
    fake.run(RESULT.format(0))
    assert fake.runs() == [kept]
