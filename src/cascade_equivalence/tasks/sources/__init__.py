"""Published sets from their own sources: fetched at fixed versions, checked, and their recordings made into clips."""
