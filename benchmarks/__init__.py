"""Time of spectralot's operations beside that of the libraries one would take otherwise."""
