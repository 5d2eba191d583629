"""A program that behaves as SPDK's, as far as the helper uses it: JSON-RPC, controllers, namespaces in files.

Started as `spdk_tgt -r SOCKET -A ADDRESS...`. FAKE_SPDK names a JSON file: "controllers" by address, each with
model, serial, revision, vendor, and namespaces (id, block, file); "behaviour" by method: "hang", "garbage", "die",
"close", "error", "stray", "huge".
"""

import base64
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

ERRORS = {
    "missing": {"code": -32601, "message": "Method not found"},
    "gone": {"code": -19, "message": "No such device"},
}


class Refused(Exception):
    pass


class Target:
    def __init__(self, allowed: list[str]) -> None:
        self.file = Path(os.environ["FAKE_SPDK"])
        self.world = json.loads(self.file.read_text())
        self.allowed = allowed
        self.attached: dict[str, str] = {}
        self.initialised = False

    def answer(self, method: str, params: dict[str, Any]) -> Any:
        handler = getattr(self, f"do_{method}", None)
        if handler is None:
            raise Refused(ERRORS["missing"])
        return handler(**params)

    def do_iobuf_set_options(self, **_: int) -> bool:
        return not self.initialised

    do_bdev_set_options = do_iobuf_set_options
    do_bdev_nvme_set_options = do_iobuf_set_options

    def do_vmd_enable(self) -> bool:
        if self.initialised:
            raise Refused({"code": -1, "message": "too late"})
        return True

    def do_framework_start_init(self) -> bool:
        self.initialised = True
        return True

    def do_framework_get_pci_devices(self) -> list[dict[str, str]]:
        config = bytearray(256)
        config[0:2] = (0x8086).to_bytes(2, "little")
        config[9:12] = (0x010802).to_bytes(3, "little")
        return [{"address": a, "type": "nvme", "config_space": config.hex()} for a in self.world["controllers"]]

    def do_bdev_nvme_attach_controller(self, name: str, trtype: str, traddr: str) -> list[str]:
        found = self.world["controllers"].get(traddr)
        if found is None or trtype != "PCIe" or not any(endpoint(traddr) == a for a in self.allowed):
            raise Refused(ERRORS["gone"])
        self.attached[name] = traddr
        return [f"{name}n{ns['id']}" for ns in found["namespaces"]]

    def do_bdev_get_bdevs(self, name: str) -> list[dict[str, Any]]:
        controller, _, number = name.rpartition("n")
        ns = self.namespace(controller, int(number))
        size = Path(ns["file"]).stat().st_size
        nvme = {"ns_data": {"id": ns["id"]}, "ctrlr_data": {}}
        return [{"block_size": ns["block"], "num_blocks": size // ns["block"], "driver_specific": {"nvme": [nvme]}}]

    def do_bdev_nvme_get_controller_health_info(self, name: str) -> dict[str, Any]:
        found = self.controller(name)
        counts = {
            "critical_warning": found.get("warning", 0),
            "temperature_celsius": found.get("celsius", 30),
            "controller_busy_time": "5",
            "power_cycles": 99,
            "power_on_hours": 9999,
            "unsafe_shutdowns": 1,
            "media_errors": 0,
            "num_err_log_entries": 0,
            "warning_temperature_time_minutes": 0,
            "critical_composite_temperature_time_minutes": 0,
        }
        return counts | {
            "model_number": found["model"],
            "serial_number": found["serial"],
            "firmware_revision": found["revision"],
        }

    def do_bdev_nvme_apply_firmware(self, bdev_name: str, filename: str) -> str:
        found = self.controller(bdev_name.rpartition("n")[0])
        if found.get("locked"):
            raise Refused({"code": -32603, "message": "firmware download failed ."})
        found["revision"] = Path(filename).read_text().strip()
        self.file.write_text(json.dumps(self.world))
        return "firmware commit succeeded. Controller reset in progress."

    def do_bdev_nvme_send_cmd(
        self,
        name: str,
        cmd_type: str,
        data_direction: str,
        cmdbuf: str,
        data: str = "",
        data_len: int = 0,
    ) -> dict[str, str]:
        command = base64.urlsafe_b64decode(cmdbuf)
        words = [int.from_bytes(command[at : at + 4], "little") for at in range(40, 64, 4)]
        nsid = int.from_bytes(command[4:8], "little")
        assert len(command) == 64
        assert data_direction in ("c2h", "h2c")
        if cmd_type == "admin":
            return self.admin(command[0], data_len)
        ns = self.namespace(name, nsid)
        start, size = (words[0] | words[1] << 32) * ns["block"], ((words[2] & 0xFFFF) + 1) * ns["block"]
        if ns.get("broken") or size > (3 << 20):
            return completion(sct=2, sc=0x81)
        with Path(ns["file"]).open("r+b") as file:
            file.seek(start)
            if command[0] == 2:
                assert data_len == size <= 128 << 10
                return completion() | {"data": base64.urlsafe_b64encode(file.read(size)).decode()}
            if command[0] == 1:
                content = base64.urlsafe_b64decode(data)
                assert len(content) == size
                file.write(content)
            elif command[0] == 8:
                file.write(bytes(size))
        return completion()

    def admin(self, opcode: int, size: int) -> dict[str, str]:
        if opcode != 6:
            return completion(sct=0, sc=0x09)
        data = bytearray(size)
        data[77] = self.world.get("mdts", 5)
        data[520] = 8 if self.world.get("write_zeroes", True) else 0
        return completion() | {"data": base64.urlsafe_b64encode(data).decode()}

    def controller(self, name: str) -> dict[str, Any]:
        if name not in self.attached:
            raise Refused({"code": -32603, "message": "Device not found"})
        found: dict[str, Any] = self.world["controllers"][self.attached[name]]
        return found

    def namespace(self, name: str, number: int) -> dict[str, Any]:
        for ns in self.controller(name)["namespaces"]:
            if ns["id"] == number:
                found: dict[str, Any] = ns
                return found
        raise Refused(ERRORS["gone"])


def endpoint(address: str) -> str:
    first = address.partition(":")[0]
    return address if len(first) == 4 else f"0000:{first[:2]}:{first[2:4]}.{int(first[4:], 16)}"


def completion(*, sct: int = 0, sc: int = 0) -> dict[str, str]:
    status = (sct << 9 | sc << 1).to_bytes(2, "little")
    return {"cpl": base64.urlsafe_b64encode(bytes(14) + status).decode()}


def main() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    words = sys.argv[1:]
    target = Target([words[i + 1] for i, word in enumerate(words) if word == "-A"])
    if log := os.environ.get("FAKE_SPDK_LOG"):
        Path(log).write_text(json.dumps({"pid": os.getpid(), "arguments": words}))
    behaviour = target.world.get("behaviour", {})
    if behaviour.get("start") == "die":
        sys.stderr.write("EAL: *ERROR*: no huge pages\n")
        sys.exit(1)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(words[words.index("-r") + 1])
    listener.listen(1)
    connection, _ = listener.accept()
    data = b""
    while chunk := connection.recv(65536):
        data += chunk
        assert len(data) <= 32 << 10, "SPDK takes no longer request"
        try:
            request = json.loads(data)
        except ValueError:
            continue
        data = b""
        reply(connection, target, request, behaviour.get(request["method"], ""))


def reply(connection: socket.socket, target: Target, request: dict[str, Any], behaviour: str) -> None:
    if behaviour == "hang":
        time.sleep(600)
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "close":
        connection.close()
        sys.exit(0)
    if behaviour == "garbage":
        connection.sendall(b"\x00\xffno json at all")
        return
    answer: dict[str, Any] = {"jsonrpc": "2.0", "id": 12345 if behaviour == "stray" else request["id"]}
    try:
        if behaviour == "error":
            raise Refused({"code": -5, "message": "Input/output error"})
        answer["result"] = target.answer(request["method"], request.get("params", {}))
    except Refused as refusal:
        answer["error"] = refusal.args[0]
    if behaviour == "shape":
        answer["result"] = {"nothing": "of use"}
    connection.sendall(json.dumps(answer).encode())


if __name__ == "__main__":
    main()
