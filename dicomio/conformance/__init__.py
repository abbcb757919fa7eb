"""Conformance statements in the shape of PS3.2, written from an application and what serves it.

What is accepted is found by asking what negotiation asks, what is answered by looking at what is registered. What
handlers do by themselves cannot be seen from outside, and the statement says so.
"""

from dicomio.conformance.statement import conformance_statement

__all__ = ["conformance_statement"]
