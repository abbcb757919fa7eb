"""The DIMSE services, one module for each conversation, with both its halves: who asks and who answers."""
