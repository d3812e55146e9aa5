"""Static pages of runs and pieces; the review application is in ``dashboard/app``."""
