"""Personal data is erased when its purpose ends: a cohort's on its day, a person's on request."""
