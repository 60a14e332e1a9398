"""`kadence demo`: a broker, a worker and a few jobs in one process, to look at."""
