"""The tests that run inside the machine. Elsewhere they would format a host's disks: conftest.py forbids it."""
