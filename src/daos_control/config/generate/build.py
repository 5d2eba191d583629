"""The configuration out of its parts."""

from pathlib import Path

from daos_control.config import server
from daos_control.config.generate import document
from daos_control.config.generate.affinity import places as choose_places
from daos_control.config.generate.hardware import HostHardware
from daos_control.config.generate.ports import fabric_ports
from daos_control.config.generate.request import GenerateRequest
from daos_control.config.generate.threads import threads as count_threads
from daos_control.config.generate.tiers import balanced, tiers
from daos_control.config.models import DEFAULT_PORT, ControlMetadata, EngineConfig, ServerConfig
from daos_control.config.replicas import port_of
from daos_control.faults import ControlError

_LOG_DIRECTORY = Path("/var/log/daos")
_NAME = "the generated configuration"


def generate(hardware: HostHardware, request: GenerateRequest) -> ServerConfig:
    """The configuration for a host, or for hosts that are alike; pure, and the same for the same input.

    Raises ControlError where the hardware does not do for what is asked for, Fault 511 where SSDs behind VMDs are
    not as many on each node, and ConfigError where what was asked for makes no valid configuration (an even number
    of replicas, a port that is none).
    """
    if request.metadata_path is not None and not request.tmpfs_scm:
        raise ControlError(
            "metadata on SSDs (--control-metadata-path) need a RAM disk for SCM: add --use-tmpfs-scm"
        )
    if request.metadata_path is not None and request.scm_only:
        raise ControlError("--control-metadata-path puts metadata on SSDs, which --scm-only does without")
    places = choose_places(hardware, request)
    ssds = balanced(places)
    threads = count_threads(hardware.cores_per_numa, len(ssds[0]))
    port = _control_port(request)
    ports = fabric_ports(request.fabric_ports, [place.interface.device for place in places], threads, port)
    provider = places[0].interface.provider
    engines = [
        EngineConfig(
            targets=threads.targets,
            nr_xs_helpers=threads.helpers,
            log_file=_LOG_DIRECTORY / f"daos_engine.{index}.log",
            storage=tiers(place, ssds[index], ram=request.tmpfs_scm, md_on_ssd=request.metadata_path is not None),
            provider=provider,
            fabric_iface=place.interface.device,
            fabric_iface_port=ports[index],
            pinned_numa_node=place.numa_node,
        )
        for index, place in enumerate(places)
    ]
    made = ServerConfig(
        port=port,
        engines=engines,
        control_log_file=_LOG_DIRECTORY / "daos_server.log",
        provider=provider,
        mgmt_svc_replicas=list(request.replicas),
        control_metadata=ControlMetadata(path=request.metadata_path),
    )
    return server.parse(document.to_yaml(made), _NAME)


def _control_port(request: GenerateRequest) -> int:
    """That of the replicas, which must agree on it. Faults 704 and 706 for entries that are no addresses."""
    ports = {port_of(replica) for replica in request.replicas}
    if len(ports) > 1:
        named = ", ".join(request.replicas)
        raise ControlError(
            f"the replicas {named} are not all named with the same port, which is to be that of all servers"
            " (--ms-replicas)"
        )
    return (ports.pop() if ports else None) or DEFAULT_PORT
