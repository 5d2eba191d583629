"""A configuration made for the hardware of a storage host (`daos_server config generate`, `dmg config generate`).

`generate` takes a host's hardware (`hardware`) and what is asked for (`request`): engines are put on NUMA nodes
(`affinity`), get storage tiers (`tiers`), threads (`threads`) and ports (`ports`), and become a configuration that
passes the same checks as one that a person wrote (`build`). The same input always gives the same text (`document`).
Hosts that are to share a configuration are compared in `homogeneity`.
"""

from daos_control.config.generate.build import generate as generate
from daos_control.config.generate.document import to_yaml as to_yaml
from daos_control.config.generate.hardware import HostHardware as HostHardware
from daos_control.config.generate.request import GenerateRequest as GenerateRequest
