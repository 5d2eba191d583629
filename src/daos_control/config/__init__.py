"""The configuration files: daos_server.yml and daos_control.yml, typed and strict.

`server.load` and `control.load` read a file and report every mistake in it at once (`problems.ConfigError`).
Nothing else here touches the machine: `memory` and `host` decide over figures that the server gathered.
This package imports nothing by itself, so that `config.control` stays free of what only the server needs.
"""
