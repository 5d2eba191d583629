"""The embedded engine: a program that stands in for DAOS's `daos_engine` where there is no DAOS installation.

It takes the same command line and environment, speaks the same dRPC, keeps real pools on its storage, and watches
its peers. It serves no data: no client can open a pool of it. Start reading at `main` (the program) and `engine`
(how the parts hang together).
"""
