"""The tests that run inside the machine. On any other machine they would format its disks: conftest.py forbids it."""
