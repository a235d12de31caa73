"""Speech: voices that speak the items, the clips they become, and the noise added to them."""
