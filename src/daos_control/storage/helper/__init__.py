"""The privileged helper: one process per request, JSON in, JSON out. It imports the standard library and this
package's small modules only, so that it starts in a few hundredths of a second."""
