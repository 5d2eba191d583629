"""The management service: members, pools and properties of the whole system, kept by its replicas.

`service.ManagementService` is what a server runs. `edges` are the Protocols it needs from that server, `writer` is
the one place where the system database changes, and the handlers of mgmt.MgmtSvc are split by subject: they
translate messages, let a pure function of `system` decide, have it committed, and answer.
"""
