"""Persistent memory: its modules, regions and namespaces; how they are prepared, reset and updated."""
