"""The privileged helper that a configuration asks for."""

from typing import TYPE_CHECKING

from daos_control.storage.helper_client import HelperClient

if TYPE_CHECKING:
    from daos_control.config.models import ServerConfig


def helper_client(config: "ServerConfig | None") -> HelperClient:
    """By the socket or the program that the configuration names, else that of this installation."""
    if config is None:
        return HelperClient()
    return HelperClient(config.daos_control.helper_binary, socket=config.daos_control.helper_socket)
