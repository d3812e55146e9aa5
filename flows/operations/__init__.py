"""Operating the line on one machine: start, stop, look after and check its parts."""
