"""Random lives of a system, in which nothing may ever break."""

from hypothesis import settings

from unit.system.machine import SystemMachine

TestSystem = SystemMachine.TestCase
TestSystem.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
