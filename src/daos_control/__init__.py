"""The control plane of DAOS in Python: daos_server, dmg and an embedded engine."""

import os

# grpcio reads these settings when it is first imported, so they are made here, before any module of ours can
# import it. DAOS's Go programs speak exactly TLS 1.2 with this one suite (TLS 1.3 between our own peers is not
# governed by it); grpcio's fork handlers crash children of a process that serves RPCs; and what its core has to
# say of connections reaches people as Faults, not as lines on the standard error.
os.environ.setdefault("GRPC_SSL_CIPHER_SUITES", "AES256-GCM-SHA384")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
