"""What several requests make together: storage commitment, procedure steps, worklists of work, printing.

Everything here is built from the public API: handlers on an `Application`, calls on an association or a client.
"""
