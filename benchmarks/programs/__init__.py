"""Programs that the cells start as processes of their own: servers and clients of dicomio and of pynetdicom."""
