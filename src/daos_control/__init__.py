"""The control plane of DAOS in Python: daos_server, dmg and an embedded engine."""

import os

# grpcio reads both settings when it is first imported, so they are made here, before any module of ours can
# import it. DAOS's Go programs speak exactly TLS 1.2 with this one suite (TLS 1.3 between our own peers is not
# governed by it); and grpcio's fork handlers crash children of a process that serves RPCs.
os.environ.setdefault("GRPC_SSL_CIPHER_SUITES", "AES256-GCM-SHA384")
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
