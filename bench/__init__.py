"""Measurements, each as a ratio to a peer in the same run; never part of the tests."""
