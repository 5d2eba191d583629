"""The hardware lab: a virtual machine whose device nodes the storage tests may format.

`python -m lab` (`./dev lab`) makes the machine out of Debian packages, boots it under software emulation and runs
`lab/tests` inside. docs/lab.md says what hardware it has and what was learned from it.
"""
